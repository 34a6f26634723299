"""The authors' network, number for number: outputs, loss and every gradient."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mim_core import interop
from mim_core.model import MIM

NAMES = ["original_mim_ln", "original_mim_plain_sampling"]


@dataclass(frozen=True)
class Golden:
    config: dict[str, object]
    arrays: dict[str, np.ndarray]

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(prefix): values
            for name, values in self.arrays.items()
            if name.startswith(prefix)
        }

    def sequence(self, name: str, device: str = "cpu") -> Tensor:
        values = torch.from_numpy(self.arrays[name]).permute(0, 1, 4, 2, 3)
        return values.contiguous().to(device)


@pytest.fixture(params=NAMES)
def golden(request: pytest.FixtureRequest, shared_data: Path) -> Golden:
    path = shared_data.parent / "golden" / f"{request.param}.npz"
    if not path.is_file():
        pytest.skip(f"no reference vectors at {path}")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return Golden(json.loads(str(arrays.pop("config"))), arrays)


def predict(model: MIM, golden: Golden, *, recompute: bool = False) -> tuple[Tensor, Tensor]:
    device = str(model.output.weight.device)
    frames = golden.sequence("input/frames", device)
    output = model(
        frames,
        total_length=golden.config["total_length"],
        input_length=golden.config["input_length"],
        true_frame_flag=golden.sequence("input/true_frame_flag", device),
        recompute=recompute,
    )
    loss: Tensor = 0.5 * ((output - frames[:, 1:]) ** 2).sum()
    return output, loss


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("recompute", [False, True])
def test_outputs_loss_and_gradients_are_the_authors(
    golden: Golden, device: str, monkeypatch: pytest.MonkeyPatch, *, recompute: bool
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # fp32 means fp32 here
    model = interop.from_original(golden.part("weight/"), golden.config).to(device)
    output, loss = predict(model, golden, recompute=recompute)
    torch.autograd.backward(loss)
    torch.testing.assert_close(output.cpu(), golden.sequence("output/frames"), rtol=0, atol=1e-5)
    assert loss.item() == pytest.approx(float(golden.arrays["output/l2_loss"]), rel=1e-5)
    gradients = interop.to_original(
        model,
        {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None},
    )
    expected = golden.part("grad/")
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        error = np.abs(gradients[name] - gradient).max() / np.abs(gradient).max()
        assert error < 1e-4, f"{name}: {error}"


def test_weights_go_back_to_the_original_unchanged(golden: Golden) -> None:
    weights = golden.part("weight/")
    returned = interop.to_original(interop.from_original(weights, golden.config))
    assert returned.keys() == weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(returned[name], values)


def test_original_entries_that_do_not_fit_are_named(golden: Golden) -> None:
    weights = golden.part("weight/")
    lacking = {name: w for name, w in weights.items() if "back_to_pixel/bias" not in name}
    with pytest.raises(ValueError, match=r"original: missing \['back_to_pixel/bias'\]"):
        interop.from_original(lacking, golden.config)
    with pytest.raises(ValueError, match=r"unknown \['global_step'\]"):
        interop.from_original({**weights, "global_step": np.zeros(1)}, golden.config)
    with pytest.raises(ValueError, match=r"first\.input_gates\.convolution\.weight has shape"):
        interop.from_original(weights, {**golden.config, "channels": 3})
    config = {name: value for name, value in golden.config.items() if name != "size"}
    with pytest.raises(ValueError, match=r"found no \['size'\]"):
        interop.from_original(weights, config)
