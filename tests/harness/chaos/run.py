"""One run: everything is started, plagued, healed, let come to its end, read and judged."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import aiohttp

from functions.domain.run import Run
from functions.domain.storage import TaskFilter, VersionedTask
from functions.domain.types import Status, format_instant
from functions.errors import StoreError
from functions.interfaces import Store
from functions.services.paging import all_tasks
from tests.harness.chaos.checker.check import judge
from tests.harness.chaos.checker.delays import watch_loop
from tests.harness.chaos.checker.history import TARGET, Fault, History, save
from tests.harness.chaos.checker.verdict import Verdict
from tests.harness.chaos.faults.blows import Blows
from tests.harness.chaos.faults.nemesis import plan
from tests.harness.chaos.setup import Setup
from tests.harness.chaos.world import tasks
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.people import People
from tests.harness.chaos.world.pinging import Pingers
from tests.harness.chaos.world.processes import Process, copied
from tests.harness.chaos.world.proxy import Proxy
from tests.harness.chaos.world.stands import Stand
from tests.harness.chaos.world.stores import reached, stand_for
from tests.harness.chaos.world.target import Target

DRAINED_WITHIN_S = 1500.0  # after the last fault; what is not over by then is stuck
LOOK_S = 6.0
QUARANTINE_LOOK_S = 30.0
GUILTY_AFTER = timedelta(seconds=90)  # when all processes are known to work
STALL_LOOK_S, STALL_S = 2.0, 4.0  # a machine that stands still for so long, by the run's clock, is a fault
FIRST_PINGS = 3  # on a busy machine the first may find the store slow
RUNS_OF_A_TASK = 100_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. *took_s* is real time."""

    setup: Setup
    history: History
    verdict: Verdict
    took_s: float


async def run(setup: Setup, folder: Path, *, say: Say) -> Result:
    """Do the whole of it in *folder*, where logs and the history stay.

    To be run in a loop of `fast_loop(setup.speed)`.
    """
    started = time()
    clock = Clock(began=started, speed=setup.speed)
    async with _world(setup, folder, clock) as world:
        say(f"{setup.task_count} tasks, {len(world.processes)} processes, {setup.length_s / 60:.0f} minutes")
        await world.check()
        watches = [asyncio.create_task(world.watch_stalls()), asyncio.create_task(world.watch_delays())]
        await world.plague(say)
        say("healed; waiting until everything has come to its end")
        history = await world.end()
        await _end(watches)
    save(history, folder / "history.json")
    return Result(setup, history, judge(history), time() - started)


@dataclass(slots=True)
class _World:
    setup: Setup
    clock: Clock
    dice: Callable[[str], random.Random]
    stand: Stand
    store: Store
    ids: Sequence[str]
    target: Target
    processes: Sequence[Process]
    people: People
    blows: Blows
    pingers: Pingers
    quarantined: set[str] = field(default_factory=set)

    async def plague(self, say: Say) -> None:
        """Let everybody at it until the time is over, then heal."""
        began, length = self.clock.time(), self.setup.length_s
        planned = plan(
            self.dice("faults"),
            until=length,
            processes=len(self.processes),
            network=self.stand.proxy is not None,
            restarts=self.stand.restarts,
            weights=self.setup.weights,
            gap_s=self.setup.gap_s,
            points=self.setup.points,
            odds=self.setup.odds,
        )
        works = (self._watch_quarantine(), self.pingers.ping_for_ever(), self._progress(say))
        others = [asyncio.create_task(work) for work in works]
        if self.setup.people_every_s:
            others.append(asyncio.create_task(self._people()))
        try:
            await self.blows.carry_out(planned, began=began)
            await asyncio.sleep(max(0.0, began + length - self.clock.time()))
        finally:
            await _end(others)
        await self.blows.heal()
        await self._note_quarantine()
        if self.setup.people_every_s:
            await self.people.resume_all()

    async def check(self) -> None:
        """Raise unless each process answers a ping as it should: else a long run would be for nothing."""
        for process in self.processes:
            pings = [await self.pingers.ping(process)]
            while pings[-1].report.get("status") != "ok" and len(pings) < FIRST_PINGS:
                pings.append(await self.pingers.ping(process))
            if pings[-1].report.get("status") != "ok":
                raise RuntimeError(f"{process.name} does not work ({pings[-1].status}): see its log")

    async def watch_stalls(self) -> None:
        """Note when the machine itself was too busy: to processes it is as if they had been frozen."""
        while True:
            since = self.clock.time()
            await asyncio.sleep(STALL_LOOK_S)
            if self.clock.time() - since - STALL_LOOK_S > STALL_S:
                self.blows.faults.append(Fault("freeze", since, self.clock.time()))

    async def watch_delays(self) -> None:
        """Note when this process, in which the target is, was held up: its log is late by so much."""

        def note(since: float) -> None:
            self.blows.faults.append(Fault("late", since, self.clock.time(), TARGET, point="loop"))

        await watch_loop(self.clock.time, note)

    async def end(self) -> History:
        """Ping until nothing that was due waits any more; then read everything."""
        healed = self.clock.time()
        number = 0
        while self.clock.time() < healed + DRAINED_WITHIN_S:
            await self.pingers.ping(self.processes[number % len(self.processes)])
            number += 1
            late = self.clock.time() > healed + self.setup.settled_after_s
            if late and not any(_waits(stored, healed) for stored in await self._tasks()):
                break
            await asyncio.sleep(LOOK_S)
        found, runs = await self._read_all()
        await self._note_quarantine()
        return History(
            healed=healed,
            read=self.clock.time(),
            ops=tuple(self.people.ops),
            calls=tuple(self.target.calls),
            faults=(*self.blows.faults, *self.blows.noted()),
            pings=tuple(self.pingers.pings),
            told=tuple(self.target.told),
            told_at=tuple(self.target.told_at),
            long_words=tuple(self.target.long_words),
            quarantined=tuple(sorted(self.quarantined)),
            tasks=tuple(stored.task.model_dump(mode="json", by_alias=True) for stored in found),
            runs=tuple(run.model_dump(mode="json", by_alias=True) for run in runs),
            slots=self.setup.slots,
        )

    async def _read_all(self) -> tuple[list[VersionedTask], list[Run]]:
        """Read all tasks and runs as they were at one moment: a tick whose caller gave up may still write."""
        while True:
            found = await self._tasks()
            runs = [
                run for task in self.ids for run in await self.store.runs(task_id=task, limit=RUNS_OF_A_TASK)
            ]
            if found == await self._tasks():
                return found, runs
            await asyncio.sleep(LOOK_S)

    async def _note_quarantine(self) -> None:
        found = await all_tasks(self.store, TaskFilter(status=Status.QUARANTINED))
        self.quarantined.update(stored.task.id for stored in found)

    async def _watch_quarantine(self) -> None:
        while True:
            await asyncio.sleep(QUARANTINE_LOOK_S)
            with suppress(StoreError):  # it is held, or away
                async with self.blows.people_may:
                    await self._note_quarantine()

    async def _tasks(self) -> list[VersionedTask]:
        return await all_tasks(self.store, TaskFilter())

    async def _people(self) -> None:
        dice = self.dice("when people act")
        while True:
            await asyncio.sleep(dice.expovariate(1 / self.setup.people_every_s))
            async with self.blows.people_may:
                await self.people.act()

    async def _progress(self, say: Say) -> None:
        began = self.clock.time()
        while True:
            await asyncio.sleep(self.clock.real(10))
            minute = (self.clock.time() - began) / 60
            figures = f"{len(self.target.calls)} calls, {len(self.pingers.pings)} pings"
            figures += f", {len(self.blows.faults)} faults, {len(self.people.ops)} acts"
            say(f"minute {minute:.0f}: {figures}")


@asynccontextmanager
async def _world(setup: Setup, folder: Path, clock: Clock) -> AsyncIterator[_World]:
    """Everything, started, with the tasks made."""

    def dice(purpose: str) -> random.Random:
        return random.Random(f"{setup.seed} {purpose}")

    stand = stand_for(setup, folder, clock)
    target = Target(setup.seed, clock.time)
    await target.start()
    proxy = Proxy("127.0.0.1", target.port)
    await proxy.start()
    address = f"http://127.0.0.1:{proxy.port}"
    specs = tasks.specs(
        dice("tasks"),
        setup.task_count,
        target=address,
        hanging_every=setup.hanging_every,
        timeouts=setup.timeouts,
        period=setup.period,
        with_groups=setup.with_groups,
        guilty_from=format_instant(clock.now() + GUILTY_AFTER) if setup.with_guilty else "",
    )
    processes: list[Process] = []
    store: Store | None = None
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
    try:
        await stand.start()
        store = reached(stand)
        people = People(store, specs, dice("people"), clock)
        await people.create()
        variables: Mapping[str, str] = {
            "STORE_URL": stand.url,
            "WEBHOOK_URL": f"{address}/notices",
            "CHAOS_MUTANT": setup.mutant,
            "CHAOS_WINDOW": str(setup.window),
            "WORKERS": str(setup.workers),
            "SETTLEMENTS": setup.settlements,
            **({"MAX_CONCURRENCY": str(setup.slots)} if setup.slots else {}),
            **stand.variables,
        }
        code = copied(folder)
        processes = [
            Process(f"p{n}", folder, dict(variables), clock, code=code) for n in range(setup.processes)
        ]
        for process in processes:
            process.start()
        await asyncio.gather(*(process.ready(session) for process in processes))
        blows = Blows(processes, stand, proxy, target, folder=folder, clock=clock, session=session)
        pingers = Pingers(processes, session, dice=dice("pings"), clock=clock, silent=lambda: blows.silent)
        ids = [spec["id"] for spec in specs]
        yield _World(setup, clock, dice, stand, store, ids, target, processes, people, blows, pingers)
    finally:
        for process in processes:
            process.kill()
        await session.close()
        if store is not None:
            await store.close()
        await stand.stop()
        await proxy.stop()
        await target.stop()


def _waits(stored: VersionedTask, healed: float) -> bool:
    """Whether something that was due before *healed*, or a word to people, is not over yet."""
    task, by = stored.task, datetime.fromtimestamp(healed, UTC)
    if task.alert.pending or (task.occurrence is not None and task.occurrence <= by):
        return True
    if task.status in ("paused", "quarantined", "ended"):
        return False
    return any(extra.at <= by for extra in task.backlog) or (
        task.next_occurrence is not None and task.next_occurrence <= by
    )


async def _end(others: Sequence[asyncio.Task[Any]]) -> None:
    """Stop *others*; what went wrong in one of them is raised."""
    for one in others:
        one.cancel()
    for one in others:
        with suppress(asyncio.CancelledError):
            await one
