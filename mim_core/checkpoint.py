"""Weights on disk: safetensors with a JSON header and a checksum; no pickle, nothing executed.

The header holds the architecture, the caller's metadata and a sha256 over these and over names,
types, shapes and values of the tensors: safetensors itself notices a file cut short, but not a
flipped bit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mim_core.baselines import ConvLSTM
from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.recurrent import Recurrent

FORMAT = "mim_core 1"  # key of the header among the metadata of safetensors
_NETWORKS: Mapping[str, type[Recurrent]] = {"MIM": MIM, "ConvLSTM": ConvLSTM}


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or is not what was written."""


def save(
    path: Path,
    network: Recurrent,
    *,
    metadata: Mapping[str, object],
    dtype: torch.dtype | None = None,
) -> None:
    """Write the weights and ``metadata`` (what JSON can hold), whole or not at all.

    ``dtype``: that of the weights in the file, where it is not their own. ``load`` gives fp32.
    """
    header = {"config": network.config.to_dict(), "metadata": dict(metadata), **kind(network)}
    kept = {name: weight.to(dtype or weight.dtype) for name, weight in network.state_dict().items()}
    write_tensors(path, kept, header=header)


def load(path: Path, *, map_location: str | torch.device = "cpu") -> tuple[MIM, dict[str, object]]:
    """The MIM (in training mode, as built) and the metadata that it was saved with.

    Raises CheckpointError naming the file when it is absent, foreign, cut short, or its checksum
    or its architecture do not fit its tensors.
    """
    network, metadata = load_network(path, map_location=map_location)
    if not isinstance(network, MIM):
        raise CheckpointError(f"{path}: weights of a {type(network).__name__}, expected a MIM")
    return network, metadata


def load_network(
    path: Path, *, map_location: str | torch.device = "cpu"
) -> tuple[Recurrent, dict[str, object]]:
    """As ``load``, whether it is a MIM or a baseline."""
    tensors, header = read_tensors(path)
    try:
        config, metadata = header["config"], header["metadata"]
        if not isinstance(config, dict) or not isinstance(metadata, dict):
            raise TypeError("config and metadata must be objects")
        network = _NETWORKS[str(header.get("network", "MIM"))](MIMConfig.from_dict(config))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: the header does not fit the weights: {error}") from error
    return network.to(map_location), metadata


def kind(network: Recurrent) -> dict[str, str]:
    """What the header says of a network that is no MIM; nothing of a MIM."""
    return {} if isinstance(network, MIM) else {"network": type(network).__name__}


def sha256_of(path: Path) -> str:
    """The sha256 of the whole file, as ``sha256sum`` prints it: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, header: Mapping[str, object]
) -> None:
    """Write ``tensors`` and ``header`` with their checksum: beside ``path``, then renamed to it."""
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"sha256": _digest(kept, header), **header}, sort_keys=True, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # One entry alone: safetensors writes several in random order, and files would differ.
        save_file(kept, beside, metadata={FORMAT: text})
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """What ``write_tensors`` wrote, on the CPU; raises CheckpointError as ``load`` does."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected a checkpoint of {FORMAT!r}")
    try:
        with safe_open(path, framework="pt") as file:
            entries = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error}); copy or train it again"
        ) from error
    if FORMAT not in entries:
        raise CheckpointError(
            f"{path}: found entries {sorted(entries)} in the header, expected {FORMAT!r}; "
            "weights of other codes are converted by: python -m mim_core.convert"
        )
    return tensors, _checked_header(path, entries[FORMAT], tensors)


def _checked_header(path: Path, text: str, tensors: Mapping[str, Tensor]) -> dict[str, object]:
    damaged = f"{path}: the checksum does not fit the content: the file is damaged, copy it again"
    try:
        header = json.loads(text)
        expected = header.pop("sha256")
    except (ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(damaged) from error
    if _digest(tensors, header) != expected:
        raise CheckpointError(damaged)
    return dict(header)


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True, allow_nan=False).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    # Through uint8, since numpy has no bfloat16.
    flat: np.ndarray = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat.tobytes()
