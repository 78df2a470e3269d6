"""The queues of one tick: what is read from the store, in which order, and what the report learns of it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.storage import ConditionalWrite
from functions.domain.task import Task
from functions.engine import due_tasks
from functions.engine.due_tasks import DueTasks
from functions.engine.report import TickReport
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)

MakeTask = Callable[..., Task]


async def read_all(tmp_path: Path, *tasks: Task) -> tuple[DueTasks, TickReport]:
    store, report = SqliteStore(str(tmp_path / "due.db")), TickReport()
    await store.write([ConditionalWrite(task, None) for task in tasks])
    due = DueTasks(store, report)
    while due.may_have_more:
        await due.fetch(now=NOON)
    await store.close()
    return due, report


async def test_fetch_reports_how_long_the_oldest_task_has_been_due(
    tmp_path: Path, make_task: MakeTask
) -> None:
    _, report = await read_all(
        tmp_path, make_task("a", next_run_at=NOON), make_task("b", next_run_at=NOON - MINUTE)
    )

    assert (2, NOON - MINUTE) == (report.due, report.oldest_due_at)


async def test_fetch_of_nothing_reports_no_due_moment(tmp_path: Path, make_task: MakeTask) -> None:
    due, report = await read_all(tmp_path, make_task("a", next_run_at=NOON + MINUTE))

    assert (0, None, 0) == (report.due, report.oldest_due_at, due.waiting)


async def test_a_task_in_two_windows_is_queued_once(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 2)

    due, report = await read_all(tmp_path, *(make_task(f"t{n}", next_run_at=NOON) for n in range(2)))

    assert (2, 2) == (report.due, due.waiting)
