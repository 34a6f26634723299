"""The weights that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from nowcast.field.errors import WeightsError


def shipped_weights() -> Path:
    """The checkpoint inside the package; raises WeightsError where there is none."""
    path = Path(str(resources.files("nowcast") / "weights" / "radar.safetensors"))
    if not path.is_file():
        raise WeightsError(f"{path}: the shipped weights are missing; reinstall, or give --weights")
    return path
