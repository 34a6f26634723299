"""The architecture of a MIM network as a value: checked when built, kept in every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

_CHOICES: dict[str, tuple[str, ...]] = {
    "peepholes": ("pixel", "shared"),
    "first_layer": ("st_lstm", "predrnn_st_lstm", "causal_lstm"),
    "difference_input": ("released", "figure"),
}


@dataclass(frozen=True)
class MIMConfig:
    """What must be known to build the network; raises ValueError naming the field that is wrong.

    The defaults are the any-grid variant: weights trained on crops run on any grid. The authors'
    network is ``layer_norm=True, peepholes="pixel"`` with a ``frame_size``.
    """

    # Channels of a frame before patching, and of a prediction. The first in_channels of a
    # prediction are the frame that is fed back; what follows them is never fed back.
    in_channels: int
    out_channels: int = 0  # 0: as in_channels
    num_hidden: tuple[int, ...] = (64, 64, 64, 64)  # one entry a layer, all equal
    kernel_size: int = 5
    patch: int = 1  # space-to-depth factor
    layer_norm: bool = True
    # One peephole weight a pixel (the authors' code; binds the weights to frame_size) or a channel.
    peepholes: str = "shared"
    frame_size: tuple[int, int] | None = None  # (H, W) of the patched grid, for "pixel" alone
    # "st_lstm": as the MIM authors' code has it. "predrnn_st_lstm": as the PredRNN paper and
    # OpenSTL have it. "causal_lstm": MIM*, cascaded memories in the MIM blocks too.
    first_layer: str = "st_lstm"
    # What MIM-N sees above the first MIM block: the MIM-N output below ("released", the authors'
    # code) or the change of the hidden state below, H_t - H_(t-1) ("figure", the paper's figure).
    difference_input: str = "released"
    # True: the network adds to the frame it was fed, so that zero output weights are persistence.
    residual: bool = False
    # Pixels on a side of a convolution over each unpatched channel of the output, which begins as a
    # blur: neighbouring patches then say one field, without steps between them. 0: none (the
    # authors' code).
    blend_kernel: int = 0
    # Scales of the first channel of the fed frame, from a pixel up by factors of two, of which a
    # residual network lets go as much as it says at each patch. 0: none (the authors' code).
    cascade_levels: int = 0

    def __post_init__(self) -> None:
        """Fill in defaults, turn JSON's lists into tuples, refuse what cannot be built."""
        object.__setattr__(self, "num_hidden", tuple(self.num_hidden))
        if self.frame_size is not None:
            object.__setattr__(self, "frame_size", tuple(self.frame_size))
        if self.out_channels == 0:
            object.__setattr__(self, "out_channels", self.in_channels)
        self._check_numbers()
        self._check_choices()

    def _check_numbers(self) -> None:
        for name in ("in_channels", "out_channels", "kernel_size", "patch"):
            value = getattr(self, name)
            if not _is_count(value):
                raise ValueError(f"{name}: found {value!r}, expected a whole number of 1 or more")
        if self.out_channels < self.in_channels:
            raise ValueError(
                f"out_channels: found {self.out_channels}, expected at least in_channels "
                f"({self.in_channels}): a prediction is fed back as the next frame"
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: found {self.kernel_size}, expected an odd number")
        if self.blend_kernel != 0 and (
            not _is_count(self.blend_kernel) or self.blend_kernel % 2 == 0
        ):
            raise ValueError(
                f"blend_kernel: found {self.blend_kernel!r}, expected 0 or an odd number"
            )
        if self.cascade_levels != 0 and not (_is_count(self.cascade_levels) and self.residual):
            raise ValueError(
                f"cascade_levels: found {self.cascade_levels!r}, expected 0, or with residual=True "
                "a whole number"
            )
        if not self.num_hidden or not all(_is_count(width) for width in self.num_hidden):
            raise ValueError(
                f"num_hidden: found {self.num_hidden!r}, expected at least one whole number "
                "of 1 or more"
            )
        if len(set(self.num_hidden)) > 1:
            raise ValueError(
                f"num_hidden: found {self.num_hidden!r}, expected the same width in all layers: "
                "the spatiotemporal memory passes through all of them"
            )

    def _check_choices(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                expected = " or ".join(repr(choice) for choice in allowed)
                raise ValueError(f"{name}: found {value!r}, expected {expected}")
        for name in ("layer_norm", "residual"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: found {getattr(self, name)!r}, expected True or False")
        if self.peepholes == "pixel" and self.frame_size is None:
            raise ValueError(
                "frame_size: found None, expected (H, W) of the patched grid: peepholes='pixel' "
                "has a weight at each pixel"
            )
        size = self.frame_size
        if size is not None and not (len(size) == 2 and all(_is_count(side) for side in size)):
            raise ValueError(f"frame_size: found {size!r}, expected two whole numbers (H, W)")

    @property
    def patched_channels(self) -> int:
        """Channels of a frame after patching."""
        return self.in_channels * self.patch**2

    @property
    def patched_out_channels(self) -> int:
        """Channels of a prediction before un-patching."""
        return self.out_channels * self.patch**2

    def to_dict(self) -> dict[str, object]:
        """The fields as plain values that JSON can hold."""
        values = asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> MIMConfig:
        """The config of ``to_dict``; raises ValueError for a field that is unknown or missing."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown fields {unknown}, expected some of {sorted(known)}")
        if "in_channels" not in values:
            raise ValueError("in_channels: missing")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks every field


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
