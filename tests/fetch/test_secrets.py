"""Keys and signatures: canaries that must turn up nowhere but where they are meant to go."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import pytest
from misbehaving import Fault, Server
from offers import Offer, Start, frame, named
from typer.testing import CliRunner

from config.secret import Secret, SecretError
from nowcast import build_fetching
from nowcast.cli.app import app
from nowcast.fetch.collect import Problem
from nowcast.field.errors import UsageError

KEY = "canary-key-5f2e"
SIGNATURE = "canary-signature-91bc"
CANARIES = (KEY, SIGNATURE, "signed")
NAME = named("2026-06-01T12:00")

# What may go wrong on the way; some of it more than once.
TROUBLES = {
    "none": {},
    "the API is down": {"/datasets/files": [Fault(status=500)] * 4},
    "the key is refused": {"/datasets/files": [Fault(status=401)]},
    "the API redirects": {
        "/datasets/files": [Fault(status=302, headers={"Location": f"/x?signed={SIGNATURE}"})]
    },
    "the API redirects elsewhere": {
        "/datasets/files": [
            Fault(status=302, headers={"Location": f"https://u:{SIGNATURE}@x.test/?{SIGNATURE}"})
        ]
    },
    "no JSON": {f"/datasets/files/{NAME}/url": [Fault(body=b"<html>")] * 4},
    "the file is away": {f"/files/{NAME}": [Fault(status=404)] * 4},
    "the file is forbidden": {f"/files/{NAME}": [Fault(status=400)]},
    "the file breaks off": {f"/files/{NAME}": [Fault(cut=100)] * 4},
    "the file is a page": {f"/files/{NAME}": [Fault(body=b"<html>")] * 4},
    "the file is elsewhere": {
        f"/files/{NAME}": [Fault(status=307, headers={"Location": f"//x.test/y?{SIGNATURE}"})]
    },
    "no connection": {f"/files/{NAME}": [Fault(cut=0, headers={"Content-Length": "x"})] * 4},
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KNMI_KEY", KEY)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_canaries_stay_in_their_cage(
    server: Server,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    trouble: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    offer = Offer(server, "knmi", signature=SIGNATURE)
    offer.put(NAME, frame("one"))
    profile = offer.profile()
    for path, faults in TROUBLES[trouble].items():
        server.faults[path] = list(faults)
    running = start(profile)
    said = [str(running.round()), repr(running.collector), repr(profile)]
    said += [json.dumps(profile.model_dump(mode="json")), caplog.text, *capfd.readouterr()]
    start.stack.close()
    paths = list(start.folder.rglob("*"))
    said += [str(path) for path in paths]
    said += [path.read_bytes().decode("latin-1") for path in paths if path.is_file()]
    for canary in CANARIES:
        assert not [text[:200] for text in said if canary in text]
    # The canaries were there to be spilt.
    assert any(asked.headers.get("authorization") == KEY for asked in server.asked)
    files = [asked for asked in server.asked if asked.path == f"/files/{NAME}"]
    assert all(SIGNATURE in asked.query for asked in files)
    assert all("authorization" not in asked.headers for asked in files)
    assert files or "file" not in trouble


def test_no_log_of_a_library_says_what_was_asked(
    server: Server, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where somebody has told a library to say everything."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        assert logging.getLogger(name).level in (logging.NOTSET, logging.INFO)
    offer = Offer(server, "knmi", signature=SIGNATURE)
    offer.put(NAME, frame("one"))
    start(offer.profile()).round()
    assert not [record for record in caplog.records if record.name.startswith("http")]


@pytest.mark.parametrize("evil", ["\n", "\r\nX-Injected: yes", "\x00", "\u00e9", "\x1b[31m"])
def test_a_key_that_would_break_a_header(monkeypatch: pytest.MonkeyPatch, evil: str) -> None:
    key = f"{KEY}{evil}{KEY}"
    if "\x00" not in key:
        monkeypatch.setenv("TEST_KNMI_KEY", key)
        with pytest.raises(SecretError, match="other than printable ASCII") as raised:
            Secret(env="TEST_KNMI_KEY").read()
        assert KEY not in "".join(traceback.format_exception(raised.value))


def test_a_key_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f" {KEY}\n")
    path.chmod(0o600)
    assert Secret(file=path).read().get_secret_value() == KEY
    assert KEY not in repr(Secret(file=path).read())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"mode {mode:04o}.*chmod 600") as raised:
        Secret(file=path).read()
    assert KEY not in str(raised.value)


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("of the file")
    path.chmod(0o600)
    monkeypatch.delenv("TEST_KNMI_KEY")
    secret = Secret(env="TEST_KNMI_KEY", file=path)
    assert secret.read().get_secret_value() == "of the file"
    monkeypatch.setenv("TEST_KNMI_KEY", "of the environment")
    assert secret.read().get_secret_value() == "of the environment"


def test_no_key_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KNMI_KEY", raising=False)
    with pytest.raises(SecretError, match="no secret: the environment variable TEST_KNMI_KEY"):
        Secret(env="TEST_KNMI_KEY").read()
    with pytest.raises(SecretError, match="cannot be read: FileNotFoundError"):
        Secret(file=tmp_path / "absent").read()
    (tmp_path / "empty").touch(mode=0o600)
    with pytest.raises(SecretError, match="no secret: the file"):
        Secret(file=tmp_path / "empty").read()


def test_a_key_that_is_missing_is_told_before_anyone_is_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KNMI_KEY", raising=False)
    profile = Offer(server, "knmi").profile()
    with (
        pytest.raises(UsageError, match="TEST_KNMI_KEY"),
        build_fetching.collecting(profile, tmp_path / "radar"),
    ):
        pass
    assert server.asked == []
    assert not (tmp_path / "radar").exists()


def test_a_key_written_into_a_profile_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "x"\nfeed = "knmi"\nhosts = ["a.b"]\nlocal = "x"\n'
        f'[listing]\nkind = "knmi"\nurl = "https://a.b/files"\nkey = "{KEY}"\n'
    )
    done = CliRunner().invoke(
        app, ["fetch", "--source", str(path), "--into", str(tmp_path), "--once"]
    )
    assert isinstance(done.exception, UsageError)
    assert "listing.knmi.key" in str(done.exception)
    assert KEY not in "".join(traceback.format_exception(done.exception))


def test_problems_are_told_all_the_same(server: Server, start: Start) -> None:
    offer = Offer(server, "knmi", signature=SIGNATURE)
    offer.put(NAME, frame("one"))
    server.faults[f"/files/{NAME}"] = [Fault(status=410)]
    (problem,) = start(offer.profile()).round()
    assert isinstance(problem, Problem)
    assert problem.message == f"{server.url}/files/{NAME}: status 410, expected 200"
