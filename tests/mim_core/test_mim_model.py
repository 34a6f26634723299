"""Laws of the network: no memory between calls, no mixing of sequences, refusals by name."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mim_core.config import MIMConfig
from mim_core.model import MIM

CONFIGS = st.builds(
    MIMConfig,
    in_channels=st.integers(1, 2),
    out_channels=st.integers(2, 3),
    num_hidden=st.integers(1, 4).map(lambda layers: (3,) * layers),
    kernel_size=st.sampled_from([1, 3, 5]),
    layer_norm=st.booleans(),
    peepholes=st.sampled_from(["pixel", "shared"]),
    frame_size=st.just((6, 5)),
    first_layer=st.sampled_from(["st_lstm", "predrnn_st_lstm", "causal_lstm"]),
    difference_input=st.sampled_from(["released", "figure"]),
    residual=st.booleans(),
)


def build(config: MIMConfig, *, spread: float = 0.1) -> MIM:
    """A network whose weights are all at work: none is 0 or as small as MIM-N's start."""
    torch.manual_seed(0)
    model = MIM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(spread * torch.randn_like(weight))
    return model


def frames(config: MIMConfig, *, batch: int = 3, length: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, length, config.patched_channels, 6, 5, generator=generator)


@given(config=CONFIGS, double=st.booleans())
@settings(max_examples=25)
def test_a_sequence_gets_the_same_forecast_alone_again_and_in_any_company(
    config: MIMConfig, *, double: bool
) -> None:
    """In fp64 whatever the weights; in fp32, which wild weights round apart, as initialised."""
    torch.manual_seed(0)
    model, given_frames = (build(config) if double else MIM(config)), frames(config)
    tolerance = 1e-10 if double else 1e-5
    if double:
        model, given_frames = model.double(), given_frames.double()
    with torch.no_grad():
        first = model(given_frames, total_length=7)
        again = model(given_frames, total_length=7)
        shuffled = model(given_frames[[2, 0, 1]], total_length=7)
        alone = torch.cat([model(row[None], total_length=7) for row in given_frames])
    assert torch.equal(first, again)
    torch.testing.assert_close(shuffled, first[[2, 0, 1]], rtol=0, atol=tolerance)
    torch.testing.assert_close(alone, first, rtol=0, atol=tolerance)


@given(config=CONFIGS)
@settings(max_examples=25)
def test_every_parameter_gets_a_gradient(config: MIMConfig) -> None:
    model = build(config)
    torch.autograd.backward((model(frames(config), total_length=6) ** 2).sum())
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_nothing_past_the_input_is_read() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3)
    model, given_frames = build(config), frames(config, length=6)
    spoilt = given_frames.clone()
    spoilt[:, 3:] = float("nan")
    with torch.no_grad():
        clean = model(given_frames[:, :3], total_length=8)
        assert torch.equal(model(spoilt, total_length=8, input_length=3), clean)
    assert clean.shape == (3, 7, 1, 6, 5)


def test_flags_choose_between_the_true_frame_and_the_prediction() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3)
    model, given_frames = build(config), frames(config, length=6)
    flags = torch.zeros(3, 3, 1, 6, 5)
    with torch.no_grad():
        own = model(given_frames, total_length=6, input_length=2, true_frame_flag=flags)
        true = model(given_frames, total_length=6, input_length=2, true_frame_flag=flags + 1)
        assert torch.equal(own, model(given_frames[:, :2], total_length=6))
        assert torch.equal(true, model(given_frames[:, :5], total_length=6))
        assert not torch.allclose(own[:, 2:], true[:, 2:])


def test_flags_for_every_frame_but_the_first_reach_into_the_input() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3)
    model, given_frames = build(config), frames(config, length=6)
    flags = torch.zeros(3, 4, 1, 6, 5)
    with torch.no_grad():
        own = model(given_frames, total_length=6, input_length=3, true_frame_flag=flags)
        assert torch.equal(own, model(given_frames[:, :1], total_length=6))


def test_the_state_that_a_step_returns_is_all_that_the_next_one_needs() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3, 3), kernel_size=3)
    model, given_frames = build(config), frames(config)
    state = None
    predicted = []
    with torch.no_grad():
        for t in range(4):
            prediction, state = model.step(given_frames[:, t], state)
            build(config).step(given_frames[:, 0] + t, None)  # another sequence in between
            predicted.append(prediction)
        whole = model(given_frames, total_length=5)
    torch.testing.assert_close(torch.stack(predicted, dim=1), whole, rtol=0, atol=0)
    assert state is not None
    maps = [*state.first, *itertools.chain(*state.blocks), state.memory]
    assert {tuple(values.shape) for values in maps} == {(3, 3, 6, 5)}


def test_recomputing_gives_the_same_gradients_for_less_memory() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3)
    gradients = []
    for recompute in (False, True):
        model = build(config)
        output = model(frames(config), total_length=7, recompute=recompute)
        torch.autograd.backward((output**2).sum())
        gradients.append([weight.grad for weight in model.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again, rtol=1e-4, atol=1e-3)  # sums of 10,000


def test_only_the_first_channels_of_a_prediction_are_fed_back() -> None:
    config = MIMConfig(in_channels=1, out_channels=3, num_hidden=(3, 3), kernel_size=3, patch=2)
    model = build(config)
    prediction = torch.arange(12.0).reshape(1, 12, 1, 1)  # 2x2 places of the patch, 3 channels
    assert model.field(prediction).flatten().tolist() == [0, 3, 6, 9]


def test_residual_starts_as_persistence() -> None:
    config = MIMConfig(in_channels=1, out_channels=2, num_hidden=(4, 4), patch=2, residual=True)
    seen = torch.rand(2, 3, 1, 9, 7)
    with torch.no_grad():
        forecast = MIM(config).forecast(seen, steps=4)
    assert forecast.shape == (2, 4, 2, 9, 7)
    assert torch.equal(forecast[:, :, :1], seen[:, -1:].expand(-1, 4, -1, -1, -1))
    assert torch.equal(forecast[:, :, 1:], torch.zeros(2, 4, 1, 9, 7))


@given(height=st.integers(1, 13), width=st.integers(1, 13), patch=st.integers(1, 4))
def test_forecast_pads_and_crops_to_any_size(height: int, width: int, patch: int) -> None:
    config = MIMConfig(in_channels=2, num_hidden=(3, 3), kernel_size=3, patch=patch)
    with torch.no_grad():
        forecast = build(config).forecast(torch.rand(1, 2, 2, height, width), steps=3)
    assert forecast.shape == (1, 3, 2, height, width)
    assert torch.isfinite(forecast).all()


def test_forecast_is_what_the_network_says_of_the_patched_frames() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3, patch=2)
    model = build(config)
    seen = torch.rand(2, 3, 1, 6, 8)
    patched = torch.nn.functional.pixel_unshuffle(seen, 2)  # one channel: the same order
    with torch.no_grad():
        expected = model(patched, total_length=7)[:, 2:]
        forecast = model.forecast(seen, steps=4)
    assert torch.equal(forecast, torch.nn.functional.pixel_shuffle(expected, 2))


def test_weights_of_one_grid_run_on_another() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3, layer_norm=False)
    model = build(config)
    small = torch.rand(1, 3, 1, 24, 24)
    wide = torch.nn.functional.pad(small[0], (0, 40, 0, 40), mode="replicate")
    with torch.no_grad():
        one = model.forecast(small, steps=2)
        two = model.forecast(wide[None], steps=2)
    # Four steps of 3x3 kernels carry the edge less than 22 pixels: the far corners must agree.
    torch.testing.assert_close(one[..., :2, :2], two[..., :2, :2], rtol=0, atol=1e-6)
    assert not torch.allclose(one[..., -2:, -2:], two[..., 22:24, 22:24], rtol=0, atol=1e-4)


def test_forecast_pads_with_the_edge_at_the_bottom_and_right() -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3), kernel_size=3, patch=4)
    model, seen = build(config), torch.rand(1, 2, 1, 6, 7)
    rows, columns = [0, 1, 2, 3, 4, 5, 5, 5], [0, 1, 2, 3, 4, 5, 6, 6]
    with torch.no_grad():
        padded = model.forecast(seen[..., rows, :][..., columns], steps=2)
        assert torch.equal(model.forecast(seen, steps=2), padded[..., :6, :7])


@pytest.mark.parametrize("first_layer", ["st_lstm", "predrnn_st_lstm", "causal_lstm"])
def test_the_two_inputs_of_mim_n_part_above_the_first_block(first_layer: str) -> None:
    config = MIMConfig(in_channels=1, num_hidden=(3, 3, 3), kernel_size=3, first_layer=first_layer)
    released, figure = build(config), build(replace(config, difference_input="figure"))
    figure.load_state_dict(released.state_dict())
    with torch.no_grad():
        one = released(frames(config), total_length=5)
        two = figure(frames(config), total_length=5)
    assert torch.equal(one[:, 0], two[:, 0])  # no past, no difference
    assert not torch.allclose(one[:, 1:], two[:, 1:])


REFUSED = [
    (torch.rand(2, 4, 1, 6), {}, "frames: found 4 dimensions, expected 5"),
    (torch.rand(0, 4, 1, 6, 5), {}, r"frames: found shape \(0, 4, 1, 6, 5\), .* size 0"),
    (torch.rand(2, 0, 1, 6, 5), {}, r"frames: found shape \(2, 0, 1, 6, 5\), .* size 0"),
    (torch.rand(2, 4, 1, 0, 5), {}, r"frames: found shape \(2, 4, 1, 0, 5\), .* size 0"),
    (torch.rand(2, 4, 3, 6, 5), {}, "frames: found 3 channels, expected 1"),
    (torch.rand(2, 4, 1, 5, 6), {}, r"frames: found a patched grid of \(5, 6\), expected \(6, 5\)"),
    (torch.ones(2, 4, 1, 6, 5, dtype=torch.int64), {}, "frames: found torch.int64"),
    (torch.rand(2, 4, 1, 6, 5), {"input_length": 5}, "input_length: found 5, expected 1 to 4"),
    (torch.rand(2, 4, 1, 6, 5), {"input_length": 0}, "input_length: found 0, expected 1 to 4"),
    (torch.rand(2, 4, 1, 6, 5), {"total_length": 4}, "total_length: found 4, expected more than"),
    (
        torch.rand(2, 4, 1, 6, 5),
        {"true_frame_flag": torch.zeros(2, 3, 1, 6, 5)},
        r"true_frame_flag: found shape \(2, 3, 1, 6, 5\), expected \(2, 2, 1, 6, 5\)",
    ),
    (
        torch.rand(2, 4, 1, 6, 5),
        {"true_frame_flag": torch.zeros(2, 2, 1, 6, 5)},
        "frames: found 4, expected 6 or more: true_frame_flag",
    ),
]


@pytest.mark.parametrize(("given_frames", "arguments", "message"), REFUSED)
def test_what_does_not_fit_is_refused_by_name(
    given_frames: Tensor, arguments: dict[str, object], message: str
) -> None:
    config = MIMConfig(
        in_channels=1, num_hidden=(3, 3), kernel_size=3, peepholes="pixel", frame_size=(6, 5)
    )
    with pytest.raises(ValueError, match=message):
        MIM(config)(given_frames, **{"total_length": 7, **arguments})


@pytest.mark.parametrize(
    ("seen", "steps", "message"),
    [
        (torch.rand(1, 2, 1, 4, 4), 0, "steps: found 0, expected 1 or more"),
        (torch.rand(2, 1, 4, 4), 1, r"frames: found shape \(2, 1, 4, 4\)"),
        (torch.rand(1, 2, 1, 4, 0), 1, r"frames: found shape \(1, 2, 1, 4, 0\)"),
        (torch.rand(1, 2, 2, 4, 4), 1, "frames: found 8 channels, expected 4"),
        (torch.full((1, 2, 1, 4, 4), float("nan")), 1, "frames: found values that are not finite"),
    ],
)
def test_forecast_refuses_by_name(seen: Tensor, steps: int, message: str) -> None:
    model = MIM(MIMConfig(in_channels=1, num_hidden=(3,), patch=2))
    with pytest.raises(ValueError, match=message):
        model.forecast(seen, steps=steps)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"in_channels": 0}, "in_channels: found 0"),
        ({"in_channels": True}, "in_channels: found True"),
        ({"in_channels": 2, "out_channels": 1}, "out_channels: found 1, expected at least"),
        ({"kernel_size": 4}, "kernel_size: found 4, expected an odd number"),
        ({"num_hidden": ()}, r"num_hidden: found \(\)"),
        ({"num_hidden": (4, 8)}, r"num_hidden: found \(4, 8\), expected the same width"),
        ({"peepholes": "none"}, "peepholes: found 'none', expected 'pixel' or 'shared'"),
        ({"peepholes": "pixel"}, "frame_size: found None, expected"),
        ({"frame_size": (4,)}, r"frame_size: found \(4,\)"),
        ({"first_layer": "lstm"}, "first_layer: found 'lstm'"),
        ({"difference_input": "paper"}, "difference_input: found 'paper'"),
        ({"layer_norm": 1}, "layer_norm: found 1, expected True or False"),
    ],
)
def test_config_refuses_by_name(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MIMConfig.from_dict({"in_channels": 1, **fields})


@given(config=CONFIGS)
def test_config_survives_json(config: MIMConfig) -> None:
    assert MIMConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_config_refuses_unknown_and_missing_fields() -> None:
    with pytest.raises(ValueError, match=r"unknown fields \['hidden'\]"):
        MIMConfig.from_dict({"in_channels": 1, "hidden": 3})
    with pytest.raises(ValueError, match="in_channels: missing"):
        MIMConfig.from_dict({})
