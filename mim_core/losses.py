"""Losses that count only what was seen: means over pixels, by mask and by weight, in fp32."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_squared_error(
    prediction: Tensor,
    target: Tensor,
    *,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Weighted mean of (prediction - target) squared where ``mask`` is not 0; see masked_mean."""
    difference = prediction.float() - hide(target, mask=mask).float()
    return masked_mean(difference**2, mask=mask, weights=weights)


def mean_absolute_error(
    prediction: Tensor,
    target: Tensor,
    *,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Weighted mean of abs(prediction - target) where ``mask`` is not 0; see masked_mean."""
    difference = prediction.float() - hide(target, mask=mask).float()
    return masked_mean(difference.abs(), mask=mask, weights=weights)


def masked_mean(
    errors: Tensor, *, mask: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Sum of weight * error over sum of weight, where ``mask`` is not 0: a scalar.

    ``mask`` and ``weights`` broadcast to ``errors``. Where nothing counts the mean is 0, and so is
    its gradient. Errors made from unseen targets must be made from ``hide(target)``: a NaN that
    is masked only here still reaches the gradient.
    """
    counted = torch.ones((), device=errors.device)
    if mask is not None:
        counted = counted * (mask != 0)
        errors = torch.where(mask != 0, errors, 0.0)
    if weights is not None:
        counted = counted * weights.float()
    counted = counted.expand_as(errors)
    total = counted.sum()
    return (counted * errors).sum() / torch.where(total > 0, total, 1.0)


def hide(values: Tensor, *, mask: Tensor | None) -> Tensor:
    """``values`` with 0 in place of whatever (NaN, say) stands where ``mask`` is 0."""
    return values if mask is None else torch.where(mask != 0, values, 0.0)
