"""Deferred settlements on each store: the same ticks leave the same tasks and the same history."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, TaskFilter
from functions.domain.task import Job, Task
from functions.domain.types import Status
from functions.engine.tick import tick
from functions.interfaces import Store, TickDependencies
from functions.services.access.settled_store import SettledStore
from tests.conftest import NOON
from tests.contract.documents import create, read

MakeTask = Callable[..., Task]
MakeRun = Callable[..., Any]
MINUTE = timedelta(minutes=1)
ANSWERS = (
    True,
    True,
    True,
    False,
    True,
    True,
    True,
)  # of the minutes' attempts; the last two are alike again


async def _ticks(store: Store, name: str, *, defers: bool) -> list[dict[str, Any]]:
    """Tick for some minutes; the attempts of one task fail in the fourth."""

    def at(minute: int) -> datetime:
        return NOON + minute * MINUTE

    async def tell(notifications: Sequence[Any], *, within: timedelta) -> list[tuple[str, ...]]:
        return [() for _ in notifications]

    reports = []
    for minute, is_up in enumerate(ANSWERS):

        async def run_task(job: Job, *, is_up: bool = is_up) -> Outcome:
            return succeeded(f"Up at {job.scheduled_at:%H:%M}") if is_up else failed("Down", permanent=True)

        parts = TickDependencies(
            store=store,
            run_task=run_task,
            notify=tell,
            clock=lambda minute=minute: at(minute),  # type: ignore[misc]  # the lambda's default is no argument
            new_tick_id=lambda minute=minute: f"{name}{minute}",  # type: ignore[misc]  # as above
            random=Random(1).random,
            defers_settlements=defers,
        )
        reports.append((await tick(parts, TimeBudget(None, None))).as_json())
    return reports


@pytest.mark.slow
async def test_tasks_and_history_are_those_of_settlements_at_once(store: Store, make_task: MakeTask) -> None:
    seen: Any = SettledStore(store)
    outcomes = []
    for name, defers in (("once", False), ("later", True)):
        await create(store, make_task(name, title="Ping", schedule="* * * * *"))
        reports = await _ticks(store, name, defers=defers)
        [found] = (await seen.get_tasks([name])).tasks
        runs = await store.runs(task_id=name, limit=99)
        outcomes.append(
            (
                found.task.model_copy(update={"id": "", "shard": 0}),
                [(run.occurrence, run.outcome, run.summary) for run in runs],
                [[report[key] for key in ("due", "succeeded", "failed")] for report in reports],
            )
        )
        stored = await read(store, name)
        await store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])

    assert outcomes[0] == outcomes[1]
    assert len(ANSWERS) == len(outcomes[0][1])


async def test_a_document_says_running_and_the_task_is_seen_as_it_is(
    store: Store, make_task: MakeTask
) -> None:
    await create(store, make_task("ping", schedule="* * * * *", last_outcome="succeeded"))

    await _ticks(store, "a", defers=True)

    seen: Any = SettledStore(store)
    for status, expected in (("running", []), ("scheduled", ["ping"])):
        page = await seen.list_tasks(TaskFilter(status=status), limit=9)
        assert expected == [one.task.id for one in page.tasks]
        assert len(expected) == await seen.count_tasks(TaskFilter(status=status))
    assert Status.RUNNING is (await read(store, "ping")).task.status


async def test_a_batch_without_writes_is_there_when_the_call_returns(store: Store, make_run: MakeRun) -> None:
    """All that is known of a deferred settlement is that no error was raised."""
    run = make_run(token="abc.1", deferred=True)

    assert [] == await store.write_with_runs(RunBatch("abc.1", NOON, (run,)), [])

    [found] = await store.runs_of_tick("abc")
    assert found.deferred


@pytest.mark.parametrize("deferred", [True, False])
async def test_whether_a_record_is_all_that_was_written_is_kept(
    store: Store, make_run: MakeRun, deferred: bool
) -> None:
    await store.write_with_runs(RunBatch("abc.1", NOON, (make_run(deferred=deferred),)), [])

    assert [deferred] == [run.deferred for run in await store.runs()]
