"""A lock on an open file, on every operating system that has one; it ends with the process that holds it."""

import errno
import importlib
import os
from typing import Any

LOCKED_BYTE = 1 << 30  # Windows keeps others from what is locked; nothing is ever written so far behind


def try_lock(handle: int, *, shared: bool = False) -> None:
    """Lock the file of *handle*, without a wait; with *shared* beside others who do so too.

    Windows has no shared lock on one byte: there it is always exclusive.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: ENOSYS when this system has no lock that is known here.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        _lock_byte(handle)
    else:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _lock_byte(handle: int) -> None:
    try:
        msvcrt: Any = importlib.import_module("msvcrt")
    except ImportError:
        raise OSError(errno.ENOSYS, "this system has no file locks: neither fcntl nor msvcrt") from None
    place = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError as exc:
        raise BlockingIOError(errno.EAGAIN, "locked by another process") from exc
    finally:
        os.lseek(handle, place, os.SEEK_SET)
