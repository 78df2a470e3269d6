"""One tick on the real embedded store: what is found is run once, settled, told, and moved on."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, VersionedTask
from functions.domain.task import Job, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger
from functions.engine import executor, results, writer
from functions.engine.tick import tick
from functions.engine.writer import TickWriter
from functions.errors import LimitsUnknownError, PostponedError, StoreUnavailableError
from functions.interfaces import AttemptSlots, PublishEvents, TickDependencies, WorkerPool
from functions.parsing.errors import NoParserError
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
UNLIMITED = TimeBudget(None, None)
PATIENT = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))


@dataclass
class Clock:
    """Says what it is told, plus the loop's own time, so that real waiting counts."""

    at: datetime = NOON
    origin: float | None = None

    def __call__(self) -> datetime:
        loop_time = asyncio.get_running_loop().time()
        self.origin = self.origin if self.origin is not None else loop_time
        return self.at + timedelta(seconds=loop_time - self.origin)


@dataclass
class World:
    """A store with what surrounds it; answers are the test's."""

    store: SqliteStore
    clock: Clock = field(default_factory=Clock)
    jobs: list[Job] = field(default_factory=list)
    told: list[Notification] = field(default_factory=list)
    unreachable: set[str] = field(default_factory=set)
    work: Callable[[Job], Awaitable[Outcome]] | None = None
    stopping: bool = False
    max_concurrency: int = 200
    workers: WorkerPool | None = None
    publish: PublishEvents | None = None
    names: Any = field(default_factory=lambda: count(1))

    async def put(self, *tasks: Task) -> None:
        await self.store.write([ConditionalWrite(task, None) for task in tasks])

    async def task(self, task_id: str = "water-plants") -> Task:
        return (await self.store.get_tasks([task_id])).tasks[0].task

    async def tick(self, budget: TimeBudget = UNLIMITED) -> dict[str, Any]:
        parts = TickDependencies(
            store=self.store,
            run_task=self.perform,
            notify=self.tell,
            clock=self.clock,
            new_tick_id=lambda: f"tick{next(self.names)}",
            random=random.Random(1).random,
            is_shutting_down=lambda: self.stopping,
            slots=AttemptSlots(self.max_concurrency),
            workers=self.workers,
            publish=self.publish,
        )
        return (await tick(parts, budget)).as_json()

    async def perform(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return await self.work(job) if self.work else succeeded(f"Done {job.task_id}")

    async def tell(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self.told += notifications
        return [tuple(self.unreachable) for _ in notifications]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(str(tmp_path / "tick.db"))
    yield World(store)
    await store.close()


async def test_due_tasks_run_once_and_move_on(world: World, make_task: MakeTask) -> None:
    await world.put(*(make_task(f"t{n}") for n in range(30)), make_task("later", next_run_at=NOON + MINUTE))

    report = await world.tick()

    assert {f"t{n}" for n in range(30)} == {job.task_id for job in world.jobs}
    assert (30, 30, 30, 0) == tuple(report[name] for name in ("due", "started", "succeeded", "postponed"))
    assert [] == list((await world.store.fetch_due(world.clock(), limit=99)).tasks)
    assert (await world.task("t0")).next_occurrence == NOON + 5 * MINUTE


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("missing", [LimitsUnknownError("The store is away"), NoParserError("All are busy")])
async def test_an_attempt_that_cannot_be_made_now_waits_and_counts_for_nothing(
    world: World, make_task: MakeTask, delivery: str, missing: PostponedError
) -> None:
    async def work(job: Job) -> Outcome:
        if len(world.jobs) == 1:
            raise missing
        return succeeded("Done")

    world.work = work
    await world.put(make_task(delivery=delivery, retry={"max_attempts": 1}))

    first = await world.tick()
    task, runs = await world.task(), await world.store.runs(limit=9)
    world.clock.at += MINUTE
    second = await world.tick()

    assert (1, 0, 0, 1) == tuple(first[name] for name in ("due", "started", "failed", "postponed"))
    assert ([], Status.RETRYING, 0, None) == (runs, task.status, task.attempt, task.claim)
    assert task.next_run_at is not None
    assert NOON < task.next_run_at < NOON + MINUTE
    assert (1, 1, 0) == tuple(second[name] for name in ("started", "succeeded", "postponed"))
    assert [1, 1] == [job.attempt for job in world.jobs]


async def test_a_run_costs_one_read_and_two_writes(world: World, make_task: MakeTask) -> None:
    await world.put(*(make_task(f"t{n}") for n in range(30)))

    report = await world.tick()

    assert (30, 61) == (report["reads"], report["writes"])


@pytest.mark.slow
async def test_attempts_that_end_in_bursts_are_written_by_full_hundreds(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch costs a write: what a burst has beyond a hundred waits a moment for the next burst."""
    monkeypatch.setattr(results, "FLUSH_EVERY_S", 5.0)
    world.max_concurrency = 300
    await world.put(*(make_task(f"t{n}") for n in range(300)))
    bursts = [asyncio.Event(), asyncio.Event()]

    async def work(job: Job) -> Outcome:
        burst = len(world.jobs) > 160
        if len(world.jobs) == 300:
            bursts[0].set()
            asyncio.get_running_loop().call_later(0.05, bursts[1].set)
        await bursts[burst].wait()
        return succeeded("Done")

    world.work = work
    report = await world.tick()

    assert 2 * 300 + 3 == report["writes"]


async def test_an_idle_tick_costs_one_read(world: World, make_task: MakeTask) -> None:
    await world.put(make_task(next_run_at=NOON + MINUTE))

    report = await world.tick()

    assert (0, 1, 0) == (report["due"], report["reads"], report["writes"])


@pytest.mark.slow
async def test_ticks_that_overlap_run_nothing_twice(world: World, make_task: MakeTask) -> None:
    await world.put(*(make_task(f"t{n}") for n in range(100)))

    reports = await asyncio.gather(*(world.tick() for _ in range(4)))

    assert 100 == len(world.jobs) == len({job.task_id for job in world.jobs})
    assert 100 == sum(report["succeeded"] for report in reports)


async def test_a_claim_that_got_no_slot_is_released_and_its_task_left_due(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two short attempts let two more tasks be claimed ahead, behind attempts that then hold all slots."""
    monkeypatch.setattr(executor, "MAX_SLOT_WAIT_S", 0.05)
    world.max_concurrency = 4
    await world.put(*(make_task(f"{kind}{n}", timeout_seconds=1) for kind in "ab" for n in range(4)))

    async def work(job: Job) -> Outcome:
        if job.task_id not in ("a0", "a1") and not world.stopping:
            await asyncio.sleep(60)
        return succeeded("Done")

    world.work = work
    report = await world.tick(TimeBudget(timedelta(seconds=0.5), timedelta(seconds=3)))
    left = (await world.store.fetch_due(world.clock(), limit=99)).tasks
    world.stopping, world.work = False, None
    world.clock.at += timedelta(minutes=30)
    await world.tick()

    assert (6, 2) == (report["started"], report["postponed"])
    assert 2 <= len([one for one in left if one.task.claim is None and one.task.attempt == 0])
    assert {f"{kind}{n}" for kind in "ab" for n in range(4)} == {job.task_id for job in world.jobs}
    assert all(job.attempt == 1 for job in world.jobs if job.task_id in ("b2", "b3"))


async def test_runs_are_in_the_ledger(world: World, make_task: MakeTask) -> None:
    await world.put(make_task())

    await world.tick()

    [run] = await world.store.runs(task_id="water-plants")
    assert (NOON, OutcomeKind.SUCCEEDED, 1, "tick1.1") == (
        run.occurrence,
        run.outcome,
        run.attempt,
        run.token,
    )


async def test_a_hanging_task_is_timed_out_and_the_others_go_on(world: World, make_task: MakeTask) -> None:
    async def work(job: Job) -> Outcome:
        if job.task_id == "hangs":
            await asyncio.Event().wait()
        return succeeded("Done")

    world.work = work
    await world.put(make_task("hangs", timeout_seconds=0.05, retry={"max_attempts": 1}), make_task("fine"))

    report = await world.tick()

    assert (1, 1) == (report["succeeded"], report["failed"])
    assert OutcomeKind.TIMED_OUT == (await world.task("hangs")).last_outcome


async def test_an_attempt_that_ends_after_its_tick_is_left_to_the_expiry_of_its_claim(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "CANCEL_TIMEOUT_S", 0.01)
    monkeypatch.setattr(results, "FLUSH_EVERY_S", 0.0)
    begun, end = asyncio.Event(), asyncio.Event()

    async def ignore_cancellation(job: Job) -> Outcome:
        begun.set()
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue
        return succeeded("Done")

    world.work = ignore_cancellation
    await world.put(make_task())
    running = asyncio.create_task(world.tick())
    await begun.wait()
    running.cancel()
    await asyncio.wait([running])
    end.set()
    await asyncio.sleep(0.02)

    assert Status.RUNNING is (await world.task()).status
    assert [] == await world.store.runs()


async def test_a_failure_is_told_once_and_the_duty_is_cleared(world: World, make_task: MakeTask) -> None:
    world.work = _always(failed("Answered 404", permanent=True))
    await world.put(make_task())

    await world.tick()

    task = await world.task()
    assert ["failure"] == [notice.kind for notice in world.told]
    assert ((), NOON + 5 * MINUTE) == (task.alert.pending, task.next_run_at)


async def test_what_could_not_be_told_is_told_by_a_later_tick(world: World, make_task: MakeTask) -> None:
    world.work = _always(failed("Answered 404", permanent=True))
    world.unreachable = {"feishu"}
    await world.put(make_task())
    await world.tick()
    world.unreachable = set()
    world.clock.at += 2 * MINUTE

    await world.tick()

    assert 2 == len(world.told)
    assert ("feishu",) == world.told[1].channels
    assert (1, ()) == (len(world.jobs), (await world.task()).alert.pending)


async def test_of_two_ticks_at_once_only_one_tells_again(world: World, make_task: MakeTask) -> None:
    world.work = _always(failed("Answered 404", permanent=True))
    world.unreachable = {"feishu"}
    await world.put(make_task())
    await world.tick()
    world.clock.at += 2 * MINUTE

    await asyncio.gather(world.tick(), world.tick())

    assert 2 == len(world.told)


async def test_a_store_that_fails_between_waves_does_not_cut_off_what_runs(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick reports the failure, but the attempt it had begun is finished and written."""
    claim, broken = TickWriter.claim, asyncio.Event()

    async def only_once(books: TickWriter, wanted: Any) -> list[VersionedTask]:
        if broken.is_set():
            raise StoreUnavailableError("Gone")
        broken.set()
        return await claim(books, wanted)

    monkeypatch.setattr(TickWriter, "claim", only_once)
    world.max_concurrency = 1
    await world.put(make_task("a"), make_task("b"))

    with pytest.raises(StoreUnavailableError):
        await world.tick()

    assert ("Done a", None) == ((await world.task("a")).last_result_summary, (await world.task("a")).claim)


async def test_a_wave_whose_claims_fail_does_not_cut_off_the_wave_beside_it(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a hundred are claimed in several waves at once; what one of them won is run and written."""
    claim, sizes = TickWriter.claim, list[int]()

    async def only_the_second(books: TickWriter, wanted: Any) -> list[VersionedTask]:
        sizes.append(len(wanted))
        if len(sizes) == 1:
            raise StoreUnavailableError("Gone")
        await asyncio.sleep(0.05)
        return await claim(books, wanted)

    monkeypatch.setattr(TickWriter, "claim", only_the_second)
    await world.put(*(make_task(f"t{n}") for n in range(150)))

    with pytest.raises(StoreUnavailableError):
        await world.tick()

    assert [100, 50] == sizes
    assert 50 == len(world.jobs) == len(await world.store.runs(limit=200))
    assert 100 == len((await world.store.fetch_due(world.clock(), limit=200)).tasks)


async def test_an_edit_during_the_run_keeps_the_edit_and_the_result(
    world: World, make_task: MakeTask
) -> None:
    async def edit_meanwhile(job: Job) -> Outcome:
        [stored] = (await world.store.get_tasks([job.task_id])).tasks
        await world.store.write(
            [ConditionalWrite.for_changes(stored, {"title": "Edited", "schedule": "0 * * * *"})]
        )
        return succeeded("Done")

    world.work = edit_meanwhile
    await world.put(make_task())

    await world.tick()

    task = await world.task()
    assert ("Edited", "Done", Status.SCHEDULED) == (task.title, task.last_result_summary, task.status)


async def test_a_task_deleted_during_its_run_stays_deleted(world: World, make_task: MakeTask) -> None:
    async def delete_meanwhile(job: Job) -> Outcome:
        [stored] = (await world.store.get_tasks([job.task_id])).tasks
        await world.store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])
        return succeeded("Done")

    world.work = delete_meanwhile
    await world.put(make_task())

    await world.tick()

    assert () == (await world.store.get_tasks(["water-plants"])).tasks
    assert 1 == len(await world.store.runs())


async def test_a_claim_whose_answer_took_too_long_is_given_back(world: World, make_task: MakeTask) -> None:
    """Nothing was begun, so that even a task that must not run twice has its attempt still before it."""

    class Slow(SqliteStore):
        async def write(self, writes: Sequence[ConditionalWrite]) -> Any:
            written = await super().write(writes)
            world.clock.at += MINUTE  # longer than the attempt may take
            return written

    world.store = Slow(str(world.store._connection.path))
    await world.put(make_task(delivery="at_most_once", timeout_seconds=20))
    world.clock.at = NOON

    report = await world.tick()

    task = await world.task()
    await world.store.close()
    assert ([], 0, 1) == (world.jobs, report["started"], report["postponed"])
    assert (Status.RETRYING, 0, None) == (task.status, task.attempt, task.claim)


async def test_a_claim_that_took_the_rest_of_the_tick_is_given_back_where_the_cut_would_be_the_end(
    world: World, make_task: MakeTask
) -> None:
    class Slow(SqliteStore):
        async def write(self, writes: Sequence[ConditionalWrite]) -> Any:
            written = await super().write(writes)
            world.clock.at += timedelta(seconds=9)  # in time for the claim, but not for the tick
            return written

    world.store = Slow(str(world.store._connection.path))
    await world.put(make_task("again"), make_task("once", delivery="at_most_once", timeout_seconds=20))
    world.clock.at = NOON

    report = await world.tick(PATIENT)

    once = await world.task("once")
    await world.store.close()
    assert (["again"], 1, 1) == ([job.task_id for job in world.jobs], report["started"], report["postponed"])
    assert (Status.RETRYING, 0, NOON) == (once.status, once.attempt, once.next_run_at)


async def test_a_tick_that_overslept_its_claim_cannot_overwrite_the_newer_result(
    world: World, make_task: MakeTask
) -> None:
    async def oversleep(job: Job) -> Outcome:
        if job.attempt == 1:
            world.work = _always(succeeded("By the second tick"))
            world.clock.at += MINUTE
            await world.tick()
        return failed("Too late to tell")

    world.work = oversleep
    await world.put(make_task())

    await world.tick()

    assert "By the second tick" == (await world.task()).last_result_summary
    assert [1, 2] == [job.attempt for job in world.jobs]


async def test_an_expired_claim_with_a_record_is_settled_from_it(world: World, make_task: MakeTask) -> None:
    await world.put(make_task())
    await world.tick()
    [run] = await world.store.runs()
    await world.put(
        make_task(
            "dead",
            status=Status.RUNNING,
            occurrence=NOON,
            attempt=1,
            next_occurrence=NOON + 5 * MINUTE,
            claim={"token": "dead.1", "until": NOON, "started_at": NOON - MINUTE},
        )
    )
    recorded = run.model_copy(update={"task_id": "dead", "token": "dead.1", "summary": "Done before the end"})
    await world.store.write_with_runs(RunBatch("dead.1", NOON, (recorded,)), [])

    await world.tick()

    assert ["water-plants"] == [job.task_id for job in world.jobs]
    assert "Done before the end" == (await world.task("dead")).last_result_summary


async def test_an_expired_claim_without_a_record_is_run_again_in_the_same_tick(
    world: World, make_task: MakeTask
) -> None:
    claim = {"token": "dead.1", "until": NOON, "started_at": NOON - MINUTE}
    await world.put(
        make_task(
            status=Status.RUNNING, occurrence=NOON, attempt=1, next_occurrence=NOON + 5 * MINUTE, claim=claim
        )
    )

    await world.tick()

    assert [2] == [job.attempt for job in world.jobs]
    assert {OutcomeKind.ABANDONED, OutcomeKind.SUCCEEDED} == {run.outcome for run in await world.store.runs()}


async def test_missed_occurrences_are_all_run_in_one_tick_when_asked(
    world: World, make_task: MakeTask
) -> None:
    await world.put(make_task(misfire={"policy": "run_all"}))
    world.clock.at += 21 * MINUTE

    await world.tick()

    assert [NOON + n * 5 * MINUTE for n in range(5)] == [job.scheduled_at for job in world.jobs]


async def test_a_task_that_must_not_be_cut_and_is_too_long_for_any_tick_is_skipped_with_the_remedy(
    world: World, make_task: MakeTask
) -> None:
    await world.put(make_task(timeout_seconds=60, delivery="at_most_once"))

    report = await world.tick(PATIENT)

    [run] = await world.store.runs()
    assert (SkipReason.BUDGET, 0, 1) == (run.skip_reason, report["started"], report["skipped"])
    assert "TICK_BUDGET_SECONDS" in world.told[0].summary


async def test_what_no_longer_fits_is_left_for_the_next_tick(world: World, make_task: MakeTask) -> None:
    async def slow(job: Job) -> Outcome:
        world.clock.at += timedelta(seconds=13)
        return succeeded("Done")

    world.work, world.max_concurrency = slow, 1
    await world.put(make_task("a", timeout_seconds=15), make_task("b", timeout_seconds=15))

    report = await world.tick(PATIENT)

    assert (["a"], 1, 1) == ([job.task_id for job in world.jobs], report["started"], report["postponed"])


async def test_nothing_is_started_after_the_time_for_starting(world: World, make_task: MakeTask) -> None:
    async def slow(job: Job) -> Outcome:
        world.clock.at += timedelta(seconds=19)
        return succeeded("Done")

    world.work, world.max_concurrency = slow, 1
    await world.put(make_task("a", timeout_seconds=1), make_task("b", timeout_seconds=1))

    report = await world.tick(PATIENT)

    assert (1, 1) == (report["started"], report["postponed"])


async def test_missed_work_waits_until_work_on_time_has_started(world: World, make_task: MakeTask) -> None:
    late = {"schedule": "0 * * * *", "next_occurrence": NOON - 60 * MINUTE, "misfire": {"policy": "run_all"}}
    await world.put(make_task("missed", **late, priority="urgent", next_run_at=NOON - 60 * MINUTE))
    await world.put(make_task("on-time", priority="low"))

    await world.tick()

    assert "on-time" == world.jobs[0].task_id
    assert 3 == len(world.jobs)


async def test_a_stopping_process_starts_nothing_more(world: World, make_task: MakeTask) -> None:
    """It claims nothing either, so another process can have it at once."""
    world.stopping = True
    await world.put(make_task())

    report = await world.tick()

    assert (0, 0) == (report["started"], report["writes"])


async def test_a_process_told_to_stop_while_it_claims_gives_the_claims_back(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = TickWriter.claim

    async def told_meanwhile(books: TickWriter, wanted: Any) -> list[VersionedTask]:
        world.stopping = True
        return await claim(books, wanted)

    monkeypatch.setattr(TickWriter, "claim", told_meanwhile)
    await world.put(make_task())

    await world.tick()

    task = await world.task()
    assert ([], None, NOON, 0) == (world.jobs, task.claim, task.occurrence, task.attempt)
    assert [task] == [stored.task for stored in (await world.store.fetch_due(world.clock(), limit=9)).tasks]


async def test_a_running_attempt_is_cancelled_when_somebody_asks(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_for_cancel(job: Job) -> Outcome:
        [stored] = (await world.store.get_tasks([job.task_id])).tasks
        await world.store.write([ConditionalWrite.for_changes(stored, {"cancel_requested": True})])
        await asyncio.Event().wait()
        return succeeded("Never")

    monkeypatch.setattr("functions.engine.executor.CANCELLATION_POLL", timedelta(seconds=0.05))
    world.work = wait_for_cancel
    await world.put(make_task())

    await world.tick()

    task = await world.task()
    assert (OutcomeKind.CANCELLED, Status.SCHEDULED) == (task.last_outcome, task.status)


async def test_a_run_by_hand_leaves_the_schedule_where_it_is(world: World, make_task: MakeTask) -> None:
    extra = {"at": NOON - timedelta(seconds=5), "trigger": Trigger.MANUAL}
    await world.put(make_task(next_occurrence=NOON + 3 * MINUTE, backlog=[extra]))

    await world.tick()

    assert [Trigger.MANUAL] == [job.trigger for job in world.jobs]
    assert NOON + 3 * MINUTE == (await world.task()).next_run_at


async def test_a_schedule_nobody_can_read_pauses_its_task_and_the_others_go_on(
    world: World, make_task: MakeTask
) -> None:
    await world.put(make_task("bad", schedule="61 * * * *"), make_task("good"))

    report = await world.tick()

    assert (["good"], 1) == ([job.task_id for job in world.jobs], report["succeeded"])
    assert Status.PAUSED == (await world.task("bad")).status


async def test_concurrency_is_bounded(world: World, make_task: MakeTask) -> None:
    at_once: list[int] = []

    async def work(job: Job) -> Outcome:
        at_once.append(1)
        peak.append(len(at_once))
        await asyncio.sleep(0)
        at_once.pop()
        return succeeded("Done")

    peak: list[int] = []
    world.work, world.max_concurrency = work, 7
    await world.put(*(make_task(f"t{n}") for n in range(40)))

    report = await world.tick()

    assert 40 == report["succeeded"]
    assert 7 >= max(peak)


def _always(outcome: Outcome) -> Callable[[Job], Awaitable[Outcome]]:
    async def work(job: Job) -> Outcome:
        return outcome

    return work


async def test_a_result_that_was_not_written_is_not_counted_and_the_tick_is_degraded(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(SqliteStore):
        async def write_with_runs(self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]) -> Any:
            if batch is not None:
                raise StoreUnavailableError("No answer")
            return await super().write_with_runs(batch, writes)

    monkeypatch.setattr(writer, "FIRST_WAIT_S", 0.001)
    await world.put(*(make_task(f"t{n}") for n in range(20)))
    await world.store.close()
    world.store = Deaf(str(world.store._connection.path))

    report = await world.tick()

    assert ("degraded", 0, 20) == (report["status"], report["succeeded"], report["unwritten"])
    await world.store.close()


async def test_a_store_that_takes_no_claims_degrades_the_tick(world: World, make_task: MakeTask) -> None:
    """Its quota is used up, or another process holds the lock: nothing runs, and that was "ok"."""

    class Full(SqliteStore):
        async def write(self, writes: Sequence[ConditionalWrite]) -> Any:
            raise StoreUnavailableError("A quota is used up")

    await world.put(*(make_task(f"t{n}") for n in range(3)))
    await world.store.close()
    world.store = Full(str(world.store._connection.path))

    report = await world.tick()

    assert ("degraded", 3, 0, 3) == tuple(
        report[name] for name in ("status", "unclaimed", "started", "lostClaims")
    )
    await world.store.close()


async def test_a_public_host_is_not_called_by_all_its_tasks_at_once_and_others_do_not_wait(
    world: World, make_task: MakeTask
) -> None:
    running, peak, order = 0, 0, list[str]()
    all_began = asyncio.Event()

    async def work(job: Job) -> Outcome:
        nonlocal running, peak
        order.append(job.task_id)
        if len(order) == 60:
            all_began.set()
        if job.task_id.startswith("shop"):
            running += 1
            peak = max(peak, running)
            await (all_began.wait() if job.task_id == "shop00" else asyncio.sleep(0.01))
            running -= 1
        return succeeded("Done")

    world.work = work
    shop = {"params": {"url": "https://shop.example/health"}, "recent": ("succeeded 100",)}
    await world.put(*(make_task(f"shop{n:02}", **shop, priority="urgent") for n in range(30)))
    await world.put(*(make_task(f"other{n:02}", params={"url": f"https://h{n}.example"}) for n in range(30)))

    report = await world.tick(PATIENT)

    assert (60, 0) == (report["succeeded"], report["postponed"])
    assert 8 == peak
    others = [place for place, name in enumerate(order) if name.startswith("other")]
    assert max(others) < 30 + 8, "the others started beside the first eight"


async def test_tasks_that_wait_for_their_host_are_no_backlog_for_workers(
    world: World, make_task: MakeTask
) -> None:
    messages: list[bool] = []

    class Pool:
        max_duration = timedelta(minutes=10)

        async def submit(self, tasks: Sequence[Task], *, backlog: bool, **_: Any) -> int:
            messages.append(backlog)
            return 1

    async def work(job: Job) -> Outcome:
        await asyncio.sleep(0.01)
        return succeeded("Done")

    world.work, world.workers = work, Pool()
    shop = {"params": {"url": "https://shop.example/health"}, "recent": ("succeeded 100",)}
    await world.put(*(make_task(f"shop{n:02}", **shop) for n in range(20)))

    report = await world.tick(PATIENT)

    assert 20 == report["succeeded"]
    assert [] == messages


async def test_a_tick_that_is_cancelled_writes_what_is_done_whoever_ignores_his_end(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout in a task that is cancelled raises no TimeoutError on Python 3.11: nothing was written."""
    monkeypatch.setattr(results, "FLUSH_EVERY_S", 60.0)
    monkeypatch.setattr(executor, "CANCEL_TIMEOUT_S", 0.02)
    is_done, released = asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> Outcome:
        if job.task_id == "done":
            asyncio.get_running_loop().call_soon(is_done.set)
            return succeeded("Done")
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        return succeeded("At last")

    world.work = work
    await world.put(make_task("done"), make_task("stubborn"))
    running = asyncio.create_task(world.tick())
    async with asyncio.timeout(5):
        await is_done.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    found = await world.task("done")
    released.set()
    assert ("Done", Status.SCHEDULED) == (found.last_result_summary, found.status)


async def test_a_tick_ends_in_time_whoever_ignores_his_end(
    world: World, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was waited for until the caller had no answer, with every tick in which it ran."""
    monkeypatch.setattr(executor, "CANCEL_TIMEOUT_S", 0.02)
    released = asyncio.Event()

    async def work(job: Job) -> Outcome:
        if job.task_id == "stubborn":
            world.clock.at += timedelta(seconds=24)  # the time of the tick is up
            while not released.is_set():
                with suppress(asyncio.CancelledError):
                    await released.wait()
        return succeeded("Done")

    world.work = work
    await world.put(make_task("done"), make_task("stubborn"))

    try:
        async with asyncio.timeout(5):
            report = await world.tick(PATIENT)
    finally:
        released.set()

    assert ("ok", 2, 1) == (report["status"], report["started"], report["succeeded"])
    assert Status.RUNNING is (await world.task("stubborn")).status  # until its claim expires
