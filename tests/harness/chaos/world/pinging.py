"""Pingers: one to four at once, at any process, without waiting for one another's answers."""

import asyncio
import random
from collections.abc import Callable, Sequence

import aiohttp

from tests.harness.chaos.checker.history import Ping
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.processes import SECRET, Process

PATIENCE_S = 60.0  # of a pinger
MOST_AT_ONCE = 12  # pings nobody has answered yet
AT_ONCE = (1, 1, 2, 3, 4)
GAP_S = (8.0, 40.0)


class Pingers:
    """Ping as told; keep what was answered."""

    def __init__(
        self,
        processes: Sequence[Process],
        session: aiohttp.ClientSession,
        *,
        dice: random.Random,
        clock: Clock,
        silent: Callable[[], bool],
    ) -> None:
        self.pings: list[Ping] = []
        self._processes = processes
        self._session = session
        self._dice = dice
        self._clock = clock
        self._silent = silent

    async def ping_for_ever(self) -> None:
        """Ping in rounds until cancelled."""
        waiting: set[asyncio.Task[Ping]] = set()
        try:
            while True:
                for process in self._dice.choices(self._processes, k=self._dice.choice(AT_ONCE)):
                    if not self._silent() and len(waiting) < MOST_AT_ONCE:
                        one = asyncio.create_task(self.ping(process))
                        waiting.add(one)
                        one.add_done_callback(waiting.discard)
                await asyncio.sleep(self._dice.uniform(*GAP_S))
        finally:
            for one in list(waiting):
                one.cancel()

    async def ping(self, process: Process) -> Ping:
        """Ping once."""
        sent = self._clock.time()
        ping = Ping(process.name, sent, sent, 0)
        try:
            async with self._session.post(
                f"{process.address}/tick",
                headers={"Authorization": f"Bearer {SECRET}"},
                timeout=aiohttp.ClientTimeout(PATIENCE_S),
            ) as response:
                report = await response.json()
                ping = Ping(process.name, sent, self._clock.time(), response.status, report)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            ping = Ping(process.name, sent, self._clock.time(), 0)
        finally:
            self.pings.append(ping)
        return ping
