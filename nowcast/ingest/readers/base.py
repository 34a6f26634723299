"""What every reader offers: one file format, from bytes on disk to Frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nowcast.field.schema import Frames


class Reader(Protocol):
    """One file format. Implementations are frozen dataclasses of what the file does not say."""

    def matches(self, path: Path) -> bool:
        """Whether the content (not the name) is of this format; reads little, raises nothing."""
        ...

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The valid times (UTC, datetime64[ns]) that the file itself states; decodes no pixels.

        Empty where the format holds none. Raises FormatError on a file that cannot be read.
        """
        ...

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """All frames of the file.

        ``stamp`` is the time that the file name gives; it wins over the file's own where the file
        holds one frame.
        Raises FormatError (truncated, empty, foreign; no time at all) and UnsafeFileError.
        """
        ...
