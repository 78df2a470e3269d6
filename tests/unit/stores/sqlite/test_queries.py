"""What only the SQLite store promises: its query plans, its pruning, and what it makes of odd values."""

import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from functions.domain.run import Run
from functions.domain.storage import (
    RUN_RETENTION,
    ConditionalWrite,
    RunBatch,
    TaskFilter,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.errors import StoreError
from functions.stores.sqlite import runs as ledger
from functions.stores.sqlite import tasks
from functions.stores.sqlite.schema import MAX_INVALID_SKIPPED
from functions.stores.sqlite.store import PRUNE_EVERY_BATCHES, SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
CHANGES = tasks.UPDATE_TASKS.format(rows=f"{tasks.UPDATE_ROW}, {tasks.UPDATE_ROW}")
DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scheduler.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path))
    await store.stats(NOON)
    yield store
    await store.close()


def run_of(task_id: str, **changes: Any) -> Run:
    defaults: dict[str, Any] = {
        "task_id": task_id,
        "occurrence": NOON,
        "attempt": 1,
        "token": "ab.1",
        "outcome": OutcomeKind.SUCCEEDED,
        "started_at": NOON,
        "finished_at": NOON,
    }
    return Run.model_validate(defaults | changes)


def plan(path: Path, statement: str, parameters: int) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        values = dict.fromkeys(re.findall(r":(\w+)", statement), 1) or [1] * parameters
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    return [detail for *_, detail in rows]


# -- plans -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (tasks.SELECT_DUE, 4, "USING INDEX tasks_due (next_run_at>? AND next_run_at<?)"),
        (tasks.COUNT_DUE, 1, "USING COVERING INDEX tasks_due (next_run_at<?)"),
        (tasks.COUNT_SCHEDULED, 0, "USING COVERING INDEX tasks_due"),
        (tasks.SELECT_LAST_BATCH_AT, 0, "USING COVERING INDEX run_batches_at"),
        (ledger.SELECT_RUNS, 3, "USING INDEX runs_by_time (finished_at>? AND finished_at<?)"),
        (
            ledger.SELECT_RUNS_OF_TASK,
            4,
            "USING INDEX runs_by_task (task_id=? AND finished_at>? AND finished_at<?)",
        ),
        (ledger.SELECT_EXPIRED_BATCHES, 2, "USING INDEX run_batches_at (at<?)"),
    ],
)
async def test_a_query_costs_what_it_finds_and_not_what_is_stored(
    store: SqliteStore, path: Path, statement: str, parameters: int, index: str
) -> None:
    [only] = plan(path, statement, parameters)  # a second step would be a sort

    assert index in only


async def test_many_ids_are_looked_up_one_by_one(store: SqliteStore, path: Path) -> None:
    steps = plan(path, tasks.SELECT_TASKS, 1)

    assert any("SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)" in step for step in steps)


async def test_a_tick_s_entries_are_a_range_of_the_key(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        span = {"first": "ab.", "after": "ab/"}
        steps = [
            row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {ledger.SELECT_RUNS_OF_TICK}", span)
        ]

    assert "SEARCH run_batches USING PRIMARY KEY (id>? AND id<?)" in steps
    assert any("SEARCH runs USING INDEX sqlite_autoindex_runs_1 (key=?)" in step for step in steps)


# -- unreadable documents --------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_thousand_unreadable_documents_hide_nothing(
    store: SqliteStore, path: Path, make_task: MakeTask
) -> None:
    plant(path, 1000)
    await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(600)])

    found = await store.fetch_due(NOON, limit=1000)

    assert (500, 500) == (len(found.tasks), len(found.invalid))


async def test_unreadable_documents_alone_are_reported_up_to_the_limit(
    store: SqliteStore, path: Path
) -> None:
    plant(path, 30)

    assert 10 == len((await store.fetch_due(NOON, limit=10)).invalid)
    assert 1 == len((await store.fetch_due(NOON, limit=1)).invalid)
    assert 0 == len((await store.fetch_due(NOON, limit=0)).invalid)


@pytest.mark.slow
async def test_a_look_past_the_unreadable_has_an_end(
    store: SqliteStore, path: Path, make_task: MakeTask
) -> None:
    plant(path, MAX_INVALID_SKIPPED + 10)
    await store.write([ConditionalWrite(make_task("behind"), None)])

    with pytest.raises(StoreError, match=r"^10,009 tasks that cannot be read hide what is due behind them"):
        await store.fetch_due(NOON, limit=9)
    listed = await store.list_due(NOON, limit=9)
    assert (0, 9) == (len(listed.tasks), len(listed.invalid))
    assert 1 == len((await store.fetch_due(NOON, limit=11)).tasks)


@pytest.mark.parametrize("doc", [b"{", b"\xff\xfe", "[]", '"text"', 7, 1.5, "", "null", "[" * 100_000])
async def test_whatever_is_in_the_row_is_reported_and_no_error(
    store: SqliteStore, path: Path, make_task: MakeTask, doc: object
) -> None:
    await store.write([ConditionalWrite(make_task("good"), None)])
    plant(path, 1, doc)

    found = await store.fetch_due(NOON, limit=10)

    assert (["good"], ["spoiled-0"]) == (
        [stored.task.id for stored in found.tasks],
        [one.id for one in found.invalid],
    )


async def test_a_damaged_line_of_history_hides_no_other(store: SqliteStore, path: Path) -> None:
    await store.write_with_runs(RunBatch("ab.1", NOON, (run_of("a"), run_of("b"))), [])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET doc = '{' WHERE task_id = 'a'")

    assert ["b"] == [run.task_id for run in await store.runs()]
    assert ["b"] == [run.task_id for run in await store.runs_of_tick("ab")]


def plant(path: Path, count: int, doc: object = "{}") -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO tasks VALUES (?, 0, 0, 'scheduled', '', '', '', '[]', ?)",
            [(f"spoiled-{number}", doc) for number in range(count)],
        )


# -- odd values ------------------------------------------------------------------------------------------


def endless() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    inner["self"] = inner
    return inner


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        ("half a \ud83c pair", "half a ? pair"),
        (object(), "<object>"),
        ([1, {2}, (3,)], [1, [2], [3]]),
        ({"a \udfff": b"\xff"}, {"a ?": "<bytes>"}),
    ],
    ids=["surrogate", "object", "set", "key and bytes"],
)
async def test_a_value_json_cannot_hold_stops_neither_its_task_nor_the_others(
    store: SqliteStore, make_task: MakeTask, odd: object, kept: object
) -> None:
    """A web page's broken text in a task's notes must not stop the flush it is written with."""
    task = make_task("odd").model_copy(update={"memory": {"x": odd, "bad": "\ud800"}, "last_error": "\ud800"})
    run = run_of("odd").model_copy(update={"metrics": {"x": odd, "bad": "\ud800"}})

    answers = await store.write_with_runs(
        RunBatch("ab.1", NOON, (run, run_of("good"))),
        [ConditionalWrite(task, None), ConditionalWrite(make_task("good"), None)],
    )

    assert [WriteStatus.APPLIED] * 2 == [written.status for written in answers]
    [stored] = (await store.get_tasks(["odd"])).tasks
    assert {"x": kept, "bad": "?"} == stored.task.memory
    assert {"odd": {"x": kept, "bad": "?"}, "good": {}} == {
        run.task_id: run.metrics for run in await store.runs_of_tick("ab")
    }


async def test_a_value_that_contains_itself_is_cut_off(store: SqliteStore, make_task: MakeTask) -> None:
    task = make_task("odd").model_copy(update={"memory": endless()})

    [written] = await store.write([ConditionalWrite(task, None)])

    assert WriteStatus.APPLIED is written.status
    assert 1 == len((await store.get_tasks(["odd"])).tasks)


@pytest.mark.parametrize("revision", [0, -1, 2**70, "x", "", 1.5, NOON, b"1", True])
@pytest.mark.parametrize("fields", [None, frozenset({"title"})])
async def test_a_guard_of_another_make_is_refused(
    store: SqliteStore, make_task: MakeTask, revision: object, fields: frozenset[str] | None
) -> None:
    await store.write([ConditionalWrite(make_task("ping"), None)])
    await store.write([ConditionalWrite(make_task("pong"), None)])

    [written] = await store.write([ConditionalWrite(make_task("pong", title="Mine"), revision, fields)])

    assert WriteStatus.CONFLICT is written.status


# -- changes of some fields ------------------------------------------------------------------------------


async def test_a_change_of_many_tasks_finds_each_by_its_id(store: SqliteStore, path: Path) -> None:
    assert any("USING INDEX sqlite_autoindex_tasks_1 (id=?)" in step for step in plan(path, CHANGES, 21))


async def test_a_field_that_is_changed_is_replaced_and_not_mixed_with_what_it_was(
    store: SqliteStore, make_task: MakeTask
) -> None:
    before = {"memory": {"seen": [1], "deep": {"a": 1}}, "last_error": "Refused", "attempt": 2}
    await store.write([ConditionalWrite(make_task("ping").model_copy(update=before), None)])
    [stored] = (await store.get_tasks(["ping"])).tasks

    changes = {"memory": {"deep": {"b": None}}, "last_error": "", "attempt": 0}
    await store.write([ConditionalWrite.for_changes(stored, changes)])

    [now] = (await store.get_tasks(["ping"])).tasks
    assert stored.task.model_copy(update=changes) == now.task


async def test_what_a_newer_version_keeps_in_a_document_stays_there(
    store: SqliteStore, path: Path, make_task: MakeTask
) -> None:
    await store.write([ConditionalWrite(make_task("ping"), None)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET doc = json_set(doc, '$.fromTheFuture', 7)")
    [stored] = (await store.get_tasks(["ping"])).tasks

    await store.write([ConditionalWrite.for_changes(stored, {"attempt": 1})])

    with closing(sqlite3.connect(path)) as connection:
        [kept] = connection.execute("SELECT json_extract(doc, '$.fromTheFuture') FROM tasks").fetchall()
    assert (7,) == kept


async def test_the_last_outcomes_as_the_version_before_had_them_go_with_the_next_write(
    store: SqliteStore, path: Path, make_task: MakeTask
) -> None:
    """Left there, they would be the task's again as soon as it has none of its own."""
    await store.write([ConditionalWrite(make_task("ping"), None)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET doc = json_set(doc, '$.recent', json('[\"failed 12 x\"]'))")
    [stored] = (await store.get_tasks(["ping"])).tasks

    await store.write([ConditionalWrite.for_changes(stored, {"recent": ""})])

    [now] = (await store.get_tasks(["ping"])).tasks
    assert ("failed 12 x", "") == (stored.task.recent, now.task.recent)


async def test_a_document_that_only_we_can_read_is_changed_like_the_others(
    store: SqliteStore, path: Path, make_task: MakeTask
) -> None:
    """Somebody wrote NaN into it by hand: no JSON to SQLite."""
    await store.write(
        [ConditionalWrite(make_task(name, params={"x": 0.5}), None) for name in ("odd", "good")]
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET doc = replace(doc, '0.5', 'NaN') WHERE id = 'odd'")
    stored = (await store.get_tasks(["odd", "good"])).tasks

    written = await store.write([ConditionalWrite.for_changes(one, {"attempt": 3}) for one in stored])

    assert [WriteStatus.APPLIED] * 2 == [one.status for one in written]
    assert [3, 3] == [one.task.attempt for one in (await store.get_tasks(["odd", "good"])).tasks]


async def test_a_changed_value_that_json_cannot_hold_stops_no_other_change(
    store: SqliteStore, make_task: MakeTask
) -> None:
    await store.write([ConditionalWrite(make_task(name), None) for name in ("odd", "good")])
    stored = (await store.get_tasks(["odd", "good"])).tasks

    memory = {"half": "\ud83d", "thing": object()}
    written = await store.write([ConditionalWrite.for_changes(one, {"memory": memory}) for one in stored])

    assert [WriteStatus.APPLIED] * 2 == [one.status for one in written]
    assert 2 == len((await store.get_tasks(["odd", "good"])).tasks)


async def test_a_revision_is_never_used_again_not_even_after_a_restart(
    path: Path, make_task: MakeTask
) -> None:
    seen = []
    for _ in range(3):
        store = SqliteStore(str(path))
        [written] = await store.write([ConditionalWrite(make_task("ping"), None)])
        seen.append(written.revision)
        await store.write([ConditionalWrite(make_task("ping"), written.revision, delete=True)])
        await store.close()

    assert 3 == len(set(seen))


async def test_less_than_nothing_is_nothing(store: SqliteStore, make_task: MakeTask) -> None:
    """SQLite itself takes a negative limit for none at all."""
    await store.write_with_runs(
        RunBatch("ab.1", NOON, (run_of("ping"),)), [ConditionalWrite(make_task("ping"), None)]
    )

    assert [] == await store.runs(limit=-1)
    assert [] == await store.runs(task_id="ping", limit=-1)
    assert () == (await store.list_tasks(TaskFilter(), limit=-1)).tasks
    assert () == (await store.fetch_due(NOON, limit=-1)).tasks


async def test_text_from_outside_cannot_break_a_question(store: SqliteStore) -> None:
    odd = "'; DROP TABLE tasks; -- \x00 % _ * ?"

    assert () == (await store.get_tasks([odd, "\ud800"])).tasks
    assert [] == await store.runs_of_tick(odd)
    assert [] == await store.runs(task_id=odd)


# -- the ledger ------------------------------------------------------------------------------------------


async def test_what_really_happened_replaces_a_presumed_abandonment(store: SqliteStore) -> None:
    """A tick that overslept its claim reports after another has given it up; or just before."""
    abandoned = run_of("ping", outcome=OutcomeKind.ABANDONED)
    succeeded = run_of("ping", summary="Answered 200")

    await store.write_with_runs(RunBatch("heir.1", NOON, (abandoned,)), [])
    await store.write_with_runs(RunBatch("late.1", NOON, (succeeded,)), [])
    assert [succeeded] == await store.runs()

    await store.write_with_runs(RunBatch("heir.2", NOON, (abandoned,)), [])
    assert [succeeded] == await store.runs()


async def test_entries_come_back_in_the_order_of_their_numbers(store: SqliteStore) -> None:
    for number in (10, 2, 1, 11):
        await store.write_with_runs(RunBatch(f"ab.{number}", NOON, (run_of(f"t{number}"),)), [])

    assert ["t1", "t2", "t10", "t11"] == [run.task_id for run in await store.runs_of_tick("ab")]


async def test_an_entry_of_a_tick_whose_name_goes_on_is_not_ours(store: SqliteStore) -> None:
    await store.write_with_runs(RunBatch("ab.1.5", NOON, (run_of("other"),)), [])

    assert [] == await store.runs_of_tick("ab")
    assert ["other"] == [run.task_id for run in await store.runs_of_tick("ab.1")]


async def test_pruning_removes_what_is_past_keeping_and_nothing_else(store: SqliteStore) -> None:
    await store.write_with_runs(RunBatch("old.1", NOON, (run_of("old"), run_of("both"))), [])
    await store.write_with_runs(RunBatch("new.1", NOON + DAY, (run_of("new"), run_of("both"))), [])

    with store.count_operations() as operations:
        removed = await store.prune(NOON + RUN_RETENTION + timedelta(microseconds=1))

    assert (1, 1) == (removed, operations.deletes)
    assert {"new", "both"} == {run.task_id for run in await store.runs()}
    assert [] == [run.task_id for run in await store.runs_of_tick("old") if run.task_id == "old"]
    assert 0 == await store.prune(NOON + RUN_RETENTION + timedelta(microseconds=1))
    assert 1 == await store.prune(NOON + 2 * RUN_RETENTION)
    assert [] == await store.runs()


async def test_pruning_goes_on_until_all_is_removed(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = [(f"ab.{number}",) for number in range(2 * ledger.PRUNE_BATCH_SIZE + 1)]
        connection.executemany("INSERT INTO run_batches VALUES (?, 0, '[]')", rows)

    assert len(rows) == await store.prune(NOON)


async def test_a_store_in_memory_works_like_any_other(make_task: MakeTask) -> None:
    store = SqliteStore(":memory:")

    [written] = await store.write([ConditionalWrite(make_task(), None)])

    assert (VersionedTask(make_task(), written.revision),) == (await store.fetch_due(NOON, limit=1)).tasks
    await store.close()


async def test_history_that_cannot_be_removed_fails_no_write(
    store: SqliteStore, path: Path, make_task: MakeTask
) -> None:
    """What was written is there, so its caller must not read that it is not."""
    await store.write_with_runs(RunBatch("old.1", NOON, (run_of("old"),)), [])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE DELETE ON run_batches BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    later = NOON + 2 * RUN_RETENTION
    with pytest.raises(StoreError):
        await store.prune(later)
    pruning = next(f"b{n}.1" for n in count() if crc32(f"b{n}.1".encode()) % PRUNE_EVERY_BATCHES == 0)

    [written] = await store.write_with_runs(
        RunBatch(pruning, later, (run_of("new"),)), [ConditionalWrite(make_task(), None)]
    )

    assert WriteStatus.APPLIED is written.status


@pytest.mark.slow
async def test_history_that_is_past_goes_by_itself_as_new_is_kept(tmp_path: Path) -> None:
    """Nobody has to think of it: a file that lives for years stays as large as ninety days."""
    store = SqliteStore(str(tmp_path / "years.db"))
    at = NOON - timedelta(days=100)
    run = Run(task_id="a", occurrence=at, outcome=OutcomeKind.SUCCEEDED, started_at=at, finished_at=at)
    await store.write_with_runs(RunBatch("old.1", at, (run,)), [])

    for number in range(5 * PRUNE_EVERY_BATCHES):
        fresh = run.model_copy(update={"occurrence": NOON, "finished_at": NOON, "token": f"n.{number}"})
        await store.write_with_runs(RunBatch(f"new{number}.1", NOON, (fresh,)), [])
    left = await store.runs_of_tick("old")
    await store.close()

    assert [] == left
