"""The operating system's errors as ours: what is wrong with the file, and what a person can do about it."""

import errno
from pathlib import Path

from functions.errors import StoreError

FULL = "the disk is full; free some space"
REFUSED = "it cannot be read or written; check the permissions of the file and of its folder"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: "the disk takes no file as large as this; free some space, or raise the limit",
    errno.EROFS: "the disk is read-only; mount it for writing, or name another file in STORE_URL",
    errno.EACCES: REFUSED,
    errno.EPERM: REFUSED,
    errno.EISDIR: "this is a folder; name a file in it",
    errno.EIO: "the disk did not read or write as it should; check the disk and its free space",
    errno.EMFILE: "too many files are open; raise the limit of open files",
    errno.ENAMETOOLONG: "its name is too long; take a shorter one",
}


def our_error(exc: OSError, path: Path) -> StoreError:
    """The error of ours that says what *exc* means for the store at *path*."""
    name = errno.errorcode.get(exc.errno or 0, type(exc).__name__)
    if exc.errno in (errno.ENOENT, errno.ENOTDIR) and not path.parent.is_dir():
        return StoreError(f"{path}: its folder does not exist; make it first ({name})")
    if path.is_dir():
        return StoreError(f"{path}: this is a folder; name a file in it ({name})")
    remedy = REMEDIES.get(exc.errno or 0, "it cannot be used; check the file and its folder")
    return StoreError(f"{path}: {remedy} ({name})")
