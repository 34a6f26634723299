"""Hostile files: refused, quickly, in little memory, and nothing of other files gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hostile import BUILDERS, grib, odim, png
from hostile_look import Found, look

from nowcast.service.child import Limits, call, prepare

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(seconds=30, memory_bytes=1 << 30)
CANARY = "c4n4ry-of-a-file-that-is-not-radar"


@pytest.fixture(scope="module", autouse=True)
def _quick_children() -> None:
    prepare("nowcast.ingest.readers.mrms", "nowcast.ingest.readers.geotiff", "PIL.GifImagePlugin")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "secret"
    path.parent.mkdir()
    path.write_text(CANARY * 100)
    return path


def test_there_are_many_of_them() -> None:
    assert len(BUILDERS) >= 40
    forms = {form for form, _ in BUILDERS.values()}
    assert forms >= {"odim", "knmi-hdf5", "cf", "odim-tar", "meteonet", "mch-gif", "fmi-pgm"}
    assert forms >= {"geotiff", "mrms-grib", "radolan"}


@pytest.mark.parametrize("name", BUILDERS)
def test_it_is_refused(tmp_path: Path, secret: Path, name: str) -> None:
    form, build = BUILDERS[name]
    path = build(tmp_path / name, secret)
    found: Found = call(look, form, path, limits=LIMITS)
    assert found.kind in {"FormatError", "UnsafeFileError"}, found
    assert found.seconds < 10, found
    assert found.mebibytes < 300, found
    assert CANARY not in found.told
    assert "root:" not in found.told
    assert not list(secret.parent.glob("*.executed"))


def test_a_harmless_twin_of_the_hdf5_files_is_accepted(tmp_path: Path) -> None:
    with odim(tmp_path / "twin.h5") as file:
        file["dataset1/data1/data"] = np.full((40, 40), 3, "u1")
    assert call(look, "odim", tmp_path / "twin.h5", limits=LIMITS).kind == "accepted"


def test_a_harmless_twin_of_the_grib_files_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "twin.grib2"
    path.write_bytes(grib(columns=70, rows=35, picture=png(70, 35)))
    found = call(look, "mrms-grib", path, limits=LIMITS)
    assert "unseen" in found.told or found.kind == "accepted", found
