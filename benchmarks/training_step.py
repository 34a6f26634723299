"""Seconds that a training step takes.

    python -m benchmarks.training_step

Networks of the shipped profiles on random frames, each way in turns: fp32 as autograd does it,
bf16 likewise, with weight gradients gathered over the steps, and with compiled cells.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from unittest import mock

import torch
from torch import Tensor, nn

from mim_core.baselines import conv_lstm_like
from mim_core.gathered import StepConvolution
from mim_core.model import MIM
from mim_core.recurrent import Recurrent
from mim_core.update import can_compile, compiled_updates
from nowcast import build_benchmark
from nowcast.benchmark.objective import FrameLoss

SIDE = 64
WAYS = {  # name: precision, gathered, compiled
    "fp32": (torch.float32, False, False),
    "fp32 gathered": (torch.float32, True, False),
    "bf16": (torch.bfloat16, False, False),
    "bf16 gathered": (torch.bfloat16, True, False),
    "bf16 gathered, compiled": (torch.bfloat16, True, True),
}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def step_of(network: Recurrent, way: str, loss: Callable[[nn.Module], Tensor]) -> float:
    """Seconds of a forward and a backward pass."""
    precision, is_gathered, is_compiled = WAYS[way]
    plainly = mock.patch.object(StepConvolution, "gathering", nullcontext)
    with (
        compiled_updates(network) if is_compiled else nullcontext(),
        nullcontext() if is_gathered else plainly,
    ):
        started = time.perf_counter()
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            value = loss(network)
        torch.autograd.backward(value)
        return time.perf_counter() - started


def networks(name: str) -> tuple[FrameLoss, Tensor, tuple[Recurrent, Recurrent]]:
    """The loss of a profile, a batch of noise, the MIM and the ConvLSTM of as many products."""
    profile = build_benchmark.profile(name)
    patch = profile.network.patch
    grid = (SIDE // patch, SIDE // patch)
    config = build_benchmark.configuration(profile.network, channels=1, grid=grid)
    frames = torch.rand(profile.training.batch_size, profile.total_length, 1, SIDE, SIDE)
    return (
        FrameLoss(profile.input_length, patch=patch),
        frames,
        (MIM(config), conv_lstm_like(config)),
    )


def measure(name: str, *, rounds: int) -> None:
    """Print the median of each way, and how much faster it is than the first."""
    frame_loss, frames, both = networks(name)
    for network in both:
        seconds: dict[str, list[float]] = {
            way: [] for way in WAYS if can_compile("cpu") or not WAYS[way][2]
        }
        for _ in range(rounds + 1):
            for way, found in seconds.items():
                found.append(step_of(network, way, lambda one: frame_loss(one, {"frames": frames})))
        medians = {way: statistics.median(found[1:]) for way, found in seconds.items()}
        widths = " ".join(str(width) for width in network.config.num_hidden)
        say(f"{name}, {type(network).__name__} of {widths} channels, batch {len(frames)}")
        for way, median in medians.items():
            say(f"  {way:<26}{median:7.3f} s  x{medians['fp32'] / median:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["moving-mnist", "radar"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for each in options.names:
        measure(each, rounds=options.rounds)
