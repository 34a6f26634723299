"""Scores of predicted frames as the video papers count them, as sums that add over batches.

MSE and MAE: summed over the pixels and channels of a frame, then the mean over sequences. SSIM and
PSNR: of each frame, then the mean over sequences. So on Moving MNIST (64x64, values 0 to 1) the
papers' "MSE 44.2" is the mean over frames of ``mse_per_frame``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 7  # of SSIM, as scikit-image has it, which all those papers call


@dataclass(frozen=True)
class FrameScores:
    """Sums over ``sequences`` for each of T predicted frames, all (T,) in float64."""

    sequences: int
    squared: Tensor
    absolute: Tensor
    similarity: Tensor
    peak_ratio: Tensor  # dB

    def __add__(self, other: FrameScores) -> FrameScores:
        return FrameScores(
            self.sequences + other.sequences,
            self.squared + other.squared,
            self.absolute + other.absolute,
            self.similarity + other.similarity,
            self.peak_ratio + other.peak_ratio,
        )

    @property
    def mse_per_frame(self) -> Tensor:
        """Sum over pixels of the squared error, mean over sequences: (T,)."""
        return self.squared / self.sequences

    @property
    def mae_per_frame(self) -> Tensor:
        """Sum over pixels of the absolute error, mean over sequences: (T,)."""
        return self.absolute / self.sequences

    @property
    def ssim_per_frame(self) -> Tensor:
        """Structural similarity, mean over sequences: (T,)."""
        return self.similarity / self.sequences

    @property
    def psnr_per_frame(self) -> Tensor:
        """Peak signal-to-noise ratio in dB, mean over sequences (inf where one is exact): (T,)."""
        return self.peak_ratio / self.sequences


def frame_scores(prediction: Tensor, target: Tensor, *, data_range: float = 1.0) -> FrameScores:
    """Scores of frames (B, T, C, H, W) whose values run from 0 to ``data_range``.

    SSIM and PSNR see the prediction clipped to that range, MSE and MAE as it is (as in OpenSTL;
    the MIM authors clip for MSE too: clip before calling for theirs). Raises ValueError for shapes
    that differ or values that are not finite.
    """
    if prediction.shape != target.shape or prediction.ndim != 5 or prediction.shape[0] == 0:
        raise ValueError(
            f"prediction: found shape {tuple(prediction.shape)}, expected that of the target, "
            f"{tuple(target.shape)}, as (B, T, C, H, W)"
        )
    prediction, target = prediction.double(), target.double()
    error = prediction - target
    if not torch.isfinite(error).all():
        raise ValueError("prediction or target: found values that are not finite")
    clipped = prediction.clamp(0.0, data_range)
    mean_squared = (clipped - target).square().mean(dim=(2, 3, 4))  # (B, T)
    return FrameScores(
        sequences=prediction.shape[0],
        squared=error.square().sum(dim=(0, 2, 3, 4)),
        absolute=error.abs().sum(dim=(0, 2, 3, 4)),
        similarity=ssim(clipped, target, data_range=data_range).sum(dim=0),
        peak_ratio=(10.0 * torch.log10(data_range**2 / mean_squared)).sum(dim=0),
    )


def ssim(first: Tensor, second: Tensor, *, data_range: float) -> Tensor:
    """Structural similarity of frames (..., C, H, W), the mean over channels and pixels: (...).

    As scikit-image's ``structural_similarity`` with its defaults: uniform 7x7 windows that lie
    within the frame, sample covariance, K1 = 0.01, K2 = 0.03 (Wang et al., 2004). Raises
    ValueError for frames smaller than the window.
    """
    if min(first.shape[-2:]) < WINDOW:
        raise ValueError(
            f"frames: found {tuple(first.shape[-2:])}, expected sides of {WINDOW} or more for SSIM"
        )
    one, two = (frames.flatten(0, -4) for frames in (first, second))  # (N, C, H, W)

    def local_mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, WINDOW, stride=1)

    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    mean_one, mean_two = local_mean(one), local_mean(two)
    variances = unbiased * (local_mean(one**2) - mean_one**2 + local_mean(two**2) - mean_two**2)
    covariance = unbiased * (local_mean(one * two) - mean_one * mean_two)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = ((2 * mean_one * mean_two + c1) * (2 * covariance + c2)) / (
        (mean_one**2 + mean_two**2 + c1) * (variances + c2)
    )
    return similarity.mean(dim=(1, 2, 3)).reshape(first.shape[:-3])
