"""What every network here does with a sequence: frames in, frames out, its own ones fed back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mim_core.config import MIMConfig
from mim_core.gathered import gathered
from mim_core.output import Blend, scales_let_go
from mim_core.patches import from_patches, to_patches

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


class Recurrent(nn.Module):
    """A network that says the next frame of one frame and a state; see ``forward``, ``forecast``.

    A subclass says what it is made of: ``step``, and the ``output`` layer that ends it.
    """

    output: nn.Conv2d
    replay: Step | None = None  # stands in for ``step``; see ``mim_core.graphs``

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.config = config
        self.blend = Blend(config) if config.blend_kernel else None

    @abstractmethod
    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The prediction of the frame after ``frame``, both patched, and the state after it.

        ``state`` is None before the first frame. Shapes: (B, C, H, W) -> (B, C_out, H, W).
        """

    def forward(
        self,
        frames: Tensor,
        *,
        total_length: int,
        input_length: int | None = None,
        true_frame_flag: Tensor | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """Predictions of frames 1 to total_length - 1, (B, total_length - 1, C_out, H, W).

        ``frames`` (B, T, C, H, W) are patched. The first ``input_length`` (default: all) are seen,
        later ones only where ``true_frame_flag`` (B, total_length - input_length - 1, C, H, W) is
        1; elsewhere the network's own prediction is fed back, and without flags nothing past
        ``input_length`` is read. Flags for every frame but the first, (B, total_length - 2, ...),
        choose within the input as well (reverse scheduled sampling of PredRNN-v2).
        ``recompute`` trades time for memory: the steps are computed anew in the backward pass.
        Raises ValueError naming the argument that does not fit.
        """
        seen = frames.shape[1] if input_length is None and frames.ndim == 5 else input_length
        self._check_frames(frames)
        first_flag = _check_lengths(frames, total_length, seen or 0, true_frame_flag)
        step = self.replay or self.step
        predictions: list[Tensor] = []
        state: Any = None
        # What is computed anew must be what was computed: plain convolutions both times.
        with nullcontext() if recompute else gathered(self):
            for t in range(total_length - 1):
                if true_frame_flag is not None and t >= first_flag:
                    flag = true_frame_flag[:, t - first_flag]
                    frame = flag * frames[:, t] + (1 - flag) * self.field(predictions[-1])
                elif t < (seen or 0):
                    frame = frames[:, t]
                else:
                    frame = self.field(predictions[-1])
                if recompute:
                    prediction, state = checkpoint(self.step, frame, state, use_reentrant=False)
                else:
                    prediction, state = step(frame, state)
                predictions.append(prediction)
        return torch.stack(predictions, dim=1)

    def forecast(self, frames: Tensor, *, steps: int) -> Tensor:
        """The ``steps`` frames after the last of ``frames``, (B, steps, C_out, H, W).

        ``frames`` (B, T, C, H, W) are not patched and of any size: sides that the patch does not
        divide are padded at the bottom and at the right with their edge pixels, and the forecast
        is cropped back. Raises ValueError for what is not finite, or does not fit the network.
        """
        if steps < 1:
            raise ValueError(f"steps: found {steps}, expected 1 or more")
        if frames.ndim != 5 or 0 in frames.shape:
            raise ValueError(
                f"frames: found shape {tuple(frames.shape)}, expected (B, T, C, H, W), none of it 0"
            )
        if not torch.isfinite(frames).all():
            raise ValueError("frames: found values that are not finite, expected them filled")
        height, width = frames.shape[-2:]
        patched = to_patches(_pad(frames, multiple=self.config.patch), patch=self.config.patch)
        self._check_frames(patched)
        # One tensor written to, not a list to stack: half the memory for a national composite.
        shape = (frames.shape[0], steps, self.config.out_channels, height, width)
        forecast = torch.empty(shape, dtype=self.output.weight.dtype, device=frames.device)
        step = self.replay or self.step
        state: Any = None
        prediction: Tensor | None = None
        for t in range(patched.shape[1] + steps - 1):
            is_given = prediction is None or t < patched.shape[1]
            frame = patched[:, t] if is_given or prediction is None else self.field(prediction)
            prediction, state = step(frame, state)
            if t >= patched.shape[1] - 1:
                full = from_patches(prediction, patch=self.config.patch)
                forecast[:, t - patched.shape[1] + 1] = full[..., :height, :width]
        return forecast

    def _predict(self, hidden: Tensor, frame: Tensor) -> Tensor:
        # In fp32 under autocast too: the rounding of bf16 is noise in a forecast.
        with torch.autocast(hidden.device.type, enabled=False):
            prediction: Tensor = self.output(hidden.to(self.output.weight.dtype))
            shares = prediction[:, self.config.patched_out_channels :]
            prediction = prediction[:, : self.config.patched_out_channels]
            if self.blend is not None:
                prediction = self.blend(prediction)
        if not self.config.residual:
            return prediction
        fed = self.as_channels(frame)  # (B, p * p, C, H, W)
        change = self.as_channels(prediction)  # (B, p * p, C_out, H, W)
        count = self.config.in_channels
        kept, beside = fed + change[:, :, :count], change[:, :, count:]
        if self.config.cascade_levels == 0:
            return torch.cat([kept, beside], dim=2).flatten(1, 2)
        first = from_patches(fed[:, :, 0], patch=self.config.patch)
        gone = to_patches(scales_let_go(first, shares), patch=self.config.patch).unsqueeze(2)
        return torch.cat([kept[:, :, :1] + gone, kept[:, :, 1:], beside], dim=2).flatten(1, 2)

    def field(self, prediction: Tensor) -> Tensor:
        """The part of a prediction that is fed back, (B, C_out, H, W) -> (B, C, H, W)."""
        if self.config.out_channels == self.config.in_channels:
            return prediction
        return self.as_channels(prediction)[:, :, : self.config.in_channels].flatten(1, 2)

    def as_channels(self, patched: Tensor) -> Tensor:
        """(B, p * p * C, H, W) -> (B, p * p, C, H, W), C being the channels of the frames."""
        batch, _, height, width = patched.shape
        return patched.reshape(batch, self.config.patch**2, -1, height, width)

    def _check_frames(self, frames: Tensor) -> None:
        config = self.config
        if frames.ndim != 5:
            raise ValueError(f"frames: found {frames.ndim} dimensions, expected 5: (B, T, C, H, W)")
        if 0 in frames.shape:
            raise ValueError(
                f"frames: found shape {tuple(frames.shape)}, expected no dimension of size 0"
            )
        if not frames.is_floating_point():
            raise ValueError(f"frames: found {frames.dtype}, expected floating point")
        if frames.shape[2] != config.patched_channels:
            raise ValueError(
                f"frames: found {frames.shape[2]} channels, expected {config.patched_channels} "
                f"({config.in_channels} channels in patches of {config.patch}x{config.patch})"
            )
        grid = tuple(frames.shape[-2:])
        if config.peepholes == "pixel" and grid != config.frame_size:
            raise ValueError(
                f"frames: found a patched grid of {grid}, expected {config.frame_size}: these "
                "weights have a peephole at each pixel; peepholes='shared' runs on any grid"
            )


def _check_lengths(frames: Tensor, total_length: int, seen: int, flags: Tensor | None) -> int:
    """The first step that has a flag; raises ValueError where the lengths do not fit together."""
    if not 1 <= seen <= frames.shape[1]:
        raise ValueError(
            f"input_length: found {seen}, expected 1 to {frames.shape[1]}, the frames given"
        )
    if total_length <= seen:
        raise ValueError(
            f"total_length: found {total_length}, expected more than input_length ({seen})"
        )
    if flags is None:
        return total_length
    count = flags.shape[1] if flags.ndim == 5 else -1
    expected = (frames.shape[0], total_length - seen - 1, *frames.shape[2:])
    if count not in (total_length - seen - 1, total_length - 2) or flags.shape != (
        expected[0],
        count,
        *expected[2:],
    ):
        raise ValueError(f"true_frame_flag: found shape {tuple(flags.shape)}, expected {expected}")
    if frames.shape[1] < total_length - 1:
        raise ValueError(
            f"frames: found {frames.shape[1]}, expected {total_length - 1} or more: "
            "true_frame_flag may choose any of them"
        )
    return total_length - 1 - count


def _pad(frames: Tensor, *, multiple: int) -> Tensor:
    """Frames with their edge repeated at the bottom and right until ``multiple`` divides them."""
    bottom, right = -frames.shape[-2] % multiple, -frames.shape[-1] % multiple
    if bottom == right == 0:
        return frames
    padded = nn.functional.pad(frames.flatten(0, 1), (0, right, 0, bottom), mode="replicate")
    return padded.reshape(*frames.shape[:3], *padded.shape[-2:])
