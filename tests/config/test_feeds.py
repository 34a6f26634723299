"""Profiles: what ships, what a user adds, and what a wrong one is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.feed import FEEDS, FeedProfile
from config.load import ConfigError

NAMED_BY_THE_ISSUE = [
    *("bom", "cf", "dwd-radolan", "dwd-rv", "fmi", "fmi-geotiff", "knmi", "mch", "meteonet"),
    *("meteoswiss", "mrms", "odim", "openmrg", "opera", "opera-cirrus", "opera-nimbus", "ukmo"),
]

# File name, the time it states, its series: of the archives, and of the live services.
NAMES = {
    "knmi": [
        ("RAD_NL25_RAP_5min_201008260735.h5", "2010-08-26T07:35", "product RAP_5min"),
        ("RAD_NL25_RAC_RT_202611220005.h5", "2026-11-22T00:05", "product RAC_RT"),
    ],
    "fmi": [
        (
            "201609281445_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz",
            "2016-09-28T14:45",
            "area FIN_SUOMI1",
        )
    ],
    "fmi-geotiff": [
        ("201609281445_FINUTM.tif", "2016-09-28T14:45", "product FINUTM"),
        (
            "202611220005_FIN-DBZ-3067-250M.tif",
            "2026-11-22T00:05",
            "product FIN-DBZ-3067-250M",
        ),
        (
            "202611220005_composite_cappi_600_dbzh_finrad_qc.tif",
            "2026-11-22T00:05",
            "product composite_cappi_600_dbzh_finrad_qc",
        ),
    ],
    "mch": [
        ("AQC151351825F_00005.801.gif", "2015-05-15T18:25", ""),
        ("AQC170311230V_00005.801.gif", "2017-01-31T12:30", ""),
    ],
    "bom": [
        ("66_20201031_131000.prcp-c10.nc", "2020-10-31T13:10", "product prcp-c10 radar 66"),
        ("2_20180616_100000.prcp-cscn.nc", "2018-06-16T10:00", "product prcp-cscn radar 2"),
    ],
    "opera": [("T_PAAH21_C_EUOC_20180824180000.hdf", "2018-08-24T18:00", "")],
    "opera-cirrus": [
        ("T_PABV21_C_EUOC_20241126010500.hdf", "2024-11-26T01:05", ""),
        ("OPERA@20261122T0115@0@DBZH.h5", "2026-11-22T01:15", ""),
    ],
    "opera-nimbus": [
        ("T_PAAH22_C_EUOC_20241126010000.hdf", "2024-11-26T01:00", ""),
        ("OPERA@20261122T0115@0@RATE.h5", "2026-11-22T01:15", ""),
    ],
    "mrms": [
        ("PrecipRate_00.00_20190610-010600.grib2", "2019-06-10T01:06", ""),
        ("MRMS_PrecipRate_00.00_20261122-000039.grib2.gz", "2026-11-22T00:00:39", ""),
    ],
    "dwd-radolan": [
        ("raa01-yw2017.002_10000-1708160055-dwd---bin.gz", "2017-08-16T00:55", "product yw"),
        ("raa01-ry_10000-2611220005-dwd---bin", "2026-11-22T00:05", "product ry"),
    ],
    "meteoswiss": [
        ("RZC162760005VL.801.h5", "2016-10-02T00:05", ""),
        ("rzc263261200vl.001.h5", "2026-11-22T12:00", ""),
    ],
    "ukmo": [
        ("202611220015_ODIM_ng_radar_rainrate_composite_1km_UK.h5", "2026-11-22T00:15", ""),
    ],
    "dwd-rv": [("composite_rv_20250923_0855.tar", "2025-09-23T08:55", "")],
}


@pytest.fixture(autouse=True)
def _no_user_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWCAST_FEEDS", raising=False)


def test_all_feeds_ship() -> None:
    assert list(FEEDS.all()) == NAMED_BY_THE_ISSUE


@pytest.mark.parametrize("name", NAMED_BY_THE_ISSUE)
def test_a_profile_says_where_its_data_come_from(name: str) -> None:
    profile = FEEDS.named(name)
    assert profile.is_generic or (profile.institution != "unknown" and profile.references)
    own = {"fmi": (223, 1.53), "fmi-geotiff": (223, 1.53), "mch": (316, 1.5)}
    assert (profile.zr.a, profile.zr.b) == own.get(name, (200, 1.6))


@pytest.mark.parametrize(
    ("name", "file_name", "time", "series"),
    [(name, *row) for name, rows in NAMES.items() for row in rows],
)
def test_names_of_archives_and_services(name: str, file_name: str, time: str, series: str) -> None:
    profile = FEEDS.named(name)
    match = profile.match(file_name)
    assert match is not None
    assert profile.time(match) == dt.datetime.fromisoformat(time).replace(tzinfo=dt.UTC)
    assert profile.series(match) == series


@pytest.mark.parametrize(
    "file_name", [row[0] for rows in NAMES.values() for row in rows] + ["rainfall_NW_2016_08.3.npz"]
)
def test_a_name_belongs_to_one_feed(file_name: str) -> None:
    assert sum(profile.match(file_name) is not None for profile in FEEDS.all().values()) == 1


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("knmi", "RAD_NL25_PCP_CM_202106222000.h5"),
        ("knmi", "RAD_NL25_RAP_5min_201008260735.h5.part"),
        ("opera-nimbus", "T_PASH22_C_EUOC_20241126010000.hdf"),
        ("mrms", "MRMS_ReflectivityAtLowestAltitude_00.50_20230406-120039.grib2.gz"),
        ("meteonet", "radar_coords_NW.npz"),
        ("openmrg", "openmrg_smhi_gauge.nc"),
        ("cf", "anything.nc"),
    ],
)
def test_other_products_do_not_match(name: str, file_name: str) -> None:
    assert FEEDS.named(name).match(file_name) is None


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("knmi", "RAD_NL25_RAP_5min_201013450000.h5"),
        ("mch", "AQC154001825F_00005.801.gif"),
        ("opera", "T_PAAH21_C_EUOC_20180824250000.hdf"),
    ],
)
def test_a_time_that_no_calendar_holds_is_none(name: str, file_name: str) -> None:
    profile = FEEDS.named(name)
    match = profile.match(file_name)
    assert match is not None
    assert profile.time(match) is None


def test_a_time_format_must_fit_exactly() -> None:
    """Strptime would read 0115 as one o'clock, one minute and five seconds."""
    profile = FeedProfile(
        name="x",
        title="x",
        unit="",
        grid="",
        pattern=r"(?P<time>[\dT]+)",  # type: ignore[arg-type]
        time_format=("%Y%m%dT%H%M%S", "%Y%m%dT%H%M"),
        reader={"format": "cf"},  # type: ignore[arg-type]
    )
    match = profile.match("20261122T0115")
    assert match is not None
    assert profile.time(match) == dt.datetime(2026, 11, 22, 1, 15, tzinfo=dt.UTC)


def test_profiles_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FEEDS.named("knmi").title = "other"


def test_unknown_feed_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown feed 'knnmi'. Did you mean knmi"):
        FEEDS.named("knnmi")
    with pytest.raises(ConfigError, match=r"Known: bom, cf, dwd-radolan"):
        FEEDS.named("zzzzzz")
    with pytest.raises(ConfigError, match=r"Did you mean opera-cirrus"):
        FEEDS.named("OPERA_cirus")


GOOD = """
title = "My radar"
unit = "dBZ"
grid = "256x256, 1 km"
pattern = 'mine_(?P<time>\\d{12})\\.h5'
time_format = "%Y%m%d%H%M"
reader = { format = "odim" }
"""


def test_a_users_folder_adds_and_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    (tmp_path / "knmi.toml").write_text(GOOD.replace("My radar", "My KNMI"))
    (tmp_path / "readme.txt").write_text("not a profile")
    assert "mine" not in FEEDS.all()
    monkeypatch.setenv("NOWCAST_FEEDS", str(tmp_path))
    assert FEEDS.all()["mine"].title == "My radar"
    assert FEEDS.all()["knmi"].title == "My KNMI"
    assert FEEDS.named("mine").name == "mine"
    monkeypatch.setenv("NOWCAST_FEEDS", str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="absent: no such folder of feed profiles"):
        FEEDS.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("unit =", "units ="), r"x\.toml: units: unknown key; did you mean unit\?"),
        (("unit = ", "# "), r"x\.toml: unit: missing"),
        (('"odim"', '"hdf6"'), r"reader\.format: found 'hdf6', expected: 'cf', "),
        (('"odim"', '"odim", quantum = 3'), r"reader\.quantum: unknown key; did you mean quantity"),
        (
            ("reader", "cadence_minutes = -5\nreader"),
            r"cadence_minutes: found -5, .*greater than 0",
        ),
        (("\\d{12})", "\\d{12}"), r"pattern: .*a regular expression"),
        (("?P<time>", ""), r"a group \(\?P<time>\.\.\.\) in pattern and a time_format go together"),
        (("title", 'name = "y"\ntitle'), r"name: found 'y', expected the file's, 'x'"),
        (("reader =", "reader"), r"x\.toml: not a readable TOML file"),
    ],
)
def test_a_wrong_profile_names_file_key_found_and_expected(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "x.toml"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change, 1))
    with pytest.raises(ConfigError, match=message):
        FEEDS.read(path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GOOD.replace("unit", "unite").replace('"odim"', '"hdf6"'))
    with pytest.raises(ConfigError) as caught:
        FEEDS.read(path)
    assert len(str(caught.value).splitlines()) == 3


def test_a_wrong_profile_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.toml").write_text("title = 3\n")
    monkeypatch.setenv("NOWCAST_FEEDS", str(tmp_path))
    assert FEEDS.named("knmi").name == "knmi"
    for looked in (FEEDS.all, lambda: FEEDS.named("broken")):
        with pytest.raises(ConfigError, match=r"broken\.toml: title: found 3, expected"):
            looked()
