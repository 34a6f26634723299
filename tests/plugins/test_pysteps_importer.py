"""Our readers in pysteps' hands: found by it, and equal to its own where both read a file."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyproj
import pytest

from nowcast.field.errors import SchemaError, UsageError
from nowcast.field.grid import Grid
from nowcast.forecast.pysteps_quietly import quietly
from nowcast.plugins.pysteps_importer import import_nowcast, proj_string

# What pysteps/io/importers.py recommends, and its postprocessing and exporters read.
KEYS = {
    *("projection", "x1", "y1", "x2", "y2", "xpixelsize", "ypixelsize", "cartesian_unit"),
    *("yorigin", "institution", "unit", "transform", "accutime", "threshold", "zerovalue"),
    *("zr_a", "zr_b"),
}
# A file of each feed, the importer that pysteps has for it, and its settings.
PEERS = {
    "mch": ("mch/20150515/AQC151351725F_00005.801.gif", "mch_gif"),
    "knmi": ("knmi/2010/08/RAD_NL25_RAP_5min_201008260300.h5", "knmi_hdf5"),
    "fmi": (
        "fmi/pgm/20160928/201609281600_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz",
        "fmi_pgm",
    ),
    "bom": ("bom/66/2020/10/31/66_20201031_040000.prcp-c10.nc", "bom_rf3"),
}
SETTINGS = {
    "mch": {"product": "AQC", "unit": "mm", "accutime": 5.0},
    "knmi": {"accutime": 5.0, "unit": "mm", "pixelsize": 1.0},
    "fmi": {"gzipped": True},
    "bom": {},
}


def found(radar: Path, name: str) -> Path:
    """The file of that name below a folder."""
    (path,) = radar.rglob(Path(name).name)
    return path


def test_pysteps_finds_importer_and_method_and_loads_no_torch() -> None:
    # In whatever order: here our module comes first, and loads no pysteps.
    code = (
        "import sys, nowcast.plugins.pysteps_discovery, nowcast.plugins.pysteps_importer\n"
        "print('pysteps' in sys.modules)\n"
        "import pysteps\n"
        "print('torch' in sys.modules, 'nowcast.ingest.decode' in sys.modules)\n"
        "print(pysteps.io.get_method('nowcast', 'importer').__name__)\n"
        "print(pysteps.io.importers.import_nowcast.__name__)\n"
        "print(pysteps.nowcasts.get_method('mim').__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed = [line for line in done.stdout.splitlines() if line and "Pysteps" not in line]
    assert printed == [
        *("False", "False False", "import_nowcast", "import_nowcast"),
        "nowcast.plugins.pysteps_discovery",
    ]


def test_a_method_of_that_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with quietly():
        from pysteps.nowcasts import interface
    from nowcast.plugins import pysteps_discovery

    monkeypatch.setitem(interface._nowcast_methods, "mim", len)
    assert pysteps_discovery.import_nowcast is import_nowcast
    assert interface.get_method("mim") is len
    monkeypatch.delitem(interface._nowcast_methods, "mim")
    assert pysteps_discovery.import_nowcast is import_nowcast
    assert interface.get_method("mim") is pysteps_discovery.forecast


@pytest.mark.parametrize("feed", PEERS)
def test_values_and_places_are_those_of_pysteps(shared_data: Path, feed: str) -> None:
    name, importer = PEERS[feed]
    path = str(found(shared_data / "radar" / feed, name))
    with quietly():
        import pysteps
    ours, quality, metadata = pysteps.io.get_method("nowcast", "importer")(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pysteps leaves its files open
        theirs, _, their_metadata = pysteps.io.get_method(importer, "importer")(
            path, **SETTINGS[feed]
        )
    rate, converted = pysteps.utils.conversion.to_rainrate(theirs, their_metadata)
    assert quality is None
    assert ours.dtype == np.float64
    assert set(metadata) == KEYS
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(rate))
    # pysteps keeps the lowest echo (-32 dBZ) where we say dry: below any gauge.
    np.testing.assert_allclose(np.nan_to_num(ours), np.nan_to_num(rate), rtol=2e-6, atol=3e-4)
    if feed == "bom":  # pysteps' box of 512 cells ends at the centres of the outer ones
        half = their_metadata["xpixelsize"] / 2
        outwards = {"x1": -half, "y1": -half, "x2": half, "y2": half}
        their_metadata |= {side: their_metadata[side] + way for side, way in outwards.items()}
    assert metadata["unit"] == converted["unit"] == "mm/h"
    assert metadata["yorigin"] == their_metadata["yorigin"]
    assert metadata["accutime"] == pytest.approx(their_metadata["accutime"])
    assert places(metadata) == pytest.approx(places(their_metadata), abs=3e-4)


def places(metadata: dict) -> list[float]:
    """Longitude and latitude of the corners, whatever the plane's unit (and its ellipsoid's)."""
    projection = pyproj.Proj(metadata["projection"])
    corners = [(metadata[x], metadata[y]) for x in ("x1", "x2") for y in ("y1", "y2")]
    return [float(degree) for x, y in corners for degree in projection(x, y, inverse=True)]


def test_metadata_by_hand(shared_data: Path) -> None:
    path = found(shared_data / "radar/knmi", "RAD_NL25_RAP_5min_201008260300.h5")
    rate, _, metadata = import_nowcast(str(path))
    assert metadata["x2"] - metadata["x1"] == pytest.approx(700 * metadata["xpixelsize"])
    assert metadata["y2"] - metadata["y1"] == pytest.approx(765 * metadata["ypixelsize"])
    assert metadata["threshold"] == pytest.approx(0.12)  # 0.01 mm in 5 min
    assert metadata["zerovalue"] == np.nanmin(rate) == 0.0
    assert metadata["institution"].startswith("Royal Netherlands")
    assert (metadata["zr_a"], metadata["zr_b"]) == (200.0, 1.6)


def test_of_a_file_with_many_fields_one_is_named(shared_data: Path) -> None:
    (path,) = (shared_data / "radar/openmrg/20150725").glob("*rad*.nc")
    with pytest.raises(UsageError, match="expected time= to name one of them"):
        import_nowcast(str(path), feed="openmrg")
    with pytest.raises(UsageError, match="found '1999-01-01T00:00'"):
        import_nowcast(str(path), feed="openmrg", time="1999-01-01T00:00")
    import xarray as xr

    every = xr.open_dataset(path, engine="nowcast")
    time = str(every["time"].values[3].astype("datetime64[m]"))
    rate, _, _ = import_nowcast(str(path), feed="openmrg", time=time)
    np.testing.assert_array_equal(rate, every["rainfall_rate"].values[3])


def grid(crs: str, west: float, north: float, *, height: int = 700, width: int = 700) -> Grid:
    return Grid(pyproj.CRS(crs), west, north, 1000.0, 1000.0, height, width)


@pytest.mark.parametrize(
    ("where", "shift"),
    [
        # swisstopo's and the Ordnance Survey's own parameters.
        (grid("EPSG:21781", 255e3, 480e3), "674.374,15.056,405.346,0,0,0,0"),
        (
            grid("EPSG:27700", -405e3, 1550e3, height=2175, width=1725),
            "446.448,-125.157,542.06,0.15,0.247,0.842,-20.489",
        ),
        (grid("EPSG:3067", 50e3, 7800e3), None),
        (grid("EPSG:3035", 4000e3, 3500e3), None),
    ],
)
def test_a_proj_string_keeps_the_datum(where: Grid, shift: str | None) -> None:
    text = proj_string(where)
    assert text.partition(" +towgs84=")[2] == (shift or "")


def test_a_projection_that_no_proj_string_can_say() -> None:
    # A datum shift by a grid file of this machine is none that a string of parameters holds.
    local = pyproj.CRS.from_wkt(
        'DERIVEDPROJCRS["turned",BASEPROJCRS["b",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System '
        '1984",ELLIPSOID["WGS 84",6378137,298.257223563]]],CONVERSION["UTM zone 31N",METHOD['
        '"Transverse Mercator"],PARAMETER["Latitude of natural origin",0],PARAMETER["Longitude of '
        'natural origin",3],PARAMETER["Scale factor at natural origin",0.9996],PARAMETER["False '
        'easting",500000],PARAMETER["False northing",0]]],DERIVINGCONVERSION["shift",METHOD['
        '"Affine parametric transformation",ID["EPSG",9624]],PARAMETER["A0",5000,LENGTHUNIT["metre"'
        ',1]],PARAMETER["A1",1],PARAMETER["A2",0],PARAMETER["B0",0,LENGTHUNIT["metre",1]],PARAMETER'
        '["B1",0],PARAMETER["B2",1]],CS[Cartesian,2],AXIS["e",east],AXIS["n",north],LENGTHUNIT['
        '"metre",1]]'
    )
    with pytest.raises(SchemaError, match="cannot be written as a PROJ string"):
        proj_string(Grid(local, 400e3, 5700e3, 1000.0, 1000.0, 10, 10))
