"""Groups in ticks, on the embedded store: what waits stays due, and nobody waits longer than needed."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from functions.domain.capacity.flow_control import GroupState
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import ConditionalWrite, Document, VersionedTask
from functions.domain.task import Claim, Group, Job, Task
from functions.domain.types import Status
from functions.engine.group_slots import GroupSlots
from functions.engine.tick import tick
from functions.errors import StoreUnavailableError
from functions.interfaces import AttemptSlots, TickDependencies
from functions.services.access.flow_control import StoredFlowControl, find_wait_reason
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
TWO = Group(name="shop-api", max_concurrent=2)
FIVE = Group(name="shop-api", per_minute=5)


@dataclass
class World:
    """A store; the clock moves when the test says so."""

    path: str
    now: datetime = NOON
    jobs: list[Job] = field(default_factory=list)
    running: int = 0
    most: int = 0
    work: Callable[[Job], Awaitable[None]] | None = None
    names: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.store = SqliteStore(self.path)

    async def put(self, *tasks: Task) -> None:
        await self.store.write([ConditionalWrite(task, None) for task in tasks])

    def parts(self, store: SqliteStore | None = None) -> TickDependencies:
        store = store or self.store
        flow = StoredFlowControl(store, clock=lambda: self.now)

        async def tell(notifications: Any, *, within: timedelta) -> list[tuple[str, ...]]:
            return [() for _ in notifications]

        return TickDependencies(
            store=store,
            run_task=self.perform,
            notify=tell,
            clock=lambda: self.now,
            new_tick_id=lambda: f"tick{next(self.names)}",
            random=random.Random(1).random,
            slots=AttemptSlots(50),
            flow_control=lambda: flow,
        )

    async def tick(self, parts: TickDependencies | None = None) -> dict[str, Any]:
        return (await tick(parts or self.parts(), TimeBudget(None, None))).as_json()

    async def perform(self, job: Job) -> Outcome:
        self.jobs.append(job)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await (self.work(job) if self.work else asyncio.sleep(0.001))
        finally:
            self.running -= 1
        return succeeded("Done")

    async def state(self) -> GroupState:
        found = await self.store.get_documents("groups", ["all.shop-api"])
        return GroupState.from_data(found[0].data if found else {})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(str(tmp_path / "groups.db"))
    yield world
    await world.store.close()


async def test_two_at_once_and_all_in_one_tick(world: World, make_task: MakeTask) -> None:
    """What waits is started as soon as an attempt of the same tick has ended, the oldest first."""
    late = [NOON - timedelta(seconds=n) for n in range(6)]
    await world.put(*(make_task(f"t{n}", group=TWO, next_run_at=at) for n, at in enumerate(late)))

    report = await world.tick()

    assert (6, 2, 0) == (report["succeeded"], world.most, report["postponed"])
    assert ["t5", "t4"] == [job.task_id for job in world.jobs[:2]] or ["t4", "t5"] == [
        job.task_id for job in world.jobs[:2]
    ]
    assert {} == (await world.state()).holders


async def test_an_attempt_on_the_way_to_its_claim_holds_its_slot(world: World, make_task: MakeTask) -> None:
    """Another batch of the tick looks meanwhile: the attempt does not run yet, and has not ended either."""
    slots = GroupSlots(StoredFlowControl(world.store, clock=lambda: NOON), clock=lambda: NOON)

    def start(task_id: str) -> tuple[VersionedTask, dict[str, Any]]:
        until = NOON + timedelta(seconds=36)
        claim = Claim(token=f"tick.{task_id}", until=until, started_at=NOON)
        return VersionedTask(make_task(task_id, group=TWO), 1), {"claim": claim}

    first = await slots.admit([start("a"), start("b")], running=())
    second = await slots.admit([start("c")], running=())
    slots.mark_unused(first, running={"tick.a"})
    third = await slots.admit([start("d")], running={"tick.a"})

    assert [2, 0, 0] == [len(one) for one in (first, second, third)]  # full for this tick until it looks anew
    assert ["c", "d"] == [one.task.id for one in slots.take_waiting()]
    assert 1 == len(await slots.admit([start("e")], running={"tick.a"}))


async def test_more_than_a_minute_allows_stays_due(world: World, make_task: MakeTask) -> None:
    """No run is recorded and no attempt counted of what waits; the next minute begins with the oldest."""
    late = [NOON - timedelta(seconds=n) for n in range(8)]
    await world.put(*(make_task(f"t{n}", group=FIVE, next_run_at=at) for n, at in enumerate(late)))

    first = await world.tick()
    [waiting, *_] = (await world.store.get_tasks(["t0"])).tasks
    reason = await find_wait_reason(world.store, waiting.task, now=world.now)
    again = await world.tick()
    world.now += timedelta(minutes=1)
    ran = len(world.jobs)
    third = await world.tick()

    assert (5, 3, 0, 3) == tuple(one for r in (first, again) for one in (r["started"], r["postponed"]))
    assert {"t0", "t1", "t2"} == {job.task_id for job in world.jobs[ran:]}
    assert (3, 0) == (third["started"], third["postponed"])
    assert (Status.SCHEDULED, 0, None) == (waiting.task.status, waiting.task.attempt, waiting.task.claim)
    assert "It waits for the group shop-api: 5 of 5 started this minute" == str(reason)
    assert 8 == len(await world.store.runs())


async def test_two_processes_share_the_limit(world: World, make_task: MakeTask) -> None:
    other = SqliteStore(world.path)
    await world.put(*(make_task(f"t{n}", group=TWO) for n in range(6)))

    reports = await asyncio.gather(world.tick(), world.tick(world.parts(other)))
    world.now += timedelta(seconds=1)
    last = await world.tick()
    await other.close()

    assert (6, 2) == (sum(one["succeeded"] for one in (*reports, last)), world.most)
    assert 6 == len({job.task_id for job in world.jobs}) == len(world.jobs)


async def test_a_process_that_died_holds_its_slots_no_longer_than_its_claims(
    world: World, make_task: MakeTask
) -> None:
    held = GroupState({"dead.1": NOON + timedelta(seconds=36), "dead.2": NOON + timedelta(seconds=36)})
    await world.store.put_documents([Document("groups", "all.shop-api", held.to_data())])
    await world.put(make_task(group=TWO))

    before = await world.tick()
    world.now += timedelta(seconds=36)
    after = await world.tick()

    assert (0, 1, 1) == (before["started"], before["postponed"], after["succeeded"])


async def test_what_a_task_of_a_group_costs_more(world: World, make_task: MakeTask) -> None:
    """A read and two writes; tasks without a group cost what they did, and read no group."""
    await world.put(*(make_task(f"t{n}") for n in range(3)))
    without = await world.tick()
    world.now += timedelta(minutes=5)
    await world.put(make_task("alone", group=TWO, next_run_at=world.now))
    dues = len((await world.store.fetch_due(world.now, limit=99)).tasks)

    report = await world.tick()

    assert (3, 7) == (without["reads"], without["writes"])
    assert (dues + 1, 2 * dues + 1 + 2) == (report["reads"], report["writes"])


async def test_a_group_that_cannot_be_written_stops_its_own_tasks_alone(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put(make_task("free"), make_task("held", group=TWO))
    parts = world.parts()

    async def refuse(*_args: object) -> Any:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(world.store, "get_documents", refuse)

    report = await world.tick(parts)

    assert (["free"], 1) == ([job.task_id for job in world.jobs], report["postponed"])


async def test_a_claim_that_is_lost_gives_its_slot_back(world: World, make_task: MakeTask) -> None:
    """Another process had claimed it between the due query and the claim."""
    await world.put(make_task("taken", group=FIVE))
    parts = world.parts()
    flow = parts.flow_control
    assert flow is not None
    exchange = flow().exchange

    async def exchange_and_lose(*args: Any, **options: Any) -> Any:
        [stored] = (await world.store.get_tasks(["taken"])).tasks
        if stored.task.status is Status.SCHEDULED:
            await world.store.write([ConditionalWrite.for_changes(stored, {"run_count": 9})])
        return await exchange(*args, **options)

    flow().exchange = exchange_and_lose  # type: ignore[method-assign]

    report = await world.tick(parts)
    state = await world.state()

    assert (0, 1) == (report["started"], report["lostClaims"])
    assert ({}, 0) == (state.holders, state.started)


async def test_owners_share_no_group(world: World, make_task: MakeTask) -> None:
    limit = Group(name="shop-api", per_minute=1)
    await world.put(*(make_task(f"t-{who}", owner=who, group=limit) for who in ("", "ann", "ben")))

    report = await world.tick()

    assert (3, 0) == (report["succeeded"], report["postponed"])


async def test_an_old_one_that_was_missed_is_not_overtaken(world: World, make_task: MakeTask) -> None:
    """What is late yields to what is on time, elsewhere; within a group the oldest goes first."""
    limit = Group(name="shop-api", per_minute=1)
    old = NOON - timedelta(hours=3)
    await world.put(
        make_task("old", group=limit, next_occurrence=old, next_run_at=old, schedule="@daily"),
        make_task("new", group=limit),
    )

    await world.tick()

    assert ["old"] == [job.task_id for job in world.jobs]
