from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mim_core.precision import fastest, resolved


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_what_was_asked_for_stays(precision: str) -> None:
    assert resolved(precision, accelerator="cpu") == precision


def test_auto_asks_the_processor() -> None:
    """As the kernel tells its flags."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    has_bf16 = bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))
    assert (resolved("auto", accelerator="cpu") == "bf16-mixed") == has_bf16


@pytest.mark.parametrize("accelerator", ["mps", "cuda"])
def test_without_such_hardware_it_is_fp32(accelerator: str) -> None:
    if accelerator == "cuda" and torch.cuda.is_available():
        assert fastest(accelerator) in ("bf16-mixed", "32-true")
    else:
        assert fastest(accelerator) == "32-true"
