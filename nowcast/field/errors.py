"""Everything that can go wrong for a user, as one family.

::

    NowcastError                     anything a user can mend; the command line prints it and exits
    ├── UsageError                   an unknown feed, method or option value
    ├── SourceError                  what was read, or should have been
    │   ├── FormatError              a file that is truncated, empty or of a foreign format
    │   ├── UnsafeFileError          a file that would make us read elsewhere or eat all memory
    │   ├── GridMismatchError        a frame on another grid than its sequence
    │   ├── MissingFramesError       the archive has holes where frames are needed
    │   ├── FutureTimeError          a time that has not come yet
    │   ├── UnfitFrameError          a frame that reads well and cannot be right
    │   └── FetchError               a file or listing that a server did not give
    │       ├── AddressError         an address that may not be asked
    │       ├── UnavailableError     a server that does not answer now: to be tried again
    │       └── AnswerError          an answer that is not what was asked for
    ├── SchemaError                  a dataset that breaks the conventions of field.schema
    ├── MethodError                  a nowcasting method that cannot answer
    │   ├── ShortHistoryError        fewer frames than the method needs
    │   ├── NothingObservedError     a history in which no pixel was seen
    │   └── UnfitForecastError       a forecast that cannot be right
    ├── BusyError                    another process has what only one may have
    ├── StoreError                   what the service remembers, in a file that cannot be used
    ├── WeightsError                 a checkpoint that cannot be used
    ├── ProductError                 a product that could not be written
    ├── ChildError                   work in a process of its own that gave nothing
    │   ├── ChildTimeoutError        it took longer than it may, and was killed
    │   ├── ChildDiedError           it crashed, or something killed it
    │   └── ChildMemoryError         it wanted more memory than it may have
    └── ServiceError                 what keeps the service from going on
        └── LedgerError              a ledger that is broken, busy, full or of a newer version

Caught in three places only: FirstOf (falls back), the service (goes on), the command line (prints).
"""

from __future__ import annotations


class NowcastError(Exception):
    """Anything a user can mend: the message says what, found, expected, where, what to do."""

    exit_code = 1


class UsageError(NowcastError):
    """An unknown feed, method or option value."""

    exit_code = 2


class SourceError(NowcastError):
    """Input that could not be used."""

    exit_code = 65


class FormatError(SourceError):
    """A file that is not what its name or feed says: truncated, empty, foreign."""


class UnsafeFileError(SourceError):
    """A file that would make us read elsewhere or eat all memory."""


class GridMismatchError(SourceError):
    """A frame on another grid than its sequence."""


class MissingFramesError(SourceError):
    """The archive has holes where frames are needed."""

    exit_code = 66


class FutureTimeError(SourceError):
    """A time that has not come yet."""


class UnfitFrameError(SourceError):
    """A frame that reads well and cannot be right: repeated, half vanished, out of range."""


class FetchError(SourceError):
    """A file or listing that a server did not give."""

    exit_code = 76


class AddressError(FetchError):
    """An address that may not be asked: foreign to the source, private, or reached by a detour."""

    exit_code = 77


class UnavailableError(FetchError):
    """A server that does not answer now: to be tried again.

    Attributes:
        status: of HTTP, None where there was no answer at all.
        retry_after_seconds: what the server asked to wait, if anything.

    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class AnswerError(FetchError):
    """An answer that is not what was asked for: an error page, too large, another digest."""


class SchemaError(NowcastError):
    """A dataset that breaks the conventions of field.schema."""

    exit_code = 65


class MethodError(NowcastError):
    """A nowcasting method that cannot answer."""

    exit_code = 69


class ShortHistoryError(MethodError):
    """Fewer frames than the method needs."""


class NothingObservedError(MethodError):
    """A history in which no pixel was seen."""


class UnfitForecastError(MethodError):
    """A forecast that cannot be right: out of range, vanishing, dry while it rains."""


class BusyError(NowcastError):
    """Another process has what only one may have."""

    exit_code = 75


class StoreError(NowcastError):
    """What the service remembers, in a file that is damaged, locked or of another version."""

    exit_code = 74


class WeightsError(NowcastError):
    """A checkpoint that cannot be used."""

    exit_code = 78


class ProductError(NowcastError):
    """A product that could not be written: no space, no right to write, no such folder."""

    exit_code = 73


class ServiceError(NowcastError):
    """What keeps the service from going on."""

    exit_code = 70


class LedgerError(ServiceError):
    """A ledger that is broken, busy, full or of a newer version."""


class ChildError(NowcastError):
    """Work in a process of its own that gave nothing: it failed in a way that nobody foresaw."""

    exit_code = 70


class ChildTimeoutError(ChildError):
    """Work that took longer than it may; its process was killed."""


class ChildDiedError(ChildError):
    """Work whose process crashed or was killed.

    Attributes:
        signal: the number of the signal that ended it; None where it ended by itself.

    """

    def __init__(self, message: str, *, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal


class ChildMemoryError(ChildError):
    """Work that wanted more memory than it may have."""
