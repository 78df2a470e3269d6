"""Does what the plan says to processes, clocks, the store and the network, and keeps the log of it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.harness.chaos.checker.history import Fault
from tests.harness.chaos.faults.nemesis import Blow
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.processes import Process, order, revoke
from tests.harness.chaos.world.proxy import Proxy
from tests.harness.chaos.world.stands import Stand
from tests.harness.chaos.world.target import Target

TERM_GRACE_S = 10.0  # what Cloud Run gives a process that is to end
ORDERS = ("point", "clock", "store")


class Blows:
    """Carries out the blows of a run.

    Attributes:
        faults: What was done, with when it began and when it was over.
        silent: Whether nobody is to ping just now.
        people_may: Held while the store is being restarted: nobody else may write to it then.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        stand: Stand,
        target_proxy: Proxy,
        target: Target,
        *,
        folder: Path,
        clock: Clock,
        session: aiohttp.ClientSession,
    ) -> None:
        self.faults: list[Fault] = []
        self.silent = False
        self.people_may = asyncio.Lock()
        self._processes = processes
        self._stand = stand
        self._target_proxy = target_proxy
        self._target = target
        self._folder = folder
        self._time = clock.time
        self._session = session
        self._busy = {process.name: asyncio.Lock() for process in processes}
        self._store_busy = asyncio.Lock()

    async def carry_out(self, blows: Sequence[Blow], *, began: float) -> None:
        """Do each at its time; those that last overlap."""
        async with asyncio.TaskGroup() as group:
            for blow in blows:
                await asyncio.sleep(max(0.0, began + blow.at - self._time()))
                group.create_task(self.strike(blow))

    async def strike(self, blow: Blow) -> None:
        """Do one thing, and undo it when its time is over."""
        name, _, way = blow.kind.partition("_")
        if name == "target" or (name == "store" and self._stand.proxy is not None):
            proxy = self._target_proxy if name == "target" else self._stand.proxy
            assert proxy is not None
            await self._network(proxy, way, blow, "network" if name == "target" else "store")
        else:
            await getattr(self, f"_{blow.kind}")(blow)

    async def heal(self) -> None:
        """Undo everything, and have all processes up."""
        for process in self._processes:
            for kind in ORDERS:
                revoke(self._folder, process.name, kind)
            process.signal(signal.SIGCONT)
            await process.ready(self._session)
        for proxy in (self._target_proxy, self._stand.proxy):
            if proxy is not None:
                proxy.heal()

    def noted(self) -> list[Fault]:
        """Deaths that processes have noted themselves, on their way, and what held them up."""
        file = self._folder / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        events = [json.loads(line) for line in lines]
        crashes = [
            Fault("crash", event["at"], event["at"], event["process"], point=event["point"])
            for event in events
            if event["event"] == "crash"
        ]
        return crashes + [
            Fault("late", event["since"], event["at"], event["process"], point=event["what"])
            for event in events
            if event["event"] == "late"
        ]

    async def _kill(self, blow: Blow) -> None:
        process = self._processes[blow.which]
        async with self._busy[process.name], self._noted("kill", process.name):
            process.kill()
            await self._up_again(process, blow.length)

    async def _kill_all(self, blow: Blow) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(len(self._processes)):
                group.create_task(self._kill(Blow("kill", blow.at, blow.length, number)))

    async def _term(self, blow: Blow) -> None:
        process = self._processes[blow.which]
        async with self._busy[process.name], self._noted("term", process.name):
            await process.terminate(TERM_GRACE_S)
            await self._up_again(process, blow.length)

    async def _crash(self, blow: Blow) -> None:
        process = self._processes[blow.which]
        order(self._folder, process.name, "point", blow.point)
        await asyncio.sleep(blow.length)
        revoke(self._folder, process.name, "point")

    async def _freeze(self, blow: Blow) -> None:
        process = self._processes[blow.which]
        async with self._busy[process.name], self._noted("freeze", process.name):
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(blow.length)
            process.signal(signal.SIGCONT)

    async def _clock(self, blow: Blow) -> None:
        process = self._processes[blow.which]
        async with self._noted("clock", process.name, blow.size):
            order(self._folder, process.name, "clock", str(blow.size))
            await asyncio.sleep(blow.length)
            revoke(self._folder, process.name, "clock")

    async def _odds(self, blow: Blow) -> None:
        process = self._processes[blow.which]
        kind = "store" if "hang" in blow.odds else "answers"  # an answer that is lost excuses nothing
        async with self._noted(kind, process.name):
            order(self._folder, process.name, "store", json.dumps(dict(blow.odds)))
            await asyncio.sleep(blow.length)
            revoke(self._folder, process.name, "store")

    async def _hold(self, blow: Blow) -> None:
        async with self._store_busy, self._noted("store"):
            await self._stand.hold(blow.length)

    async def _restart(self, _: Blow) -> None:
        async with self._store_busy, self.people_may, self._noted("store"):
            await self._stand.restart()

    async def _replace(self, _: Blow) -> None:
        async with self._store_busy, self.people_may, self._noted("store"):
            await self._stand.replace()

    async def _bad_channel(self, blow: Blow) -> None:
        async with self._noted("channel"):
            self._target.refuses_notices = True
            await asyncio.sleep(blow.length)
            self._target.refuses_notices = False

    async def _silence(self, blow: Blow) -> None:
        async with self._noted("pings"):
            self.silent = True
            await asyncio.sleep(blow.length)
            self.silent = False

    async def _network(self, proxy: Proxy, way: str, blow: Blow, kind: str) -> None:
        async with self._noted(kind):
            match way:
                case "delay":
                    proxy.delay_s = 0.4
                    await asyncio.sleep(blow.length)
                    proxy.delay_s = 0.0
                case "refuse":
                    proxy.refusing = True
                    await asyncio.sleep(blow.length)
                    proxy.refusing = False
                case "cut":
                    proxy.cut(0.5)
                case "half_close":
                    proxy.half_close(0.5)

    async def _up_again(self, process: Process, after_s: float) -> None:
        await asyncio.sleep(after_s)
        process.start()
        await process.ready(self._session)

    @asynccontextmanager
    async def _noted(self, kind: str, where: str = "", size: float = 0.0) -> AsyncIterator[None]:
        """Note the fault, whatever becomes of it."""
        started = self._time()
        try:
            yield
        finally:
            self.faults.append(Fault(kind, started, self._time(), where, size))
