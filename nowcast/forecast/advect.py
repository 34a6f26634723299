"""Fields moved along a motion: semi-Lagrangian advection in torch.

The departure points are those of pysteps (Germann and Zawadzki, Mon. Wea. Rev. 130, 2859, 2002:
the backward scheme with the midpoint rule), so that both give the same forecast within the
error of interpolation. They are followed over all leads, and every lead is interpolated once from
the original field: nothing is smoothed twice.

Motion is (2, H, W) in cells per time step: component 0 along the columns (x), component 1 down the
rows (y). A *displacement* (2, H, W), in cells, points from where air arrives to where it came
from; for a uniform motion it is minus the motion times the number of steps.

NaN is unseen and travels with the air. A value is said where at least half of its interpolation
weight lies on seen cells, and is then the mean of these alone; beyond the edge nothing was
seen. So a field keeps the size of its seen area, whereas pysteps loses a cell around every gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's users know

from nowcast.field.errors import MethodError, SchemaError
from nowcast.forecast.parts import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

# Displacements are rounded to this part of a cell before a field is interpolated: rounding errors
# of the trajectory would else leak traces of rain into dry neighbours of a whole-cell shift.
_PARTS = 4096
# How much of the interpolation weight must lie on seen cells for a value to be said.
_ENOUGH = 0.5


def displacements(motion: Tensor, *, steps: int, substeps: int = 1) -> Tensor:
    """Where air came from after 1 to ``steps`` time steps: (steps, 2, H, W), in cells.

    ``motion`` is (2, H, W), or (B, 2, H, W) which gives (steps, B, 2, H, W). With more
    ``substeps`` a trajectory follows a strongly turning motion more closely; 1 is pysteps' scheme.
    No gradient flows to the motion. Raises MethodError where the motion is not finite.
    """
    if motion.ndim == 4:
        ways = [displacements(one, steps=steps, substeps=substeps) for one in motion]
        return torch.stack(ways, dim=1)
    part = _part(motion, substeps=substeps)
    leads = torch.empty((steps, *motion.shape), device=motion.device)

    def follow(rows: slice) -> None:
        for lead, way in enumerate(_trajectory(part, rows, steps=steps, substeps=substeps)):
            leads[lead, :, rows] = way

    _in_bands(follow, fields=part)
    return leads


def paths(motion: Tensor, *, steps: int) -> Iterator[Tensor]:
    """The ``displacements`` of 1 to ``steps`` one by one, each written over the one before."""
    part = _part(motion, substeps=1)
    way = torch.zeros(motion.shape, device=motion.device)
    going = {
        rows.start: _trajectory(part, rows, steps=steps, substeps=1, into=way)
        for rows in _bands(part)
    }

    def go_on(rows: slice) -> None:
        next(going[rows.start])

    for _ in range(steps):
        _in_bands(go_on, fields=part)
        yield way


def warp(fields: Tensor, displacement: Tensor) -> Tensor:
    """The ``fields`` (N, C, H, W) as they arrive over a ``displacement`` (N or 1, 2, H, W).

    float32 of the same shape; NaN where too little was seen. Differentiable with respect to the
    fields. Raises SchemaError where the shapes do not fit.
    """
    count, channels, height, width = fields.shape
    if displacement.shape not in ((count, 2, height, width), (1, 2, height, width)):
        raise SchemaError(
            f"a displacement of shape {tuple(displacement.shape)} for fields of shape "
            f"{tuple(fields.shape)}, expected ({count} or 1, 2, {height}, {width})"
        )
    if displacement.shape[0] == 1:  # one way for all: let the fields share it as channels
        fields = fields.reshape(1, count * channels, height, width)
    source, shape = _seen_and_padded(fields), fields.shape[1:]
    ways = displacement.detach().to(fields.device, torch.float32)
    if torch.is_grad_enabled() and fields.requires_grad:
        read = _reader(source, shape=shape, rows=slice(0, height))
        return read(ways).reshape(count, channels, height, width)
    moved = torch.empty(fields.shape, dtype=torch.float32, device=fields.device)

    def arrive(rows: slice) -> None:
        for n, way in enumerate(ways):
            read = _reader(source[n : n + 1], shape=shape, rows=rows)
            read(way[None, :, rows], into=moved[n : n + 1, :, rows])

    _in_bands(arrive, fields=fields)
    return moved.reshape(count, channels, height, width)


class Carrier:
    """Moves layers as ``warp`` does, again and again, that were all seen in the same cells.

    It reads one mask for all, and keeps its memory: a third of the time of ``warp``.
    """

    def __init__(self, seen: Tensor, *, layers: int) -> None:
        """``seen`` (H, W) says where; values elsewhere are not used."""
        self._seen = seen
        masks = seen.expand(1, 1, *seen.shape)
        self._source = _padded(masks.new_zeros((1, layers, *seen.shape)), masks)

    def __call__(self, layers: Tensor, displacement: Tensor) -> Tensor:
        """The ``layers`` (C, H, W) as they arrive over a ``displacement`` (2, H, W)."""
        source, (height, width) = self._source, self._seen.shape
        source[0, :-1, :height, :width] = torch.where(self._seen, layers, 0.0)
        moved = torch.empty(layers.shape, dtype=torch.float32, device=layers.device)

        def arrive(rows: slice) -> None:
            read = _reader(source, shape=layers.shape, rows=rows)
            read(displacement[None, :, rows], into=moved[None, :, rows])

        _in_bands(arrive, fields=layers)
        return moved


def sources(displacement: Tensor) -> Tensor:
    """The number of the cell nearest to where the air of each cell came from: (H, W), integers.

    Cells are numbered row by row; where the air came from beyond the edge it is the cell itself.
    """
    height, width = displacement.shape[-2:]
    y = torch.arange(height, device=displacement.device)[:, None]
    x = torch.arange(width, device=displacement.device)[None, :]
    columns = x + displacement[0].round().long()
    rows = y + displacement[1].round().long()
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return torch.where(inside, rows * width + columns, y * width + x)


def extrapolate(field: Tensor, motion: Tensor, *, steps: int, substeps: int = 1) -> Tensor:
    """The ``field`` moved on along ``motion`` (2, H, W) for 1 to ``steps`` steps.

    The field is (H, W), (C, H, W) or (B, C, H, W), and the forecast (steps, *field.shape) in
    float32; NaN where the air was not seen. Differentiable with respect to the field.
    Raises SchemaError where the shapes do not fit, MethodError where the motion is not finite.
    """
    if motion.shape != (2, *field.shape[-2:]):
        raise SchemaError(
            f"a motion of shape {tuple(motion.shape)} for a field of shape {tuple(field.shape)}, "
            f"expected {(2, *field.shape[-2:])}"
        )
    part = _part(motion.to(field.device), substeps=substeps)
    layers = field.reshape(1, -1, *field.shape[-2:])
    source, shape = _seen_and_padded(layers), layers.shape[1:]
    forecast = torch.empty((steps, *field.shape), dtype=torch.float32, device=field.device)

    if torch.is_grad_enabled() and field.requires_grad:
        rows = slice(0, shape[1])
        read = _reader(source, shape=shape, rows=rows)
        for lead, way in enumerate(_trajectory(part, rows, steps=steps, substeps=substeps)):
            forecast[lead] = read(way.unsqueeze(0)).reshape(field.shape)
        return forecast

    def follow(rows: slice) -> None:
        read = _reader(source, shape=shape, rows=rows)
        trajectory = _trajectory(part, rows, steps=steps, substeps=substeps)
        for moved, way in zip(forecast, trajectory, strict=True):
            read(way.unsqueeze(0), into=moved.view(layers.shape)[:, :, rows])

    _in_bands(follow, fields=layers)
    return forecast


def to_lagrangian(frames: Tensor, motion: Tensor) -> Tensor:
    """The ``frames`` (T, C, H, W) moved to the time of the newest, along ``motion`` (2, H, W).

    The frame k steps before the newest is moved k steps on, the newest stays as it is. What still
    changes from frame to frame is growth, decay, and error of the motion.
    """
    older = frames.shape[0] - 1
    if older == 0:
        return frames.float()
    ways = displacements(motion.to(frames.device), steps=older)
    return torch.cat([warp(frames[:-1], ways.flip(0)), frames[-1:].float()])


def _part(motion: Tensor, *, substeps: int) -> Tensor:
    """The motion (2, H, W) of one substep, (1, 2, H, W), or a MethodError where it has holes."""
    if not torch.isfinite(motion).all():
        raise MethodError("the motion holds NaN or infinite values, expected finite ones")
    return (motion.detach().float() / substeps).unsqueeze(0)


def _in_bands(work: Callable[[slice], None], *, fields: Tensor) -> None:
    """``work`` on every band of rows of ``fields`` (N, C, H, W): the rows go their ways alone."""
    with torch.no_grad():
        for rows in _bands(fields):
            work(rows)


def _bands(fields: Tensor) -> list[slice]:
    height, width = fields.shape[-2:]
    return parts(height, values_each=width, like=fields)


def _trajectory(
    part: Tensor, rows: slice, *, steps: int, substeps: int, into: Tensor | None = None
) -> Iterator[Tensor]:
    """The displacement (2, rows, W) after each step; the same memory, moved on, every time.

    Where ``into`` (2, H, W) is given, of zeros, it is the rows of that.
    """
    height, width = part.shape[-2:]
    x, along = _coordinates(width, slice(0, width), device=part.device)
    y, down = _coordinates(height, rows, device=part.device)
    base = torch.stack(torch.meshgrid(x, y, indexing="xy")).unsqueeze(0)
    scale = base.new_tensor([along, down]).reshape(1, 2, 1, 1)

    def motion_at(displacement: Tensor) -> Tensor:
        places = torch.addcmul(base, displacement, scale).permute(0, 2, 3, 1)
        # Beyond the edge the motion is that of the edge.
        return F.grid_sample(part, places, padding_mode="border", align_corners=True)

    here = part[:, :, rows]
    displacement = torch.zeros_like(here) if into is None else into[None, :, rows]
    for step in range(steps * substeps):
        motion_here = here if step == 0 else motion_at(displacement)
        displacement -= motion_at(torch.sub(displacement, motion_here, alpha=0.5))
        del motion_here  # many are under way at once: see paths
        if (step + 1) % substeps == 0:
            yield displacement[0]


def _coordinates(length: int, part: slice, *, device: torch.device) -> tuple[Tensor, float]:
    """A part of an axis of ``length`` cells in grid_sample's coordinates, and what a cell measures.

    -1 and 1 are the centres of the outer cells.
    """
    cell = 2.0 / max(length - 1, 1)
    places = torch.arange(part.start, part.stop, device=device, dtype=torch.float32)
    return places * cell - 1.0, cell


def _seen_and_padded(fields: Tensor) -> Tensor:
    """The fields (N, C, H, W) without NaN, and their masks, as ``_padded`` has them."""
    masks = torch.isfinite(fields)
    return _padded(torch.where(masks, fields, 0.0), masks)


def _padded(fields: Tensor, masks: Tensor) -> Tensor:
    """The fields (N, C, H, W), and their masks or one for all: (N, 2C or C + 1, H', W').

    H' and W' are powers of two plus one: grid_sample wants coordinates from -1 to 1, and only so
    are whole cells exact in float32. What is added at the end is unseen, as all beyond the edge.
    """
    count, channels, height, width = fields.shape
    shape = (count, channels + masks.shape[1], _room(height), _room(width))
    both = torch.zeros(shape, dtype=torch.float32, device=fields.device)
    both[:, :channels, :height, :width] = fields
    both[:, channels:, :height, :width] = masks
    return both


def _room(length: int) -> int:
    """The smallest power of two plus one that is not less than ``length``."""
    power = (max(length, 2) - 2).bit_length()
    return int(2**power) + 1


class _Reader(Protocol):
    """What reads a source at a displacement (N, 2, rows, W) of some rows, in cells."""

    def __call__(self, displacement: Tensor, *, into: Tensor | None = None) -> Tensor:
        """The fields there, (N, C, rows, W), in new memory or ``into`` that which is given."""
        ...


def _reader(source: Tensor, *, shape: torch.Size, rows: slice) -> _Reader:
    """A reader of the ``source`` of _seen_and_padded for fields of ``shape`` (C, H, W)."""
    x, along = _coordinates(source.shape[3], slice(0, shape[2]), device=source.device)
    y, down = _coordinates(source.shape[2], rows, device=source.device)
    axes = (x, along / _PARTS), (y.unsqueeze(1), down / _PARTS)

    def read(displacement: Tensor, *, into: Tensor | None = None) -> Tensor:
        places = displacement.new_empty((*displacement[:, 0].shape, 2))
        for axis, (start, part) in enumerate(axes):
            parts = (displacement[:, axis] * _PARTS).round_()
            torch.add(start, parts, alpha=part, out=places[..., axis])
        sampled = F.grid_sample(
            source, places, mode="bilinear", padding_mode="zeros", align_corners=True
        )
        weighted, weight = sampled[:, : shape[0]], sampled[:, shape[0] :]
        if into is None or source.is_cuda:
            # The clamp changes no value that is said, and lets no gradient be divided by zero.
            means = weighted / weight.clamp(min=_ENOUGH)
            means = means.masked_fill_(weight < _ENOUGH, torch.nan)
            return means if into is None else into.copy_(means)
        weight.masked_fill_(weight < _ENOUGH, torch.nan)
        for layer in range(shape[0]):  # one by one: see parts
            own = weight[:, min(layer, weight.shape[1] - 1)]
            torch.div(weighted[:, layer], own, out=into[:, layer])
        return into

    return read
