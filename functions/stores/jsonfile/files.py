"""One readable file: read when it has changed, replaced as a whole, with the last good version beside it."""

import asyncio
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from functions.domain.json_depth import Pairs
from functions.errors import StoreError, StoreTimeoutError, StoreUnavailableError
from functions.stores.file_lock import try_lock
from functions.stores.json_text import InvalidJsonError, parse_json

READ_ATTEMPTS = 4  # at a text that is no JSON: an editor may be in the middle of saving it
REREAD_DELAY_S = 0.03

VersionStamp = tuple[int, int, int]  # when it was changed, its size, and which file it is


class JsonFile:
    """A file of JSON at *path*. Who changes it holds the store's lock.

    Args:
        pause: Waits for so many seconds between two looks.
    """

    def __init__(self, path: Path, *, pause: Callable[[float], object] | None = None) -> None:
        self.path = path
        self._pause = pause or Event().wait
        self.backup = path.with_name(path.name + ".bak")
        self._temporary = path.with_name(f".{path.name}.tmp")

    def version_stamp(self) -> VersionStamp | None:
        """What differs between two versions of the file; None when there is none."""
        try:
            return _version_stamp(self.path.stat())
        except FileNotFoundError:
            return None

    def read(self, *, hook: Callable[[Pairs], Any] | None = None) -> tuple[Any, VersionStamp | None]:
        """Return what the file says and the mark of that version; None and None when there is none.

        Args:
            hook: As that of `parse_json`.

        Raises:
            StoreError: It is no JSON; the text says where, and what to do. The file is left as it is.
        """
        for look in range(READ_ATTEMPTS):
            try:
                with self.path.open("rb") as file:
                    mark = _version_stamp(os.fstat(file.fileno()))
                    content = file.read()
                return parse_json(content, hook=hook), mark
            except FileNotFoundError:
                return None, None
            except InvalidJsonError as exc:
                if look == READ_ATTEMPTS - 1:
                    raise self.invalid_file_error(str(exc)) from None
            self._pause(REREAD_DELAY_S)
        raise AssertionError("the last look returns or raises")

    def invalid_file_error(self, reason: str) -> StoreError:
        """The error that says what is wrong with the file, and the remedy."""
        last = f", or restore the last good version: {self.backup.name}" if self.backup.exists() else ""
        return StoreError(f"{self.path}: {reason}; nothing was changed: mend it{last}")

    def replace(self, content: bytes | Iterable[bytes]) -> VersionStamp:
        """Put *content*, whole or in parts, in the file's place for good; what was there becomes the backup.

        1. Write beside it, and have the disk keep it.
        2. Keep a copy of the version before.
        3. Put the new one in its place, in one step of the file system.
        4. Have the disk keep the names.
        """
        with _removed_on_error(self._temporary):
            mark = self._write(content)
            self.save_backup()
        self._temporary.replace(self.path)
        sync_folder(self.path)
        return mark

    def _write(self, content: bytes | Iterable[bytes]) -> VersionStamp:
        with os.fdopen(_open_private(self._temporary), "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            with suppress(FileNotFoundError):
                self._temporary.chmod(self.path.stat().st_mode & 0o7777)
            os.fsync(file.fileno())
            return _version_stamp(os.fstat(file.fileno()))

    def save_backup(self) -> None:
        """Make the file as it is now the backup. It must be a good one."""
        spare = self.backup.with_name(f".{self.backup.name}.tmp")
        with suppress(FileNotFoundError):  # the first version has none before it
            # A copy and not a link: an editor that writes in place must not spoil the backup as well.
            with _removed_on_error(spare):
                shutil.copy2(self.path, spare)
            spare.replace(self.backup)

    def is_newer_than_backup(self) -> bool:
        """Whether the file was changed since the backup was made, or there is none."""
        try:
            return self.path.stat().st_mtime_ns > self.backup.stat().st_mtime_ns
        except FileNotFoundError:
            return self.path.exists()


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    """Remove the file that could not be written whole: on a full disk it takes the space that is left."""
    try:
        yield
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _open_private(path: Path) -> int:
    """Open a file for writing anew; one that did not exist is readable by its owner only."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def saved_at(stamp: VersionStamp) -> datetime:
    """When the version of *stamp* was saved."""
    return datetime.fromtimestamp(stamp[0] / 1e9, tz=UTC)


def sync_folder(path: Path) -> None:
    """Have the disk keep the names in the folder of *path*; Windows opens no folder, and does so itself."""
    if os.name == "nt":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _version_stamp(stat: os.stat_result) -> VersionStamp:
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


# -- the lock file: one process at a time writes, none reads meanwhile ----------------------

LOCK_RETRY_S = 0.005  # a write is a few milliseconds; the lock is asked for as often


@contextmanager
def hold_lock(path: Path, *, timeout_s: float, shared: bool = False) -> Iterator[None]:
    """Hold the lock of the store at *path* inside; with *shared* beside others who only read.

    The system releases it when the process ends, however that is. Its file stays, for removing it would
    let two processes hold two locks of one name.

    Raises:
        StoreUnavailableError: Another process held it for *timeout_s*.
        OSError: The lock file cannot be made. A reader then works without it: no process can write there.
    """
    try:
        lock = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        if not shared or exc.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        yield
        return
    try:
        _acquire_lock(lock, path, timeout_s, shared=shared)
        yield
    finally:
        os.close(lock)


def lock_path(path: Path) -> Path:
    """The file that stands for the lock."""
    return path.with_name(f".{path.name}.lock")


def _acquire_lock(lock: int, path: Path, timeout_s: float, *, shared: bool) -> None:
    never = Event()  # the system's own wait has no bound
    for _ in range(max(1, round(timeout_s / LOCK_RETRY_S))):
        try:
            try_lock(lock, shared=shared)
        except BlockingIOError:
            never.wait(LOCK_RETRY_S)
        else:
            return
    raise StoreUnavailableError(f"{path}: locked by another process for too long; try again")


# -- the operating system's errors as StoreErrors with a remedy -----------------------------

DISK_FULL = "the disk is full; free some space"
ACCESS_DENIED = "it cannot be read or written; check the permissions of the file and of its folder"
REMEDIES = {
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EFBIG: "the disk takes no file as large as this; free some space, or raise the limit",
    errno.EROFS: "the disk is read-only; mount it for writing, or name another file in STORE_URL",
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
    errno.ENOSYS: "no file locks here (neither fcntl nor msvcrt); set STORE_URL=sqlite:///",
    errno.EISDIR: "this is a folder; name a file in it",
    errno.EIO: "the disk did not read or write as it should; check the disk and its free space",
    errno.EMFILE: "too many files are open; raise the limit of open files",
    errno.ENAMETOOLONG: "its name is too long; take a shorter one",
}


def to_store_error(exc: OSError, path: Path) -> StoreError:
    """Return the StoreError for *exc*, with a remedy where one is known.

    Args:
        path: Of the tasks. The error names the file that *exc* is about, if there is one of that name.
    """
    name = errno.errorcode.get(exc.errno or 0, type(exc).__name__)
    with suppress(OSError):  # a folder that may not be entered, or a name that is too long
        if exc.errno in (errno.ENOENT, errno.ENOTDIR) and not path.parent.is_dir():
            return StoreError(f"{path}: its folder does not exist; make it first ({name})")
        if path.is_dir():
            return StoreError(f"{path}: this is a folder; name a file in it ({name})")
        if exc.filename and (other := Path(os.fsdecode(exc.filename))).is_file():
            path = other
    remedy = REMEDIES.get(exc.errno or 0, "it cannot be used; check the file and its folder")
    return StoreError(f"{path}: {remedy} ({name})")


# -- the thread that works on the files -----------------------------------------------------

T = TypeVar("T")


class FileThread:
    """A thread for the files of *path*, started by the first call, so that a fork before it does no harm.

    The event loop never waits for a disk, and a call either has not begun or completes, even if the
    caller's asyncio task is cancelled.

    Args:
        operation_timeout_s: How long a caller waits for one call in all.
    """

    def __init__(self, path: Path, *, operation_timeout_s: float) -> None:
        self._path = path
        self._operation_timeout_s = operation_timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="json")
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Return what *work* returns.

        Raises:
            StoreTimeoutError: No result in time; the work has begun and may still be done.
            StoreUnavailableError: Locked for too long, or no answer in time; the work was not done.
            StoreError: The files cannot be used as they are; the text says why.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the store was closed")
        future: Future[T] = self._thread.submit(partial(self._execute, work))
        try:
            async with asyncio.timeout(self._operation_timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            begun = not future.cancelled()  # the timeout has cancelled work that had not begun
            kind = StoreTimeoutError if begun else StoreUnavailableError
            raise kind(f"{self._path}: no answer within {self._operation_timeout_s:g} s") from None

    def close(self) -> None:
        """Accept no more calls; those made before complete. A second close does nothing."""
        self._closed = True
        self._thread.shutdown(wait=False)

    def _execute(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as exc:
            raise to_store_error(exc, self._path) from None
