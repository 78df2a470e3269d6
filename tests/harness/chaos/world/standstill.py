"""An event loop whose time passes only while everything waits: hours in no time, whatever the machine."""

import asyncio
import selectors
from typing import Any


class StandstillLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer when nothing else can happen, and stands still otherwise.

    Attributes:
        busy: How many answers of threads are awaited; time stands still for them, too.
    """

    def __init__(self) -> None:
        self.busy = 0
        self._passed = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._passed

    def jump(self, seconds: float) -> None:
        """Let time pass at once."""
        self._passed += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: StandstillLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if self._loop.busy or timeout is None:
            return super().select(0 if timeout == 0 else None)
        events = super().select(0)
        if not events:
            self._loop.jump(timeout)
        return events
