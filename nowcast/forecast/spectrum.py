"""The power spectrum of a field on a grid, all round and in bands of wavelength."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 64.0  # cells: longer waves are one band
BANDS_AN_OCTAVE = 2
BANDS = 1 + 5 * BANDS_AN_OCTAVE  # of longer ones, and from LONGEST down to two cells


def wavenumbers(shape: tuple[int, int], *, device: torch.device) -> Tensor:
    """Of every wave of rfft2 of a field (H, W), in cycles a cell: (H, W // 2 + 1)."""
    down = torch.fft.fftfreq(shape[0], device=device)
    along = torch.fft.rfftfreq(shape[1], device=device)
    return torch.hypot(down[:, None], along[None, :])


def taper(shape: tuple[int, int], *, device: torch.device) -> Tensor:
    """A Hann window in both directions: the edges of the grid are no waves."""
    height, width = (torch.hann_window(length, periodic=False, device=device) for length in shape)
    return height[:, None] * width[None, :]


def isotropic(amplitude: Tensor, wavenumber: Tensor) -> Tensor:
    """The amplitude as the root of the mean power at each distance from zero.

    One field is one draw from its spectrum; the mean over all directions is closer to it.
    """
    bins = int(max(amplitude.shape)) // 2
    ring = (wavenumber * 2 * bins).long().clamp(max=bins).flatten()
    power = torch.zeros(bins + 1, device=amplitude.device)
    power.index_add_(0, ring, amplitude.flatten() ** 2)
    count = torch.bincount(ring, minlength=bins + 1).clamp(min=1)
    return torch.sqrt(power / count)[ring].reshape(amplitude.shape)


class Bands:
    """Bands of wavelength of a grid (H, W): one above LONGEST, then some an octave."""

    def __init__(self, shape: tuple[int, int], *, device: torch.device) -> None:
        self._shape, self._device = shape, device

    @cached_property
    def _places(self) -> Tensor:
        """Where every wave stands among the bands; the middle of each is a whole number."""
        octaves = torch.log2(
            wavenumbers(self._shape, device=self._device).clamp(min=1e-9) * LONGEST
        )
        return (octaves * BANDS_AN_OCTAVE + 0.5).clamp(0.0, BANDS - 1.0)

    @cached_property
    def _band(self) -> Tensor:
        """The number of the band of every wave, one after the other."""
        return (self._places + 0.5).long().flatten()

    @cached_property
    def _waves_each(self) -> Tensor:
        return torch.bincount(self._band, minlength=BANDS).clamp(min=1)

    @cached_property
    def _window(self) -> Tensor:
        return taper(self._shape, device=self._device)

    def power(self, field: Tensor) -> Tensor:
        """The mean power of the waves of each band of a ``field`` (H, W), tapered: (BANDS)."""
        waves = torch.fft.rfft2((field - field.mean()) * self._window)
        power = torch.view_as_real(waves).square().sum(dim=-1).flatten()
        return torch.bincount(self._band, weights=power, minlength=BANDS) / self._waves_each

    def spread(self, values: Tensor) -> Tensor:
        """The ``values`` (BANDS) at every wave (H, W // 2 + 1), linear between the bands."""
        below = self._places.long().clamp(max=BANDS - 2)
        return torch.lerp(values[below], values[below + 1], self._places - below)
