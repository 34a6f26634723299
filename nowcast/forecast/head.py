"""How rain goes into the network and comes out: the channels, their scaling, and probabilities.

The network works in Lagrangian coordinates: every frame moved to issue time along the motion, so
that what still changes is growth, decay, and the error of the motion. It is residual: with zero
weights it keeps the newest frame, and the forecast moved out again is exactly extrapolation. In the
Eulerian form frames stay where they are, and the network has to learn the motion too.

Channels in: the scaled rain rate, and where it was seen (1 or 0; unseen rain stands as 0); where
the head is told of them, the cadence and the size of a cell, each the same number everywhere.
Channels out: as many, fed back; for each threshold an offset of the logit of exceedance; and where
the head sharpens, how sure the rate is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mim_core.config import MIMConfig
from nowcast.field import schema
from nowcast.field.errors import WeightsError
from nowcast.field.scaling import RainScaling
from nowcast.forecast.amounts import Amounts
from nowcast.forecast.regions import WetAreas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

LAGRANGIAN = "lagrangian"
FORMS = (LAGRANGIAN, "eulerian")
SEEN_CHANNEL = 1
USUAL_STEP_MINUTES = 5.0
DECIDED_EVERY_MINUTES = 5.0
HALF_AN_HOUR = 30.0  # minutes
FIRMNESS = (0.5, 1.4)  # within which it stays, whatever the lead time
SHARPEST = 3.0  # the steepness is multiplied by at most e to this, and by at least its inverse


class Sampling(NamedTuple):
    """How finely a radar looks: minutes between frames, kilometres on a side of a cell."""

    step_minutes: float
    cell_km: float

    @classmethod
    def of(cls, radar: schema.Radar) -> Sampling:
        """That of ``radar``."""
        step = schema.cadence(radar) / np.timedelta64(1, "m")
        return cls(float(step), math.sqrt(math.prod(schema.grid_of(radar).cell_metres)) / 1000)


@dataclass(frozen=True)
class RainHead:
    """What must be known beside the architecture to make a forecast of the network's output.

    Attributes:
        history: frames that the network is given.
        thresholds_mm_h: for which it states probabilities, ascending.
        steepness: logit of exceedance for a scaled rate one above the threshold's, before offsets.
        scaling: of the rain rate.
        decisions: for each threshold, every ``DECIDED_EVERY_MINUTES`` ahead, the probability from
            which on rain is said; empty where that was never fixed. Between them it is linear;
            leads beyond the last take its decision.
        expectation_share: of the expectation of the probabilities in the rate that is said, in dB;
            above 0 the total is that of the probabilities too (``amounts``).
        confidence: what logits are multiplied by when they are said, below 1 where radars are to be
            expected that the network does not know: it is surer than it may be there.
        firmness: what the logits of probabilities are multiplied by after that, half an hour ahead;
            the area that they say stays, and the field is made before. The further ahead, the less
            does an unknown radar's rain what the network has learnt.
        firmness_fades: with which power of the lead time the firmness falls.
        area_share: of the area that reaches a threshold at issue time in how much of a region is
            said to reach it (``regions``).
        knows_sampling: whether the network is told the cadence and the size of a cell.
        sharpens: whether the network says at each cell what the steepness is multiplied by (its
            logarithm): the first lead's rate is far surer than the last one's.
        form: of FORMS.

    """

    history: int = 4
    thresholds_mm_h: tuple[float, ...] = (0.1, 0.3, 0.5, 1.0, 3.0, 5.0, 10.0, 30.0)
    steepness: float = 6.0
    scaling: RainScaling = field(default_factory=RainScaling)
    decisions: tuple[tuple[float, ...], ...] = ()
    knows_sampling: bool = False
    sharpens: bool = False
    form: str = LAGRANGIAN
    expectation_share: float = 0.0
    confidence: float = 1.0
    firmness: float = 1.0
    firmness_fades: float = 0.0
    area_share: float = 0.0

    @property
    def moves_along(self) -> bool:
        """Whether frames are moved along the motion on their way to the network, and out again."""
        return self.form == LAGRANGIAN

    @property
    def input_channels(self) -> int:
        """Channels of a frame."""
        return 4 if self.knows_sampling else 2

    def config(self, *, hidden: int, layers: int, **shape: object) -> MIMConfig:
        """An architecture that fits: any grid, residual; ``shape`` are other fields of MIMConfig.

        Raises ValueError naming the field that is wrong.
        """
        fields = {
            "in_channels": self.input_channels,
            "out_channels": self.input_channels + len(self.thresholds_mm_h) + self.sharpens,
            "num_hidden": (hidden,) * layers,
            "kernel_size": 3,
            "patch": 4,
            "residual": True,
        }
        return MIMConfig.from_dict(fields | shape)

    def inputs(self, rate_mm_h: Tensor, sampling: Sampling) -> Tensor:
        """Rates (..., H, W) in mm h-1, NaN where unseen, as channels (..., C, H, W)."""
        seen = torch.isfinite(rate_mm_h)
        rate = torch.where(seen, rate_mm_h, 0.0)
        channels = [self.scaling.scaled(rate), seen.to(rate.dtype)]
        if self.knows_sampling:
            # Logarithms: from 5 to 10 minutes is as far as from 10 to 20.
            for ratio in (sampling.step_minutes / USUAL_STEP_MINUTES, sampling.cell_km):
                channels.append(torch.full_like(rate, 0.5 * math.log2(ratio)))
        return torch.stack(channels, dim=-3)

    def scaled_rate(self, output: Tensor) -> Tensor:
        """The scaled rain rate (..., H, W) of the network's output (..., C, H, W)."""
        return output[..., 0, :, :]

    def logits(self, output: Tensor) -> Tensor:
        """Logits of exceedance (..., K, H, W); they never rise with the threshold."""
        levels = self.scaling.scaled(output.new_tensor(self.thresholds_mm_h)).view(-1, 1, 1)
        above = self.scaled_rate(output).unsqueeze(-3) - levels
        beside = output[..., self.input_channels :, :, :]
        offsets = beside[..., : len(self.thresholds_mm_h), :, :]
        steepness: Tensor | float = self.steepness
        if self.sharpens:
            steepness = steepness * beside[..., -1:, :, :].clamp(-SHARPEST, SHARPEST).exp()
        free = (steepness * above + offsets).unbind(dim=-3)
        # torch.cummin takes twenty times as long across planes.
        return torch.stack(list(accumulate(free, torch.minimum)), dim=-3)

    def said(self, output: Tensor, *, chances: bool) -> Tensor:
        """What an output (..., C, H, W) says cell by cell, (..., L, H, W).

        The rate (mm h-1); and the logits if chances are asked for, or the rate needs them.
        """
        rate = self.scaling.rate_mm_h(self.scaled_rate(output)).unsqueeze(-3)
        if not chances and not self.expectation_share:
            return rate
        return torch.cat([rate, self.confidence * self.logits(output)], dim=-3)

    def weighed(self, said: Tensor, areas: WetAreas, *, minutes: float, chances: bool) -> Tensor:
        """What is ``said`` (L, H, W) all over the grid, weighed together and ready to be moved out.

        The rate (mm h-1) so many ``minutes`` ahead, and the probabilities if asked for. ``said`` is
        changed in place.
        """
        if len(said) == 1:
            return said
        logits = areas.shifted(said[1:])
        if self.expectation_share:
            amounts = Amounts(
                self.thresholds_mm_h,
                scaling=self.scaling,
                slope=self.confidence * self.steepness,
                share=self.expectation_share,
            )
            said[0] = amounts.field(said[0], logits, areas.regions)
        if not chances:
            return said[:1]
        areas.softened(logits, self.firm(minutes)).sigmoid_()
        return said

    def firm(self, minutes: float) -> float:
        """What the logits of probabilities so many minutes ahead are multiplied by."""
        faded = self.firmness * (minutes / HALF_AN_HOUR) ** -self.firmness_fades
        return float(min(max(faded, FIRMNESS[0]), FIRMNESS[1]))

    def areas(self, newest_mm_h: Tensor) -> WetAreas:
        """What the areas that are wet in the newest frame (H, W) say."""
        return WetAreas(newest_mm_h, thresholds_mm_h=self.thresholds_mm_h, share=self.area_share)

    def layers(self, *, chances: bool) -> int:
        """How many layers are moved out."""
        return 1 + len(self.thresholds_mm_h) * chances

    def decided(self, *, steps: int, step_minutes: float) -> NDArray[np.float32] | None:
        """The decisions for ``steps`` leads, (threshold, lead); None where never fixed."""
        if not self.decisions:
            return None
        ahead = step_minutes * np.arange(1, steps + 1) / DECIDED_EVERY_MINUTES - 1.0
        rows = [np.interp(ahead, np.arange(len(cuts)), cuts) for cuts in self.decisions]
        return np.asarray(rows, dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The settings as a checkpoint's header keeps them."""
        return {
            "form": self.form,
            "history": self.history,
            "thresholds_mm_h": list(self.thresholds_mm_h),
            "steepness": self.steepness,
            "scaling": self.scaling.to_dict(),
            "decisions": [list(leads) for leads in self.decisions],
            "expectation_share": self.expectation_share,
            "confidence": self.confidence,
            "firmness": self.firmness,
            "firmness_fades": self.firmness_fades,
            "area_share": self.area_share,
            "knows_sampling": self.knows_sampling,
            "sharpens": self.sharpens,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RainHead:
        """The head of ``to_dict``; raises WeightsError for weights that are not of rain."""
        form = values.get("form")
        if form not in FORMS:
            raise WeightsError(
                f"the header says form {form!r}, expected {' or '.join(map(repr, FORMS))}: "
                "these weights were not trained on rain by this program"
            )
        return cls(
            form=str(form),
            history=int(values["history"]),
            thresholds_mm_h=tuple(float(value) for value in values["thresholds_mm_h"]),
            steepness=float(values["steepness"]),
            scaling=RainScaling.from_dict(values["scaling"]),
            decisions=tuple(tuple(map(float, leads)) for leads in values.get("decisions", ())),
            expectation_share=float(values.get("expectation_share", 0.0)),
            confidence=float(values.get("confidence", 1.0)),
            firmness=float(values.get("firmness", 1.0)),
            firmness_fades=float(values.get("firmness_fades", 0.0)),
            area_share=float(values.get("area_share", 0.0)),
            knows_sampling=bool(values.get("knows_sampling", False)),
            sharpens=bool(values.get("sharpens", False)),
        )
