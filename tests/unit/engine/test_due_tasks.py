"""The queues of one tick: what is read from the store, in which order, and what the report learns of it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
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

    assert (0, None, 0) == (report.due, report.oldest_due_at, len(due.waiting))


async def test_a_task_in_two_windows_is_queued_once(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 2)

    due, report = await read_all(tmp_path, *(make_task(f"t{n}", next_run_at=NOON) for n in range(2)))

    assert (2, 2) == (report.due, len(due.waiting))


@pytest.mark.parametrize(
    ("owner", "first"),
    [("ann", ["a0", "zoe", "a1", "a2"]), ("", ["a0", "a1", "a2"])],
    ids=["an owner's", "the operator's"],
)
async def test_an_owner_who_fills_the_first_window_hides_nobody_behind_it(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, owner: str, first: list[str]
) -> None:
    """A thousand of one owner hid the only one of another in two of three ticks."""
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 3)
    store = SqliteStore(str(tmp_path / "due.db"))
    tasks = [make_task(f"a{n}", owner=owner, priority="urgent", next_run_at=NOON) for n in range(3)]
    tasks.append(make_task("zoe", owner="zoe", next_run_at=NOON))
    await store.write([ConditionalWrite(task, None) for task in tasks])
    due = DueTasks(store, TickReport())

    await due.fetch(now=NOON)

    assert first == [stored.task.id for stored in due.on_time]
    await store.close()


async def test_late_tasks_by_the_thousand_do_not_hide_what_is_on_time(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 3)
    monkeypatch.setattr(due_tasks, "LATE_WINDOWS", 1)
    late = [make_task(f"late{n}", next_run_at=NOON - 60 * MINUTE) for n in range(10)]

    due, report = await read_all(tmp_path, *late, make_task("fresh", next_run_at=NOON))

    assert ["fresh"] == [stored.task.id for stored in due.on_time]
    assert (3, True, 4) == (len(due.backlog), due.has_late, report.due)


async def test_late_tasks_are_read_a_window_at_a_time_up_to_the_last(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 3)
    monkeypatch.setattr(due_tasks, "LATE_WINDOWS", 1)
    store = SqliteStore(str(tmp_path / "due.db"))
    late = [make_task(f"late{n}", next_run_at=NOON - 60 * MINUTE) for n in range(7)]
    await store.write([ConditionalWrite(task, None) for task in late])
    due = DueTasks(store, TickReport())

    windows = []
    while due.may_have_more:
        await due.fetch(now=NOON)
    while due.has_late:
        await due.fetch_late(now=NOON)
        windows.append(len(due.backlog))

    assert ([6, 7], 0) == (windows, len(due.on_time))
    await store.close()


async def test_what_is_as_late_as_the_rest_but_has_a_newer_run_is_on_time(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage five urgent tasks of every minute waited behind thousands that were as late."""
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 3)
    since: dict[str, object] = {"next_run_at": NOON - 60 * MINUTE, "next_occurrence": NOON - 60 * MINUTE}
    late = [make_task(f"late{n}", schedule="@yearly", **since) for n in range(7)]
    late.append(make_task("urgent", schedule="* * * * *", **since))

    due, _ = await read_all(tmp_path, *late, make_task("fresh", next_run_at=NOON))

    assert ["fresh", "urgent"] == [stored.task.id for stored in due.on_time]
    assert (7, False) == (len(due.backlog), due.has_late)


async def test_what_is_late_by_little_is_found_behind_all_that_is_late_by_hours(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to wait until fewer than eight windows were later still, though it was within its grace."""
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 3)

    def due(task_id: str, minutes: int, **changes: object) -> Task:
        at = NOON - minutes * MINUTE
        state = {"status": "scheduled", "next_occurrence": at} | changes
        return make_task(task_id, schedule="@daily", next_run_at=at, **state)

    released = {"status": "retrying", "attempt": 0, "occurrence": NOON - 9 * MINUTE, "retry_at": NOON}
    strict = {"misfire": {"policy": "run_once", "graceSeconds": 60}}
    late = [due(f"late{n:02}", 300 - n) for n in range(40)]

    found, _ = await read_all(
        tmp_path,
        *late,
        due("urgent", 20, priority="urgent"),
        due("missed", 19, **strict),
        due("released", 9, **released),
        due("fresh", 0),
    )

    assert ["fresh", "released", "urgent"] == [stored.task.id for stored in found.on_time]
    assert (24 + 1, True) == (len(found.backlog), found.has_late)


async def test_documents_that_cannot_be_read_do_not_end_the_reading(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_tasks, "QUERY_LIMIT", 4)
    path = str(tmp_path / "due.db")
    store = SqliteStore(path)
    tasks = [make_task(f"t{n}", next_run_at=NOON - 60 * MINUTE) for n in range(12)]
    await store.write([ConditionalWrite(task, None) for task in tasks])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET doc = '{' WHERE id IN ('t0', 't1', 't10', 't11', 't2')")
    due = DueTasks(store, TickReport())

    while due.may_have_more:
        await due.fetch(now=NOON)
    while due.has_late:
        await due.fetch_late(now=NOON)

    assert {f"t{n}" for n in range(3, 10)} == {stored.task.id for stored in due.backlog}
    await store.close()
