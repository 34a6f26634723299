"""Converts another code's weights (``.ckpt``, ``.pt``) to ours, in a process of its own.

``python -m mim_core.convert SOURCE DESTINATION --num-hidden 128 128 128 128 --in-shape 10 1 64 64
--patch-size 4 --filter-size 5`` for OpenSTL's MIM (layer_norm=0). Such files are pickles: they are
read with ``weights_only=True``, and ``convert`` reads them in a child process, never in the
caller's.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mim_core import checkpoint
from mim_core.interop import from_openstl


class ConversionError(ValueError):
    """The file of another code cannot be converted."""


def convert(
    source: Path,
    destination: Path,
    *,
    num_hidden: Sequence[int],
    in_shape: tuple[int, int, int, int],
    patch_size: int,
    filter_size: int,
) -> None:
    """Write OpenSTL's MIM ``source`` as our checkpoint ``destination``, by a child process.

    ``in_shape`` is (T, C, H, W) before patching. Raises ConversionError with the child's message.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mim_core.convert", str(source), str(destination)),
            *("--num-hidden", *map(str, num_hidden)),
            *("--in-shape", *map(str, in_shape)),
            *("--patch-size", str(patch_size), "--filter-size", str(filter_size)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise ConversionError(last or f"{source}: the converting process ended with no message")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: converts, or exits with one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m mim_core.convert", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--num-hidden", type=int, nargs="+", required=True)
    parser.add_argument(
        "--in-shape", type=int, nargs=4, required=True, metavar=("T", "C", "H", "W")
    )
    parser.add_argument("--patch-size", type=int, required=True)
    parser.add_argument("--filter-size", type=int, required=True)
    given = parser.parse_args(arguments)
    try:
        model = from_openstl(
            _read(given.source),
            num_hidden=given.num_hidden,
            in_shape=tuple(given.in_shape),
            patch_size=given.patch_size,
            filter_size=given.filter_size,
        )
        origin = {"converted_from": given.source.name, "sha256": checkpoint.sha256_of(given.source)}
        checkpoint.save(given.destination, model, metadata={"origin": origin})
    except (ValueError, OSError) as error:
        sys.exit(f"{given.source}: {error}".replace("\n", " "))


def _read(path: Path) -> Mapping[str, Tensor]:
    """The state dict in ``path``: the file itself, or its entry "state_dict" (Lightning)."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ConversionError(
            f"not weights that can be read without executing code ({error})"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ConversionError(f"found a {type(content).__name__}, expected a state dict")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


if __name__ == "__main__":
    main()
