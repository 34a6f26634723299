"""What those who run the service see: logs, health, metrics; and what nobody may see."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skill_samples import storm_archive

from nowcast.field.errors import UsageError
from nowcast.service.hooks import Event, Status
from nowcast.service.operators import logs
from nowcast.service.operators.health import Health, HealthServer
from nowcast.service.operators.metrics import Metrics
from nowcast.service.operators.redaction import redacted, redacted_value

ROOT = Path(__file__).parents[2]
CANARY = "canary9f3aNotToBeSeen"
NOW = np.datetime64("2026-06-01T12:00", "ns")
WELL = Status(now=NOW, tick=0.0, tick_seconds=0.1, newest_frame=NOW, last_publish=NOW, rung="mim")


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("restored_logging")
def test_a_line_an_event_with_its_cycle() -> None:
    stream = io.StringIO()
    logs.set_up("json", stream=stream)
    logs.tell(Event("cycle failed", "20260601T1200Z", {"reason": "no method", "event": 1}))
    logs.tell(Event("frame accepted", facts={"file": "a.h5", "kept": ""}))
    logging.getLogger("some.library").warning("asked https://u:%s@x.org/?key=%s", CANARY, CANARY)
    first, second, third = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "event": "cycle failed",
        "cycle": "20260601T1200Z",
        "level": "error",
        "reason": "no method",
        "event_": 1,
    }
    assert "cycle" not in second
    assert (second["level"], third["level"]) == ("info", "warning")
    assert third["event"] == "asked https://***@x.org/?***"


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://x.org/a.h5?X-Amz-Signature={CANARY}&b=1 failed",
        f"https://user:{CANARY}@x.org/a",
        f"Authorization: Bearer {CANARY}",
        f"{{'api_key': '{CANARY}'}}",
        f"password={CANARY}, retry",
        f'MF_TOKEN="{CANARY}"',
        f"s3://bucket/key?token={CANARY}",
    ],
)
def test_no_secret_in_a_text(text: str) -> None:
    assert CANARY not in redacted(text)
    assert "***" in redacted(text)


def test_no_secret_at_any_depth() -> None:
    value = {"a": [{"apiKey": CANARY, "n": 3}], "password": ["x", CANARY], "why": f"key={CANARY}"}
    shown = redacted_value({**value, "why": f"token={CANARY}"})
    assert CANARY not in json.dumps(shown)
    assert shown["a"][0]["n"] == 3


@given(st.text(alphabet="abc .:/-_0123456789", max_size=60))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


def get(port: int, page: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{page}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_says_whether_it_lives_and_works(tmp_path: Path) -> None:
    passed = 0.0
    metrics = Metrics(tmp_path, 300.0, monotonic=lambda: passed)
    with HealthServer(Health(metrics), port=0) as server:
        assert server._server is not None
        port = server._server.server_port
        assert get(port, "/livez") == (503, "no tick was finished for inf s\n")
        metrics.note(replace(WELL, last_publish=None))
        assert get(port, "/livez") == (200, "ok\n")
        assert get(port, "/readyz") == (503, "nothing has been published yet\n")
        metrics.note(WELL)
        assert get(port, "/readyz") == (200, "ok\n")
        metrics.note(replace(WELL, now=NOW + np.timedelta64(21, "m")))
        assert get(port, "/readyz") == (503, "nothing was published for 1260 s\n")
        passed = 61.0
        assert get(port, "/livez")[0] == 503
        assert get(port, "/etc/passwd")[0] == 404
        assert get(port, "/livez", "POST")[0] == 405
        assert get(port, "/readyz", "HEAD")[1] == ""
        with pytest.raises(UsageError, match=f"monitor.port {port}: cannot be listened on"):
            HealthServer(Health(metrics), port=port).start()


def test_events_are_counted(tmp_path: Path) -> None:
    passed = 0.0
    metrics = Metrics(tmp_path, 300.0, monotonic=lambda: passed)
    metrics.hear(Event("cycle begun", "a"))
    passed = 4.0
    metrics.hear(Event("cycle published", "a", {"rung": "mim", "age_seconds": 70.0}))
    metrics.hear(Event("frame accepted", facts={"late_seconds": 45.0}))
    metrics.hear(Event("frame rejected", facts={"kind": "Format"}))
    value = metrics.registry.get_sample_value
    assert value("nowcast_cycles_published_total", {"rung": "mim"}) == 1
    assert value("nowcast_forecast_seconds_sum") == 4
    assert value("nowcast_publish_age_seconds_sum") == 70
    assert value("nowcast_frame_lateness_seconds_bucket", {"le": "60.0"}) == 1
    assert value("nowcast_frames_rejected_total", {"reason": "Format"}) == 1
    assert len(list(metrics.registry.collect())) >= 20


SETTINGS = """
schema_version = 1
[service]
data = "data"
tick_seconds = 0.5
[feed]
name = "odim"
folder = "incoming"
cadence_minutes = 5
settle_seconds = 0
late_minutes = 99999999
[forecast]
methods = ["persistence"]
leads = 2
[products]
maps = false
[retention]
published_hours = 999999
free_gib = 0
[monitor]
port = PORT
log = "json"
[[fetch]]
source = "SOURCE"
"""
SOURCE = """
title = "A platform"
feed = "odim"
hosts = ["127.0.0.1:9"]
allow_http = true
allow_private = true
local = "{time:%Y%m%d%H%M}.h5"
pattern = '(?P<time>\\d{12})'
time_format = "%Y%m%d%H%M"
[listing]
kind = "knmi"
url = "http://127.0.0.1:9/files"
key = { env = "OUR_KEY" }
"""


def test_no_secret_in_anything_that_a_run_leaves(tmp_path: Path) -> None:
    """A live service with a source that has a key, its logs, pages and files."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    radar = storm_archive(tmp_path / "radar", size=24)
    (tmp_path / "incoming").mkdir()
    for entry in radar.catalogue.entries[:5]:
        shutil.copy(entry.path, tmp_path / "incoming")
    (tmp_path / "ours.toml").write_text(SOURCE)
    text = SETTINGS.replace("PORT", str(port)).replace("SOURCE", str(tmp_path / "ours.toml"))
    (tmp_path / "service.toml").write_text(text)
    command = [sys.executable, "-m", "nowcast", "serve", "--config", str(tmp_path / "service.toml")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stderr=log, stdout=log, env=os.environ | {"OUR_KEY": CANARY}, cwd=ROOT
        )
        try:
            pages = _pages(port, process, tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    assert "nowcast_cycles_published_total" in pages
    lines = (tmp_path / "log").read_text()
    assert '"event": "cycle published"' in lines or '"event": "cycle degraded"' in lines, lines
    assert "127.0.0.1" in lines, lines
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [str(path) for path in kept if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in pages


def _pages(port: int, process: subprocess.Popen[bytes], folder: Path) -> str:
    """All pages, once something has been published and the source's server was asked in vain."""
    for _ in range(480):
        assert process.poll() is None, "the service has ended"
        published = list(folder.glob("data/published/*/MANIFEST.json"))
        if published and "127.0.0.1" in (folder / "log").read_text():
            break
        time.sleep(0.25)
    return "".join(get(port, page)[1] for page in ("/livez", "/readyz", "/metrics"))


def test_the_unit_is_sound_to_systemd() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    unit = ROOT / "deploy/nowcast.service"
    told = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
    exposure = [analyze, "security", "--offline=true", "--threshold=25", str(unit)]
    assert subprocess.run(exposure, capture_output=True, check=False).returncode == 0
