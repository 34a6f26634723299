"""MIM in the transform domain says what MIM says, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.speed import TransformedMIM, accelerated

FIRST_LAYERS = ("st_lstm", "predrnn_st_lstm", "causal_lstm")


def network(grid: tuple[int, int], **changes: object) -> MIM:
    """A small one in fp64, its weights large enough that every part tells."""
    pixel = changes.get("peepholes") == "pixel"
    values = {
        "in_channels": 1,
        "num_hidden": (3, 3, 3),
        "frame_size": grid if pixel else None,
        **changes,
    }
    made = MIM(MIMConfig(**values)).double()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(2)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return made


def frames(batch: int, grid: tuple[int, int], *, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(batch, count, 1, *grid, generator=generator, dtype=torch.float64)


def said_and_gradient(model: MIM, of: MIM, x: Tensor, *, recompute: bool) -> list[Tensor]:
    """Predictions of ``model``, and the gradient of the weights of ``of``."""
    of.zero_grad()
    said = model(x, total_length=5, recompute=recompute)
    (said * said.detach().cos()).sum().backward()
    return [said.detach(), *(weight.grad for weight in of.parameters() if weight.grad is not None)]


@pytest.mark.parametrize("first_layer", FIRST_LAYERS)
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("peepholes", ["pixel", "shared"])
def test_outputs_and_gradients_are_those_of_the_direct_convolutions(
    first_layer: str, peepholes: str, *, layer_norm: bool
) -> None:
    grid = (5, 6)
    direct = network(grid, first_layer=first_layer, layer_norm=layer_norm, peepholes=peepholes)
    x = frames(2, grid)
    expected = said_and_gradient(direct, direct, x, recompute=False)
    for recompute in (False, True):
        found = said_and_gradient(TransformedMIM(direct, grid=grid), direct, x, recompute=recompute)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert len(expected) == 1 + len(list(direct.parameters()))


@given(
    grid=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    kernel=st.sampled_from([3, 5]),
    batch=st.integers(1, 3),
)
@settings(max_examples=25)
def test_any_grid(grid: tuple[int, int], kernel: int, batch: int) -> None:
    direct = network(grid, kernel_size=kernel, layer_norm=False, residual=True, blend_kernel=3)
    fast = TransformedMIM(direct, grid=grid)
    with torch.no_grad():
        x = frames(batch, grid, count=2)
        expected = direct.forecast(x, steps=2)
        torch.testing.assert_close(fast.forecast(x, steps=2), expected, rtol=1e-9, atol=1e-9)


def test_in_fp32_it_stays_within_a_thousandth_of_what_is_allowed() -> None:
    direct = network((16, 16), num_hidden=(16, 16)).float()
    x = frames(2, (16, 16), count=4).float()
    with torch.no_grad():
        expected = direct(x, total_length=20)
        found = TransformedMIM(direct, grid=(16, 16))(x, total_length=20)
    off = (found - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert off < 1e-5


def test_a_sequence_does_not_depend_on_its_batch() -> None:
    fast = TransformedMIM(network((6, 6)), grid=(6, 6))
    x = frames(3, (6, 6))
    with torch.no_grad():
        together = fast(x, total_length=6)
        for row in range(3):
            alone = fast(x[row : row + 1], total_length=6)
            torch.testing.assert_close(alone[0], together[row], rtol=1e-9, atol=1e-9)
        assert torch.equal(fast(x, total_length=6), together)  # nothing is remembered


def test_the_network_itself_stays_as_it_was() -> None:
    direct = network((6, 6), peepholes="pixel")
    before = {name: values.clone() for name, values in direct.state_dict().items()}
    x = frames(1, (6, 6))
    with torch.no_grad():
        expected = direct(x, total_length=5)
        TransformedMIM(direct, grid=(6, 6))(x, total_length=5)
        assert torch.equal(direct(x, total_length=5), expected)
    after = direct.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_other_weights_are_transformed_when_it_is_made_anew() -> None:
    direct, x = network((6, 6)), frames(1, (6, 6))
    with torch.no_grad():
        for weight in direct.parameters():
            weight.mul_(1.5)
        found = TransformedMIM(direct, grid=(6, 6))(x, total_length=5)
        torch.testing.assert_close(found, direct(x, total_length=5), rtol=1e-9, atol=1e-9)


def test_under_autocast_its_products_stay_in_fp32() -> None:
    direct = network((8, 8)).float()
    x = frames(1, (8, 8)).float()
    with torch.no_grad():
        expected = direct(x, total_length=5)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = TransformedMIM(direct, grid=(8, 8))(x, total_length=5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "grid", "pays"),
    [
        ({"num_hidden": (48,)}, (6, 6), True),
        ({"num_hidden": (47,)}, (6, 6), False),
        ({"num_hidden": (48,)}, (6, 129), False),
        ({"num_hidden": (48,), "kernel_size": 3}, (6, 6), False),
        ({"num_hidden": (128,), "kernel_size": 3}, (6, 6), True),
        ({"num_hidden": (48,), "kernel_size": 7}, (6, 6), False),
    ],
)
def test_where_it_does_not_pay_the_network_is_left_alone(
    changes: dict[str, object], grid: tuple[int, int], *, pays: bool
) -> None:
    direct = network(grid, **changes)
    made = accelerated(direct, grid=grid)
    assert isinstance(made, TransformedMIM) if pays else made is direct


def test_a_kernel_without_a_transform_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kernel: found 7, expected one of \(3, 5\)"):
        TransformedMIM(network((6, 6), kernel_size=7), grid=(6, 6))
