"""The lock of a file, also where the module is that of Windows."""

import errno
import fcntl
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from functions.stores.file_lock import LOCKED_BYTE, try_lock


class Msvcrt(ModuleType):
    """What Windows has for it: a lock on bytes from the place of the handle on."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.held: dict[int, int] = {}

    def locking(self, handle: int, mode: int, size: int) -> None:
        assert (self.LK_NBLCK, 1) == (mode, size)
        place, file = os.lseek(handle, 0, os.SEEK_CUR), os.fstat(handle).st_ino
        if self.held.get(file, place) == place and file in self.held:
            raise OSError(errno.EACCES, "Permission denied")
        self.held[file] = place


def test_locked_twice_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w+") as one, (tmp_path / "lock").open("w+") as other:
        try_lock(one.fileno(), shared=True)
        try_lock(other.fileno(), shared=True)
        with pytest.raises(BlockingIOError):
            try_lock(other.fileno())
    with (tmp_path / "lock").open() as one:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_windows_locks_a_byte_that_nobody_reads_and_stays_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Msvcrt()
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    with (tmp_path / "lock").open("w+b") as one, (tmp_path / "lock").open("r+b") as other:
        os.write(one.fileno(), b"four")
        try_lock(one.fileno())
        with pytest.raises(BlockingIOError):
            try_lock(other.fileno(), shared=True)
        places = [os.lseek(file.fileno(), 0, os.SEEK_CUR) for file in (one, other)]

    assert [4, 0] == places
    assert [LOCKED_BYTE] == list(windows.held.values())


def test_a_system_with_neither_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    with (
        (tmp_path / "lock").open("w") as file,
        pytest.raises(OSError, match="neither fcntl nor msvcrt") as told,
    ):
        try_lock(file.fileno())

    assert errno.ENOSYS == told.value.errno
