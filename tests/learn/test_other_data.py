"""A MIM learns from what the xarray engine opens: radar, traffic, rain with wind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from mim_core import losses
from mim_core.batches import Batch, from_samples
from mim_core.config import MIMConfig
from mim_core.datasets.windows import Windows
from mim_core.model import MIM
from mim_core.patches import to_patches
from mim_core.settings import Hooks, TrainSettings
from mim_core.train import fit
from nowcast import build

PATCH = 2


def radar(folder: Path) -> np.ndarray:
    archive = build.archive("openmrg", folder / "radar/openmrg/20150827")
    rate = archive.frames_between(archive.times[0], archive.latest)["rainfall_rate"].values
    return np.log1p(rate[:, None, :36, :36])


def traffic(folder: Path) -> np.ndarray:
    path = folder / "traffic/nyc_taxi_bike/data/volume_test.npz"
    with xr.open_dataset(path, engine="nowcast") as opened:
        flows = np.stack([opened["inflow"].values, opened["outflow"].values], axis=1)
    return flows / flows.max()


def rain_with_wind(folder: Path) -> np.ndarray:
    with xr.open_dataset(folder / "weather/meteonet_wind", engine="nowcast") as opened:
        names = ("rainfall_rate", "eastward_wind", "northward_wind")
        rain, east, north = (opened[name].values[:, :32, :32] for name in names)
    return np.stack([np.log1p(rain), east / 10, north / 10], axis=1)


def loss(network: nn.Module, batch: Batch) -> Tensor:
    frames, mask = (to_patches(batch[name], patch=PATCH) for name in ("frames", "mask"))
    predicted = network(frames, total_length=frames.shape[1], input_length=4)
    return losses.mean_squared_error(predicted, frames[:, 1:], mask=mask[:, 1:])


@pytest.mark.parametrize("series_of", [radar, traffic, rain_with_wind])
def test_twenty_steps_lower_the_loss(series_of, shared_data: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    series = torch.from_numpy(series_of(shared_data).astype(np.float32))
    windows = Windows(series, length=8)
    torch.manual_seed(0)
    network = MIM(
        MIMConfig(
            in_channels=series.shape[1],
            num_hidden=(8, 8),
            kernel_size=3,
            patch=PATCH,
            residual=True,
        )
    )
    heard: list[float] = []
    fit(
        network,
        from_samples(windows, batch_size=4, seed=0),
        loss=loss,
        settings=TrainSettings(steps=20, learning_rate=3e-3, gradient_clip=1.0),
        out=tmp_path,
        hooks=Hooks(progress=lambda _, value: heard.append(value)),
    )
    assert len(heard) == 20
    torch.manual_seed(0)
    batch = from_samples(windows, batch_size=16, seed=9)(0)
    before = loss(MIM(network.config), batch)  # residual: it keeps the last frame
    assert loss(network.eval(), batch) < before
