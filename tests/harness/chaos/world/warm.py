"""Processes that have imported everything already: forks of one that waits, half a second less for each.

Each is a process of its own, with variables and a log of its own, and may be killed; what it dies of is its
exit code. For a process whose start is the subject, start Python itself.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.chaos.checker import ticks

# What a tick of these tasks imports when it needs it.
LATER = (
    "aiohttp",
    "functions.notifications.channels.webhook",
    "functions.stores.sqlite.store",
    "functions.task_types.http",
    "tests.harness.chaos.mutants",
)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([ticks.__name__, *LATER])


class WarmProcess:
    """A process that ticks at *moments*; the parts of `asyncio.subprocess.Process` that are used here."""

    def __init__(self, moments: Sequence[str], *, variables: Mapping[str, str], log: Path) -> None:
        self._process = FORKS.Process(target=_tick, args=(moments, variables, log), daemon=True)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, signal: int) -> None:
        assert self._process.pid
        os.kill(self._process.pid, signal)

    async def wait(self) -> int:
        """Return the exit code, negative for the signal that ended it."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


def _tick(moments: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(variables)
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    asyncio.run(ticks.main(moments))
