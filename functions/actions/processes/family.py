"""A program and all that it started, found and ended together, wherever its descendants went."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

MARK = "CRONFIRE_ATTEMPT"  # the variable by which descendants are known that left the session
_PROC = Path("/proc")
_OVER = "ZX"  # states of processes that have ended: waiting for a parent to notice, or gone


class Family:
    """The process *leader*, started in a session of its own, and its descendants.

    On Linux these are the processes of its session or group, and those that have *mark* in their
    environment: a daemon leaves session and group on purpose, but seldom the variables. Elsewhere
    only the group is known.
    """

    def __init__(self, leader: int, *, mark: str) -> None:
        self._leader = leader
        self._mark = f"{MARK}={mark}".encode()

    def is_alive(self) -> bool:
        """Whether any of them is still running."""
        if _PROC.joinpath("self/stat").exists():
            return any(True for _ in self._members())
        try:
            os.killpg(self._leader, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to each of them; those that are gone by then do not matter."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _members(self) -> Iterator[int]:
        for folder in _PROC.glob("[0-9]*"):
            try:
                state, _, group, session = _stat(folder)
                if state in _OVER:
                    continue
                related = self._leader in (group, session)
                if related or self._mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)
            except (OSError, ValueError):  # it ended meanwhile, or belongs to somebody else
                continue


def _stat(folder: Path) -> tuple[str, int, int, int]:
    """State, parent, group and session; the name before them may hold spaces and brackets itself."""
    state, parent, group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    return state, int(parent), int(group), int(session)
