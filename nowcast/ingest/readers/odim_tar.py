"""DWD's tar of ODIM_H5 files: an analysis and forecasts issued with it.

``composite_rv_YYYYmmdd_HHMM.tar`` holds one file a lead time, named by its minutes: ``..._000-hd5``
to ``..._120-hd5``.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.units import ZR
from nowcast.ingest.readers.coding import MARSHALL_PALMER
from nowcast.ingest.readers.odim import Odim

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

_MEMBER = re.compile(r"(?:\./)?composite_[a-z]+_+\d{8}_\d{4}_(?P<lead>\d{3})-hd5")
_OBSERVATION = "000"
_MEMBER_BYTES = 64 * 2**20
_MEMBERS = 200
_BLOCK = 512
_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, KeyError)


@dataclass(frozen=True)
class OdimTar:
    """The observation in a tar of ODIM_H5 composites: the member of lead time 0.

    The forecasts beside it are not read. Members are read in memory, never written to disk, and
    only regular files whose whole name is as DWD writes it.

    Attributes:
        quantity, accumulation_minutes, zr: as of ``Odim``.

    """

    quantity: str | None = None
    accumulation_minutes: float | None = None
    zr: ZR = MARSHALL_PALMER

    def matches(self, path: Path) -> bool:
        """Whether the first member of an uncompressed tar is named as DWD's are."""
        try:
            with tarfile.open(path, "r:") as archive:
                first = archive.next()
        except _BROKEN:
            return False
        return first is not None and _MEMBER.fullmatch(first.name) is not None

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The nominal time of the observation."""
        name, content = _observation(path)
        return self._odim.times(path / name, content=content)

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The one frame of the observation."""
        name, content = _observation(path)
        return self._odim.read(path / name, stamp=stamp, content=content)

    @property
    def _odim(self) -> Odim:
        return Odim(self.quantity, self.accumulation_minutes, self.zr)


def _observation(path: Path) -> tuple[str, bytes]:
    """Name and bytes of the member of lead time 0."""
    try:
        size = path.stat().st_size
        if size == 0:
            raise FormatError(f"{path}: empty, expected a tar of ODIM_H5 files")
        with tarfile.open(path, "r:") as archive:
            members = _members(archive, path=path, size=size)
            for member in members:
                match = _MEMBER.fullmatch(member.name)
                if not (match and member.isreg() and match["lead"] == _OBSERVATION):
                    continue
                if member.size > _MEMBER_BYTES:
                    raise UnsafeFileError(
                        f"{path}: member {member.name} of {member.size} bytes, "
                        f"expected at most {_MEMBER_BYTES}: not read"
                    )
                stream = archive.extractfile(member)
                if stream is not None:
                    return member.name, stream.read()
    except _BROKEN as error:
        raise FormatError(
            f"{path}: truncated, damaged or no tar ({error}), expected one of ODIM_H5 files"
        ) from error
    names = ", ".join(member.name for member in members[:3]) or "nothing"
    raise FormatError(
        f"{path}: holds {names}, expected a file composite_PRODUCT_YYYYmmdd_HHMM_{_OBSERVATION}-hd5"
    )


def _members(archive: tarfile.TarFile, *, path: Path, size: int) -> list[tarfile.TarInfo]:
    """All members of a whole archive: tarfile is content with one cut short between members."""
    members, end = [], 0
    for member in archive:
        members.append(member)
        if len(members) > _MEMBERS:
            raise UnsafeFileError(
                f"{path}: more than {_MEMBERS} members, expected one a lead time: not read"
            )
        end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK
    # Two empty blocks mark the end.
    if size < end + 2 * _BLOCK:
        raise FormatError(
            f"{path}: cut short, {size} bytes, expected at least {end + 2 * _BLOCK}: fetch it again"
        )
    return members
