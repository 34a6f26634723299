"""nowcast benchmark train by several processes: as the command line starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_benchmark import losses_of, written

from nowcast.benchmark import sharing
from nowcast.benchmark.log import TrainingLog

DATA = 'kind = "moving-mnist"\nsize = 32\ntest_sequences = 2\n'
TRAINING = "validations = 2\nvalidation_sequences = 2"


def trained(folder: Path, data: Path, *options: str) -> list[dict[str, float]]:
    """The records of a run of the command."""
    folder.mkdir()
    profile = written(folder, data=DATA, training=TRAINING)
    words = ["train", str(profile), "--data", str(data), "--out", str(folder), *options]
    done = subprocess.run(
        [sys.executable, "-m", "nowcast", "benchmark", *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(folder / "weights.safetensors")]  # said once
    assert (folder / "weights.safetensors").is_file()
    assert not (folder / "pace").exists()
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_two_processes_train_what_one_trains(shared_data: Path, tmp_path: Path) -> None:
    curves = []
    for processes in ("1", "2"):
        out = tmp_path / processes
        records = trained(out, shared_data, "--processes", processes, "--steps", "4")
        curves.append([loss for _, loss in losses_of(out)])
        assert len([record for record in records if "score" in record]) == 2
    assert len(curves[0]) == 4
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)


def test_by_the_minute_they_keep_to_one_plan(shared_data: Path, tmp_path: Path) -> None:
    records = trained(
        tmp_path / "run", shared_data, "--processes", "2", "--minutes", "0.2", "--seed", "3"
    )
    steps = [step for step, _ in losses_of(tmp_path / "run")]
    assert steps == list(range(1, len(steps) + 1))
    plans = [record["plan"] for record in records if "plan" in record]
    assert len(plans) > 1
    assert plans[-1] == steps[-1]
    assert records[-1]["seconds"] == pytest.approx(12, rel=0.4)


def test_a_follower_keeps_no_log_and_one_alone_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    TrainingLog.resumed(path, step=0).add(step=1, seconds=1.0, loss=0.5)
    before = path.read_text()
    assert sharing.is_first()
    assert sharing.as_the_first_says(lambda: 7) == 7
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not sharing.is_first()
    follower = TrainingLog.resumed(path, step=0, is_kept=sharing.is_first())
    follower.add(step=1, seconds=2.0, loss=0.4)
    assert follower.seconds == 2.0
    assert path.read_text() == before
