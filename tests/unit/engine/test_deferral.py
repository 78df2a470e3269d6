"""Ticks that leave a quiet success at its record: what they write, and what the next one makes of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import queue_runs
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult, WriteStatus
from functions.domain.task import Job, Task
from functions.domain.types import OutcomeKind, Status, Trigger
from functions.engine import results, writer
from functions.engine.tick import tick
from functions.errors import StoreUnavailableError
from functions.interfaces import PublishEvents, TickDependencies
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
BUDGET = TimeBudget(start_limit=18 * SECOND, response_limit=24 * SECOND)


@dataclass
class Wire:
    """The real store; *lost* says for each coming write with records how it goes wrong."""

    store: SqliteStore
    lost: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        loss = self.lost.pop(0) if self.lost else ""
        if loss == "request":
            raise StoreUnavailableError("The wire is cut")
        if loss == "unsent":  # Firestore did not say whether it has the records
            return [WriteResult(WriteStatus.UNKNOWN)] * len(writes)
        written = await self.store.write_with_runs(batch, writes)
        self.batches += [len(batch.runs)] if batch else []
        self.recorded.set()
        if loss == "answer":
            raise StoreUnavailableError("The wire is cut")
        return [WriteResult(WriteStatus.UNKNOWN)] * len(written) if loss == "items" else written


@dataclass
class World:
    """A store, a clock that stands still within a tick, and answers that are the test's."""

    store: Wire
    now: datetime = NOON
    defers: bool = True
    work: Callable[[Job], Awaitable[Outcome]] | None = None
    publish: PublishEvents | None = None
    jobs: list[Job] = field(default_factory=list)
    names: Any = field(default_factory=lambda: count(1))

    async def put(self, *tasks: Task) -> None:
        await self.store.write([ConditionalWrite(task, None) for task in tasks])

    async def task(self, task_id: str = "t0") -> Task:
        return (await self.store.store.get_tasks([task_id])).tasks[0].task

    async def tick(self, at: datetime) -> dict[str, Any]:
        self.now = at
        parts = TickDependencies(
            store=self.store,
            run_task=self.perform,
            notify=self.tell,
            clock=lambda: self.now,
            new_tick_id=lambda: f"tick{next(self.names)}",
            random=random.Random(1).random,
            publish=self.publish,
            defers_settlements=self.defers,
        )
        return (await tick(parts, BUDGET)).as_json()

    async def perform(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return await self.work(job) if self.work else succeeded(f"Done {job.task_id}")

    async def tell(self, notifications: Sequence[Any], *, within: timedelta) -> list[tuple[str, ...]]:
        return [() for _ in notifications]

    async def ends(self, task_id: str = "t0") -> list[tuple[datetime, OutcomeKind]]:
        """The occurrences that are over, each once, as readers of the history see them."""
        runs = await self.store.runs(task_id=task_id)
        return sorted((run.occurrence, run.outcome) for run in runs if run.final)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(writer, "FIRST_WAIT_S", 0.001)
    store = SqliteStore(str(tmp_path / "deferral.db"))
    yield World(Wire(store))
    await store.close()


@pytest.fixture
def frequent(make_task: MakeTask) -> MakeTask:
    """Build a task of every minute that has succeeded before."""

    def make(task_id: str = "t0", **changes: Any) -> Task:
        defaults = {"schedule": "* * * * *", "last_outcome": "succeeded", "last_run_at": NOON - MINUTE}
        return make_task(task_id, **(defaults | changes))

    return make


async def test_a_run_of_a_frequent_task_costs_one_read_and_one_write(
    world: World, frequent: MakeTask
) -> None:
    await world.put(*(frequent(f"t{n}") for n in range(12)))

    reports = [await world.tick(NOON + n * MINUTE) for n in range(3)]

    assert [12, 12, 12] == [report["succeeded"] for report in reports]
    assert [(12, 13), (13, 13), (13, 13)] == [(report["reads"], report["writes"]) for report in reports]
    assert [NOON + n * MINUTE for n in range(3)] == [at for at, _ in await world.ends()]


async def test_without_it_the_same_tick_writes_each_task_twice(world: World, frequent: MakeTask) -> None:
    world.defers = False
    await world.put(*(frequent(f"t{n}") for n in range(12)))

    report = await world.tick(NOON)

    assert (12, 25) == (report["reads"], report["writes"])
    assert Status.SCHEDULED is (await world.task()).status


async def test_whoever_does_not_know_of_it_settles_by_the_record(world: World, frequent: MakeTask) -> None:
    """The setting is taken back, or an older version is pinged: nothing is repeated, nothing is lost."""
    await world.put(frequent())
    await world.tick(NOON)
    left = await world.task()
    world.defers = False

    await world.tick(NOON + MINUTE)

    assert Status.RUNNING is left.status
    assert [NOON, NOON + MINUTE] == [job.scheduled_at for job in world.jobs]
    assert Status.SCHEDULED is (await world.task()).status
    assert 2 == (await world.task()).run_count


async def test_an_attempt_without_a_record_is_made_again_at_the_next_look(
    world: World, frequent: MakeTask
) -> None:
    await world.put(frequent())

    async def die(job: Job) -> Outcome:
        raise StoreUnavailableError("no process, no record")

    world.work = die
    world.store.lost = ["request"] * 9
    await world.tick(NOON)
    world.work, world.store.lost = None, []

    assert 0 == (await world.tick(NOON + 50 * SECOND))["due"]
    await world.tick(NOON + MINUTE)

    assert [1, 2, 1] == [job.attempt for job in world.jobs]
    assert [NOON, NOON, NOON + MINUTE] == [job.scheduled_at for job in world.jobs]


async def test_a_failure_and_its_recovery_are_written_at_once(world: World, frequent: MakeTask) -> None:
    await world.put(frequent(retry={"maxAttempts": 1}))
    states = []
    for minute, answer in enumerate([succeeded("Up"), failed("Down"), succeeded("Up"), succeeded("Up")]):
        world.work = _answering(answer)
        await world.tick(NOON + minute * MINUTE)
        task = await world.task()
        states.append((task.status, task.last_outcome))

    assert [
        (Status.RUNNING, OutcomeKind.SUCCEEDED),
        (Status.SCHEDULED, OutcomeKind.FAILED),
        (Status.SCHEDULED, OutcomeKind.SUCCEEDED),
        (Status.RUNNING, OutcomeKind.SUCCEEDED),
    ] == states


def _answering(outcome: Outcome) -> Callable[[Job], Awaitable[Outcome]]:
    async def work(_: Job) -> Outcome:
        return outcome

    return work


async def test_what_is_written_and_what_is_deferred_share_a_batch(world: World, frequent: MakeTask) -> None:
    await world.put(*(frequent(f"t{n}") for n in range(5)), frequent("new", last_outcome=None))

    report = await world.tick(NOON)

    assert 6 + 1 + 1 == report["writes"]  # claims, records, the settlement of the new one
    assert (Status.RUNNING, Status.SCHEDULED) == (
        (await world.task()).status,
        (await world.task("new")).status,
    )


@pytest.mark.parametrize("loss", ["request", "answer", "items", "unsent"])
async def test_a_record_without_an_answer_is_written_again(
    world: World, frequent: MakeTask, loss: str
) -> None:
    await world.put(frequent(), frequent("t1", last_outcome=None))
    world.store.lost = [loss]

    report = await world.tick(NOON)
    await world.tick(NOON + MINUTE)

    assert (2, 0) == (report["succeeded"], report.get("unwritten", 0))
    assert [NOON, NOON + MINUTE] == [job.scheduled_at for job in world.jobs if job.task_id == "t0"]
    assert [NOON, NOON + MINUTE] == [at for at, _ in await world.ends()]


async def test_a_record_that_is_never_taken_is_unwritten(world: World, frequent: MakeTask) -> None:
    await world.put(frequent())
    world.store.lost = ["request"] * writer.MAX_TRIES

    report = await world.tick(NOON)

    assert ("degraded", 1, 0) == (report["status"], report["unwritten"], report["succeeded"])


async def test_a_run_asked_for_during_the_attempt_starts_when_the_claim_ends(
    world: World, frequent: MakeTask
) -> None:
    await world.put(frequent(schedule="*/5 * * * *"))

    async def ask(job: Job) -> Outcome:
        if len(world.jobs) == 1:
            [stored] = (await world.store.get_tasks(["t0"])).tasks
            asked = queue_runs(stored.task, [NOON + SECOND], Trigger.MANUAL, now=NOON + SECOND).changes
            await world.store.write([ConditionalWrite.for_changes(stored, asked)])
        return succeeded("Done")

    world.work = ask
    await world.tick(NOON)
    await world.tick(NOON + MINUTE)

    assert [NOON, NOON + SECOND] == [job.scheduled_at for job in world.jobs]
    assert NOON + 5 * MINUTE == (await world.task()).next_occurrence


async def test_an_event_after_the_claims_end_settles_the_task_it_starts(
    world: World, frequent: MakeTask
) -> None:
    """It is read without its record there, and looked at again at once."""
    five = {"schedule": "*/5 * * * *"}
    await world.put(frequent(after=({"task": "t1"},), **five))
    await world.tick(NOON)
    first = frequent("t1", next_occurrence=NOON + MINUTE, dependents=({"task": "t0", "on": "success"},))
    await world.put(first)

    report = await world.tick(NOON + MINUTE)

    assert (2, 2) == (report["started"], report["succeeded"])
    assert [NOON, NOON + MINUTE] == [at for at, _ in await world.ends()]
    assert 2 == (await world.task()).run_count


async def test_results_wait_for_one_another_and_urgent_ones_do_not_wait(
    world: World, frequent: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts of a second and more apart share a batch, until one ends that has to be written."""
    monkeypatch.setattr(results, "DEFERRED_FLUSH_S", 30.0)
    monkeypatch.setattr(results, "FLUSH_EVERY_S", 0.01)
    await world.put(*(frequent(f"t{n}") for n in range(3)), frequent("slow"))
    down = asyncio.Event()

    async def work(job: Job) -> Outcome:
        if job.task_id == "t2":
            await down.wait()
            return failed("Down")
        if job.task_id == "slow":
            await asyncio.sleep(0.05)
            assert not await world.store.runs()
            down.set()
            await world.store.recorded.wait()
        return succeeded("Done")

    world.work = work
    await world.tick(NOON)

    assert [3, 1] == world.store.batches
    assert 4 == len(await world.store.runs())


async def test_programs_are_told_of_a_deferred_run(world: World, frequent: MakeTask) -> None:
    told: list[Any] = []

    async def publish(events: Sequence[Any], *, within: timedelta) -> int:
        told.extend(events)
        return 0

    world.publish = publish
    await world.put(frequent())

    await world.tick(NOON)
    await world.tick(NOON + MINUTE)

    assert 2 == len(told)
