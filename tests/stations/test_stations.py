"""Lists of stations: read by hand and for real, searched against looking at every one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stations.errors import StationsError
from stations.read import read
from stations.registry import Registry, distance_m
from stations.station import Station

TEXT = "id,name,lon,lat,elevation\nA1,De Bilt,5.18,52.10,2\nB2,Zürich,8.57,47.38,\n"
EXPECTED = [
    Station("A1", 5.18, 52.10, name="De Bilt", elevation_m=2),
    Station("B2", 8.57, 47.38, name="Zürich"),
]


def written(folder: Path, content: str | bytes, name: str = "stations.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        ("\ufeff\n" + TEXT).encode(),
        TEXT.encode("latin-1"),
        gzip.compress(TEXT.encode()),
        b"Latitude;LONGITUDE;Name;Station ID;Altitude [m]\r\n"
        b"52,10;5,18;De Bilt;A1;2\r\n\r\n47,38;8,57;Z\xc3\xbcrich;B2;nan\r\n",
        b"x\ty\tstation_id\tstation_name\tlongitude\tlatitude\theight\n"
        b"1\t2\tA1\tDe Bilt\t5.18\t52.10\t2\n3\t4\tB2\tZ\xc3\xbcrich\t8.57\t47.38\t-\n",
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "id": "A1",
                        "properties": {"Name": "De Bilt"},
                        "geometry": {"type": "Point", "coordinates": [5.18, 52.10, 2]},
                    },
                    {
                        "type": "Feature",
                        "properties": {"station_id": "B2", "name": "Zürich", "elevation": None},
                        "geometry": {"type": "Point", "coordinates": [8.57, 47.38]},
                    },
                ],
            }
        ).encode(),
    ],
    ids=["csv", "bom", "latin-1", "gzip", "semicolons", "tabs", "geojson"],
)
def test_one_list_in_many_forms(tmp_path: Path, content: bytes) -> None:
    found = list(read(written(tmp_path, content)))
    assert [station.id for station in found] == ["A1", "B2"]
    for station, expected in zip(found, EXPECTED, strict=True):
        assert (station.name, station.elevation_m) == (expected.name, expected.elevation_m)
        assert (station.lon, station.lat) == pytest.approx((expected.lon, expected.lat))


def test_names_and_ids_stand_in_for_each_other(tmp_path: Path) -> None:
    found = list(read(written(tmp_path, "lat,lon,name\n1,2,Here\n3,4,\n")))
    assert [(station.id, station.name) for station in found] == [("Here", "Here"), ("3", "3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty, expected a header"),
        ("id,lon,lat\n", "holds no station, expected one a line"),
        ("id,x,y\nA,1,2\n", "columns id, x, y: none for lon and lat, expected a header with lon"),
        ("id,lon,lat\nA,1,2\n\nB,east,91\n", "line 4: longitude 'east', expected a number"),
        ("id,lon,lat\nA,1,91\n", "line 2: latitude 91, expected -90 to 90 degrees"),
        ("id,lon,lat\nA,-181,1\n", "line 2: longitude -181, expected -180 to 360"),
        ("id,lon,lat\nA,1,nan\n", "line 2: latitude nan"),
        ("id,lon,lat\nA,1\n", "line 2: latitude '', expected a number"),
        ("id,lon,lat,elevation\nA,1,2,inf\n", "line 2: elevation inf, expected metres"),
        ("id,lon,lat\nA,1,2\nB,3,4\nA,5,6\n", "line 4: id A again, as in line 2"),
        ("id,lon,lat\n" + "".join(f"A{i},x,1\n" for i in range(9)), "; and 4 more"),
        ('{"type": "FeatureCollection"', "no JSON"),
        ('{"type": "Topology"}', "expected a FeatureCollection of points"),
        ('{"features": [{"geometry": {"type": "Polygon"}}]}', "feature 1: geometry 'Polygon'"),
        (
            '{"features": [{"geometry": {"type": "Point", "coordinates": ["1", 2]}}]}',
            r"feature 1: coordinates \['1', 2\], expected \[longitude, latitude\]",
        ),
        (b"CDF\x01\0\0\0", "no text, expected CSV or GeoJSON"),
        (gzip.compress(TEXT.encode(), mtime=0)[:40], "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(StationsError, match=message):
        read(written(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StationsError, match=r"none.csv: cannot be read \(No such file"):
        read(tmp_path / "none.csv")


def test_the_list_of_the_world(shared_data: Path) -> None:
    path = shared_data / "stations/locations.csv.gz"
    found = read(path)
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    assert len(found) == len(rows) == 15_787
    for row in rows[::997]:
        station = found[row["id"]]
        assert (station.lat, station.lon) == (float(row["latitude"]), float(row["longitude"]))
        assert station.elevation_m == float(row["elevation"])
    for place in ((5.18, 52.10), (179.9, -16.0), (0.0, 90.0)):
        assert found.nearest(lon=place[0], lat=place[1], count=5) == by_looking(found, place, 5)


PLACES = st.tuples(st.floats(-180, 179.99), st.floats(-90, 90))


def by_looking(registry: Registry, place: tuple[float, float], count: int) -> list:
    every = [(distance_m(place, (one.lon, one.lat)), i, one) for i, one in enumerate(registry)]
    return [(distance, one) for distance, _, one in sorted(every, key=lambda e: e[:2])[:count]]


@given(st.lists(PLACES, min_size=1, max_size=30), PLACES, st.integers(1, 4))
def test_the_nearest_are_those_of_looking_at_all(
    places: list[tuple[float, float]], wanted: tuple[float, float], count: int
) -> None:
    registry = Registry(Station(str(i), lon, lat) for i, (lon, lat) in enumerate(places))
    found = registry.nearest(lon=wanted[0], lat=wanted[1], count=count)
    expected = by_looking(registry, wanted, count)
    assert [distance for distance, _ in found] == [distance for distance, _ in expected]


@given(st.lists(PLACES, max_size=30), PLACES, PLACES)
def test_a_box_holds_what_lies_in_it(
    places: list[tuple[float, float]], one: tuple[float, float], other: tuple[float, float]
) -> None:
    registry = Registry(Station(str(i), lon, lat) for i, (lon, lat) in enumerate(places))
    (west, east), (south, north) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    inside = registry.within(west=west, south=south, east=east, north=north)
    around = registry.within(west=east, south=south, east=west, north=north)
    in_belt = [s for s in registry if south <= s.lat <= north]
    tiny = 1e-9
    assert {s.id for s in inside} >= {s.id for s in in_belt if west + tiny < s.lon < east - tiny}
    assert not [s for s in inside if s.lon < west - tiny or s.lon > east + tiny]
    if west != east:
        assert {s.id for s in in_belt} == {s.id for s in inside} | {s.id for s in around}


def test_boxes_at_the_date_line() -> None:
    registry = Registry([Station("fiji", 179, -17), Station("samoa", 188, -14), Station("x", 0, 0)])
    assert [s.id for s in registry.within(west=170, south=-20, east=-170, north=0)] == [
        "fiji",
        "samoa",
    ]
    assert len(registry.within(west=-180, south=-90, east=180, north=90)) == 3


def test_the_way_from_paris_to_the_pole() -> None:
    quarter = math.pi / 2 * 6_371_000
    assert distance_m((2.35, 0.0), (77.0, 90.0)) == pytest.approx(quarter)
    assert distance_m((-179.5, 0), (179.5, 0)) == pytest.approx(math.radians(1) * 6_371_000)


def test_ids_are_one_of_a_kind() -> None:
    with pytest.raises(StationsError, match="more than one station A"):
        Registry([Station("A", 1, 2), Station("A", 3, 4)])
    with pytest.raises(StationsError, match="no station 'B' among 1"):
        Registry([Station("A", 1, 2)])["B"]
    with pytest.raises(StationsError, match="a station without id"):
        Station(" ", 1, 2)


def test_longitudes_count_from_greenwich_both_ways() -> None:
    assert [Station("A", lon, 0).lon for lon in (26.6, 180, 359, -180)] == [26.6, -180, -1, -180]
