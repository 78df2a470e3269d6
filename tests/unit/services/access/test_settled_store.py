"""What all but ticks see of tasks whose settlement is deferred, and what becomes of their changes."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.complete import pause
from functions.domain.lifecycle.decide import StartAttempt, decide
from functions.domain.lifecycle.deferral import mark_deferred
from functions.domain.run import Run, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, TaskFilter, VersionedTask
from functions.domain.task import Task
from functions.domain.types import Status
from functions.services.access.settled_store import SettledStore
from functions.services.compare_and_set import update_task
from functions.services.executions import list_executions
from functions.services.paging import iter_task_pages
from functions.stores.metering import count_operations
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "settled.db"))
    yield store
    await store.close()


def _seen(stored: SqliteStore) -> Any:
    return SettledStore(stored)


def _claimed(task: Task, tick_id: str) -> Task:
    start = decide(task, token=f"{tick_id}.1", now=NOON, defers=True)
    assert isinstance(start, StartAttempt)
    return task.model_copy(update=dict(start.changes))


async def _put(stored: SqliteStore, make_task: MakeTask) -> None:
    """Ten tasks of three kinds by turns: scheduled, deferred by one of two ticks, running."""
    tasks: list[Task] = []
    runs: list[Run] = []
    for number in range(10):
        task = make_task(f"t{number}", schedule="* * * * *", last_outcome="succeeded")
        if number % 3 == 0:
            tasks.append(task.model_copy(update={"next_run_at": NOON + MINUTE}))
            continue
        claimed = _claimed(task, f"tick{number % 2}")
        claimed = claimed.model_copy(
            update={"claim": claimed.claim.model_copy(update={"token": f"tick{number % 2}.{number}"})}
            if claimed.claim
            else {}
        )
        tasks.append(claimed)
        if number % 3 == 1:
            after = complete_attempt(
                claimed, succeeded("Done"), started_at=NOON, now=NOON + SECOND, random_fraction=0.5
            )
            runs += mark_deferred(after).runs
    await stored.write([ConditionalWrite(task, None) for task in tasks])
    for tick_id in ("tick0", "tick1"):
        own = tuple(run for run in runs if run.token.startswith(tick_id))
        await stored.write_with_runs(RunBatch(f"{tick_id}.1", NOON, own), [])


RUNNING, SETTLED, UNTOUCHED = {2, 5, 8}, {1, 4, 7}, {0, 3, 6, 9}


async def test_a_task_is_seen_settled_with_its_documents_revision(
    stored: SqliteStore, make_task: MakeTask
) -> None:
    await _put(stored, make_task)

    [seen], [document] = [(await store.get_tasks(["t1"])).tasks for store in (_seen(stored), stored)]

    assert (Status.SCHEDULED, Status.RUNNING) == (seen.task.status, document.task.status)
    assert (NOON, NOON + MINUTE) == (seen.task.last_run_at, seen.task.next_run_at)
    assert document.revision == seen.revision


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("status", "expected"),
    [("running", RUNNING), ("scheduled", SETTLED | UNTOUCHED), ("paused", set()), (None, set(range(10)))],
)
async def test_lists_by_status_are_of_what_is_seen(
    stored: SqliteStore,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    status: str | None,
    expected: set[int],
) -> None:
    monkeypatch.setattr("functions.services.paging.PAGE_SIZE", limit)
    monkeypatch.setattr("functions.services.access.settled_store.PAGE_SIZE", limit)
    await _put(stored, make_task)
    which = TaskFilter(status=status)

    pages = [page async for page in iter_task_pages(_seen(stored), which)]

    assert sorted(f"t{number}" for number in expected) == [
        one.task.id for page in pages for one in page.tasks
    ]
    assert all(len(page.tasks) <= limit for page in pages)
    assert len(expected) == await _seen(stored).count_tasks(which)


async def test_orders_and_executions_show_what_runs_alone(stored: SqliteStore, make_task: MakeTask) -> None:
    await _put(stored, make_task)

    page = await _seen(stored).list_ordered("title", limit=100)
    executions = await list_executions(_seen(stored), now=NOON + SECOND)

    assert {"t2", "t5", "t8"} == {one.task.id for one in page.tasks if one.task.status is Status.RUNNING}
    assert {"t2", "t5", "t8"} == {one.task_id for one in executions}


async def test_a_change_writes_the_settlement_as_well(stored: SqliteStore, make_task: MakeTask) -> None:
    await _put(stored, make_task)

    await update_task(
        _seen(stored),
        "t1",
        lambda task: pause(task, note="Moving", until=None, by="ann", now=NOON + 30 * SECOND),
        now=NOON + 30 * SECOND,
        new_id=lambda: "abc",
    )

    [written] = (await stored.get_tasks(["t1"])).tasks
    assert (Status.PAUSED, None, 1) == (written.task.status, written.task.claim, written.task.run_count)
    assert NOON == written.task.last_run_at


async def test_it_costs_a_read_for_each_tick_that_has_tasks_in_the_answer(
    stored: SqliteStore, make_task: MakeTask
) -> None:
    await _put(stored, make_task)
    with count_operations() as of_settled:
        await _seen(stored).get_tasks(["t1", "t4", "t7"])
    with count_operations() as of_others:
        await _seen(stored).get_tasks(["t0", "t3"])

    assert (3 + 2, 2) == (of_settled.reads, of_others.reads)


async def test_what_is_no_task_of_a_tick_goes_to_the_store(stored: SqliteStore, make_task: MakeTask) -> None:
    await stored.write([ConditionalWrite(make_task(), None)])
    [one] = (await _seen(stored).list_due(NOON, limit=9)).tasks

    [written] = await _seen(stored).write([ConditionalWrite.for_changes(one, {"run_count": 7})])

    assert (
        VersionedTask(one.task.model_copy(update={"run_count": 7}), written.revision)
        == ((await stored.get_tasks([one.task.id])).tasks[0])
    )
