"""Tiles give what the whole field gives: no seam, whatever the network and the sides."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mim_core.config import MIMConfig
from mim_core.model import MIM, NetworkState
from mim_core.patches import from_patches
from mim_core.tiles import advance_in_tiles, can_tile, reach, step_in_tiles


def network(**changes: object) -> MIM:
    """A small one whose outputs are of the size of its inputs, in float64: rounding is no seam."""
    torch.manual_seed(0)
    config = {"in_channels": 2, "num_hidden": (4, 4, 4), "kernel_size": 3, "layer_norm": False}
    made = MIM(MIMConfig.from_dict(config | changes)).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.uniform_(-0.4, 0.4)
    return made


ARCHITECTURES = st.fixed_dictionaries(
    {
        "first_layer": st.sampled_from(["st_lstm", "predrnn_st_lstm", "causal_lstm"]),
        "difference_input": st.sampled_from(["released", "figure"]),
        "kernel_size": st.sampled_from([1, 3, 5]),
        "blend_kernel": st.sampled_from([0, 3, 5]),
        "patch": st.sampled_from([1, 2]),
        "residual": st.just(value=True),
        "cascade_levels": st.sampled_from([0, 1, 3]),
    }
)


@given(
    changes=ARCHITECTURES,
    size=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    side=st.integers(5, 24),
    consume=st.booleans(),
)
def test_tiles_equal_the_whole(
    *, changes: dict[str, object], size: tuple[int, int], side: int, consume: bool
) -> None:
    net = network(**changes)
    frames = torch.randn(3, 1, net.config.patched_channels, *size, dtype=torch.float64)
    whole: NetworkState | None = None
    tiled: NetworkState | None = None
    with torch.no_grad():
        for frame in frames:
            expected, whole = net.step(frame, whole)
            found, tiled = step_in_tiles(net, frame, tiled, side=side, consume=consume)
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert whole is not None
    assert tiled is not None
    torch.testing.assert_close(tiled.memory, whole.memory, rtol=1e-9, atol=1e-12)


def test_a_state_is_written_over_where_it_is_given_up_and_left_alone_else() -> None:
    net = network()
    frames = torch.randn(3, 1, 2, 20, 30, dtype=torch.float64)
    _, state = step_in_tiles(net, frames[0], None, side=8)
    _, state = step_in_tiles(net, frames[1], state, side=8)
    before = state.memory.clone()
    kept, new = step_in_tiles(net, frames[2], state, side=8)
    assert torch.equal(state.memory, before)
    given_up, same = step_in_tiles(net, frames[2], state, side=8, consume=True)
    assert torch.equal(given_up, kept)
    assert torch.equal(same.memory, new.memory)
    assert same.memory is state.memory
    assert same.blocks[1].cell is state.blocks[1].cell


def test_what_is_not_wanted_of_a_prediction_takes_no_room() -> None:
    net = network(out_channels=5, patch=2, num_hidden=(4, 4))
    frame = torch.randn(1, 8, 20, 30, dtype=torch.float64)
    whole, _ = net.step(frame, None)
    found, _ = step_in_tiles(net, frame, None, side=8, keep=net.field)
    torch.testing.assert_close(found, net.field(whole), rtol=1e-9, atol=1e-12)
    assert found.shape[1] == 8


def test_several_parts_of_a_prediction_may_be_kept_or_nothing_said() -> None:
    net = network(out_channels=5, patch=2, num_hidden=(4, 4))
    frame = torch.randn(1, 8, 20, 30, dtype=torch.float64)
    whole, state = net.step(frame, None)

    def parts(prediction: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return net.field(prediction), prediction[:, :1], from_patches(prediction, patch=2)

    (fed, first, pixels), _ = step_in_tiles(net, frame, None, side=8, keep=parts)
    torch.testing.assert_close(pixels, from_patches(whole, patch=2), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fed, net.field(whole), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(first, whole[:, :1], rtol=1e-9, atol=1e-12)
    alone = advance_in_tiles(net, frame, None, side=8)
    torch.testing.assert_close(alone.memory, state.memory, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("first", ["st_lstm", "predrnn_st_lstm", "causal_lstm"])
def test_a_step_does_not_look_beyond_its_reach(first: str) -> None:
    net = network(first_layer=first, difference_input="figure")
    far = reach(net.config)
    centre = far + 3
    frame = torch.randn(1, 2, 2 * centre + 1, 2 * centre + 1, dtype=torch.float64)
    with torch.no_grad():
        _, state = net.step(frame, None)
        before, _ = net.step(frame, state)
        changed = frame.clone()
        changed[..., centre, centre] += 10.0
        difference = (net.step(changed, state)[0] - before).abs().sum(dim=1)[0]
    rows, columns = torch.nonzero(difference > 0, as_tuple=True)
    spread = torch.stack([(rows - centre).abs(), (columns - centre).abs()]).max()
    assert 0 < spread <= far


@pytest.mark.parametrize(
    "changes", [{"layer_norm": True}, {"peepholes": "pixel", "frame_size": (8, 8)}]
)
def test_what_cannot_be_tiled_is_refused(changes: dict[str, object]) -> None:
    net = network(**changes)
    assert not can_tile(net.config)
    with pytest.raises(ValueError, match="cannot be computed in tiles"):
        step_in_tiles(net, torch.zeros(1, 2, 8, 8, dtype=torch.float64), None)


def test_tiles_keep_channels_last_what_lies_so() -> None:
    net = network().to(memory_format=torch.channels_last)
    frame = torch.randn(1, net.config.patched_channels, 20, 24, dtype=torch.float64)
    _, whole = net.step(frame, None)
    assert whole.memory.is_contiguous(memory_format=torch.channels_last)
    _, tiled = step_in_tiles(net, frame, None, side=8)
    assert tiled.memory.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(tiled.memory, whole.memory, rtol=1e-9, atol=1e-12)
