"""SQLite's own errors as ours: what may work later, what will not, and what a person can do about it."""

import sqlite3
from pathlib import Path

from functions.errors import StoreError, StoreUnavailable

BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
FOREIGN = (sqlite3.Error, OverflowError, UnicodeError)  # the last two: a value SQLite has no room for
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


def our_error(exc: Exception, path: str) -> StoreError:
    """The error of ours that says what *exc* means for the database at *path*.

    SQLite's text is left out: it can quote what is stored.
    """
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says which kind of it
    if code in BUSY:
        return StoreUnavailable(f"{path}: locked by another process for too long; try again")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"{path}: {_why_not_opened(Path(path))}")
    name = getattr(exc, "sqlite_errorname", type(exc).__name__)
    remedy = REMEDIES.get(code, "the database refused; is the file another program's?")
    return StoreError(f"{path}: {remedy} ({name})")


def _why_not_opened(path: Path) -> str:
    if path.is_dir():
        return "this is a folder; name a file in it"
    if not path.parent.is_dir():
        return "its folder does not exist; make it first"
    return "it cannot be opened; check the permissions of the file and of its folder"
