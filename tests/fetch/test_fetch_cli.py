"""``nowcast fetch`` as a user runs it: once, for ever, ended, killed, twice; and real files."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time as wall
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from misbehaving import Fault, Server
from offers import HDF5, Offer, Start, files_of, profile_of, utc
from typer.testing import CliRunner

from nowcast import build, build_fetching
from nowcast.cli.app import app
from nowcast.cli.fetch import fetch
from nowcast.fetch.collect import Fetched

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/feeds.md"
FEED = r"""
title = "Our composite"
pattern = 'composite_(?P<time>\d{12})\.h5'
time_format = "%Y%m%d%H%M"
cadence_minutes = 5
unit = "dBZ"
grid = "any"
reader = { format = "odim" }
"""


class Site:
    """The server in the next room, with the source of the documentation."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.into = server, folder / "radar"
        (block,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        assert len(block.splitlines()) <= 25
        self.profile = folder / "mine.toml"
        self.profile.write_text(block.replace("127.0.0.1:8000", server.host))
        (folder / "feeds").mkdir()
        (folder / "feeds/odim-5min.toml").write_text(FEED)
        self.environment = {"NOWCAST_FEEDS": str(folder / "feeds")}

    def put(self, minutes_ago: int, size: int = 3000) -> str:
        """Offer the frame of some minutes ago; its path on the server."""
        time = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes_ago)
        folder, name = f"/composites/{time:%Y%m%d}/", f"composite_{time:%Y%m%d%H%M}.h5"
        self.server.files[folder + name] = (HDF5 + os.urandom(size))[:size]
        listed = [path for path in self.server.files if path.startswith(folder + "c")]
        links = "".join(f'<a href="{path.rpartition("/")[2]}">x</a>\n' for path in listed)
        self.server.files[folder] = links.encode()
        return folder + name

    def command(self, *more: str) -> list[str]:
        source = ["fetch", "--source", str(self.profile), "--into", str(self.into)]
        return [*source, "--since", "30m", *more]

    def running(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "nowcast", *self.command(*more)],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Site:
    return Site(server, tmp_path)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(1000):
        if what():
            return
        wall.sleep(0.02)
    raise AssertionError("not within 20 s")


def test_once_with_json(site: Site) -> None:
    paths = [site.put(minutes) for minutes in (1, 6, 11)]
    done = CliRunner().invoke(app, site.command("--once", "--json"), env=site.environment)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in lines] == [path.rpartition("/")[2] for path in paths]
    assert {(line["source"], line["revision"], line["size"]) for line in lines} == {
        ("mine", 1, 3000)
    }
    assert all(Path(line["path"]).is_file() for line in lines)
    again = CliRunner().invoke(app, site.command("--once"), env=site.environment)
    assert (again.exit_code, again.output) == (0, "")


def test_once_with_a_problem(site: Site) -> None:
    path = site.put(1)
    site.server.faults[path] = [Fault(status=302, headers={"Location": "http://169.254.169.254/"})]
    done = CliRunner().invoke(app, site.command("--once"), env=site.environment)
    assert done.exit_code == 77
    assert "host 169.254.169.254, port 80, expected one of the source's hosts" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("age", ["2", "x", "-1h", "2w", "99999h"])
def test_an_age_that_is_none(site: Site, age: str) -> None:
    done = CliRunner().invoke(app, site.command("--once", "--since", age), env=site.environment)
    assert done.exit_code == 2
    assert site.server.asked == []


def test_the_examples_of_the_help_run(site: Site, tmp_path: Path) -> None:
    """With sources of the same names that ask the server of the test."""
    site.put(1)
    sources = tmp_path / "sources"
    sources.mkdir()
    environment = site.environment | {"NOWCAST_SOURCES": str(sources)}
    examples = re.findall(r"^ *nowcast (fetch .+)$", fetch.__doc__ or "", re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        (name,) = re.findall(r"--source (\S+)", example)
        (sources / f"{name}.toml").write_text(site.profile.read_text())
        into = str(tmp_path / name)
        arguments = shlex.split(example.replace("--into radar", f"--into {into}"))
        once = [] if "--once" in arguments else ["--once"]
        done = CliRunner().invoke(app, arguments + once, env=environment)
        assert done.exit_code == 0, done.output
        assert into in done.stdout


def test_sources_are_listed() -> None:
    done = CliRunner().invoke(app, ["sources", "--json"])
    listed = {one["name"]: one for one in json.loads(done.stdout)}
    assert {"mrms", "knmi", "dwd-rv"} <= set(listed)
    assert "seen to work" in CliRunner().invoke(app, ["sources"]).stdout.replace("\n", " ")


def test_on_and_on_until_told_to_stop(site: Site) -> None:
    first = site.put(6)
    running = site.running("--json")
    assert running.stdout is not None
    try:
        said = [json.loads(running.stdout.readline())]
        second = CliRunner().invoke(app, site.command("--once"), env=site.environment)
        assert type(second.exception).__name__ == "BusyError"
        later = site.put(1)
        said.append(json.loads(running.stdout.readline()))
    finally:
        running.terminate()
        _, errors = running.communicate(timeout=20)
    assert running.returncode == 0, errors
    assert "fetching stopped" in errors
    assert [one["name"] for one in said] == [path.rpartition("/")[2] for path in (first, later)]
    assert len(files_of(site.into)) == 2


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ended_in_the_middle_of_a_file(site: Site, end: signal.Signals) -> None:
    path = site.put(1, size=500_000)
    site.server.faults[path] = [Fault(drip_seconds=0.002)]
    part = site.into / f".fetch/mine/{path.rpartition('/')[2]}.part"
    running = site.running()
    try:
        wait_for(lambda: part.exists() and part.stat().st_size > 20_000)
    finally:
        running.send_signal(end)
        running.communicate(timeout=20)
    assert files_of(site.into) == {}
    done = CliRunner().invoke(app, site.command("--once"), env=site.environment)
    assert done.exit_code == 0, done.output
    assert list(files_of(site.into).values()) == [site.server.files[path]]
    # Told to stop, what had come was forced to the disk; killed, nothing vouches for it.
    resumed = [asked for asked in site.server.asked if asked.path == path][-1]
    assert ("range" in resumed.headers) == (end is signal.SIGTERM)


def test_real_files_come_as_they_are(server: Server, start: Start, shared_data: Path) -> None:
    real = {
        path.name: path for path in sorted((shared_data / "radar/knmi/2010").rglob("*.h5"))[-6:]
    }
    offer = Offer(server, "nginx")
    for name, path in real.items():
        offer.put(name, path.read_bytes())
    start.time.now = utc("2010-08-26T12:00")
    profile = offer.profile(
        pattern=r"RAD_NL25_RAP_5min_(?P<time>\d{12})\.h5",
        time_format="%Y%m%d%H%M",
        local="RAD_NL25_RAP_5min_{time:%Y%m%d%H%M}.h5",
    )
    done = start(profile).round(hours=48)
    assert [type(one) for one in done] == [Fetched] * 6
    archive = build.archive("knmi", start.folder)
    assert archive.times.size == 6
    assert archive.read(end=archive.latest, frames=3).sizes["time"] == 3


def test_an_archive_takes_the_revision(server: Server, start: Start, shared_data: Path) -> None:
    first, other = sorted((shared_data / "radar/knmi/2010").rglob("*.h5"))[-2:]
    offer = Offer(server, "apache")
    offer.put(first.name, first.read_bytes())
    start.time.now = utc("2010-08-26T12:00")
    running = start(
        offer.profile(
            pattern=r"RAD_NL25_RAP_5min_(?P<time>\d{12})\.h5",
            time_format="%Y%m%d%H%M",
            local="RAD_NL25_RAP_5min_{time:%Y%m%d%H%M}.h5",
        )
    )
    assert len(running.round(hours=48)) == 1
    offer.put(first.name, other.read_bytes())
    assert len(running.round(hours=48)) == 1
    archive = build.archive("knmi", start.folder)
    assert archive.times.size == 1
    (entry,) = archive.catalogue.entries
    assert entry.path == start.folder / "revision-2" / first.name
    assert entry.path.read_bytes() == other.read_bytes()


def test_a_real_tar_file_comes_by_its_own_source(
    server: Server, start: Start, shared_data: Path
) -> None:
    path = shared_data / "radar/dwd/composite_rv_20250923_0855.tar"
    server.files["/rv/"] = f'<a href="{quote(path.name)}">{path.name}</a>'.encode()
    server.files[f"/rv/{path.name}"] = path.read_bytes()
    start.time.now = utc("2025-09-23T09:00")
    shipped = build_fetching.source("dwd-rv")
    profile = profile_of(
        server.host,
        {"kind": "index", "url": f"{server.url}/rv/"},
        feed=shipped.feed,
        local=shipped.local,
    )
    assert [type(one) for one in start(profile).round()] == [Fetched]
    assert build.archive("dwd-rv", start.folder).times.size == 1
