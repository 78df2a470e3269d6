"""Task files that are watched: what a person saves there is applied within seconds, or said to be wrong."""

import os
from collections.abc import Sequence
from pathlib import Path

from functions.applying import apply
from functions.commands.files import DONE, ORIGIN
from functions.commands.session import Session
from functions.errors import InputError
from functions.taskfiles import read_task_files
from functions.taskfiles.loading import SUFFIXES

Signature = frozenset[tuple[str, int, int]]


class WatchedFiles:
    """Task files and folders, and how they looked when they were last applied."""

    def __init__(self, session: Session, paths: Sequence[Path]) -> None:
        self._session = session
        self._paths = tuple(paths)
        self._applied: Signature | None = None

    def __bool__(self) -> bool:
        return bool(self._paths)

    def has_changed(self) -> bool:
        """Whether a file was saved, added or removed since `apply`, as its time and size tell."""
        return self._signature() != self._applied

    async def apply(self) -> str:
        """Make the store match the files; return what changed, in one line.

        Raises:
            InputError: There is a fault in them; each is named, nothing was changed.
        """
        self._applied = self._signature()  # before they are read: what changes meanwhile is seen again
        loaded = read_task_files(self._paths, default_timezone=self._session.settings.default_timezone)
        if loaded.faults:
            raise InputError("\n".join(str(fault) for fault in loaded.faults))
        changes = await apply(
            self._session.store,
            loaded.specs,
            origin=ORIGIN,
            now=self._session.now(),
            new_id=self._session.new_id,
        )
        counts = [
            f"{sum(change.action == action for change in changes)} {done}" for action, done in DONE.items()
        ]
        return f"tasks: {', '.join(counts)}"

    def _signature(self) -> Signature:
        return frozenset(
            (str(file), status.st_mtime_ns, status.st_size)
            for file in self._files()
            if (status := _status(file)) is not None
        )

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for path in self._paths:
            found += (
                [file for file in path.rglob("*") if file.suffix in SUFFIXES] if path.is_dir() else [path]
            )
        return found


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:  # gone between the two looks
        return None
