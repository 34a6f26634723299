"""From the hidden state on top to a frame: the last convolution, and what smooths what it says."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mim_core.config import MIMConfig
from mim_core.patches import from_patches, to_patches


class PixelByPixel(nn.Conv2d):
    """A 1x1 convolution whose maps lie channel by channel, however its input lies.

    What follows it parts them into channels: of channels-last maps that takes four times as long.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        assert self.bias is not None
        weight = self.weight.flatten(1).expand(len(x), -1, -1)
        said = torch.bmm(weight, x.flatten(2)).add_(self.bias[:, None])
        return said.view(len(x), -1, *x.shape[-2:])


def output_layer(config: MIMConfig) -> PixelByPixel:
    """From the hidden state on top to a prediction, by a 1x1 convolution; zero where residual.

    Below the prediction's channels stand those that ``scales_let_go`` takes, one a scale.
    """
    channels = config.patched_out_channels + config.cascade_levels
    layer = PixelByPixel(config.num_hidden[-1], channels, 1)
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    if config.residual:
        nn.init.zeros_(layer.weight)  # starts as persistence
    return layer


class Blend(nn.Module):
    """A convolution over each unpatched channel, which begins as a binomial blur."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.patch, size = config.patch, config.blend_kernel
        row = torch.tensor([math.comb(size - 1, k) / 2 ** (size - 1) for k in range(size)])
        blur = torch.outer(row, row).expand(config.out_channels, 1, size, size)
        self.weight = nn.Parameter(blur.clone())

    def forward(self, patched: Tensor) -> Tensor:
        """The prediction (B, p * p * C, H, W) with its patches blended; the same shape."""
        pixels = from_patches(patched, patch=self.patch)
        around = (self.weight.shape[-1] // 2,) * 4
        pixels = nn.functional.pad(pixels, around, mode="replicate")
        blended = nn.functional.conv2d(pixels, self.weight, groups=self.weight.shape[0])
        return to_patches(blended, patch=self.patch)


def scales_let_go(field: Tensor, shares: Tensor) -> Tensor:
    """What of a ``field`` (B, 1, H, W) goes: minus each of its scales times its share.

    ``shares`` (B, levels, H / patch, W / patch) are what the network says at every patch, finest
    scale first; in between they are linear. Small scales live shortest: S-PROG (Seed, J. Appl.
    Meteor. 42, 381, 2003) parts a field into scales and lets each fade at one pace everywhere. Here
    the paces are learnt, and local. A few numbers a patch say what a 1x1 convolution would have to
    say pixel by pixel.
    """
    shares = nn.functional.interpolate(shares, size=field.shape[-2:], mode="bilinear")
    change = torch.zeros_like(field)
    for level in range(shares.shape[1]):
        coarser = _smoothed(field, distance=2**level)
        change = change - shares[:, level : level + 1] * (field - coarser)
        field = coarser
    return change


def _smoothed(field: Tensor, *, distance: int) -> Tensor:
    """Weights 1, 2, 1 over pixels so far apart, along both axes; the edge goes on for ever."""
    for dim, around in ((-2, (0, 0, distance, distance)), (-1, (distance, distance, 0, 0))):
        padded = nn.functional.pad(field, around, mode="replicate")
        length = field.shape[dim]
        sides = padded.narrow(dim, 0, length) + padded.narrow(dim, 2 * distance, length)
        field = 0.5 * field + 0.25 * sides
    return field
