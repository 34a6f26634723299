"""pysteps, imported late and kept quiet: the one place that knows how loud it is.

pysteps prints the path of its configuration when it is imported, and its settings when it
forecasts; on dry or gappy fields numpy warns from inside it of empty means that it handles.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The side of the boxes in which pysteps' Lucas-Kanade keeps one vector.
_CLUSTER_CELLS = 20


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back what is printed and numpy's warnings, for the time of the block.

    Standard output belongs to the whole process: what other threads print meanwhile is lost too.
    """
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sparse_flow() -> Callable[..., Any]:
    """Lucas-Kanade of pysteps up to its vectors: images (T, H, W) to places and moves, each (N, 2).

    Those that stand close together are one, as in its dense field.
    """
    with quietly():
        from pysteps.motion.lucaskanade import dense_lucaskanade  # noqa: PLC0415 - late: it prints
        from pysteps.utils.cleansing import decluster  # noqa: PLC0415

    def tracked(images: Any) -> tuple[Any, Any]:
        places, moves = dense_lucaskanade(images, dense=False)
        return decluster(places, moves, _CLUSTER_CELLS, 1) if len(places) else (places, moves)

    return tracked


def inverse_distances() -> Callable[..., Any]:
    """What pysteps fills a motion in with: places, moves (N, 2), x, y to a field (2, y, x)."""
    with quietly():
        from pysteps.utils.interpolate import idwinterp2d  # noqa: PLC0415 - late: it prints
    method: Callable[..., Any] = idwinterp2d
    return method


def nowcast_method(name: str) -> Callable[..., Any]:
    """The nowcast method ``name`` of pysteps: images (T, H, W), motion, steps to (steps, H, W)."""
    with quietly():
        from pysteps import nowcasts  # noqa: PLC0415 - late: it prints
    method: Callable[..., Any] = nowcasts.get_method(name)
    return method


def version() -> str:
    """The version of pysteps that answers."""
    return metadata.version("pysteps")


def cell_tracking() -> Callable[..., Any]:
    """T-DaTing of pysteps: images (T, H, W) in dBZ to tracks, cells of each image, and labels."""
    with quietly():
        from pysteps.tracking import tdating  # noqa: PLC0415 - late: it prints
    method: Callable[..., Any] = tdating.dating
    return method
