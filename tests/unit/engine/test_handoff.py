"""What a tick hands to workers, and what it leaves alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, succeeded
from functions.domain.task import Job, Task
from functions.domain.types import OutcomeKind, SkipReason
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.unit.engine.test_tick import PATIENT, World

MakeTask = Callable[..., Task]


@dataclass
class FakeWorkers:
    """Takes everything, and remembers what."""

    max_duration: timedelta = timedelta(seconds=278)
    asked: list[tuple[list[str], bool]] = field(default_factory=list)
    within: timedelta | None = None
    takes: bool = True

    async def submit(self, tasks: Sequence[Task], *, backlog: bool, now: datetime, within: timedelta) -> int:
        self.asked.append(([task.id for task in tasks], backlog))
        self.within = within
        return len(tasks) + 4 * backlog if self.takes else 0


@pytest.fixture
def workers() -> FakeWorkers:
    return FakeWorkers()


@pytest.fixture
async def world(tmp_path: Path, workers: FakeWorkers) -> AsyncIterator[World]:
    store = SqliteStore(str(tmp_path / "tick.db"))
    yield World(store, workers=workers)
    await store.close()


async def test_a_task_too_long_for_a_tick_is_handed_over_and_stays_due(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    await world.put(make_task("backup", timeout_seconds=200), make_task("ping", timeout_seconds=5))

    report = await world.tick(PATIENT)

    assert [(["backup"], False)] == workers.asked
    assert (1, 1, 1) == (report["started"], report["postponed"], report["handedOff"])
    assert NOON == (await world.task("backup")).next_run_at


async def test_a_worker_runs_what_was_handed_over(world: World, make_task: MakeTask) -> None:
    """The worker is the same tick with more time."""
    await world.put(make_task("backup", timeout_seconds=200))
    await world.tick(PATIENT)

    report = await world.tick(TimeBudget(timedelta(seconds=270), timedelta(seconds=280)))

    assert (1, ["backup"]) == (report["succeeded"], [job.task_id for job in world.jobs])


async def test_a_task_too_long_for_any_worker_is_skipped_with_the_reason(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    await world.put(make_task("backup", timeout_seconds=300, delivery="at_most_once"))

    await world.tick(PATIENT)

    [run] = await world.store.runs(task_id="backup")
    assert (OutcomeKind.SKIPPED, SkipReason.BUDGET) == (run.outcome, run.skip_reason)
    assert "time for 278 s" in run.summary
    assert [] == workers.asked


async def test_without_workers_a_task_too_long_is_skipped_as_before(
    world: World, make_task: MakeTask
) -> None:
    world.workers = None
    await world.put(make_task("backup", timeout_seconds=200, delivery="at_most_once"))

    report = await world.tick(PATIENT)

    assert (1, False) == (report["skipped"], "handedOff" in report)


async def test_what_a_tick_has_no_time_to_start_is_a_backlog(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    world.max_concurrency = 1

    async def slowly(job: Job) -> Outcome:
        world.clock.at += timedelta(seconds=10)
        return succeeded("Done")

    world.work = slowly
    await world.put(*(make_task(f"t{n}", timeout_seconds=1) for n in range(5)))

    report = await world.tick(PATIENT)

    assert ([([], True)], 4) == (workers.asked, report["handedOff"])
    assert report["postponed"] > 0


async def test_a_tick_that_does_it_all_asks_nobody(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    await world.put(*(make_task(f"t{n}", timeout_seconds=1) for n in range(30)))

    report = await world.tick(PATIENT)

    assert ([], 30, False) == (workers.asked, report["succeeded"], "handedOff" in report)


async def test_an_idle_tick_asks_nobody(world: World, workers: FakeWorkers) -> None:
    report = await world.tick(PATIENT)

    assert ([], 1, 0) == (workers.asked, report["reads"], report["writes"])


async def test_what_no_queue_takes_is_tried_by_the_next_tick(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    workers.takes = False
    await world.put(make_task("backup", timeout_seconds=200))

    first = await world.tick(PATIENT)
    await world.tick(PATIENT)

    assert ("ok", 1) == (first["status"], first["postponed"])
    assert [(["backup"], False)] * 2 == workers.asked


async def test_a_tick_told_to_stop_hands_nothing_over(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    """Its process ends; the next tick finds it all still due."""
    world.stopping = True
    await world.put(make_task("backup", timeout_seconds=200))

    await world.tick(PATIENT)

    assert [] == workers.asked


async def test_the_hand_over_leaves_time_for_the_answer(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    await world.put(make_task("backup", timeout_seconds=200))

    await world.tick(TimeBudget(timedelta(seconds=4), timedelta(seconds=5)))

    assert workers.within is not None
    assert timedelta(seconds=0.5) <= workers.within <= timedelta(seconds=2)


async def test_attempts_go_on_while_work_is_handed_over(
    world: World, workers: FakeWorkers, make_task: MakeTask
) -> None:
    """An attempt that waits for the hand-over, which would wait for it, shows that neither does."""
    handed = asyncio.Event()

    async def take(tasks: Sequence[Task], **_: object) -> int:
        handed.set()
        return 1

    async def wait(job: Job) -> Outcome:
        await handed.wait()
        return succeeded("Done")

    workers.submit = take  # type: ignore[method-assign]
    world.work = wait
    await world.put(make_task("backup", timeout_seconds=200), make_task("ping", timeout_seconds=5))

    report = await world.tick(PATIENT)

    assert 1 == report["succeeded"]
