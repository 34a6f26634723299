"""How fast our MIM is beside OpenSTL's, as published: 4 layers of 128, 5x5, patch 4, 64x64.

    python -m benchmarks.mim_speed

Both have the same weights and frames (10 seen, 10 foretold, 4 sequences), 2 threads, denormals
flushed, and memory that is kept; they run in turns and are judged by their best. What the
convolutions of this machine reach at most is measured in between. Take no timing while anything
else runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.openstl_mim import OpenSTLMIM
from mim_core import interop
from mim_core.model import MIM
from mim_core.speed import accelerated
from nowcast.large_blocks import keep_large_blocks

HIDDEN, LAYERS, KERNEL, PATCH, SIDE = 128, 4, 5, 4, 64
Run = Callable[[], object]


class Shape(NamedTuple):
    """A convolution: batch, channels in and out, side of the kernel, side of the grid."""

    batch: int
    inputs: int
    outputs: int
    kernel: int
    side: int


# Where oneDNN is at its best: the peer's own shapes, larger grids, the kernels of other networks.
PEAK_SHAPES = (
    Shape(4, 128, 512, 5, 16),
    Shape(4, 128, 384, 5, 16),
    Shape(4, 128, 512, 5, 64),
    Shape(8, 256, 256, 3, 32),
    Shape(8, 512, 512, 3, 32),
)


def peak(dtype: torch.dtype, *, repeat: int = 3) -> float:
    """GFLOP/s of the fastest of several convolutions, a multiplication and an addition being 2."""
    best = 0.0
    for batch, inputs, outputs, kernel, side in PEAK_SHAPES:
        x = torch.rand(batch, inputs, side, side, dtype=dtype)
        weight = torch.rand(outputs, inputs, kernel, kernel, dtype=dtype)
        flop = 2 * batch * side**2 * inputs * outputs * kernel**2
        for memory_format in (torch.contiguous_format, torch.channels_last):
            x, weight = (tensor.contiguous(memory_format=memory_format) for tensor in (x, weight))
            for _ in range(repeat):
                seconds, _ = timed(
                    lambda x=x, weight=weight, pad=kernel // 2: functional.conv2d(
                        x, weight, padding=pad
                    )
                )
                best = max(best, flop / seconds / 1e9)
    return best


def work(network: nn.Module, frames: Tensor, *, total_length: int) -> float:
    """GFLOP of the convolutions of a forward pass, counted on its first two steps."""
    flop = 0

    def count(convolution: nn.Module, _: object, output: Tensor) -> None:
        nonlocal flop
        assert isinstance(convolution, nn.Conv2d)
        flop += 2 * convolution.weight[0].numel() * output.numel()

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [convolution.register_forward_hook(count) for convolution in convolutions]
    after: list[int] = []
    with torch.no_grad():
        for steps in (1, 2):  # every step after the first is like the second
            network(frames[:, :steps], total_length=steps + 1)
            after.append(flop)
    for hook in hooks:
        hook.remove()
    first, second = after[0], after[1] - 2 * after[0]
    return (first + (total_length - 2) * second) / 1e9


def timed(run: Run) -> tuple[float, object]:
    """The seconds of a run, and what it gave."""
    started = time.perf_counter()
    given = run()
    return time.perf_counter() - started, given


def networks(seed: int) -> tuple[OpenSTLMIM, MIM, Tensor]:
    """The peer, our network with its weights, and frames (B, T, C, H, W), patched."""
    torch.manual_seed(seed)
    grid = (SIDE // PATCH, SIDE // PATCH)
    peer = OpenSTLMIM(PATCH**2, hidden=HIDDEN, layers=LAYERS, grid=grid)
    for name, parameter in peer.named_parameters():
        if name.endswith(("ct_weight", "oc_weight")):  # zeros would leave their part untested
            nn.init.normal_(parameter, std=0.1)
    return peer, from_peer(peer.state_dict()), torch.rand(4, 10, PATCH**2, *grid)


def from_peer(values: Mapping[str, Tensor]) -> MIM:
    """Our network with the values under the peer's names."""
    return interop.from_openstl(
        values,
        num_hidden=(HIDDEN,) * LAYERS,
        in_shape=(10, 1, SIDE, SIDE),
        patch_size=PATCH,
        filter_size=KERNEL,
    )


def forward(network: nn.Module, frames: Tensor, *, total_length: int) -> Callable[[], Tensor]:
    """A run of the forward pass alone."""

    @torch.no_grad()
    def run() -> Tensor:
        predictions: Tensor = network(frames, total_length=total_length)
        return predictions

    return run


def backward(network: nn.Module, frames: Tensor, *, total_length: int) -> Run:
    """A run forward and backward, which leaves the gradient on the weights."""
    target = torch.zeros(len(frames), total_length - 1, *frames.shape[2:])

    def run() -> None:
        network.zero_grad()
        functional.mse_loss(network(frames, total_length=total_length), target).backward()

    return run


def gradient(network: nn.Module) -> Tensor:
    """Of all weights of our network, in one row; of the peer's, in the order of ours."""
    values = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in network.named_parameters()
    }
    if isinstance(network, OpenSTLMIM):
        values = dict(from_peer(values).named_parameters())
    # The peer has no biases.
    return torch.cat([v.detach().flatten() for name, v in values.items() if "bias" not in name])


class Fast(nn.Module):
    """Our network in the transform domain, its weights transformed anew in every run."""

    def __init__(self, network: MIM) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, *, total_length: int) -> Tensor:
        height, width = frames.shape[-2:]
        fast = accelerated(self.network, grid=(height, width))
        predictions: Tensor = fast(frames, total_length=total_length)
        return predictions


def difference(ours: Tensor, theirs: Tensor) -> float:
    """RMS of the difference over RMS."""
    return float((ours - theirs).square().mean().sqrt() / theirs.square().mean().sqrt())


def in_turns(runs: Mapping[str, Run], *, repeat: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The best seconds of each, in turns, and what each gave."""
    best = dict.fromkeys(runs, float("inf"))
    given: dict[str, Any] = {}
    for _ in range(repeat):
        for name, run in runs.items():
            seconds, given[name] = timed(run)
            best[name] = min(best[name], seconds)
    return best, given


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--total-length", type=int, default=20, help="frames seen and foretold")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2)
    settings = parser.parse_args()
    torch.set_flush_denormal(True)  # before the first parallel region: threads inherit it
    torch.set_num_threads(settings.threads)
    length = settings.total_length

    peer, plain, frames = networks(seed=1)
    with torch.no_grad():
        prepared = accelerated(plain, grid=(SIDE // PATCH, SIDE // PATCH))
    ways: dict[str, nn.Module] = {
        "peer": peer,
        "ours": Fast(plain),
        "ours, prepared": prepared,  # weights transformed before
    }
    forwards = {name: forward(way, frames, total_length=length) for name, way in ways.items()}
    both = {name: backward(ways[name], frames, total_length=length) for name in ("peer", "ours")}
    gflop = work(peer, frames, total_length=length)
    peaks = [peak(torch.float32)]
    seconds, given = in_turns(forwards, repeat=settings.repeat)
    off = difference(given["ours"], given["peer"])
    peaks.append(peak(torch.float32))
    seconds_both, _ = in_turns(both, repeat=settings.repeat)
    peaks.append(peak(torch.float32))
    off_both = difference(gradient(plain), gradient(peer))

    say = sys.stdout.write
    rate = gflop / seconds["peer"]
    say(
        f"4 layers of {HIDDEN}, {KERNEL}x{KERNEL}, patch {PATCH}, {SIDE}x{SIDE}, "
        f"{length} frames, batch {len(frames)}; {settings.threads} threads, "
        f"best of {settings.repeat} in turns\n"
        f"convolution peak fp32    {max(peaks):6.0f} GFLOP/s\n"
        f"convolution peak bf16    {peak(torch.bfloat16, repeat=1):6.0f} GFLOP/s\n"
        f"peer's convolutions      {gflop:6.0f} GFLOP: {rate:.0f} GFLOP/s, "
        f"{rate / max(peaks):.0%} of the peak\n\n"
        f"{'':22} {'forward':>10} {'ratio':>6} {'and backward':>14} {'ratio':>6}\n"
    )
    for name, of_forward in seconds.items():
        say(f"{name:22} {of_forward:8.2f} s {seconds['peer'] / of_forward:6.2f}")
        if name in seconds_both:
            of_both = seconds_both[name]
            say(f" {of_both:12.2f} s {seconds_both['peer'] / of_both:6.2f}")
        say("\n")
    say(f"\nRMS of ours less the peer's, over RMS: outputs {off:.1e}, gradient {off_both:.1e}\n")


if __name__ == "__main__":
    keep_large_blocks(sys.orig_argv[1:])
    main()
