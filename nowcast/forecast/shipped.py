"""The weights that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from nowcast.field.errors import WeightsError

# What stands for the path of the file in commands.
SHIPPED = "shipped"


def shipped_weights(name: str = "radar") -> Path:
    """The checkpoint of that name inside the package; raises WeightsError where there is none."""
    path = Path(str(resources.files("nowcast") / "weights" / f"{name}.safetensors"))
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights are shipped; reinstall, or give --weights")
    return path


def shipped_benchmarks() -> list[str]:
    """The benchmarks that weights are shipped for."""
    folder = Path(str(resources.files("nowcast") / "weights" / "benchmarks"))
    return sorted(path.stem for path in folder.glob("*.safetensors"))
