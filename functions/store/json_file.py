"""One readable file: read when it has changed, replaced as a whole, with the last good version beside it."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from functions.errors import StoreError
from functions.store.json_text import UnreadableError, parse

LOOKS = 4  # at a text that is no JSON: an editor may be in the middle of saving it
LOOK_AGAIN_S = 0.03

Mark = tuple[int, int, int]  # when it was changed, its size, and which file it is


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

    def mark(self) -> Mark | None:
        """What tells one version of the file from another; None when there is none."""
        try:
            return _mark(self.path.stat())
        except FileNotFoundError:
            return None

    def read(self) -> tuple[Any, Mark | None]:
        """Return what the file says and the mark of that version; None and None when there is none.

        Raises:
            StoreError: It is no JSON; the text says where, and what to do. The file is left as it is.
        """
        for look in range(LOOKS):
            try:
                with self.path.open("rb") as file:
                    mark = _mark(os.fstat(file.fileno()))
                    content = file.read()
                return parse(content), mark
            except FileNotFoundError:
                return None, None
            except UnreadableError as exc:
                if look == LOOKS - 1:
                    raise self.refusal(str(exc)) from None
            self._pause(LOOK_AGAIN_S)
        raise AssertionError("the last look returns or raises")

    def refusal(self, reason: str) -> StoreError:
        """The error that says what is wrong with the file, and the remedy."""
        last = f", or restore the last good version: {self.backup.name}" if self.backup.exists() else ""
        return StoreError(f"{self.path}: {reason}; nothing was changed: mend it{last}")

    def replace(self, content: bytes) -> Mark:
        """Put *content* in the file's place, on the disk for good; what was there becomes the backup.

        1. Write beside it, and have the disk keep it.
        2. Keep a copy of the version before.
        3. Put the new one in its place, in one step of the file system.
        4. Have the disk keep the names.
        """
        try:
            mark = self._write(content)
            self.keep_backup()
        except OSError:
            self._temporary.unlink(missing_ok=True)  # on a full disk it takes what room there is
            raise
        self._temporary.replace(self.path)
        sync_folder(self.path)
        return mark

    def _write(self, content: bytes) -> Mark:
        with self._temporary.open("wb") as file:
            file.write(content)
            file.flush()
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), self.path.stat().st_mode & 0o7777)
            os.fsync(file.fileno())
            return _mark(os.fstat(file.fileno()))

    def keep_backup(self) -> None:
        """Make the file as it is now the backup. It must be a good one."""
        spare = self.backup.with_name(f".{self.backup.name}.tmp")
        with suppress(FileNotFoundError):  # the first version has none before it
            # A copy where somebody edits in place: what he spoils must not be the backup as well.
            shutil.copy2(self.path, spare)
            spare.replace(self.backup)

    def newer_than_backup(self) -> bool:
        """Whether the file was changed since the backup was made, or there is none."""
        try:
            return self.path.stat().st_mtime_ns > self.backup.stat().st_mtime_ns
        except FileNotFoundError:
            return self.path.exists()


def saved_at(mark: Mark) -> datetime:
    """When the version of *mark* was saved."""
    return datetime.fromtimestamp(mark[0] / 1e9, tz=UTC)


def sync_folder(path: Path) -> None:
    """Have the disk keep the names in the folder of *path*."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _mark(stat: os.stat_result) -> Mark:
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
