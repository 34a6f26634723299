"""A training recipe: which archives to learn from, which network, how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from config.load import Profiles

Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArchiveSource(_Part):
    """One archive to learn from: a feed, a folder, every how many of its frames, all but where."""

    feed: str
    archive: str  # relative to the data folder that the command names
    series: str | None = None
    every: Count = 1
    # West, south, east and north in degrees: regions that training must not see.
    leave_out: tuple[tuple[float, float, float, float], ...] = ()
    # Training draws on it from this step on. What judges weights by leaving its radar out can be
    # added late: until then all such weights are the same, and are trained once.
    from_step: Annotated[int, Field(ge=0)] = 0


class NetworkPart(_Part):
    """The size of the network, and whether it is normalised over the whole field.

    Without the norm what the network tells a cell depends on its surroundings alone, whether it is
    in a crop or in a continent, in a tile or in the whole. ``blend_kernel`` and ``cascade_levels``
    are those of MIMConfig, the others from ``knows_sampling`` on those of RainHead; from
    ``expectation_share`` on they change what is said, not what is learnt.
    """

    hidden: Count = 32
    layers: Count = 3
    kernel_size: Count = 3
    patch: Count = 4
    layer_norm: bool = True
    blend_kernel: Annotated[int, Field(ge=0)] = 0
    cascade_levels: Annotated[int, Field(ge=0)] = 0
    knows_sampling: bool = False
    sharpens: bool = False
    form: Literal["lagrangian", "eulerian"] = "lagrangian"
    expectation_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    confidence: Annotated[float, Field(gt=0)] = 1.0
    firmness: Annotated[float, Field(gt=0)] = 1.0
    firmness_fades: Annotated[float, Field(ge=0)] = 0.0
    area_share: Annotated[float, Field(ge=0, le=1)] = 0.0


class TrainingPart(_Part):
    """How long and how fast to learn."""

    steps: Count = 400
    batch_size: Count = 4
    optimiser: Literal["adam", "muon"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warm_up_steps: int = 50
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    # The cells' pixelwise part by torch.compile; "auto": where there is a C++ compiler.
    compiled: Literal["auto", "never"] = "never"
    leads: Count = 12
    crop: Count = 128
    seed: int = 0


class VarietyPart(_Part):
    """How far samples are varied, as ``nowcast.learn.variety.Variety`` has it."""

    intensity: Annotated[float, Field(ge=1)] = 1.6
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    zoom: Annotated[float, Field(ge=1)] = 1.0
    slower: Count = 1
    faintest_mm_h: Annotated[float, Field(ge=0.01)] = 0.01
    noise_decibel: Annotated[float, Field(ge=0)] = 0.0
    lost: Annotated[float, Field(ge=0, lt=1)] = 0.0
    blind: Annotated[float, Field(ge=0, le=1)] = 0.0


class Recipe(_Part):
    """Everything that decides what a training run gives."""

    title: str = "untitled"
    licence_notes: str = ""
    network: NetworkPart = NetworkPart()
    training: TrainingPart = TrainingPart()
    variety: VarietyPart = VarietyPart()
    sources: tuple[ArchiveSource, ...] = ()
    validation: tuple[ArchiveSource, ...] = ()

    def without(self, *feeds: str) -> Recipe:
        """The recipe with nothing of these feeds: its weights can be judged by their radars."""
        kept = {
            name: tuple(source for source in getattr(self, name) if source.feed not in feeds)
            for name in ("sources", "validation")
        }
        return self.model_copy(update=kept)


RECIPES = Profiles(
    kind="recipe", model=Recipe, shipped=Path(__file__).parent / "recipes", by_path=True
)
