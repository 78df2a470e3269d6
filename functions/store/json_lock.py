"""The lock beside the file: one process at a time writes, none reads while files are being changed."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from functions.errors import StoreUnavailable

TRY_AGAIN_S = 0.005  # a write is a few milliseconds; the lock is asked for as often


@contextmanager
def locked(path: Path, *, wait_s: float, shared: bool = False) -> Iterator[None]:
    """Hold the lock of the store at *path* inside; with *shared* beside others who only read.

    The system lets go of it when the process ends, however that is. Its file stays, for removing it would
    let two processes hold two locks of one name.

    Raises:
        StoreUnavailable: Others held it for *wait_s*.
        OSError: The lock's file cannot be made. Who only reads then goes without: nobody writes there.
    """
    try:
        lock = os.open(lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as exc:
        if not shared or exc.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        yield
        return
    try:
        _wait(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, path, wait_s)
        yield
    finally:
        os.close(lock)


def lock_of(path: Path) -> Path:
    """The file that stands for the lock."""
    return path.with_name(f".{path.name}.lock")


def _wait(lock: int, kind: int, path: Path, wait_s: float) -> None:
    never = Event()  # the system's own wait has no bound
    for _ in range(max(1, round(wait_s / TRY_AGAIN_S))):
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            never.wait(TRY_AGAIN_S)
        else:
            return
    raise StoreUnavailable(f"{path}: locked by another process for too long; try again")
