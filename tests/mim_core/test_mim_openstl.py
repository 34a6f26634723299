"""OpenSTL's MIM (layer_norm=0) rewritten here from its description, and our network on its weights.

What it does otherwise than the authors: convolutions have no bias; the first layer is the ST-LSTM
of the PredRNN paper, its gates in order i, f, g; peepholes start at 0; each MIM-N has a conv_last
that nothing uses. (Its memory of MIM-S outlives the sequence; here it starts at zero.)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mim_core import checkpoint, convert, interop
from mim_core.convert import ConversionError
from mim_core.patches import to_patches

Weights = dict[str, Tensor]
HIDDEN, LAYERS, FILTER, PATCH = 5, 3, 3, 2
SHAPE = (4, 2, 12, 8)  # T, C, H, W before patching


def weights_of_openstl() -> Weights:
    generator = torch.Generator().manual_seed(4)
    channels, grid = SHAPE[1] * PATCH**2, (SHAPE[2] // PATCH, SHAPE[3] // PATCH)
    shapes: dict[str, tuple[int, ...]] = {"conv_last.weight": (channels, HIDDEN, 1, 1)}
    for layer in range(LAYERS):
        convolutions = (
            {"conv_x": (7, channels), "conv_h": (4, HIDDEN), "conv_m": (3, HIDDEN)}
            | {"conv_o": (1, 2 * HIDDEN)}
            if layer == 0
            else {"conv_t_cc": (3, HIDDEN), "conv_s_cc": (4, HIDDEN), "conv_x_cc": (4, HIDDEN)}
            | {"conv_h_concat": (4, HIDDEN), "conv_x_concat": (4, HIDDEN)}
        )
        modules = {f"stlstm_layer.{layer}": convolutions}
        if layer < LAYERS - 1:
            lstm = {"conv_h_concat": (4, HIDDEN), "conv_x_concat": (4, HIDDEN)}
            modules[f"stlstm_layer_diff.{layer}"] = lstm
        for module, inside in modules.items():
            for name, (gates, inputs) in inside.items():
                shapes[f"{module}.{name}.0.weight"] = (gates * HIDDEN, inputs, FILTER, FILTER)
            shapes[f"{module}.conv_last.weight"] = (HIDDEN, 2 * HIDDEN, 1, 1)
            if "conv_x_concat" in inside:
                shapes[f"{module}.ct_weight"] = (2 * HIDDEN, *grid)
                shapes[f"{module}.oc_weight"] = (HIDDEN, *grid)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def convolve(weights: Weights, name: str, x: Tensor) -> tuple[Tensor, ...]:
    summed = functional.conv2d(x, weights[f"{name}.0.weight"], padding=FILTER // 2)
    return torch.split(summed, HIDDEN, dim=1)


def st_lstm(w: Weights, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, ...]:
    at = "stlstm_layer.0"
    ix, fx, gx, ix2, fx2, gx2, ox = convolve(w, f"{at}.conv_x", x)
    ih, fh, gh, oh = convolve(w, f"{at}.conv_h", h)
    im, fm, gm = convolve(w, f"{at}.conv_m", m)
    c = torch.sigmoid(fx + fh + 1) * c + torch.sigmoid(ix + ih) * torch.tanh(gx + gh)
    m = torch.sigmoid(fx2 + fm + 1) * m + torch.sigmoid(ix2 + im) * torch.tanh(gx2 + gm)
    both = torch.cat([c, m], dim=1)
    o = torch.sigmoid(ox + oh + convolve(w, f"{at}.conv_o", both)[0])
    return o * torch.tanh(functional.conv2d(both, w[f"{at}.conv_last.weight"])), c, m


def peephole_lstm(w: Weights, at: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    ix, gx, fx, ox = convolve(w, f"{at}.conv_x_concat", x)
    ih, gh, fh, oh = convolve(w, f"{at}.conv_h_concat", h)
    ic, fc = torch.split(w[f"{at}.ct_weight"], HIDDEN)
    i, f = torch.sigmoid(ix + ih + c * ic), torch.sigmoid(fx + fh + c * fc + 1)
    c = f * c + i * torch.tanh(gx + gh)
    return torch.sigmoid(ox + oh + c * w[f"{at}.oc_weight"]) * torch.tanh(c), c


def openstl(w: Weights, frames: Tensor, total_length: int) -> Tensor:
    zero = frames.new_zeros(frames.shape[0], HIDDEN, *frames.shape[-2:])
    h, c, s = [zero] * LAYERS, [zero] * LAYERS, [zero] * LAYERS
    d_hidden, d_cell, m = [zero] * LAYERS, [zero] * LAYERS, zero
    predictions: list[Tensor] = []
    for t in range(total_length - 1):
        x = frames[:, t] if t < frames.shape[1] else predictions[-1]
        before = h[0]
        h[0], c[0], m = st_lstm(w, x, h[0], c[0], m)
        for layer in range(1, LAYERS):
            at = f"stlstm_layer.{layer}"
            if t > 0:
                change = h[0] - before if layer == 1 else d_hidden[layer - 1]
                d_hidden[layer], d_cell[layer] = peephole_lstm(
                    w, f"stlstm_layer_diff.{layer - 1}", change, d_hidden[layer], d_cell[layer]
                )
            it, gt, ot = convolve(w, f"{at}.conv_t_cc", h[layer])
            im, gm, fm, om = convolve(w, f"{at}.conv_s_cc", m)
            ix, gx, fx, ox = convolve(w, f"{at}.conv_x_cc", h[layer - 1])
            m = torch.sigmoid(fx + fm + 1) * m + torch.sigmoid(ix + im) * torch.tanh(gx + gm)
            kept, s[layer] = peephole_lstm(w, at, d_hidden[layer], c[layer], s[layer])
            c[layer] = kept + torch.sigmoid(ix + it) * torch.tanh(gx + gt)
            both = torch.cat([c[layer], m], dim=1)
            reduced = functional.conv2d(both, w[f"{at}.conv_last.weight"])
            h[layer] = torch.sigmoid(ox + ot + om) * torch.tanh(reduced)
        predictions.append(functional.conv2d(h[-1], w["conv_last.weight"]))
    return torch.stack(predictions, dim=1)


ARGUMENTS = {
    "num_hidden": (HIDDEN,) * LAYERS,
    "in_shape": SHAPE,
    "patch_size": PATCH,
    "filter_size": FILTER,
}


@pytest.mark.parametrize("prefix", ["", "model.", "module."])
def test_outputs_are_those_of_openstl_with_its_memory_reset(prefix: str) -> None:
    weights = weights_of_openstl()
    named = {f"{prefix}{name}": values for name, values in weights.items()}
    model = interop.from_openstl(named, **ARGUMENTS)  # type: ignore[arg-type]
    frames = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(5))
    patched = to_patches(frames, patch=PATCH)
    with torch.no_grad():
        expected = openstl(weights, patched, total_length=9)
        torch.testing.assert_close(model(patched, total_length=9), expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.05  # the weights are large enough to tell errors


def test_missing_unknown_and_misshapen_entries_are_named() -> None:
    weights = weights_of_openstl()
    lacking = {name: values for name, values in weights.items() if name != "conv_last.weight"}
    with pytest.raises(ValueError, match=r"OpenSTL: missing \['conv_last\.weight'\]"):
        interop.from_openstl(lacking, **ARGUMENTS)  # type: ignore[arg-type]
    normalised = {**weights, "stlstm_layer.0.conv_x.1.weight": torch.ones(1)}
    with pytest.raises(ValueError, match=r"unknown \['stlstm_layer\.0\.conv_x\.1\.weight'\]"):
        interop.from_openstl(normalised, **ARGUMENTS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"has shape \(35, 8, 3, 3\), expected \(35, 8, 5, 5\)"):
        interop.from_openstl(weights, **{**ARGUMENTS, "filter_size": 5})  # type: ignore[arg-type]


@pytest.mark.parametrize("nested", [False, True])
def test_a_pickled_file_is_converted_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nested: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    weights = weights_of_openstl()
    source, destination = tmp_path / "theirs.ckpt", tmp_path / "ours.safetensors"
    torch.save({"state_dict": weights, "epoch": 3} if nested else weights, source)
    convert.convert(source, destination, **ARGUMENTS)  # type: ignore[arg-type]
    model, metadata = checkpoint.load(destination)
    origin = {"converted_from": "theirs.ckpt", "sha256": checkpoint.sha256_of(source)}
    assert metadata == {"origin": origin}
    direct = interop.from_openstl(weights, **ARGUMENTS)  # type: ignore[arg-type]
    for name, values in direct.state_dict().items():
        assert torch.equal(model.state_dict()[name], values), name


class Sentinel:
    """Unpickling this would create a file: what weights_only=True must not let happen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self.path),)  # type: ignore[return-value]


def test_code_in_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    source, marker = tmp_path / "bad.pt", tmp_path / "was_run"
    torch.save({"weight": Sentinel(marker)}, source)
    with pytest.raises(ConversionError, match=re.escape(str(source)) + ".*without executing code"):
        convert.convert(source, tmp_path / "out", **ARGUMENTS)  # type: ignore[arg-type]
    assert not marker.exists()
    assert not (tmp_path / "out").exists()


def test_what_is_no_state_dict_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ConversionError, match="found a list, expected a state dict"):
        convert.convert(tmp_path / "list.pt", tmp_path / "out", **ARGUMENTS)  # type: ignore[arg-type]
    with pytest.raises(ConversionError, match="No such file"):
        convert.convert(tmp_path / "none.pt", tmp_path / "out", **ARGUMENTS)  # type: ignore[arg-type]
