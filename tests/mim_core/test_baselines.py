"""The ConvLSTM: the interface of MIM, its laws, its cost; and gradients added up over parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mim_core import baselines, checkpoint, losses
from mim_core.baselines import ConvLSTM
from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.settings import TrainSettings
from mim_core.train import fit

CONFIG = MIMConfig(in_channels=2, num_hidden=(4, 4), kernel_size=3, patch=2, layer_norm=False)


def network(config: MIMConfig = CONFIG) -> ConvLSTM:
    torch.manual_seed(0)
    return ConvLSTM(config)


def frames(*, batch: int = 3, length: int = 4) -> Tensor:
    return torch.rand(batch, length, 8, 5, 6, generator=torch.Generator().manual_seed(1))


def test_one_step_by_hand() -> None:
    """One layer, 1x1 kernels, one pixel: the equations of ConvLSTM on numbers."""
    model = network(MIMConfig(in_channels=1, num_hidden=(1,), kernel_size=1, layer_norm=False))
    weights = {
        "layers.0.input_gates.convolution.weight": [1.0, 2.0, 3.0, 4.0],  # i, g, f, o
        "layers.0.hidden_gates.convolution.weight": [0.5, 0.5, 0.5, 0.5],
        "layers.0.input_forget_peepholes": [0.1, 0.2],
        "layers.0.output_peepholes": [0.3],
        "output.weight": [2.0],
    }
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.tensor(weights.get(name, [0.0] * weight.numel())).view_as(weight))
        said = model(torch.tensor([0.5, -1.0]).view(1, 2, 1, 1, 1), total_length=3)
    sigmoid, tanh = (torch.sigmoid, torch.tanh)
    x, y = torch.tensor(0.5), torch.tensor(-1.0)
    c = sigmoid(1 * x) * tanh(2 * x)
    h = sigmoid(4 * x + 0.3 * c) * tanh(c)
    first = 2 * h
    i, f = sigmoid(y + 0.5 * h + 0.1 * c), sigmoid(3 * y + 0.5 * h + 0.2 * c + 1)
    c = f * c + i * tanh(2 * y + 0.5 * h)
    h = sigmoid(4 * y + 0.5 * h + 0.3 * c) * tanh(c)
    torch.testing.assert_close(said.flatten(), torch.stack([first, 2 * h]))


def test_it_has_the_laws_of_mim() -> None:
    model, given_frames = network(), frames()
    with torch.no_grad():
        said = model(given_frames, total_length=7)
        assert said.shape == (3, 6, 8, 5, 6)
        assert torch.equal(said, model(given_frames, total_length=7))
        alone = torch.cat([model(row[None], total_length=7) for row in given_frames])
    torch.testing.assert_close(alone, said, rtol=0, atol=1e-5)
    torch.autograd.backward(model(given_frames, total_length=6).square().sum())
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())
    assert model.forecast(torch.rand(1, 2, 2, 7, 9), steps=3).shape == (1, 3, 2, 7, 9)


@settings(max_examples=15)
@given(
    width=st.integers(8, 24),
    layers=st.integers(1, 4),
    kernel_size=st.sampled_from([1, 3, 5]),
    first_layer=st.sampled_from(["st_lstm", "causal_lstm"]),
)
def test_the_conv_lstm_of_a_mim_costs_what_it_costs(
    width: int, layers: int, kernel_size: int, first_layer: str
) -> None:
    config = replace(
        CONFIG, num_hidden=(width,) * layers, kernel_size=kernel_size, first_layer=first_layer
    )
    mim, rival = MIM(config), baselines.conv_lstm_like(config)
    assert len(rival.config.num_hidden) == layers
    ratio = baselines.multiply_adds(rival) / baselines.multiply_adds(mim)
    assert ratio == pytest.approx(1, abs=1 / width)


def test_a_checkpoint_knows_which_network_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "rival.safetensors"
    model = network()
    checkpoint.save(path, model, metadata={"title": "rival"})
    again, metadata = checkpoint.load_network(path)
    assert isinstance(again, ConvLSTM)
    assert metadata == {"title": "rival"}
    with torch.no_grad():
        assert torch.equal(again(frames(), total_length=6), model(frames(), total_length=6))
    with pytest.raises(checkpoint.CheckpointError, match="weights of a ConvLSTM, expected a MIM"):
        checkpoint.load(path)


def test_a_run_of_one_network_is_not_resumed_by_another(tmp_path: Path) -> None:
    def loss(model: torch.nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return losses.mean_squared_error(model(batch["frames"], total_length=5), batch["truth"])

    def batch_at(step: int) -> dict[str, Tensor]:
        return {"frames": frames(batch=4) + step, "truth": torch.zeros(4, 4, 8, 5, 6)}

    once = TrainSettings(steps=2)
    whole = fit(network(), batch_at, loss=loss, settings=once, out=tmp_path / "whole")  # type: ignore[arg-type]
    parts = fit(
        network(),
        batch_at,
        loss=loss,  # type: ignore[arg-type]
        settings=replace(once, accumulate=2),
        out=tmp_path / "parts",
    )
    for one, two in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="network found 'ConvLSTM', expected None to resume"):
        fit(MIM(CONFIG), batch_at, loss=loss, settings=once, out=tmp_path / "whole")  # type: ignore[arg-type]


def test_last_frame() -> None:
    given_frames = torch.arange(6.0).view(1, 6, 1, 1, 1)
    kept = baselines.last_frame(given_frames, total_length=6, input_length=4)
    assert kept.flatten().tolist() == [3.0, 3.0]
