"""A profile that trains in a moment, and what the log of a run says."""

from __future__ import annotations

import json
from pathlib import Path

SMALL = """
title = "small"
published = "{published}"
input_length = 4
total_length = 8
[data]
{data}
[network]
hidden = 4
layers = 2
kernel_size = 3
patch = 4
[training]
steps = 3
batch_size = 2
{training}
"""


def written(
    folder: Path,
    *,
    data: str,
    training: str = "",
    published: str = "none",
) -> Path:
    path = folder / "small.toml"
    path.write_text(SMALL.format(data=data, training=training, published=published))
    return path


def losses_of(out: Path) -> list[tuple[int, float]]:
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(record["step"], record["loss"]) for record in records if "loss" in record]
