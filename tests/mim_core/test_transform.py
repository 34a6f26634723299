"""Convolution in the transform domain against the direct one, and its gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from mim_core.transform import KERNELS, Spectrum, Term, Transform, field_of_sum, product


def convolved(x: Tensor, weights: list[Tensor], bias: Tensor, *, is_shared: bool = False) -> Tensor:
    """The sum of the convolutions of x (B, C, H, W), all of them with one transform."""
    height, width = x.shape[-2:]
    transform = Transform.of((height, width), kernel=weights[0].shape[-1], like=x)
    rows, columns = transform.rows, transform.columns
    row = torch.arange(rows.length).view(rows.tiles, -1).T.flatten()
    column = torch.arange(columns.length).view(columns.tiles, -1).T.flatten()
    padded = functional.pad(x, (0, columns.length - width, 0, rows.length - height))
    field = padded[..., row, :][..., column].permute(2, 3, 0, 1)
    samples = Spectrum.of_field(field, transform)
    terms = [Term(samples, Spectrum.of_weight(weight, transform)) for weight in weights]
    shared = [product(terms.pop())] if is_shared else []
    made = field_of_sum(terms, bias, transform, shared=shared).permute(2, 3, 0, 1)
    return made[..., row.argsort(), :][..., column.argsort()][..., :height, :width]


def numbers(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@given(
    grid=st.tuples(st.integers(1, 18), st.integers(1, 18)),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.sampled_from(KERNELS),
    batch=st.integers(1, 3),
)
@settings(max_examples=60)
def test_it_is_the_direct_convolution(
    grid: tuple[int, int], channels: tuple[int, int], kernel: int, batch: int
) -> None:
    inputs, outputs = channels
    x = numbers(batch, inputs, *grid, seed=1)
    weight, bias = numbers(outputs, inputs, kernel, kernel, seed=2), numbers(outputs, seed=3)
    expected = functional.conv2d(x, weight, bias, padding=kernel // 2)
    torch.testing.assert_close(convolved(x, [weight], bias), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_are_those_of_differences(kernel: int, *, is_shared: bool) -> None:
    values = (
        numbers(2, 2, 3, 5, seed=1),
        numbers(2, 2, kernel, kernel, seed=2),
        numbers(2, 2, kernel, kernel, seed=3),
        numbers(2, seed=4),
    )
    inputs = tuple(value.requires_grad_() for value in values)

    def summed(x: Tensor, one: Tensor, other: Tensor, bias: Tensor) -> Tensor:
        return convolved(x, [one, other], bias, is_shared=is_shared)

    assert torch.autograd.gradcheck(summed, inputs, fast_mode=True)


def test_a_single_one_comes_back_as_the_kernel() -> None:
    x, weight = torch.zeros(1, 1, 5, 5), torch.arange(25.0).view(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    found = convolved(x, [weight], torch.zeros(1))
    torch.testing.assert_close(found, weight.flip(-1, -2), rtol=0, atol=1e-4)


def test_a_constant_is_added_to_every_pixel() -> None:
    x, weight = torch.zeros(2, 1, 6, 5), torch.ones(3, 1, 3, 3)
    found = convolved(x, [weight], torch.tensor([1.0, -2.0, 0.5]))
    expected = torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1).expand(2, 3, 6, 5)
    torch.testing.assert_close(found, expected)
