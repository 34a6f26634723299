"""ODIM_H5 composites: against pysteps, bare h5py and a validator's summaries, and by hand."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyproj
import pytest

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.grid import Grid
from nowcast.field.schema import grid_of
from nowcast.field.units import ZR
from nowcast.ingest.readers.odim import Odim

ODYSSEY = "radar/opera/20180824/T_PAAH21_C_EUOC_20180824180000.hdf"
CLUTTER = "radar/opera/20180824/T_PAAH21_C_EUOC_20180824221500.hdf"
CIRRUS = "radar/opera/20241126/CIRRUS/T_PABV21_C_EUOC_20241126010000.hdf"
NIMBUS = "radar/opera/20241126/NIMBUS/T_PAAH22_C_EUOC_20241126010000.hdf"
HOURLY = "radar/opera/20241126/NIMBUS/T_PASH22_C_EUOC_20241126010000.hdf"
NIMBUS_2 = "radar/odim/2024-10-08T120000Z-rainfall_rate-composite-opera.h5"
BELGIUM = "radar/odim/belgium.comp.hdf"


def rate_of(path: Path, **settings: Any) -> np.ndarray:
    rate: np.ndarray = Odim(**settings).read(path)["rainfall_rate"].values[0]
    return rate


@pytest.mark.parametrize(("name", "quantity"), [(ODYSSEY, "RATE"), (HOURLY, "ACRR")])
def test_as_pysteps_reads_it(shared_data: Path, name: str, quantity: str) -> None:
    from pysteps.io.importers import import_odim_hdf5

    field, _, metadata = import_odim_hdf5(str(shared_data / name), qty=quantity)
    frames = Odim().read(shared_data / name)
    # Rain over an hour, or per hour: the same number.
    np.testing.assert_allclose(frames["rainfall_rate"].values[0], field, rtol=1e-6)
    west, east, south, north = grid_of(frames).extent
    corners = [metadata[name] for name in ("x1", "x2", "y1", "y2")]
    np.testing.assert_allclose((west, east, south, north), corners, atol=0.01)


@pytest.mark.parametrize("name", [ODYSSEY, NIMBUS, HOURLY, NIMBUS_2, CIRRUS])
def test_nodata_is_unseen_and_undetect_dry(shared_data: Path, name: str) -> None:
    rate = rate_of(shared_data / name)
    with h5py.File(shared_data / name) as file:
        numbers = file["dataset1/data1/data"][()]
    assert np.isnan(rate).sum() == (numbers == -9999000).sum() > 2_000_000
    undetect = numbers == -8888000
    assert undetect.sum() > 1_500_000
    assert not rate[undetect].any()
    echo = numbers > -100
    expected = numbers[echo] if name != CIRRUS else ZR().rate_mm_h(numbers[echo])
    np.testing.assert_allclose(rate[echo], expected, rtol=1e-6)
    assert undetect.sum() + echo.sum() + np.isnan(rate).sum() == rate.size


def test_a_composite_of_europe_takes_at_most_a_second(shared_data: Path) -> None:
    def seconds(read: Any) -> float:
        start = time.process_time()
        read()
        return time.process_time() - start

    def bare() -> None:
        with h5py.File(shared_data / CIRRUS) as file:
            file["dataset1/data1/data"][()]

    # Processor time: other work on the machine does not count, nor does a first, slower turn.
    ours = min(seconds(lambda: Odim().read(shared_data / CIRRUS)) for _ in range(2))
    assert ours <= 1.0 or ours <= 2.5 * min(seconds(bare) for _ in range(2))


def test_every_frame_of_an_episode_has_one_grid(shared_data: Path) -> None:
    paths = sorted((shared_data / ODYSSEY).parent.glob("*.hdf"))
    assert len(paths) == 24
    places = []
    for path in paths:
        with h5py.File(path) as file:
            places.append(dict(file["where"].attrs))
    assert all(place == places[0] for place in places)
    times = np.concatenate([Odim().times(path) for path in paths[:3]])
    assert (np.diff(times) == np.timedelta64(15, "m")).all()
    # Nominal, not the window 17:50 to 18:05 in which it was measured.
    assert times[0] == np.datetime64("2018-08-24T18:00")


def test_clutter_stays_as_it_is_read(shared_data: Path) -> None:
    assert np.nanmax(rate_of(shared_data / CLUTTER)) == pytest.approx(8646.82)


@pytest.mark.parametrize("name", [ODYSSEY, NIMBUS, CIRRUS])
def test_places_lie_where_they_should(shared_data: Path, name: str) -> None:
    with h5py.File(shared_data / name) as file:
        where = dict(file["where"].attrs)
    grid = grid_of(Odim().read(shared_data / name))
    height, width = grid.shape
    corners = {"UL": (0, 0), "UR": (0, width), "LL": (height, 0), "LR": (height, width)}
    for corner, (row, column) in corners.items():
        place = grid.lonlat_of(row - 0.5, column - 0.5)
        assert place == pytest.approx((where[f"{corner}_lon"], where[f"{corner}_lat"]), abs=1e-6)
    # LAEA about 55 N 10 E, which lies 1950 km east and 2100 km south of the corner.
    assert grid.cell(lon=10.001, lat=54.999) == (2_100_000 // grid.dy, 1_950_000 // grid.dx)


def test_what_a_validator_read(shared_data: Path) -> None:
    read = 0
    for path in sorted((shared_data / "radar/odim").glob("*.json")):
        if not path.with_suffix("").is_file():
            continue
        summary = json.loads(path.read_text())[0]  # one a scan in polar volumes
        stated = summary["properties"]
        meta, file = stated["radar_meta"], path.with_suffix("")
        assert Odim().matches(file)
        quantity = stated["content"]["standard_name"]
        if meta["object"] != "COMP" or quantity not in ("RATE", "ACRR", "DBZH"):
            expected = "holds HGHT, expected RATE or" if meta["object"] == "COMP" else "polar data"
            with pytest.raises(FormatError, match=expected):
                Odim().read(file)
            continue
        frames = Odim().read(file)
        grid = grid_of(frames)
        assert grid.shape == (meta["ysize"], meta["xsize"])
        assert (grid.dx, grid.dy) == (meta["xscale"], meta["yscale"])
        assert grid.crs.equals(pyproj.CRS(meta["projdef"]))
        assert str(frames["time"].values[0])[:19] + "Z" == stated["datetime"]
        assert frames.attrs["quantity"] == quantity
        read += 1
    assert read == 1


def test_a_grid_of_its_own_in_a_dataset(shared_data: Path) -> None:
    """RMI's file has no Conventions, its corner in the projection, and neither gain nor nodata."""
    frames = Odim().read(shared_data / BELGIUM)
    with h5py.File(shared_data / BELGIUM) as file:
        depth = file["dataset1/data1/data"][()]
    np.testing.assert_array_equal(frames["rainfall_rate"].values[0], depth)  # an hour's
    assert frames.attrs["accumulation_minutes"] == 60
    grid = grid_of(frames)
    assert grid.extent == (300_000, 1_000_000, 300_000, 1_000_000)
    assert grid.lonlat_of(-0.5, 699.5) == pytest.approx((9.664159875778674, 53.69199685747096))
    hourly = rate_of(shared_data / BELGIUM, accumulation_minutes=30)
    np.testing.assert_allclose(hourly, 2 * depth, rtol=1e-6)


# By hand.

WHERE: dict[str, Any] = {
    "projdef": "+proj=laea +lat_0=55 +lon_0=10 +x_0=0 +y_0=0 +ellps=WGS84 +units=m",
    "xsize": 3,
    "ysize": 2,
    "xscale": 1000.0,
    "yscale": 1000.0,
}
WHAT = {
    "quantity": "RATE",
    "gain": 0.5,
    "offset": 0.0,
    "nodata": 255.0,
    "undetect": 0.0,
    "startdate": "20200229",
    "starttime": "235500",
    "enddate": "20200301",
    "endtime": "000000",
}
ROOT = {"object": "COMP", "date": "20200301", "time": "000000", "source": "ORG:99"}
NUMBERS = np.array([[0, 1, 255], [4, 255, 0]], dtype=np.uint8)
PLACES = ("what", "dataset1/what", "dataset1/data1/what")


def corners(west: float = 0.0, north: float = 0.0, *, inset: float = 0.0) -> dict[str, float]:
    to_degrees = pyproj.Transformer.from_crs(WHERE["projdef"], 4326, always_xy=True)
    found = {}
    for name, column, row in (("UL", 0, 0), ("UR", 3, 0), ("LL", 0, 2), ("LR", 3, 2)):
        x = west + 1000 * (column + inset * (1 if column == 0 else -1))
        y = north - 1000 * (row + inset * (1 if row == 0 else -1))
        found[f"{name}_lon"], found[f"{name}_lat"] = to_degrees.transform(x, y)
    return found


def compose(
    path: Path,
    groups: dict[str, dict[str, Any]] | None = None,
    *,
    images: dict[str, np.ndarray] | None = None,
) -> Path:
    layout = {"what": ROOT, "where": WHERE | corners(), "dataset1/data1/what": WHAT}
    with h5py.File(path, "w") as file:
        for place, values in (images or {"dataset1/data1": NUMBERS}).items():
            file[f"{place}/data"] = values
        for place, attrs in (layout | (groups or {})).items():
            group = file.require_group(place)
            for name, value in attrs.items():
                group.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
    return path


@pytest.mark.parametrize("place", PLACES)
def test_attributes_may_stand_at_any_level(tmp_path: Path, place: str) -> None:
    moved: dict[str, dict[str, Any]] = {"what": ROOT, "dataset1/data1/what": {}}
    path = compose(tmp_path / "a.h5", moved | {place: moved.get(place, {}) | WHAT})
    expected = np.array([[0, 0.5, np.nan], [2, np.nan, 0]])
    np.testing.assert_array_equal(rate_of(path), expected)


@pytest.mark.parametrize("nearer", [1, 2])
def test_the_nearest_level_counts(tmp_path: Path, nearer: int) -> None:
    groups: dict[str, dict[str, Any]] = {place: {"gain": 100.0} for place in PLACES[1:nearer]}
    groups |= {"what": ROOT | WHAT | {"gain": 99.0}, "dataset1/data1/what": {}}
    groups[PLACES[nearer]] = {"gain": 3.0}
    assert rate_of(compose(tmp_path / "a.h5", groups))[1, 0] == 12


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i4", "f4", "f8"])
def test_all_number_types(tmp_path: Path, kind: str) -> None:
    path = compose(tmp_path / "a.h5", images={"dataset1/data1": NUMBERS.astype(kind)})
    expected = np.array([[0, 0.5, np.nan], [2, np.nan, 0]])
    np.testing.assert_array_equal(rate_of(path), expected)


@pytest.mark.parametrize("quantity", ["DBZH", "TH", "DBZ", "DBZV", "TV"])
def test_reflectivity(tmp_path: Path, quantity: str) -> None:
    what = WHAT | {"quantity": quantity, "gain": 10.0, "offset": 3.0}
    path = compose(tmp_path / "a.h5", {"dataset1/data1/what": what})
    rate = rate_of(path)
    np.testing.assert_allclose(rate[0, 1], (10**1.3 / 200) ** (1 / 1.6), rtol=1e-6)
    assert rate[0, 0] == 0
    assert np.isnan(rate[0, 2])
    assert rate_of(path, zr=ZR(300, 1.4))[0, 1] == ZR(300, 1.4).rate_mm_h(13.0)


def test_an_accumulation_is_one_over_its_interval(tmp_path: Path) -> None:
    path = compose(tmp_path / "a.h5", {"dataset1/data1/what": WHAT | {"quantity": "ACRR"}})
    assert rate_of(path)[1, 0] == pytest.approx(24)
    assert rate_of(path, accumulation_minutes=60)[1, 0] == pytest.approx(2)
    none = WHAT | {"quantity": "ACRR", "starttime": "000000", "startdate": "20200301"}
    with pytest.raises(FormatError, match=r"an accumulation from .*: set accumulation_minutes"):
        rate_of(compose(tmp_path / "a.h5", {"dataset1/data1/what": none}))


def test_where_one_number_means_both_nobody_knows(tmp_path: Path) -> None:
    what = WHAT | {"nodata": 0.0, "undetect": 0.0}
    rate = rate_of(compose(tmp_path / "a.h5", {"dataset1/data1/what": what}))
    assert np.isnan(rate[0, 0])


def test_of_several_images_the_wanted_or_the_best(tmp_path: Path) -> None:
    images = {
        "dataset10/data1": np.full((2, 3), 9, "u1"),
        "dataset2/data1": np.full((2, 3), 8, "u1"),
        "dataset1/data2": np.full((2, 3), 7, "u1"),
        "dataset1/data1": np.full((2, 3), 6, "u1"),
    }
    names = ("RATE", "RATE", "ACRR", "QIND")
    groups = {
        f"{place}/what": WHAT | {"quantity": name}
        for place, name in zip(images, names, strict=True)
    }
    path = compose(tmp_path / "a.h5", groups, images=images)
    assert rate_of(path)[0, 0] == 4  # the lower of two
    assert rate_of(path, quantity="acrr")[0, 0] == 42
    with pytest.raises(FormatError, match="holds ACRR, QIND, RATE, expected DBZH"):
        rate_of(path, quantity="DBZH")


def test_the_time_in_the_name_counts(tmp_path: Path) -> None:
    path = compose(tmp_path / "a.h5")
    assert Odim().times(path) == [np.datetime64("2020-03-01")]
    stamp = np.datetime64("2020-03-01T00:05", "ns")
    assert Odim().read(path, stamp=stamp)["time"].values == [stamp]
    short = compose(tmp_path / "a.h5", {"what": ROOT | {"time": "0010"}})
    assert Odim().times(short) == [np.datetime64("2020-03-01T00:10")]


@pytest.mark.parametrize(("inset", "west"), [(0.0, 0.0), (0.5, 0.0), (0.0, -1234.5)])
def test_corners_place_the_grid(tmp_path: Path, inset: float, west: float) -> None:
    where = WHERE | corners(west, 5000.0, inset=inset)
    grid = grid_of(Odim().read(compose(tmp_path / "a.h5", {"where": where})))
    assert grid.extent == (west, west + 3000, 3000, 5000)
    for name in ("UL", "UR", "LL"):  # any one corner will do, but alone it is an outer one
        where = {k: v for k, v in where.items() if not k.startswith(name)}
    if inset == 0:
        grid = grid_of(Odim().read(compose(tmp_path / "a.h5", {"where": where})))
        assert grid.extent == (west, west + 3000, 3000, 5000)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"what": ROOT | {"object": "PVOL"}}, "ODIM object PVOL, expected a composite"),
        ({"what": {}}, "ODIM object no object, expected a composite"),
        ({"what": ROOT | {"date": "2020-03-01"}}, "date '2020-03-01' and time '000000', expected"),
        ({"what": ROOT | {"time": "996000"}}, "time '996000', expected YYYYmmdd and HHMMSS"),
        ({"where": WHERE}, "no corners, expected UL_lon, UL_lat"),
        (
            {"where": WHERE | corners() | {"xsize": 4}},
            r"an image of shape \(2, 3\), expected ysize 2",
        ),
        ({"where": WHERE | corners() | {"xscale": 0.0}}, "cells of 0 x 1000, expected xscale"),
        (
            {"where": WHERE | corners() | {"xscale": 3000.0}},
            "corners UL, .* lie 2.0 cells off a grid",
        ),
        ({"where": WHERE | corners() | {"projdef": "+proj=mars"}}, "an unknown projection"),
        (
            {"where": WHERE | corners() | {"UR_lon": "east"}},
            "attribute UR_lon .*, expected a number",
        ),
        (
            {"dataset1/data1/what": WHAT | {"quantity": "ETH"}},
            "holds ETH, expected RATE or ACRR or",
        ),
        ({"dataset1/data1/what": {}}, r"holds \?, expected RATE"),
        (
            {"dataset1/data1/what": WHAT | {"gain": 0.0}},
            "gain 0 and offset 0 of .*, expected finite",
        ),
        (
            {"dataset1/data1/what": WHAT | {"offset": -100.0}},
            "2 of 4 cells hold impossible rates, -99.5 mm/h",
        ),
        ({"dataset1/data1/what": WHAT | {"gain": 1e308}}, "hold impossible rates, infinite mm/h"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, groups: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(FormatError, match=rf"a\.h5: .*({message})"):
        Odim().read(compose(tmp_path / "a.h5", groups))


def test_what_rounding_explains_is_dry(tmp_path: Path) -> None:
    """DWD counts in steps of 0.001 mm from -0.001 mm."""
    what = WHAT | {"gain": 0.001, "offset": -0.001, "undetect": 254.0}
    rate = rate_of(compose(tmp_path / "a.h5", {"dataset1/data1/what": what}))
    assert rate[0, 0] == 0
    assert rate[1, 0] == pytest.approx(0.003)


def test_an_image_that_is_none(tmp_path: Path) -> None:
    path = compose(tmp_path / "a.h5", images={"dataset1/data1": np.zeros((2, 3, 1), "u1")})
    with pytest.raises(FormatError, match=r"an image of shape \(2, 3, 1\)"):
        Odim().read(path)
    path = compose(tmp_path / "a.h5", images={"dataset1/data1": np.full((2, 3), b"rain")})
    with pytest.raises(FormatError, match="expected a field of numbers"):
        Odim().read(path)


def test_files_of_other_kinds(shared_data: Path, tmp_path: Path) -> None:
    knmi = shared_data / "radar/knmi/RAD_NL25_PCP_CM_202106222000.h5"
    assert not Odim().matches(knmi)
    with pytest.raises(FormatError, match=r"holds geographic, .*, expected ODIM_H5: no group what"):
        Odim().times(knmi)
    text = tmp_path / "text.h5"
    text.write_text("not radar")
    assert not Odim().matches(text)
    with pytest.raises(FormatError, match="starts with b'not radar'"):
        Odim().read(text)


def test_a_composite_that_leads_elsewhere(tmp_path: Path) -> None:
    path = compose(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1/data"] = h5py.ExternalLink("/etc/passwd", "data")
    assert Odim().matches(path)  # so that reading can say why not
    with pytest.raises(UnsafeFileError, match="is a link to another file"):
        Odim().read(path)


def test_longitude_and_latitude(tmp_path: Path) -> None:
    where = WHERE | {"projdef": "+proj=longlat +datum=WGS84", "xscale": 0.01, "yscale": 0.02}
    where |= {"UL_lon": 4.0, "UL_lat": 52.0, "LR_lon": 4.03, "LR_lat": 51.96}
    grid = grid_of(Odim().read(compose(tmp_path / "a.h5", {"where": where})))
    assert grid.is_geographic
    assert grid.cell(lon=4.025, lat=51.97) == (1, 2)


def test_kilometres_in_the_projection(tmp_path: Path) -> None:
    where = WHERE | corners() | {"projdef": WHERE["projdef"].replace("units=m", "units=km")}
    grid: Grid = grid_of(Odim().read(compose(tmp_path / "a.h5", {"where": where})))
    assert grid.extent == (0, 3000, -2000, 0)
