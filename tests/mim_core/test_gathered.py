"""Convolutions whose weight gradients are gathered, and cells that update compiled."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from mim_core import gathered, update
from mim_core.baselines import ConvLSTM
from mim_core.config import MIMConfig
from mim_core.gathered import StepConvolution
from mim_core.model import MIM
from mim_core.recurrent import Recurrent

CONFIG = MIMConfig(in_channels=1, num_hidden=(4, 4, 4), kernel_size=3, layer_norm=True)
Gradients = dict[str, Tensor]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def network(kind: type[Recurrent] = MIM, config: MIMConfig = CONFIG) -> Recurrent:
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


def frames(dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 6, 1, 6, 5, generator=generator, dtype=torch.float64).to(dtype)


def gradients_of(model: Recurrent, batch: Tensor) -> tuple[Tensor, Gradients]:
    model.zero_grad()
    predicted = model(batch, total_length=6, input_length=3)
    torch.autograd.backward((predicted - batch[:, 1:]).square().mean())
    found = {name: weight.grad for name, weight in model.named_parameters()}
    return predicted.detach(), {name: grad for name, grad in found.items() if grad is not None}


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(StepConvolution, "gathering", nullcontext)
    return monkeypatch


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("first_layer", ["st_lstm", "predrnn_st_lstm", "causal_lstm"])
def test_gradients_are_those_of_the_plain_convolutions(
    first_layer: str, device: str, plain: pytest.MonkeyPatch
) -> None:
    fields = {**CONFIG.to_dict(), "first_layer": first_layer}
    model = network(config=MIMConfig.from_dict(fields)).double().to(device)
    batch = frames(torch.float64).to(device)
    expected = gradients_of(model, batch)
    plain.undo()
    found = gradients_of(model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)
    assert set(found[1]) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("product_from", [(1, 1), gathered.PRODUCT_CHANNELS])
def test_under_bf16_the_gathered_gradient_is_the_nearer_one(
    product_from: tuple[int, int], plain: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = (
        network(config=MIMConfig(in_channels=1, num_hidden=(16, 16), kernel_size=3)),
        frames(),
    )
    _, exact = gradients_of(model, batch)
    distances = []
    for is_gathering in (False, True):
        if is_gathering:
            plain.undo()
            monkeypatch.setattr(gathered, "PRODUCT_CHANNELS", product_from)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, found = gradients_of(model, batch)
        errors = [(found[name] - exact[name]).norm() / exact[name].norm() for name in exact]
        assert all(found[name].dtype == torch.float32 for name in exact)
        distances.append(torch.stack(errors).mean())
    assert distances[1] < 0.1
    assert distances[1] < 1.1 * distances[0]


@pytest.mark.parametrize(
    ("kernel", "padding"), [((1, 1), (0, 0)), ((3, 3), (1, 1)), ((5, 3), (2, 1)), ((3, 3), (0, 2))]
)
def test_a_kernels_gradient_as_a_product_is_that_of_the_convolution(
    kernel: tuple[int, int], padding: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 3, 6, 7, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, *kernel, generator=generator, dtype=torch.float64)
    weight.requires_grad_()
    out = torch.conv2d(x, weight, padding=padding)
    gradient = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    torch.autograd.backward(out, gradient)
    found = gathered.kernel_gradient(
        gradient, x, kernel=kernel, padding=padding, room=gathered.Room()
    )
    torch.testing.assert_close(found, weight.grad, rtol=1e-12, atol=1e-12)


def test_a_room_lays_out_in_one_place_what_fits() -> None:
    room = gathered.Room()
    large = torch.arange(24.0).view(2, 3, 4)
    turned = room.laid_out(large.permute(2, 0, 1))
    assert turned.is_contiguous()
    assert torch.equal(turned, large.permute(2, 0, 1))
    small = room.laid_out(large[0])
    assert torch.equal(small, large[0])
    assert small.data_ptr() == turned.data_ptr()
    for other in (torch.arange(30.0), torch.arange(4.0, dtype=torch.float64)):
        assert torch.equal(room.laid_out(other), other)


def test_one_convolution_on_paper() -> None:
    layer = StepConvolution(1, 1, 1)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        assert layer.bias is not None
        layer.bias.fill_(1.0)
    with layer.gathering():
        once = layer(torch.tensor([[[[1.0, 2.0]]]]))  # 3, 5
        twice = layer(once)  # 7, 11
    torch.autograd.backward(twice.sum())
    assert layer.weight.grad is not None
    # d/dw of w (w x + b) + b is 2 w x + b: 5 + 9. d/db of it is w + 1, twice.
    assert layer.weight.grad.item() == 14.0
    assert layer.bias.grad is not None
    assert layer.bias.grad.item() == 6.0


def test_what_was_not_used_has_no_gradient_and_nothing_is_kept_of_the_rest() -> None:
    layers = nn.ModuleList(StepConvolution(1, 1, 3, padding=1) for _ in range(2))
    batch = torch.rand(1, 1, 4, 4)
    gc.disable()  # nothing is to wait for it
    try:
        with gathered.gathered(layers):
            shared = weakref.ref(layers[0]._shared[0])  # type: ignore[union-attr,index]
            used = layers[0](batch)
        torch.autograd.backward(used.sum())
        del used
        assert shared() is None
    finally:
        gc.enable()
    assert layers[0].weight.grad is not None
    assert layers[1].weight.grad is None
    assert torch.equal(layers[0](batch), nn.Conv2d.forward(layers[0], batch))


@pytest.mark.parametrize("enough", [1, 60, 150, 10_000])
def test_it_does_not_matter_how_many_uses_are_enough(
    enough: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network().double()
    _, expected = gradients_of(model, frames(torch.float64))
    monkeypatch.setattr(gathered, "ENOUGH_PIXELS", enough)
    _, found = gradients_of(model, frames(torch.float64))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


def test_forecasts_do_not_gather() -> None:
    layers = nn.ModuleList([StepConvolution(1, 1, 3, padding=1)])
    with torch.no_grad(), gathered.gathered(layers):
        assert layers[0]._shared is None


@pytest.mark.skipif(not update.can_compile("cpu"), reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of itself
@pytest.mark.parametrize("kind", [MIM, ConvLSTM])
def test_compiled_cells_give_the_same_numbers(kind: type[Recurrent]) -> None:
    model, batch = network(kind), frames()
    expected = gradients_of(model, batch)
    with update.compiled_updates(model):
        found = gradients_of(model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert not any(getattr(module, "is_compiled", False) for module in model.modules())


@pytest.mark.skipif(not update.can_compile("cpu"), reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of itself
def test_compiled_cells_with_a_peephole_at_each_pixel_stay_finite_in_bf16() -> None:
    config = MIMConfig(
        in_channels=1,
        num_hidden=(32, 32),
        kernel_size=3,
        layer_norm=False,
        peepholes="pixel",
        frame_size=(16, 16),
    )
    model = network(config=config)
    batch = torch.rand(2, 6, 1, 16, 16)
    with update.compiled_updates(model), torch.autocast("cpu", dtype=torch.bfloat16):
        predicted, found = gradients_of(model, batch)
    assert torch.isfinite(predicted).all()
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


@pytest.mark.skipif(not update.can_compile("cpu"), reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of itself
def test_where_the_compiler_fails_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, batch = network(ConvLSTM), frames()
    expected = gradients_of(model, batch)
    torch.compiler.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(update, "_compiled", cache(update._Compiled))
    with (
        inductor.patch({"cpp.cxx": ("/bin/false",)}),
        update.compiled_updates(model),
        pytest.warns(UserWarning, match="cells are not compiled"),
    ):
        found = gradients_of(model, batch)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_cells_are_compiled_only_where_asked_and_where_it_is_possible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def listening(update_of: update.Update) -> update.Update:
        calls.append(update_of.__qualname__)
        return update_of

    monkeypatch.setattr(update, "_compiled", listening)
    model = network()
    gradients_of(model, frames())
    with update.compiled_updates(model), torch.no_grad():
        model(frames(), total_length=7)
    assert not calls
    with update.compiled_updates(model):
        gradients_of(model, frames())
    assert set(calls) == {"STLSTM.update", "MIMBlock.update", "PeepholeLSTM.update"}
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not update.can_compile("cpu")
    assert update.can_compile("cuda")
