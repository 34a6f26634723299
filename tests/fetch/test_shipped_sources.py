"""The sources that ship, against answers in the form that each service is said to give.

No live service was asked, here or when the profiles were written: what is shown is that profile,
listing and feed fit each other and the documented templates, not that the services still keep to
them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest
from misbehaving import etag
from offers import HDF5, Start, files_of, utc

from config.load import ConfigError
from config.source import SOURCES
from nowcast import build, build_fetching
from nowcast.fetch.collect import Fetched, Problem
from nowcast.fetch.guard import Place
from nowcast.fetch.wire import Answer
from nowcast.field.errors import UsageError

Page = Callable[[Mapping[str, list[str]]], bytes]
TAR = bytes(257) + b"ustar  \0" + bytes(300)


class World:
    """URLs, without their query, and what stands there; nothing is connected to."""

    def __init__(self, pages: Mapping[str, Page | bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    @contextlib.contextmanager
    def ask(self, place: Place, headers: Mapping[str, str]) -> Iterator[Answer]:  # noqa: ARG002
        path, _, query = place.path.partition("?")
        url = f"{place.origin}{unquote(path)}"
        self.asked.append(url)
        page = self.pages.get(url)
        if page is None:
            yield Answer(404, {}, iter(()))
            return
        body = page(parse_qs(query)) if callable(page) else page
        yield Answer(200, {"etag": etag(body), "content-length": str(len(body))}, iter([body]))

    def close(self) -> None:
        pass


def bucket(url: str, objects: Mapping[str, bytes]) -> dict[str, Page | bytes]:
    def listing(query: Mapping[str, list[str]]) -> bytes:
        found = "".join(
            f"<Contents><Key>{key}</Key><ETag>{etag(body)}</ETag><Size>{len(body)}</Size></Contents>"
            for key, body in objects.items()
            if key.startswith(query["prefix"][0])
        )
        head = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        return f"{head}{found}</ListBucketResult>".encode()

    return {f"{url}/": listing, **{f"{url}/{key}": body for key, body in objects.items()}}


def folder(url: str, files: Mapping[str, bytes]) -> dict[str, Page | bytes]:
    rows = "".join(
        f'<a href="{name}">{name}</a>  01-Jun-2026 12:01:07 {len(body):>12}\n'
        for name, body in files.items()
    )
    return {url: f"<pre>{rows}</pre>".encode(), **{url + n: body for n, body in files.items()}}


def stac(item: str, files: Mapping[str, bytes]) -> dict[str, Page | bytes]:
    base = "https://data.geo.admin.ch/ch.meteoschweiz.ogd-radar-precip/20260601-ch"
    assets = {name: {"href": f"{base}/{name}", "updated": "x"} for name in files}
    return {
        item: json.dumps({"type": "Feature", "assets": assets}).encode(),
        **{f"{base}/{name}": body for name, body in files.items()},
    }


def knmi(files: Mapping[str, bytes]) -> dict[str, Page | bytes]:
    api = "https://api.dataplatform.knmi.nl/open-data/v1/datasets/nl_rdr_data_rtcor_5m/versions/1.0/files"
    store = (
        "https://knmi-kdp-datasets-eu-west-1.s3.eu-west-1.amazonaws.com/nl_rdr_data_rtcor_5m/1.0"
    )
    listed = [
        {"filename": name, "size": len(body), "lastModified": "2026-06-01T12:01:11+00:00"}
        for name, body in files.items()
    ]
    pages: dict[str, Page | bytes] = {
        api: json.dumps({"files": listed, "isTruncated": False}).encode()
    }
    for name, body in files.items():
        signed = {"temporaryDownloadUrl": f"{store}/{name}?X-Amz-Signature=abc"}
        pages[f"{api}/{name}/url"] = json.dumps(signed).encode()
        pages[f"{store}/{name}"] = body
    return pages


MRMS = "CONUS/PrecipRate_00.00/20260601/MRMS_PrecipRate_00.00"
FINRAD = "2026/06/01/finrad/202606011155_composite_cappi_600"
GRIB_GZ = b"\x1f\x8b" + bytes(600)
OPERA = "https://s3.waw3-1.cloudferro.com/openradar-24h"
CACHE = {
    "2026/06/01/OPERA/COMP/OPERA@20260601T1155@0@DBZH.h5": HDF5 + b"d",
    "2026/06/01/OPERA/COMP/OPERA@20260601T1155@0@RATE.h5": HDF5 + b"r",
    "2026/06/01/OPERA/COMP/OPERA@20260601T1155@0@DBZH.tiff": b"II*\0",
}
# Source -> what stands where, and what must come of it: local name, valid time.
SERVICES: dict[str, tuple[dict[str, Page | bytes], dict[str, str]]] = {
    "mrms": (
        bucket(
            "https://noaa-mrms-pds.s3.amazonaws.com",
            {
                f"{MRMS}_20260601-115839.grib2.gz": GRIB_GZ,
                f"{MRMS}_20260601-120039.grib2.gz": GRIB_GZ + b"2",
            },
        ),
        {
            "MRMS_PrecipRate_00.00_20260601-115839.grib2.gz": "2026-06-01T11:58:39",
            "MRMS_PrecipRate_00.00_20260601-120039.grib2.gz": "2026-06-01T12:00:39",
        },
    ),
    "opera-cirrus": (
        bucket(OPERA, CACHE),
        {"OPERA@20260601T1155@0@DBZH.h5": "2026-06-01T11:55"},
    ),
    "opera-nimbus": (
        bucket(OPERA, CACHE),
        {"OPERA@20260601T1155@0@RATE.h5": "2026-06-01T11:55"},
    ),
    "dwd-rv": (
        folder(
            "https://opendata.dwd.de/weather/radar/composite/rv/",
            {
                "composite_rv_20260601_1155.tar": TAR,
                "composite_rv_LATEST.tar": TAR,
                "content.log.bz2": b"BZh",
            },
        ),
        {"composite_rv_20260601_1155.tar": "2026-06-01T11:55"},
    ),
    "dwd-radolan": (
        folder(
            "https://opendata.dwd.de/weather/radar/radolan/ry/",
            {
                "raa01-ry_10000-2606011155-dwd---bin.bz2": b"BZh9",
                "raa01-ry_10000-2606011200-dwd---bin": b"RY011200",
                "raa01-ry_10000-latest-dwd---bin.bz2": b"BZh9",
            },
        ),
        {
            "raa01-ry_10000-2606011155-dwd---bin.bz2": "2026-06-01T11:55",
            "raa01-ry_10000-2606011200-dwd---bin": "2026-06-01T12:00",
        },
    ),
    "fmi": (
        bucket(
            "https://fmi-opendata-radar-geotiff.s3.eu-west-1.amazonaws.com",
            {
                "2026/06/01/FIN-DBZ-3067-250M/202606011150_FIN-DBZ-3067-250M.tif": b"II*\0old",
                f"{FINRAD}_dbzh_finrad_qc.tif": b"II*\0new",
                f"{FINRAD}_acrr1h_finrad_qc.tif": b"II*\0",
                "2026/06/01/fivan/202606011155_fivan_ppi_0.3_dbzh_qc.tif": b"II*\0",
            },
        ),
        {
            "202606011150_FIN-DBZ-3067-250M.tif": "2026-06-01T11:50",
            "202606011155_composite_cappi_600_dbzh_finrad_qc.tif": "2026-06-01T11:55",
        },
    ),
    "knmi": (
        knmi({"RAD_NL25_RAC_RT_202606011155.h5": HDF5, "readme.txt": b"x"}),
        {"RAD_NL25_RAC_RT_202606011155.h5": "2026-06-01T11:55"},
    ),
    "meteoswiss": (
        stac(
            "https://data.geo.admin.ch/api/stac/v1/collections/ch.meteoschweiz.ogd-radar-precip/items/"
            "20260601-ch",
            {
                "rzc261521155vl.001.h5": HDF5 + b"1",
                "RZC261521150VL.801.h5": HDF5 + b"2",
                "tzc261521155vl.801.h5": HDF5,
                "cpc2615211559_00060.001.h5": HDF5,
            },
        ),
        {
            "RZC261521155VL.801.h5": "2026-06-01T11:55",
            "RZC261521150VL.801.h5": "2026-06-01T11:50",
        },
    ),
    "ukmo": (
        bucket(
            "https://met-office-radar-obs-data.s3.eu-west-2.amazonaws.com",
            {
                "radar/2026/06/01/202606011145_ODIM_ng_radar_rainrate_composite_1km_UK.h5": HDF5,
            },
        ),
        {"202606011145_ODIM_ng_radar_rainrate_composite_1km_UK.h5": "2026-06-01T11:45"},
    ),
}


def test_all_sources_ship() -> None:
    assert list(SOURCES.all()) == sorted(SERVICES)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_source_and_its_service(name: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNMI_API_KEY", "a-key")
    pages, expected = SERVICES[name]
    profile, world = build_fetching.source(name), World(pages)
    real = start.web(profile)
    web = dataclasses.replace(
        real,
        wire=world,
        guard=dataclasses.replace(real.guard, resolve=lambda _host, _port: ["93.184.216.34"]),
    )
    done = start(profile, asked=web).round()
    assert [one for one in done if not isinstance(one, Fetched)] == []
    came = {one.path.name: one.valid for one in done if isinstance(one, Fetched)}
    assert came == {local: utc(time) for local, time in expected.items()}
    assert set(files_of(start.folder)) == set(expected)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_source_says_that_nobody_has_seen_it_work(name: str) -> None:
    profile = build_fetching.source(name)
    assert not profile.verified
    assert profile.attribution
    assert not profile.allow_http
    assert not profile.allow_private
    assert profile.feed in build.feeds()


WRONG = {
    "hosts": ('hosts = ["https://radar.example/"]', "hosts: expected: hosts in small letters"),
    "template": ('local = "{time.__class__}.h5"', "names 'time.__class__'"),
    "group": ('local = "{where}_{time:%H}.h5"', "names 'where'"),
    "unknown": ('lokal = "x"', "lokal: unknown key; did you mean local?"),
    "kind": ('listing = { kind = "ftp", url = "x" }', "listing: input tag 'ftp'"),
    "key": ('listing = { kind = "knmi", url = "x", key = {} }', "an environment variable"),
    "half": ("time_format = []", "pattern and time_format go together"),
    "regex": ("pattern = '('\ntime_format = '%Y'", "pattern: '('"),
    "poll": ("poll_seconds = 0", "poll_seconds: expected:"),
    "toml": ("local = ", "not a readable TOML file"),
    "name": ('name = "other"', "name: found 'other', expected the file's, 'mine'"),
}


@pytest.mark.parametrize("mistake", sorted(WRONG))
def test_a_wrong_profile_is_told_which_key(tmp_path: Path, mistake: str) -> None:
    line, expected = WRONG[mistake]
    keys = [one.partition(" =")[0] for one in line.splitlines()]
    right = {
        "title": '"mine"',
        "feed": '"knmi"',
        "hosts": '["radar.example"]',
        "local": '"{time:%Y%m%d%H%M}.h5"',
        "pattern": r"'(?P<time>\d{12})\.h5'",
        "time_format": '"%Y%m%d%H%M"',
        "listing": '{ kind = "index", url = "https://radar.example/" }',
    }
    lines = [f"{name} = {value}" for name, value in right.items() if name not in keys]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join([line, *lines]))
    with pytest.raises(ConfigError) as raised:
        SOURCES.read(path)
    assert expected in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_source_that_nobody_knows() -> None:
    with pytest.raises(UsageError, match=r"unknown source 'mrm'\. Did you mean mrms"):
        build_fetching.source("mrm")


def test_a_name_that_the_feed_would_not_read(start: Start) -> None:
    profile = build_fetching.source("ukmo").model_copy(update={"local": "{time:%Y%m%d}.h5"})
    world = World(SERVICES["ukmo"][0])
    real = start.web(profile)
    guard = dataclasses.replace(real.guard, resolve=lambda _host, _port: ["93.184.216.34"])
    running = start(profile, asked=dataclasses.replace(real, wire=world, guard=guard))
    (problem,) = running.round()
    assert isinstance(problem, Problem)
    assert "which feed ukmo does not read as a frame" in problem.message
    assert problem.exit_code == UsageError.exit_code
