"""Files of the prediction log as they were before they were packed."""

import errno
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from typing import BinaryIO, Final, cast

from churn.errors import DamagedArchiveError
from churn.prediction_log.listing import LogFile
from churn.settings import Setting, whole_number

UNPACKED_MB: Final = Setting(
    "CHURN_LOG_UNPACKED_MB", "32000", "Size in MB to which one packed file of the log may unpack."
)
"""JSON lines become 10 to 40 times as long when they are unpacked; a file made to fill a disk, 1,000 times."""

_BLOCK: Final = 1 << 20


@contextmanager
def opened(file: LogFile, flags: int = os.O_RDONLY) -> Iterator[BinaryIO]:
    """A file of the log for reading, unpacked on the way. Links are not followed.

    Raises:
        DamagedArchiveError: at any read: it is cut short, broken, or larger than the setting allows.
    """
    # A FIFO that has taken the file's place would be waited for without O_NONBLOCK.
    descriptor = os.open(file.path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as raw:  # noqa: PTH123  # opened above, with flags
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no longer a regular file")
        if not file.is_packed:
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast("BinaryIO", _Bounded(unpacked, file))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedArchiveError(file.path, str(error)) from error


class _Bounded:
    """A stream that ends in an error where it becomes longer than the setting allows."""

    def __init__(self, stream: gzip.GzipFile, file: LogFile) -> None:
        self._stream = stream
        self._file = file
        self._most = whole_number(UNPACKED_MB, 1, 1_000_000)
        self._left = self._most * 10**6

    def read(self, size: int) -> bytes:
        return self._counted(self._stream.read(size))

    def readline(self, size: int) -> bytes:
        return self._counted(self._stream.readline(size))

    def _counted(self, block: bytes) -> bytes:
        self._left -= len(block)
        if self._left < 0:
            more = f"it holds more than {self._most:,} MB; if it should, set {UNPACKED_MB.name} higher"
            raise DamagedArchiveError(self._file.path, more)
        return block


def same_content(one: LogFile, other: LogFile) -> bool:
    """Return true if two files hold the same lines, packed or not."""
    with opened(one) as first, opened(other) as second:
        return all(mine == theirs for mine, theirs in zip_longest(_blocks(first), _blocks(second)))


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    return iter(partial(stream.read, _BLOCK), b"")
