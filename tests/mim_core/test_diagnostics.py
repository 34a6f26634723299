"""Gate saturation and the effect of the difference memory."""

from __future__ import annotations

import pytest
import torch

from mim_core.baselines import ConvLSTM
from mim_core.config import MIMConfig
from mim_core.diagnostics import difference_effect, differences_silent, gate_saturation
from mim_core.model import MIM

CONFIG = MIMConfig(in_channels=1, num_hidden=(4, 4, 4), kernel_size=3, layer_norm=False)


def network(**fields: object) -> MIM:
    torch.manual_seed(0)
    config = MIMConfig(**{**CONFIG.to_dict(), **fields})  # type: ignore[arg-type]
    model = MIM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model


def frames() -> torch.Tensor:
    return torch.rand(2, 4, 1, 6, 5, generator=torch.Generator().manual_seed(1))


def test_every_gate_of_every_layer_is_heard() -> None:
    found = gate_saturation(network(), frames(), steps=2)
    expected = {
        *("first.cell_memory.input_gate", "first.cell_memory.forget_gate"),
        *("first.memory.input_gate", "first.memory.forget_gate", "first.output_gate"),
    }
    for index in (0, 1):
        for gate in ("input_gate", "forget_gate", "output_gate"):
            expected |= {f"blocks.{index}.stationary.{gate}", f"differences.{index}.{gate}"}
        expected |= {f"blocks.{index}.{gate}" for gate in ("input_gate", "output_gate")}
        expected |= {f"blocks.{index}.memory.{gate}" for gate in ("input_gate", "forget_gate")}
    assert set(found) == expected
    assert all(0 <= gate.saturated <= 1 for gate in found.values())


def test_gates_that_are_pushed_open_or_shut_are_counted() -> None:
    model = network()
    with torch.no_grad():
        # The forget gate of MIM-S (i, g, f, o): its third quarter of biases.
        model.blocks[0].stationary.input_gates.convolution.bias[8:12] = 100.0
        model.blocks[1].stationary.input_gates.convolution.bias[8:12] = -100.0
    found = gate_saturation(model, frames(), steps=2)
    assert found["blocks.0.stationary.forget_gate"].open == 1.0
    assert found["blocks.1.stationary.forget_gate"].shut == 1.0
    assert found["blocks.1.stationary.forget_gate"].open == 0.0
    # Nobody listens any longer, and nothing has changed.
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("first_layer", ["predrnn_st_lstm", "causal_lstm"])
def test_other_first_layers_have_gates_too(first_layer: str) -> None:
    found = gate_saturation(network(first_layer=first_layer), frames(), steps=1)
    assert "first.cell_memory.forget_gate" in found
    assert "blocks.1.stationary.forget_gate" in found
    assert "layers.1.forget_gate" in gate_saturation(ConvLSTM(CONFIG), frames(), steps=1)


@pytest.mark.parametrize("difference_input", ["released", "figure"])
def test_the_effect_is_what_a_silent_difference_takes_away(difference_input: str) -> None:
    model = network(difference_input=difference_input)
    effect = difference_effect(model, frames(), steps=3)
    assert effect.shape == (2, 3, 1, 6, 5)
    assert effect.abs().max() > 1e-6
    with torch.no_grad():
        said = model.forecast(frames(), steps=3)
        # The first lead by hand: the inputs as they are, then one step in silence.
        state = None
        for frame in frames()[:, :-1].unbind(dim=1):
            _, state = model.step(frame, state)
        with differences_silent(model):
            without, _ = model.step(frames()[:, -1], state)
        torch.testing.assert_close(effect[:, 0], said[:, 0] - without)
        assert torch.equal(model.forecast(frames(), steps=3), said)


def test_without_differences_there_is_no_effect() -> None:
    model = network()
    with torch.no_grad():
        for block in model.blocks:
            block.stationary.input_gates.convolution.weight.zero_()
    assert difference_effect(model, frames(), steps=2).abs().max() == 0
