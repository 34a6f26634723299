"""Which numbers to train with: bf16 pays only where the processor multiplies it.

Measured on one core of an AVX-512 processor without bf16 instructions: 23 GFLOP/s in convolutions
of bf16, which it imitates, and 91 in fp32. With such instructions bf16 is twice as fast as fp32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

# As torch.cpu.get_capabilities names them: x86 with and without matrix tiles, and ARM.
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


def resolved(precision: str, *, accelerator: str) -> str:
    """``precision`` itself, or for ``auto`` what is fastest on ``accelerator`` of this machine."""
    return fastest(accelerator) if precision == "auto" else precision


def fastest(accelerator: str) -> str:
    """``bf16-mixed`` where the hardware multiplies bf16, else ``32-true``."""
    if accelerator in ("cuda", "gpu"):
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    elif accelerator == "cpu":
        # Not in older releases of torch: then nothing is known, and fp32 is never wrong.
        capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        has_bf16 = any(capabilities.get(name) for name in BF16_INSTRUCTIONS)
    else:
        has_bf16 = False
    return "bf16-mixed" if has_bf16 else "32-true"
