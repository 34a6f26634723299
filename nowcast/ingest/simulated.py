"""Simulated storms of known motion, rotation, growth and decay, for tests and the demonstration.

A storm is a Gaussian random field with the power spectrum of rain, carried along a steady motion
while it turns. Its small scales live shorter than its large ones, and an envelope lets the whole
grow and decay. Every quantity is a function of time in closed form, so the truth is known at any
moment, and a seed fixes all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyproj
from scipy.ndimage import map_coordinates

from nowcast.field.grid import Grid
from nowcast.field.schema import Radar, as_radar, frames_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPECTRAL_SLOPE = (
    2.6  # of the rain field's isotropic spectrum (Germann and Zawadzki 2002, MWR 130, 2859)
)
DECIBEL_SPREAD = 12.0  # dB of rain rate for a standard deviation of the field
LARGEST_WAVE = 0.3  # of twice the grid: several rain areas in view rather than one
RAIN_FLOOR_MM_H = 0.1


def low_countries(size: int = 256) -> Grid:
    """A grid of 1 km cells in the European equal-area projection, centred near Brussels."""
    crs = pyproj.CRS.from_epsg(3035)
    return Grid(
        crs=crs,
        west=3_924_000.0 - size * 500.0,
        north=3_096_000.0 + size * 500.0,
        dx=1000.0,
        dy=1000.0,
        height=size,
        width=size,
    )


@dataclass(frozen=True)
class Storm:
    """A storm episode on a grid with cells of equal size in metres.

    Attributes:
        grid: where it rains.
        motion_m_s: towards increasing x and y, in m s-1.
        rotation_degrees_per_hour: the turning of the field about the grid's centre, anticlockwise.
        peak_minutes: when the envelope is highest; before it the storm grows, after it decays.
        life_minutes: the standard deviation of the envelope in time.
        wet_fraction: about how much of the grid is wet at the peak.
        lifetime_minutes: of structures of 100 km; smaller ones live shorter in proportion. Infinity
            freezes the field: it only moves, turns, grows and decays.
        radar_range_km: cells further than this from the centre are unseen (NaN).
        seed: fixes the random field.

    """

    grid: Grid = field(default_factory=low_countries)
    motion_m_s: tuple[float, float] = (10.0, 4.0)
    rotation_degrees_per_hour: float = 0.0
    peak_minutes: float = 90.0
    life_minutes: float = 120.0
    wet_fraction: float = 0.3
    lifetime_minutes: float = 240.0
    radar_range_km: float = 10_000.0
    seed: int = 0

    def rate_mm_h(self, minutes: float) -> NDArray[np.float32]:
        """The rain rate (mm h-1) ``minutes`` after the start, (y, x); NaN out of radar range."""
        above = self._standard_field(minutes) - self._wet_level
        rate = 10.0 ** ((DECIBEL_SPREAD * above + self.growth_decibel(minutes)) / 10.0 - 1.0)
        rate = np.where(rate < RAIN_FLOOR_MM_H, 0.0, np.minimum(rate, 120.0))
        return np.where(self._seen, rate, np.nan).astype(np.float32)

    def growth_decibel(self, minutes: float) -> float:
        """The envelope: how many dB the rain lies below that of the peak, as a negative number."""
        age = (minutes - self.peak_minutes) / self.life_minutes
        return -5.0 * age**2

    def radar(self, *, start: np.datetime64, frames: int, cadence_minutes: float = 5.0) -> Radar:
        """The first frames of the episode as a radar sequence that starts at ``start`` (UTC)."""
        ages = cadence_minutes * np.arange(frames)
        times = start.astype("datetime64[ns]") + (ages * 60e9).astype("timedelta64[ns]")
        attrs = {
            "feed": "simulated",
            "institution": "simulated storm, no radar",
            "simulated": "true",
            "cadence_minutes": cadence_minutes,
        }
        rates = np.stack([self.rate_mm_h(float(age)) for age in ages])
        return as_radar(frames_dataset(rates, times=times, grid=self.grid, attrs=attrs))

    def material(self, minutes: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the air over each cell was at the start: fractional rows and columns, (y, x)."""
        rows, columns = np.meshgrid(
            np.arange(self.grid.height, dtype=float),
            np.arange(self.grid.width, dtype=float),
            indexing="ij",
        )
        middle_row, middle_column = (self.grid.height - 1) / 2, (self.grid.width - 1) / 2
        turned = np.deg2rad(self.rotation_degrees_per_hour * minutes / 60.0)
        # Undo the motion, then the turn; y points up while rows go down.
        east = columns - middle_column - self.motion_m_s[0] * minutes * 60.0 / self.grid.dx
        up = middle_row - rows - self.motion_m_s[1] * minutes * 60.0 / self.grid.dy
        back_east = east * np.cos(turned) + up * np.sin(turned)
        back_up = up * np.cos(turned) - east * np.sin(turned)
        return middle_row - back_up, middle_column + back_east

    @cached_property
    def _seen(self) -> NDArray[np.bool_]:
        x, y = np.meshgrid(self.grid.x, self.grid.y)
        distance = np.hypot(x - x.mean(), y - y.mean())
        return np.asarray(distance <= self.radar_range_km * 1000.0)

    @cached_property
    def _wet_level(self) -> float:
        """The value of the random field from which on it rains at the peak."""
        return float(np.quantile(self._standard_field(self.peak_minutes), 1.0 - self.wet_fraction))

    @cached_property
    def _modes(self) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.float64]]:
        """Fourier modes of two independent fields, and the rate (rad min-1) at which they mix."""
        # The field is periodic: at twice the grid's size no echo meets itself.
        size = 2 * max(self.grid.shape)
        generator = np.random.default_rng(self.seed)
        wave = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
        number = np.hypot(*wave)
        number[0, 0] = np.inf
        amplitude = number ** (-(SPECTRAL_SLOPE + 1.0) / 2.0)
        amplitude[number < 1.0 / (LARGEST_WAVE * size)] = 0.0
        first, second = (
            np.fft.rfft2(generator.standard_normal((size, size))) * amplitude for _ in range(2)
        )
        spread = np.fft.irfft2(first, s=(size, size)).std()
        wavelength_km = np.clip(self.grid.dx / 1000.0 / number, 1.0, 200.0)
        mixing = 100.0 / (self.lifetime_minutes * wavelength_km)
        return first / spread, second / spread, mixing

    def _standard_field(self, minutes: float) -> NDArray[np.float64]:
        """The random field, of about unit variance, as it lies over the grid at ``minutes``."""
        first, second, mixing = self._modes
        size = first.shape[0]
        mixed = first * np.cos(mixing * minutes) + second * np.sin(mixing * minutes)
        carried = np.fft.irfft2(mixed, s=(size, size))
        rows, columns = self.material(minutes)
        values = map_coordinates(carried, [rows % size, columns % size], order=3, mode="grid-wrap")
        return np.asarray(values)
