"""Whether a body is a file of the feed or something else that a server sent in its stead."""

from __future__ import annotations

HEAD_BYTES = 512
_HDF5 = (b"\x89HDF\r\n\x1a\n",)
# How files of a format begin; a format that is not here has no mark of its own.
_MARKS = {
    "odim": _HDF5,
    "knmi-hdf5": _HDF5,
    "cf": (*_HDF5, b"CDF\x01", b"CDF\x02", b"CDF\x05"),
    "mrms-grib": (b"GRIB",),
    "geotiff": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    "mch-gif": (b"GIF87a", b"GIF89a"),
    "fmi-pgm": (b"P5", b"P2"),
    "meteonet": (b"PK",),
}
_PACKED = {".gz": (b"\x1f\x8b",), ".bz2": (b"BZh",)}
_TAR = b"ustar"
_TAR_AT = 257


def problem(head: bytes, *, name: str, kind: str) -> str:
    """What speaks against a body that begins with ``head``; empty where nothing does.

    ``name`` is the file's here, ``kind`` the reader format of its feed. Nothing is decoded.
    """
    if not head:
        return "an empty file"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<", b"{", b"[")):
        return f"a page or message instead of a file, beginning {head[:40]!r}"
    packed = next((mark for suffix, mark in _PACKED.items() if name.endswith(suffix)), ())
    if marks := packed or _MARKS.get(kind, ()):
        fits = head.startswith(marks)
    else:
        fits = kind != "odim-tar" or head[_TAR_AT:].startswith(_TAR)
    return "" if fits else f"no {kind} file, beginning {head[:16]!r}"
