"""Checkpoints: what is written comes back, and what was damaged does not."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from mim_core import checkpoint
from mim_core.checkpoint import CheckpointError
from mim_core.config import MIMConfig
from mim_core.model import MIM

CONFIG = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3, patch=2)
METADATA = {"cadence_minutes": 5, "trained_on": ["knmi", "dwd"], "score": {"mse": 0.25}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "weights" / "model.safetensors"
    checkpoint.save(path, MIM(CONFIG), metadata=METADATA)
    return path


def test_round_trip(saved: Path) -> None:
    torch.manual_seed(0)
    model = MIM(CONFIG)
    checkpoint.save(saved, model, metadata=METADATA)
    loaded, metadata = checkpoint.load(saved, map_location="cpu")
    assert loaded.config == CONFIG
    assert metadata == METADATA
    frames = torch.rand(1, 3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(loaded.forecast(frames, steps=2), model.forecast(frames, steps=2))
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_the_same_weights_make_the_same_file(saved: Path, tmp_path: Path) -> None:
    model, metadata = checkpoint.load(saved)
    checkpoint.save(tmp_path / "again.safetensors", model, metadata=metadata)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    digest = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert checkpoint.sha256_of(saved) == digest


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "model.safetensors"
    checkpoint.save(path, MIM(CONFIG), metadata=METADATA)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        checkpoint.load(path)


def test_a_flipped_bit_of_a_weight_is_said_to_be_damage(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checksum does not fit .* damaged, copy it again"):
        checkpoint.load(saved)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_file_cut_short_is_found(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        checkpoint.load(saved)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.safetensors: no such file"):
        checkpoint.load(tmp_path / "absent.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, foreign)
    with pytest.raises(CheckpointError, match=r"found entries .* expected 'mim_core 1'"):
        checkpoint.load(foreign)
    pickled = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(2)}, pickled)
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        checkpoint.load(pickled)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = MIM(CONFIG).state_dict()
    del tensors["output.bias"]
    header = {"config": CONFIG.to_dict(), "metadata": {}}
    checkpoint.write_tensors(path, tensors, header=header)
    with pytest.raises(CheckpointError, match=r"(?s)header does not fit .*output\.bias"):
        checkpoint.load(path)
    checkpoint.write_tensors(path, tensors, header={"metadata": {}})
    with pytest.raises(CheckpointError, match="header does not fit the weights: 'config'"):
        checkpoint.load(path)


def test_a_failed_write_leaves_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoint.save(saved, MIM(CONFIG), metadata={"model": object()})
    assert saved.read_bytes() == before


def test_who_reads_the_old_file_reads_it_whole(saved: Path) -> None:
    before = saved.read_bytes()
    with saved.open("rb") as old:
        checkpoint.save(saved, MIM(CONFIG), metadata={})
        assert old.read() == before
    assert saved.read_bytes() != before


def test_the_header_is_plain_json_to_any_reader(saved: Path) -> None:
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    ours = json.loads(header["__metadata__"][checkpoint.FORMAT])
    assert ours["metadata"] == METADATA
    assert ours["config"]["num_hidden"] == [3, 3]
    assert len(ours["sha256"]) == 64
