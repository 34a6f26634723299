"""What the network is asked to get right: the field, and the probability of each threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from mim_core.losses import masked_mean
from mim_core.patches import from_patches, to_patches
from nowcast.forecast.head import SEEN_CHANNEL

if TYPE_CHECKING:
    from torch import Tensor

    from mim_core.batches import Batch
    from nowcast.forecast.head import RainHead

RARITY = 0.35  # how much more an exceedance counts the higher its threshold
SEEN = 0.99  # a cell counts where so much of its interpolation weight was seen


@dataclass(frozen=True)
class RainLoss:
    """Error of the scaled field and cross-entropy of the exceedances, over the forecast's leads.

    The field's error is the absolute plus the squared one, heavier where more rain falls: between
    the median, which is too dry, and the mean, which is too flat. Errors grow with the lead, so
    early leads weigh more: what is judged is each lead against what can be known of it.
    """

    head: RainHead
    patch: int
    rain_weight: float = 1.5
    probability_share: float = 0.5
    lead_exponent: float = 0.5  # lead number l weighs l to minus this

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of ``batch`` (frames (B, T, C, H, W), mask (B, T, 1, H, W)): a scalar."""
        frames, history = batch["frames"], self.head.history
        total = frames.shape[1]
        outputs = network(
            to_patches(frames, patch=self.patch), total_length=total, input_length=history
        )
        outputs = from_patches(outputs[:, history - 1 :].float(), patch=self.patch)
        target = frames[:, history:, 0]
        seen = batch["mask"][:, history:, 0] >= SEEN
        leads = torch.arange(1, target.shape[1] + 1, device=target.device).view(-1, 1, 1)
        of_lead = leads.float() ** -self.lead_exponent
        weights = of_lead * (1.0 + self.rain_weight * target)
        difference = self.head.scaled_rate(outputs) - target
        field = masked_mean(difference.abs() + difference**2, mask=seen, weights=weights)
        entropy = self._cross_entropy(outputs, target, seen, of_lead.unsqueeze(1))
        return field + self.probability_share * entropy

    def _cross_entropy(
        self, outputs: Tensor, target: Tensor, seen: Tensor, of_lead: Tensor
    ) -> Tensor:
        levels = self.head.scaling.scaled(outputs.new_tensor(self.head.thresholds_mm_h))
        reached = (target.unsqueeze(-3) >= levels.view(-1, 1, 1) - 1e-5).to(outputs.dtype)
        entropy = nn.functional.binary_cross_entropy_with_logits(
            self.head.logits(outputs), reached, reduction="none"
        )
        # Strong rain is rare; a weight that is fixed for each threshold keeps it calibrated.
        thresholds = outputs.new_tensor(self.head.thresholds_mm_h)
        heavier = (thresholds / thresholds[0]) ** RARITY
        heavier = heavier.view(-1, 1, 1)
        return masked_mean(entropy * heavier, mask=seen.unsqueeze(-3), weights=of_lead)


@dataclass(frozen=True)
class AbsoluteErrors:
    """The absolute error of the field beside that of keeping the newest frame (extrapolation)."""

    head: RainHead
    patch: int

    @torch.no_grad()
    def __call__(self, network: nn.Module, batch: Batch) -> tuple[float, float]:
        """Summed absolute errors (mm h-1) of the network and of the newest frame kept."""
        frames, history = batch["frames"], self.head.history
        outputs = network(
            to_patches(frames, patch=self.patch),
            total_length=frames.shape[1],
            input_length=history,
        )
        outputs = from_patches(outputs[:, history - 1 :].float(), patch=self.patch)
        rate = self.head.scaling.rate_mm_h
        truth = rate(frames[:, history:, 0])
        seen = (batch["mask"][:, history:, 0] >= SEEN) & (
            frames[:, history - 1 : history, SEEN_CHANNEL] >= SEEN
        )
        said = rate(self.head.scaled_rate(outputs))
        kept = rate(frames[:, history - 1 : history, 0]).expand_as(truth)
        return (
            float((said - truth).abs()[seen].sum()),
            float((kept - truth).abs()[seen].sum()),
        )
