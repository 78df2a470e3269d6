"""One SQLite file, open in a thread of its own; calls are bounded in time, errors are StoreErrors."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from functions.errors import StoreError, StoreTimeoutError, StoreUnavailableError

log = logging.getLogger(__name__)
FileIdentity = tuple[int, int]
BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
CACHED_STATEMENTS = 32  # one that writes a hundred rows takes 130 KiB, and each number of rows has its own
SQLITE_ERRORS = (sqlite3.Error, OverflowError, UnicodeError)  # the last two: a value that SQLite cannot hold
MEMORY = ":memory:"
REMEDIES = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written; check the permissions of the file and of its folder",
    sqlite3.SQLITE_PERM: "access was refused; check the permissions of the file and of its folder",
    sqlite3.SQLITE_AUTH: "access was refused; check the permissions of the file and of its folder",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database; check STORE_URL",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup, or rescue the rest by `sqlite3 FILE .recover`",
    sqlite3.SQLITE_IOERR: "the disk did not read or write as it should; check the disk and its free space",
    sqlite3.SQLITE_TOOBIG: "a document is too large for SQLite; make it smaller",
}


def to_store_error(exc: Exception, path: str) -> StoreError:
    """Return the StoreError for *exc*, with a remedy where one is known.

    SQLite's text is left out: it can quote stored data.
    """
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says which kind of it
    if code in BUSY_CODES:
        return StoreUnavailableError(f"{path}: locked by another process for too long; try again")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"{path}: {_explain_open_failure(Path(path))}")
    name = getattr(exc, "sqlite_errorname", type(exc).__name__)
    if not isinstance(exc, sqlite3.Error):
        return StoreError(f"{path}: it keeps no text that is not UTF-8 and no number beyond 64 bits ({name})")
    remedy = REMEDIES.get(code, "the database refused; is the file another program's?")
    return StoreError(f"{path}: {remedy} ({name})")


def _explain_open_failure(path: Path) -> str:
    with suppress(OSError):  # a folder that may not be entered, or a name that is too long
        if path.is_dir():
            return "this is a folder; name a file in it"
        if not path.parent.is_dir():
            return "its folder does not exist; make it first"
        if os.name != "nt" and os.statvfs(path.parent).f_flag & os.ST_RDONLY:  # as in a container
            return "the disk is read-only; mount it for writing, or name another file in STORE_URL"
    return "it cannot be opened; check the permissions of the file and of its folder"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the statements inside, or roll back when anything raises.

    The lock for writing is taken at the start: taken later, at the first write, SQLite would refuse it
    without waiting when another process has written meanwhile.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several reads inside see the same state. Nothing may be written."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _create_private(path: str) -> None:
    """Create the file, also where a link leads, readable by its owner only.

    SQLite gives its -wal and -shm files the same mode. The mode of a file that exists stays. What cannot be
    created here is reported by SQLite.
    """
    if path != MEMORY:
        with suppress(OSError):
            os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _identify(path: str) -> FileIdentity | None:
    """The device and the number of the file; None when there is none, as for `:memory:`."""
    if path == MEMORY:
        return None
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


T = TypeVar("T")


class SqliteConnection:
    """The file, opened by the first call, so that a fork before it does no harm.

    One thread owns the connection: the event loop never waits for a disk, and a call either has not begun
    or completes, even if the caller's asyncio task is cancelled.

    Args:
        path: Of the file, or `:memory:`.
        prepare: Makes a fresh connection to the file at a path fit for use, and an empty file a store.
        lock_timeout_s: How long one call waits for another process's lock.
        operation_timeout_s: How long a caller waits for one call in all.
    """

    def __init__(
        self,
        path: str,
        *,
        prepare: Callable[[sqlite3.Connection, str], None],
        lock_timeout_s: float,
        operation_timeout_s: float,
    ) -> None:
        self.path = path
        self._prepare = prepare
        self._lock_timeout_s = lock_timeout_s
        self._operation_timeout_s = operation_timeout_s
        self._thread: Executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._closed = False
        self._connection: sqlite3.Connection | None = None  # touched in the thread alone
        self._identity: FileIdentity | None = None  # of the file that is open
        self._companions: dict[str, FileIdentity] = {}  # of its -wal and -shm files, by path

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of *work*. Text is returned as bytes, because it may not be UTF-8.

        Raises:
            StoreTimeoutError: No result in time; the work has begun and may still be done.
            StoreUnavailableError: Locked for too long, or no answer in time; the work was not done.
            StoreError: The file cannot be used as it is; the text says why.
        """
        return await self._wait_for(self._submit(partial(self._execute, work)))

    async def run_in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of *work*, whose statements are committed, or undone when it raises.

        Raises:
            StoreTimeoutError, StoreUnavailableError, StoreError: As from `run`.
        """
        return await self._wait_for(self._submit(partial(self._execute_in_transaction, work)))

    async def _wait_for(self, future: Future[T]) -> T:
        try:
            async with asyncio.timeout(self._operation_timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            begun = not future.cancelled()  # the timeout has cancelled work that had not begun
            kind = StoreTimeoutError if begun else StoreUnavailableError
            raise kind(f"{self.path}: no answer within {self._operation_timeout_s:g} s") from None

    async def close(self) -> None:
        """Close the file after the calls made before. A second close does nothing."""
        if self._closed:
            return
        future = self._submit(self._close)
        self._closed = True
        try:
            async with asyncio.timeout(self._operation_timeout_s):
                await asyncio.wrap_future(future)
        except TimeoutError:
            pass  # the thread hangs in the file system; the process's end will close the file
        finally:
            self._thread.shutdown(wait=False)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        if self._closed:
            raise StoreError(f"{self.path}: the store was closed")
        return self._thread.submit(work)

    def _execute(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._get_connection())
        except SQLITE_ERRORS as exc:
            raise to_store_error(exc, self.path) from None  # SQLite's text may quote stored data

    def _execute_in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._get_connection()
            with transaction(connection):
                return work(connection)
        except SQLITE_ERRORS as exc:
            raise to_store_error(exc, self.path) from None

    def _get_connection(self) -> sqlite3.Connection:
        if self._connection is not None:
            self._close_if_replaced()
        if self._connection is None:
            _create_private(self.path)
            connection = sqlite3.connect(
                self.path,
                timeout=self._lock_timeout_s,
                isolation_level=None,
                cached_statements=CACHED_STATEMENTS,
            )
            try:
                self._prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
            connection.text_factory = bytes
            self._connection, self._identity = connection, _identify(self.path)
            self._companions = {}
        if self._identity is not None:
            for path in (f"{self.path}-wal", f"{self.path}-shm"):
                if path not in self._companions and (found := _identify(path)):
                    self._companions[path] = found
        return self._connection

    def _close_if_replaced(self) -> None:
        """Close a file that is no longer where other processes look for it, or whose log is not.

        SQLite writes a log that was removed into the file, unless another process has opened that since.
        """
        if self._is_replaced():
            log.warning("store_reopened", extra={"path": self.path, "reason": "another file is in its place"})
            self._take_log_away()
            self._close()
        elif self._is_log_removed():
            log.warning("store_reopened", extra={"path": self.path, "reason": "its -wal or -shm was removed"})
            self._close()

    def _is_replaced(self) -> bool:
        """Whether another file is at the path: work on the open one would be seen by nobody else.

        Raises:
            StoreUnavailableError: There is none. A new one would hide that all tasks are gone.
        """
        found = _identify(self.path)
        if found is None and self._identity is not None:
            raise StoreUnavailableError(
                f"{self.path}: it was removed while in use; put it back, or restart to begin a new one"
            )
        return found != self._identity

    def _is_log_removed(self) -> bool:
        """Whether another log, or none, is where the open one was: the others write into that one."""
        return any(_identify(path) != identity for path, identity in self._companions.items())

    def _take_log_away(self) -> None:
        """Write the log of a file that was moved into that file, and remove it from where the file was.

        SQLite leaves it there when it closes a database that was moved, and reads it into the one that is in
        its place: the tasks of the old file would be back in the new one. The logs of others stay.
        """
        assert self._connection is not None  # it is open
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        for path, identity in self._companions.items():
            if _identify(path) == identity:
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108  # its path is a text here

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
