"""Correlated noise in the likeness of a rain field: what ensemble members differ by.

Gaussian fields whose power spectrum is that of an observed field (Seed 2003; Pulkkinen et al., GMD
12, 4185, 2019, section 2.4) and which follow each other in time as an autoregression of order one
for every wavelength: the longer the wave, the longer it lives (Venugopal et al., JGR 104, 31599,
1999). They are made in Lagrangian coordinates; to be moved along the motion like the rain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from scipy.fft import next_fast_len

from mim_core.sampling import generator_at
from nowcast.forecast.parts import on_threads
from nowcast.forecast.spectrum import Bands, isotropic, taper, wavenumbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

# Below this wet part a field says little about its own spectrum.
_LEAST_WET = 1e-3
# Spectrum where there is none to see: power falls with wavenumber to this (rain in dB: 2 to 3).
_SLOPE = 2.5
MEMBERS_A_FIELD = 4


@dataclass(frozen=True)
class Lifetimes:
    """How long features live: ``minutes`` at ``wavelength_km``, and how that grows with size.

    The lifetime of wavelength L is minutes * (L / wavelength_km) ** exponent.
    """

    minutes: float = 30.0
    wavelength_km: float = 16.0
    exponent: float = 0.8


@dataclass(frozen=True)
class NoiseSource:
    """Noise fields of mean 0 and variance 1, (members, H, W), one lead after the other.

    Both are those of many fields: in a single one the longest waves are few.

    Attributes:
        amplitude: of every wave, (h, w // 2 + 1), the square root of the power spectrum.
        persistence: what is left of every wave after one time step, 0 to 1, of the same shape.
        period: (h, w), after which the noise repeats itself; not below the shape.
        shape: (H, W).
        louder: by how much the power of each of the ``Bands`` is raised at each lead, in dB,
            (leads, BANDS), leads beyond as the last; None for nothing.

    """

    amplitude: Tensor
    persistence: Tensor
    period: tuple[int, int]
    shape: tuple[int, int]
    louder: Tensor | None = None

    @classmethod
    def like(
        cls,
        field: Tensor,
        *,
        cell_km: float,
        step_minutes: float,
        lifetimes: Lifetimes = Lifetimes(),
    ) -> NoiseSource:
        """Noise with the spectrum of ``field`` (H, W), rain in dB or scaled, without NaN."""
        height, width = field.shape
        # Of small factors alone: a transform of 640x710 takes three times as long as of 640x720.
        period = next_fast_len(height, real=True), next_fast_len(width, real=True)
        wavenumber = wavenumbers(period, device=field.device)
        anomaly = field - field.mean()
        if (field > field.min()).float().mean() < _LEAST_WET:
            amplitude = wavenumber.clamp(min=1.0 / max(field.shape)) ** (-_SLOPE / 2)
        else:
            amplitude = torch.fft.rfft2(
                anomaly * taper((height, width), device=field.device), s=period
            )
            amplitude = isotropic(amplitude.abs(), wavenumber)
        amplitude = amplitude.clone()
        amplitude[0, 0] = 0.0  # no mean: noise neither adds rain nor takes it away
        amplitude *= _unit_variance(amplitude, width=period[1])
        wavelength_km = cell_km / wavenumber.clamp(min=1e-9)
        lives = lifetimes.minutes * (wavelength_km / lifetimes.wavelength_km) ** lifetimes.exponent
        return cls(amplitude, torch.exp(-step_minutes / lives), period, (height, width))

    def fields(self, *, members: int, leads: int, seed: int) -> Iterator[Tensor]:
        """For each lead the fields of all members (members, H, W)."""
        device = self.amplitude.device
        drawn = -(-members // MEMBERS_A_FIELD)
        generators = [generator_at(seed, number, device=device) for number in range(drawn)]
        # torch draws random numbers in one thread: each field has its own, whichever draws.
        one_by_one = [slice(number, number + 1) for number in range(drawn)]
        waves = torch.empty((drawn, *self.amplitude.shape), dtype=torch.complex64, device=device)
        fresh = torch.empty_like(waves)
        waves_parts, fresh_parts = _as_real(waves), _as_real(fresh)
        persistence = self.persistence.repeat_interleave(2, dim=1)
        renewed = torch.sqrt(1.0 - persistence**2)
        bands = Bands(self.period, device=device)

        def draw(number: slice) -> None:
            fresh[number].normal_(generator=generators[number.start])

        for lead in range(leads):
            on_threads(draw, one_by_one)
            made = torch.empty((members, *self.shape), device=device)
            amplitude = self.amplitude.clone()
            if self.louder is not None:
                amplitude = self.raised(self.louder[min(lead, len(self.louder) - 1)], bands)
            # Waves along the columns alone stand there twice, each the conjugate of the other, if
            # they are of a real field. Drawn one by one they are not, and half of their power is
            # imaginary.
            amplitude[:, _along_columns(self.period[1])] *= 2.0**0.5
            amplitude = amplitude.repeat_interleave(2, dim=1)
            # At once the transforms of 20 fields take three times as long.
            for number in range(drawn):
                if lead == 0:
                    waves_parts[number] = fresh_parts[number]
                else:
                    waves_parts[number].mul_(persistence).addcmul_(fresh_parts[number], renewed)
                torch.mul(waves_parts[number], amplitude, out=fresh_parts[number])
                field = torch.fft.irfft2(fresh[number], s=self.period)
                first = MEMBERS_A_FIELD * number
                self._write(field, made[first : first + MEMBERS_A_FIELD])
            yield made

    def raised(self, louder: Tensor, bands: Bands) -> Tensor:
        """The amplitude with the ``bands`` of the period so much ``louder`` (BANDS), in dB."""
        amplitude = self.amplitude * 10.0 ** (bands.spread(louder) / 20.0)
        return amplitude * _unit_variance(amplitude, width=self.period[1])

    def _write(self, field: Tensor, made: Tensor) -> None:
        """Write what a ``field`` gives for up to ``MEMBERS_A_FIELD`` members, (1 or more, H, W).

        All but the first see it from half a period away, down, along, or both: nothing that is near
        each other in one is so in another, and the statistics are the same. It saves transforms.
        At a place they differ a little more than chance has it: the longest waves have turned round
        half a period away.
        """
        half = self.period[0] // 2, self.period[1] // 2
        away = ((0, 0), half, (half[0], 0), (0, half[1]))
        for member, (down, along) in zip(made, away, strict=False):
            for rows, above in _turned(down, period=self.period[0], length=self.shape[0]):
                for columns, before in _turned(along, period=self.period[1], length=self.shape[1]):
                    member[rows, columns] = field[above, before]


def _turned(by: int, *, period: int, length: int) -> Iterator[tuple[slice, slice]]:
    """The first ``length`` places of an axis that is turned round, and where each part stood."""
    ahead = min(period - by, length)
    yield slice(0, ahead), slice(by, by + ahead)
    if ahead < length:
        yield slice(ahead, length), slice(0, length - ahead)


def _as_real(waves: Tensor) -> Tensor:
    """The real and imaginary parts of waves (..., h, w), side by side: (..., h, 2 w), no copy.

    torch multiplies complex numbers by real ones as if these were complex too.
    """
    return torch.view_as_real(waves).flatten(-2)


def _along_columns(width: int) -> list[int]:
    """The columns of rfft2 that it does not leave the conjugates of away."""
    return [0, -1] if width % 2 == 0 else [0]


def _unit_variance(amplitude: Tensor, *, width: int) -> float:
    """By what ``amplitude`` (h, w // 2 + 1) of waves of variance 1 gives a field of variance 1."""
    power = 2.0 * amplitude.double() ** 2
    power[:, _along_columns(width)] /= 2.0
    return amplitude.shape[0] * width / max(math.sqrt(float(power.sum())), 1e-12)
