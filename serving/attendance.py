"""Workers of a service that still take connections: the last one closes the socket."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


class Attendance:
    """A worker among those that share the service's socket.

    A lock that the workers share says so, and the system takes it from one that is killed.

    Args:
        folder: of this service alone, which all of its workers can write to; None where there is only this one.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock: int | None = None
        if folder is not None:
            self._lock = os.open(folder / "workers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Take no more connections. Quick enough for a signal's handler."""
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def if_last(self, close: Callable[[], None]) -> None:
        """Call `close` unless another worker takes connections; a worker that starts meanwhile waits for it."""
        if self._lock is None:
            close()
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        close()
        fcntl.flock(self._lock, fcntl.LOCK_UN)
