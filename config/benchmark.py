"""A benchmark profile: which data set of the MIM paper, which network, how it is trained."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.load import Profiles

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
_PUBLISHED = Path(__file__).parent / "published.toml"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DigitsData(_Part):
    """Moving MNIST, or its colour-changing kin, made of a file of digits."""

    kind: Literal["moving-mnist", "colour-mnist"]
    digits: str = "digits/t10k-images-idx3-ubyte.gz"  # in the data folder, as all paths here
    size: Count = 64
    train_sequences: Count = 200_000  # made anew from digits for training, all different
    test_sequences: Count = 10_000
    seed: int = 0


class TrafficData(_Part):
    """Flows on a grid of city blocks: TaxiBJ's HDF5 files, or one of its kin."""

    kind: Literal["traffic"]
    files: tuple[str, ...] = Field(min_length=1)
    # For files that do not date their frames: when the first slot begins, local time.
    start: str | None = None
    slots: Count = 48  # a day
    validation_days: int = Field(default=0, ge=0)
    test_days: Count = 28


class Human36mData(_Part):
    """Human3.6M as a folder of the authors' JPEG names."""

    kind: Literal["human36m"]
    folder: str
    size: Count = 128
    train_subjects: tuple[str, ...] = ("S1", "S5", "S6", "S7", "S8")
    validation_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ("S9", "S11")
    train_stride: Count = 10
    test_stride: Count = 5

    @model_validator(mode="after")
    def _check_subjects(self) -> Human36mData:
        train, validation = set(self.train_subjects), set(self.validation_subjects)
        twice = train & validation | (train | validation) & set(self.test_subjects)
        if twice:
            raise ValueError(
                "a subject for training, for validation or for the test; "
                f"{', '.join(sorted(twice))} for two of them"
            )
        return self


class RadarData(_Part):
    """Crops of a radar archive as reflectivity; the last frames are the test."""

    kind: Literal["radar"]
    feed: str
    archive: str
    series: str | None = None
    size: Count = 64
    validation_share: Share = 0.15
    test_share: Share = 0.25
    dbz_max: Annotated[float, Field(gt=0)] = 70.0  # becomes 1; 0 dBZ and less becomes 0
    thresholds_dbz: tuple[float, ...] = (20.0, 30.0, 40.0)
    busy_dbz: float = 15.0  # what counts as an echo where crops are chosen
    busy_share: Share = 0.1
    train_sequences: Count = 200_000
    test_sequences: Count = 500
    seed: int = 0


Data = Annotated[DigitsData | TrafficData | Human36mData | RadarData, Field(discriminator="kind")]


class NetworkPart(_Part):
    """The architecture, as mim_core.config.MIMConfig has it."""

    hidden: Count = 64
    layers: Count = 4
    kernel_size: Count = 5
    patch: Count = 4
    layer_norm: bool = True
    peepholes: Literal["pixel", "shared"] = "shared"
    first_layer: Literal["st_lstm", "predrnn_st_lstm", "causal_lstm"] = "st_lstm"
    difference_input: Literal["released", "figure"] = "released"
    residual: bool = False


class TrainingPart(_Part):
    """How to train. Lengths of schedules are shares of the steps that the time allows."""

    steps: Count | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None  # instead of steps
    batch_size: Count = 8
    accumulate: Count = 1
    optimiser: Literal["adam", "muon"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up_share: Share = 0.0
    final_fraction: Share = 0.0
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "32-true"
    # The cells' pixelwise part by torch.compile; "auto": where there is a C++ compiler.
    compiled: Literal["auto", "never"] = "never"
    # Of the absolute error beside the squared one.
    absolute_share: Annotated[float, Field(ge=0)] = 0.0
    # All predictions, as the papers have it, or those of the forecast alone.
    counted: Literal["all", "forecast"] = "all"
    # Lead number l weighs l to minus this, and what is predicted within the input as the first.
    lead_exponent: Annotated[float, Field(ge=0)] = 0.0
    sampling: Literal["scheduled", "reverse", "none"] = "scheduled"
    sampling_share: Share = 0.625  # of the steps: 50,000 of 80,000 in the paper
    reversed_time: bool = False
    validations: int = Field(default=0, ge=0)
    validation_sequences: Count = 64
    processes: Count = 1  # that share each batch, with a part of the cores each, or a GPU
    seed: int = 0

    @model_validator(mode="after")
    def _check_length(self) -> TrainingPart:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("either steps or minutes")
        return self


class BenchmarkProfile(_Part):
    """One benchmark: everything that decides what a training run and its test give."""

    title: str
    about: str = ""  # what is known of it: measured where, or not yet
    published: str  # whose rows of published.toml stand beside its scores
    input_length: Count = 10
    total_length: Count = 20
    data: Data
    network: NetworkPart = NetworkPart()
    training: TrainingPart

    @model_validator(mode="after")
    def _check_lengths(self) -> BenchmarkProfile:
        if self.total_length <= self.input_length:
            raise ValueError(f"total_length: expected more than input_length {self.input_length}")
        return self


class PublishedRow(_Part):
    """What a paper reports for one method; None where it does not say, or nobody here read it."""

    benchmark: str
    method: str
    source: str
    # How it came here: read in the source, in a later paper that quotes it, or remembered.
    known: Literal["read", "second-hand", "from memory"]
    mse: float | None = None
    mae: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    mse_per_frame: tuple[float, ...] = ()
    note: str = ""


BENCHMARKS = Profiles(
    kind="benchmark",
    model=BenchmarkProfile,
    shipped=Path(__file__).parent / "benchmarks",
    by_path=True,
)


def published(benchmark_name: str) -> list[PublishedRow]:
    """The published rows of a benchmark, in the order of the file."""
    content = tomllib.loads(_PUBLISHED.read_text(encoding="utf-8"))
    rows = [PublishedRow.model_validate(row) for row in content["rows"]]
    return [row for row in rows if row.benchmark == benchmark_name]
