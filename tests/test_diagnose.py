from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nowcast import diagnose
from nowcast.forecast.shipped import shipped_weights


def findings(folder: Path) -> dict[str, diagnose.Finding]:
    return {finding.check: finding for finding in diagnose.examine(folder)}


def test_a_sound_installation(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert [check for check, finding in found.items() if finding.verdict == "bad"] == []
    assert {"package torch", "map data", "shipped weights", "writing"} <= set(found)
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_named_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.toml").write_text("title = 3\n")
    monkeypatch.setenv("NOWCAST_FEEDS", str(tmp_path))
    damaged = tmp_path / "radar.safetensors"
    shutil.copy(shipped_weights(), damaged)
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(diagnose, "shipped_weights", lambda: damaged)
    found = findings(tmp_path / "absent")
    for check in ("feed profiles", "shipped weights", "writing", "free disk"):
        assert found[check].verdict == "bad", check
        assert found[check].mend, check
    assert "wrong.toml" in found["feed profiles"].found
    assert "damaged" in found["shipped weights"].found
