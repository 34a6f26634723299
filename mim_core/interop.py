"""Weights of other people's MIM: the authors' TensorFlow code and OpenSTL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from mim_core.config import MIMConfig
from mim_core.model import MIM

_Value = TypeVar("_Value")
# Where our gates lie in OpenSTL's, which has its ST-LSTM's in one convolution each.
_OPENSTL_GATES = {
    "input_gates": (0, 2, 1, 3, 5, 4, 6),
    "hidden_gates": (0, 2, 1, 3),
    "memory_gates": (0, 2, 1),
}


def from_original(weights: Mapping[str, np.ndarray], config: Mapping[str, object]) -> MIM:
    """The network of the authors' released code, from its variables under their original names.

    ``config`` holds channels (of patched frames), num_hidden, filter_size, layer_norm, size.
    Frames are fed already patched. Raises ValueError naming entries that lack, are too many or
    have another shape.
    """
    missing = [
        name
        for name in ("channels", "num_hidden", "filter_size", "layer_norm", "size")
        if name not in config
    ]
    if missing:
        raise ValueError(f"config of the original: found no {missing}, expected all of them")
    bare = {name.removeprefix("predrnn/"): values for name, values in weights.items()}
    peepholes = bare.get("stlstm_diff1/c_t_weight")
    size = cast("int", config["size"])
    built = MIMConfig(
        in_channels=cast("int", config["channels"]),
        num_hidden=tuple(cast("list[int]", config["num_hidden"])),
        kernel_size=cast("int", config["filter_size"]),
        layer_norm=bool(config["layer_norm"]),
        peepholes="pixel",
        frame_size=(size, size) if peepholes is None else peepholes.shape[:2],
    )
    model = MIM(built)
    names = original_names(model)
    loaded = {
        name: _to_torch(np.asarray(values))
        for name, values in _renamed(bare, names, origin="the original").items()
    }
    _load(model, loaded, origin="the original")
    return model


def to_original(model: MIM, tensors: Mapping[str, Tensor] | None = None) -> dict[str, np.ndarray]:
    """The reverse of ``from_original``; or ``tensors`` (say, gradients) by parameter name.

    Raises ValueError when the architecture is not the authors'.
    """
    if model.config.first_layer != "st_lstm" or model.config.peepholes != "pixel":
        raise ValueError(
            "the original has an ST-LSTM below and pixel peepholes, found "
            f"{model.config.first_layer} and {model.config.peepholes}"
        )
    if tensors is None:
        tensors = dict(model.named_parameters())
    names = original_names(model)
    return {
        f"predrnn/{names[name]}": _to_tensorflow(tensor.detach().cpu().numpy())
        for name, tensor in tensors.items()
    }


def original_names(model: MIM) -> dict[str, str]:
    """Parameter of the model -> variable of the authors' code, without its scope ``predrnn/``."""
    scopes = {"first": "stlstm_1", "output": "back_to_pixel"}
    for index in range(len(model.blocks)):
        scopes[f"differences.{index}"] = f"stlstm_diff{index + 1}"
        scopes[f"blocks.{index}.stationary"] = f"stlstm_{index + 2}/stlstm_{index + 2}"
        scopes[f"blocks.{index}"] = f"stlstm_{index + 2}"
    return {
        name: _original_name(name, scopes, difference=".stationary." in name or "diff" in name)
        for name, _ in model.named_parameters()
    }


def _original_name(name: str, scopes: Mapping[str, str], *, difference: bool) -> str:
    # Longest first: blocks.0.stationary before blocks.0.
    ours = max((scope for scope in scopes if name.startswith(f"{scope}.")), key=len)
    scope, rest = scopes[ours], name.removeprefix(f"{ours}.")
    if rest in ("weight", "bias"):
        return f"{scope}/{'kernel' if rest == 'weight' else 'bias'}"
    peepholes = {"input_forget_peepholes": "c_t_weight", "output_peepholes": "oc_weight"}
    if rest in peepholes:
        return f"{scope}/{peepholes[rest]}"
    part, _, leaf = rest.partition(".")
    operation = {
        "input_gates": "input_to_state",
        "hidden_gates": "state_to_state" if difference else "time_state_to_state",
        "memory_gates": "spatio_state_to_state",
        "reduce": "cell_reduce",
    }[part]
    ending = {
        "convolution.weight": "/kernel",
        "convolution.bias": "/bias",
        "norm.weight": "s",
        "norm.bias": "b",
    }[leaf]
    return f"{scope}/{operation}{ending}"


def _to_torch(values: np.ndarray) -> Tensor:
    """Kernels (kh, kw, in, out) -> (out, in, kh, kw), peepholes (H, W, C) -> (C, H, W)."""
    order = {4: (3, 2, 0, 1), 3: (2, 0, 1)}.get(values.ndim)
    turned = values if order is None else values.transpose(order)
    return torch.from_numpy(np.array(turned, dtype=np.float32))


def _to_tensorflow(values: np.ndarray) -> np.ndarray:
    order = {4: (2, 3, 1, 0), 3: (1, 2, 0)}.get(values.ndim)
    return np.ascontiguousarray(values if order is None else values.transpose(order))


def from_openstl(
    state_dict: Mapping[str, Tensor],
    *,
    num_hidden: tuple[int, ...] | list[int],
    in_shape: tuple[int, int, int, int],
    patch_size: int,
    filter_size: int,
) -> MIM:
    """OpenSTL's MIM with ``layer_norm=0``, forgetting between sequences as OpenSTL's does not.

    ``in_shape`` is OpenSTL's (T, C, H, W) before patching. Its convolutions have no bias (ours
    are set to zero), its ST-LSTM is that of the PredRNN paper with the gates in order i, f, g,
    and each MIM-N carries a ``conv_last`` that it never uses. A leading ``model.`` or ``module.``
    of the names (Lightning, DataParallel) is dropped. Raises ValueError naming entries that lack,
    are too many (layer_norm=1 has more) or have another shape.
    """
    _, channels, height, width = in_shape
    config = MIMConfig(
        in_channels=channels,
        num_hidden=tuple(num_hidden),
        kernel_size=filter_size,
        patch=patch_size,
        layer_norm=False,
        peepholes="pixel",
        frame_size=(height // patch_size, width // patch_size),
        first_layer="predrnn_st_lstm",
    )
    model = MIM(config)
    theirs = dict(_openstl_entries(state_dict))
    ours = _renamed(theirs, _openstl_names(len(config.num_hidden)), origin="OpenSTL")
    for part, order in _OPENSTL_GATES.items():
        name = f"first.{part}.convolution.weight"
        ours[name] = _reordered(ours[name], order, hidden=config.num_hidden[0], name=name)
    for name, parameter in model.named_parameters():
        if name not in ours and name.endswith("bias"):
            ours[name] = torch.zeros_like(parameter)
    _load(model, ours, origin="OpenSTL")
    return model


def _reordered(gates: Tensor, order: tuple[int, ...], *, hidden: int, name: str) -> Tensor:
    """Gates (len(order) * hidden, ...) that lie in another order in one tensor."""
    if gates.shape[0] != len(order) * hidden:
        raise ValueError(
            f"weights of OpenSTL: {name} has {gates.shape[0]} channels, expected "
            f"{len(order)} gates of num_hidden ({hidden})"
        )
    parts = torch.split(gates, hidden)
    return torch.cat([parts[index] for index in order])


def _openstl_entries(state_dict: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in state_dict.items():
        bare = name.removeprefix("module.").removeprefix("model.")
        is_unused = bare.startswith("stlstm_layer_diff.") and bare.endswith("conv_last.weight")
        if not is_unused:
            yield bare, tensor.detach().float()


def _openstl_names(layers: int) -> dict[str, str]:
    """Parameter of the model -> entry of OpenSTL's state dict, for all that OpenSTL has."""
    names = {"output.weight": "conv_last.weight"}
    first = {
        "input_gates": "conv_x.0",
        "hidden_gates": "conv_h.0",
        "memory_gates": "conv_m.0",
        "output_gates": "conv_o.0",
        "reduce": "conv_last",
    }
    block = {
        "input_gates": "conv_x_cc.0",
        "hidden_gates": "conv_t_cc.0",
        "memory_gates": "conv_s_cc.0",
        "reduce": "conv_last",
    }
    for part, entry in first.items():
        names[f"first.{part}.convolution.weight"] = f"stlstm_layer.0.{entry}.weight"
    for index in range(layers - 1):
        for part, entry in block.items():
            ours = f"blocks.{index}.{part}.convolution.weight"
            names[ours] = f"stlstm_layer.{index + 1}.{entry}.weight"
        lstms = {
            f"blocks.{index}.stationary": f"stlstm_layer.{index + 1}",
            f"differences.{index}": f"stlstm_layer_diff.{index}",
        }
        for ours, theirs in lstms.items():
            names[f"{ours}.input_gates.convolution.weight"] = f"{theirs}.conv_x_concat.0.weight"
            names[f"{ours}.hidden_gates.convolution.weight"] = f"{theirs}.conv_h_concat.0.weight"
            names[f"{ours}.input_forget_peepholes"] = f"{theirs}.ct_weight"
            names[f"{ours}.output_peepholes"] = f"{theirs}.oc_weight"
    return names


def _renamed(
    entries: Mapping[str, _Value], names: Mapping[str, str], *, origin: str
) -> dict[str, _Value]:
    """``entries`` under our names; every one of them must be used, none may lack."""
    missing = sorted(set(names.values()) - set(entries))
    unknown = sorted(set(entries) - set(names.values()))
    if missing or unknown:
        raise ValueError(
            f"weights of {origin}: missing {missing or 'none'}, unknown {unknown or 'none'}"
        )
    return {ours: entries[theirs] for ours, theirs in names.items()}


def _load(model: MIM, tensors: Mapping[str, Tensor], *, origin: str) -> None:
    for name, parameter in model.named_parameters():
        if tensors[name].shape != parameter.shape:
            raise ValueError(
                f"weights of {origin}: {name} has shape {tuple(tensors[name].shape)}, expected "
                f"{tuple(parameter.shape)}"
            )
    model.load_state_dict(dict(tensors))
