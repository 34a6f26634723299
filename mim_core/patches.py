"""Space-to-depth and back: patches of pixels become channels, as the MIM authors and OpenSTL do it.

Channel order: row in the patch, column in the patch, channel of the frame (the last runs fastest).
``torch.pixel_unshuffle`` orders them otherwise, so weights of those codes would not fit it.
"""

from __future__ import annotations

from torch import Tensor


def to_patches(frames: Tensor, *, patch: int) -> Tensor:
    """Frames (..., C, H, W) as (..., patch * patch * C, H / patch, W / patch); nothing is lost.

    Raises ValueError when ``patch`` does not divide H and W.
    """
    *leading, channels, height, width = frames.shape
    if patch < 1 or height % patch or width % patch:
        raise ValueError(f"frames: found {height}x{width}, expected sides that {patch} divides")
    rows, columns, n = height // patch, width // patch, len(leading)
    split = frames.reshape(*leading, channels, rows, patch, columns, patch)
    # (..., C, H', p, W', p) -> (..., p, p, C, H', W')
    order = [*range(n), n + 2, n + 4, n, n + 1, n + 3]
    return split.permute(order).reshape(*leading, patch * patch * channels, rows, columns)


def from_patches(patched: Tensor, *, patch: int) -> Tensor:
    """The inverse of ``to_patches``: (..., patch * patch * C, H, W) -> (..., C, H*patch, W*patch).

    Raises ValueError when the channels are not a multiple of ``patch * patch``.
    """
    *leading, depth, rows, columns = patched.shape
    if patch < 1 or depth % (patch * patch):
        raise ValueError(
            f"patched frames: found {depth} channels, expected a multiple of {patch * patch}"
        )
    channels, n = depth // (patch * patch), len(leading)
    split = patched.reshape(*leading, patch, patch, channels, rows, columns)
    # (..., p, p, C, H', W') -> (..., C, H', p, W', p)
    order = [*range(n), n + 2, n + 3, n, n + 4, n + 1]
    return split.permute(order).reshape(*leading, channels, rows * patch, columns * patch)
