"""What programs get: pictures, tiles, coverages and files agree; wrong wishes are refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
import rasterio.warp
import schemathesis
import xarray as xr
from covjson_pydantic.coverage import Coverage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance

from nowcast.field.errors import UsageError
from nowcast.web import mercator
from nowcast.web.app import Door
from nowcast.web.gallery import Gallery
from nowcast.web.remembered import Remembered
from nowcast.web.serve import server
from nowcast.web.shading import CHANCE, CHANGE, MISTAKE, RATE
from tests.products.colour_vision import VISIONS, ciede2000, lab
from tests.web.conftest import FORECAST, HEIGHT, LEADS, WIDTH, Served, grid, served

TIME = "20260601T1205Z"
STORM = (30, 28)  # row and column of the middle, at the first lead


@pytest.fixture(scope="module")
def client(site: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.address, timeout=60) as made:
        yield made


def colour(body: bytes, x: int, y: int) -> tuple[int, ...]:
    return Image.open(io.BytesIO(body)).convert("RGBA").getpixel((x, y))


def test_page_tile_cog_and_netcdf_show_one_cell(
    client: httpx.Client, shelf: Path, tmp_path: Path
) -> None:
    with xr.open_dataset(shelf / "forecasts/mim/20260601T1200Z.nc", decode_timedelta=True) as data:
        rates = data["rainfall_rate"].values[0]
    cog = tmp_path / "forecast.tif"
    cog.write_bytes(client.get(f"/data/{FORECAST}/files/20260601T1200Z.tif").content)
    facts = client.get(f"/data/{FORECAST}/forecast.json").json()
    picture = client.get(f"/data/{FORECAST}/rate/{TIME}.png").content
    west, _, east, north = facts["bounds"]
    for row, column in (STORM, (25, 31), (33, 22), (2, 2), (58, 40)):
        lon, lat = grid().lonlat_of(row, column)
        wanted = RATE.codes(rates[row : row + 1, column])[0]
        hex_ = RATE.colours[wanted - 1]
        expected = (*bytes.fromhex(hex_[1:]), 255) if hex_ else None
        # The picture, by the bounds that the page is told.
        left, top = mercator.metres(west, north)
        right, _ = mercator.metres(east, north)
        pixel = (right - left) / facts["size"][0]
        x, y = mercator.metres(lon, lat)
        seen = colour(picture, int((x - left) / pixel), int((top - y) / pixel))
        assert seen == expected or (expected is None and seen[3] == 0)
        # The tile, by the formula of the slippy map.
        zoom = 10
        across, down = (
            (x + mercator.HALF) / (2 * mercator.HALF),
            (mercator.HALF - y) / (2 * mercator.HALF),
        )
        tx, ty = across * 2**zoom, down * 2**zoom
        tile = client.get(f"/tiles/{FORECAST}/rate/{TIME}/{zoom}/{int(tx)}/{int(ty)}.png")
        seen = colour(tile.content, int(tx % 1 * 256), int(ty % 1 * 256))
        assert seen == expected or (expected is None and seen[3] == 0)
        # The GeoTIFF, by rasterio.
        with rasterio.open(cog) as band:
            to_band = rasterio.warp.transform("EPSG:4326", band.crs, [lon], [lat])
            (value,) = next(band.sample([(to_band[0][0], to_band[1][0])], indexes=1))
        assert value == rates[row, column]
        # EDR and the page's own timeline.
        query = {"coords": f"POINT({lon} {lat})", "parameter-name": "rainfall_rate"}
        said = client.get(f"/edr/collections/{FORECAST}/position", params=query).json()
        assert said["ranges"]["rainfall_rate"]["values"][0] == pytest.approx(value, abs=1e-3)
        point = client.get(f"/data/{FORECAST}/point.json", params={"lon": lon, "lat": lat}).json()
        assert point["cell"] == [row, column]
        assert point["forecast"][0]["rate"] == pytest.approx(value, abs=1e-3)


def test_growth_and_decay_are_told_apart(client: httpx.Client) -> None:
    body = client.get(f"/data/{FORECAST}/growth/{TIME}.png").content
    facts = client.get(f"/data/{FORECAST}/forecast.json").json()
    (layer,) = [one for one in facts["layers"] if one["id"] == "growth"]
    pixels = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).reshape(-1, 4)
    drawn = {"#" + bytes(pixel[:3].tolist()).hex() for pixel in pixels if pixel[3] == 255}
    colours = layer["legend"]["colours"]
    assert {colours[0], colours[-1]} <= drawn  # -30 where dry, 30 in the middle of the storm


def test_coverages_are_what_the_model_of_coveragejson_takes(client: httpx.Client) -> None:
    lon, lat = grid().lonlat_of(*STORM)
    here = f"/edr/collections/{FORECAST}"
    box = f"{lon - 0.05},{lat - 0.03},{lon + 0.05},{lat + 0.03}"
    corners = ((-0.1, -0.1), (0.1, -0.1), (0.0, 0.1), (-0.1, -0.1))
    triangle = "POLYGON((" + ", ".join(f"{lon + x} {lat + y}" for x, y in corners) + "))"
    cube = client.get(f"{here}/cube", params={"bbox": box, "datetime": "2026-06-01T12:05:00Z"})
    area = client.get(f"{here}/area", params={"coords": triangle})
    for answer in (cube, area):
        assert answer.headers["content-type"] == "application/prs.coverage+json"
        Coverage.model_validate_json(answer.content)
    values = np.array(cube.json()["ranges"]["rainfall_rate"]["values"], dtype=float)
    assert 55 < np.nanmax(values) <= 60
    assert None in area.json()["ranges"]["rainfall_rate"]["values"]  # beside the triangle
    unseen = grid().lonlat_of(30, 48)
    query = {"coords": f"POINT({unseen[0]} {unseen[1]})"}
    said = client.get(f"{here}/position", params=query).json()
    assert said["ranges"]["rainfall_rate"]["values"] == [None] * LEADS


def test_a_client_of_rainviewer_finds_its_tiles(client: httpx.Client) -> None:
    maps = client.get("/public/weather-maps.json").json()
    assert [len(maps["radar"][kind]) for kind in ("past", "nowcast")] == [13, LEADS]
    lon, lat = grid().lonlat_of(*STORM)
    x, y = mercator.metres(lon, lat)
    column = int((x + mercator.HALF) / (2 * mercator.HALF) * 2**7)
    row = int((mercator.HALF - y) / (2 * mercator.HALF) * 2**7)
    for frame in (maps["radar"]["past"][-1], maps["radar"]["nowcast"][0]):
        tile = client.get(f"{frame['path']}/512/7/{column}/{row}/2/1_1.png")
        assert tile.status_code == 200
        picture = Image.open(io.BytesIO(tile.content)).convert("RGBA")
        assert picture.size == (512, 512)
        assert np.asarray(picture)[..., 3].max() == 255


def test_zarr_comes_in_a_zip_that_xarray_opens(client: httpx.Client, tmp_path: Path) -> None:
    body = client.get(f"/data/{FORECAST}/files/20260601T1200Z.zarr.zip").content
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        packed.extractall(tmp_path)
    with xr.open_zarr(tmp_path / "20260601T1200Z.zarr", decode_timedelta=True) as data:
        assert data["rainfall_rate"].shape == (LEADS, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/data/../../../etc/passwd", 404),
        ("/..%2f..%2fetc%2fpasswd", 404),
        ("/static/../look.py", 404),
        ("/data/mim-20260601T1200Z/files/..%2f..%2fetc%2fpasswd", 404),
        ("/data/mim-20260601T1200Z/files/passwd", 404),
        ("/data/..%2f..%2f/forecast.json", 404),
        ("/data/mim-20260601T9900Z/forecast.json", 404),
        ("/data/mim-20260601T1200Z/rate/20260601T9905Z.png", 404),
        ("/data/mim-20260601T1200Z/rate/now.png", 422),
        ("/tiles/mim-20260601T1200Z/rate/20260601T1205Z/31/0/0.png", 422),
        ("/tiles/mim-20260601T1200Z/rate/20260601T1205Z/2/9/0.png", 404),
        ("/tiles/mim-20260601T1200Z/rate/20260601T1205Z/2/-1/0.png", 422),
        ("/v2/radar/1/99999/2/1/1/2/1_1.png", 422),
        ("/data/mim-20260601T1200Z/point.json?lon=inf&lat=1", 422),
        ("/edr/collections/latest/cube?bbox=-180,-90,180,90", 400),
        ("/edr/collections/latest/cube?bbox=5,52,4,53", 400),
        ("/edr/collections/latest/position?coords=POINT(a b)", 400),
        ("/edr/collections/latest/position?coords=POINT(999 1)", 400),
        ("/edr/collections/latest/position?coords=POINT(5 52)&datetime=yesterday", 422),
        ("/edr/collections/latest/position?coords=POINT(5 52)&parameter-name=hail", 400),
    ],
)
def test_what_cannot_be_is_refused(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert "root:" not in answer.text
    assert "/tmp" not in answer.text


def test_only_reading_and_only_by_our_names(gallery: Gallery, client: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, "/data/index.json").status_code == 405
    head = client.head("/data/index.json")
    assert (head.status_code, head.content) == (200, b"")
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        assert client.get("/", headers={"host": host}).status_code == 421
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get("/", headers={"host": host}).status_code == 200
    headers = client.get("/nothing").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    with served(gallery, door=Door(hosts=("radar.example",))) as named:
        assert httpx.get(named.address, headers={"host": "radar.example"}).status_code == 200


def test_the_token(gallery: Gallery) -> None:
    door = Door(token="a-long-secret-word")
    with served(gallery, door=door) as site, httpx.Client(base_url=site.address) as client:
        assert client.get("/data/index.json").status_code == 401
        for word, status in (("a-long-secret-wore", 401), ("a-long-secret-word", 200)):
            said = {"authorization": f"Bearer {word}"}
            assert client.get("/data/index.json", headers=said).status_code == status
        first = client.get("/?token=a-long-secret-word&x=1")
        assert (first.status_code, first.headers["location"]) == (303, "./.?x=1")
        assert "HttpOnly" in first.headers["set-cookie"]
        assert client.get("/data/index.json").status_code == 200  # by the cookie
    with pytest.raises(UsageError, match=r"--host 0\.0\.0\.0 .*--token-file"):
        server(gallery, host="0.0.0.0", port=8000)


def test_pictures_are_not_sent_twice_and_text_is_packed(client: httpx.Client) -> None:
    first = client.get(f"/data/{FORECAST}/rate/{TIME}.png")
    tag = {"if-none-match": first.headers["etag"]}
    assert client.get(f"/data/{FORECAST}/rate/{TIME}.png", headers=tag).status_code == 304
    assert client.get("/main.js").headers["content-encoding"] == "gzip"


def test_script_and_style_are_small() -> None:
    import gzip

    from nowcast.web.page import assets

    loaded = [asset for name, asset in assets().items() if name.endswith((".js", ".css"))]
    assert sum(len(gzip.compress(asset.body)) for asset in loaded) < 350_000


def test_every_route_keeps_to_its_description(client: httpx.Client) -> None:
    described = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    tried = 0
    for found in described.get_all_operations():
        _try(found.ok(), str(client.base_url))
        tried += 1
    assert tried >= 20


def _try(operation: Any, address: str) -> None:
    """What the description allows, and what it does not: no fault of ours, no other answer."""

    @given(case=operation.as_strategy())
    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    def keeps(case: schemathesis.Case) -> None:
        # A forecast that is not there has a right address all the same.
        case.call_and_validate(address, excluded_checks=[positive_data_acceptance], timeout=60)

    keeps()


def apart(one: str, other: str, vision: str) -> float:
    return ciede2000(lab(one, vision), lab(other, vision))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", sorted(VISIONS))
def test_colours_stay_apart_on_both_maps(theme: str, vision: str) -> None:
    import re

    from nowcast.web.page import assets

    css = assets()["page.css"].body.decode()
    block = re.search(
        r":root\[data-theme=\"dark\"\] \{(.*?)\}" if theme == "dark" else r":root \{(.*?)\}",
        css,
        re.DOTALL,
    )
    assert block
    ground = [re.search(rf"--{name}: (#\w{{6}})", block[1])[1] for name in ("land", "sea")]  # type: ignore[index]
    for shading in (RATE, CHANCE, CHANGE, MISTAKE):
        drawn = [shade for shade in shading.colours if shade]
        for one, other in zip(shading.colours, shading.colours[1:], strict=False):
            if one and other:
                assert apart(one, other, vision) >= 8, (one, other)
        if shading in {RATE, CHANCE}:
            for shade in drawn:
                assert all(apart(shade, below, vision) >= 8 for below in ground), shade


@given(st.lists(st.integers(0, 9), max_size=60))
def test_what_is_remembered_is_right_and_bounded(asked: list[int]) -> None:
    kept: Remembered[int] = Remembered(3)
    made = []
    for key in asked:
        assert kept.get(key, lambda key=key: made.append(key) or key * key) == key * key
    assert len(set(asked)) <= len(made) <= len(asked)
