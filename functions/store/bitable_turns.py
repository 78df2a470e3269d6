"""One at a time in this process, whichever loop it runs."""

import asyncio


class Turns:
    """One at a time in this process: between reading a guard and writing, say, nobody else here writes.

    Build it anywhere. A process that runs one loop after another has a lock of each.
    """

    def __init__(self) -> None:
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def one(self) -> asyncio.Lock:
        """The running loop's lock."""
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock
