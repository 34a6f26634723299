"""Muon: kernels take orthogonal steps of Adam's size, the rest Adam's, and a state goes on."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.muon import KernelMuon


def with_gradients(*parameters: nn.Parameter, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def change(parameter: nn.Parameter, optimiser: torch.optim.Optimizer) -> Tensor:
    before = parameter.detach().clone()
    optimiser.step()
    return parameter.detach() - before


def test_a_kernel_goes_equally_far_in_every_direction():
    kernel = nn.Parameter(torch.zeros(4, 6, 3, 3))
    with_gradients(kernel)
    step = change(kernel, KernelMuon([kernel], lr=0.1)).reshape(4, 54)
    lengths = torch.linalg.svdvals(step)
    # Of a matrix of 4x54: 0.2 sqrt(54) of the rate in each, within the reach of five iterations.
    assert torch.all((lengths / (0.1 * 0.2 * 54**0.5) - 1).abs() < 0.35)
    # ... and downhill.
    assert kernel.grad is not None
    assert (step * kernel.grad.reshape(4, 54)).sum() < 0


def test_a_gradient_a_thousand_times_as_large_makes_the_same_step():
    steps = []
    for factor in (1.0, 1024.0):  # a power of two, which rounds to bf16 as 1 does
        kernel = nn.Parameter(torch.zeros(4, 6, 3, 3))
        with_gradients(kernel)
        assert kernel.grad is not None
        kernel.grad.mul_(factor)
        steps.append(change(kernel, KernelMuon([kernel], lr=0.1)))
    torch.testing.assert_close(*steps, rtol=0.0, atol=1e-5)


def test_what_is_no_kernel_is_adams_to_the_bit():
    ours, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    kernel = nn.Parameter(torch.ones(2, 2, 1, 1))
    optimiser, adam = KernelMuon([kernel, ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    for seed in range(3):
        with_gradients(ours, seed=seed)
        with_gradients(theirs, seed=seed)
        optimiser.step()
        adam.step()
    assert torch.equal(ours, theirs)
    assert torch.equal(kernel, torch.ones(2, 2, 1, 1))  # it had no gradient


def test_the_rate_of_the_group_holds_for_all():
    kernel, bias = nn.Parameter(torch.zeros(2, 3, 3, 3)), nn.Parameter(torch.zeros(2))
    with_gradients(kernel, bias)
    optimiser = KernelMuon([kernel, bias], lr=0.1)
    optimiser.param_groups[0]["lr"] = 0.0
    optimiser.step()
    assert not kernel.any()
    assert not bias.any()


@pytest.mark.parametrize("steps", [0, 3])
def test_a_state_goes_on_to_the_bit(steps):
    torch.manual_seed(0)
    network = MIM(MIMConfig(in_channels=1, num_hidden=(4, 4), kernel_size=3))
    optimiser = KernelMuon(network.parameters(), lr=0.01)
    for seed in range(steps):
        with_gradients(*network.parameters(), seed=seed)
        optimiser.step()
    twin = copy.deepcopy(network)
    of_twin = KernelMuon(twin.parameters(), lr=0.01)
    of_twin.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for seed in range(10, 13):
        with_gradients(*network.parameters(), seed=seed)
        with_gradients(*twin.parameters(), seed=seed)
        optimiser.step()
        of_twin.step()
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_descends():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 2, 3, padding=1)
    wanted = nn.Conv2d(2, 2, 3, padding=1).requires_grad_(requires_grad=False)
    frames = torch.randn(8, 2, 6, 6)
    optimiser = KernelMuon(layer.parameters(), lr=0.02)

    def error() -> float:
        optimiser.zero_grad()
        loss = ((layer(frames) - wanted(frames)) ** 2).mean()
        torch.autograd.backward(loss)
        return loss.item()

    first = error()
    for _ in range(60):
        optimiser.step(error)
    assert error() < 0.1 * first
