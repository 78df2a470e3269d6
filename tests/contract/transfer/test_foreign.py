"""Older tasks in a store: they go on where they were, and doing it again changes nothing."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions.domain.storage import ConditionalWrite, TaskFilter, WriteStatus
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.errors import ConflictError
from functions.interfaces import Store
from functions.stores.sqlite.store import SqliteStore
from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults
from functions.transfer.foreign.formats import read_foreign
from functions.transfer.foreign.save import ORIGIN, drop_ended, save_tasks
from tests.conftest import NOON
from tests.contract.documents import read
from tests.contract.transfer.running import run_due
from tests.support.older_samples import read_sample
from tests.support.serving import in_a_thread

NewId = Callable[[], str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "adopted.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = SqliteStore(str(path))
    yield opened
    await opened.close()


def older(**fields: Any) -> ForeignTasks:
    entry = {"id": "copy", "command": "true", "frequency": "hourly"} | fields
    return read_foreign([("tasks.json", json.dumps([entry]))], ImportDefaults(NOON))


async def adopted(store: Store, older: ForeignTasks, ids: NewId, *, now: datetime = NOON) -> Task:
    await save_tasks(store, older.tasks, now=now, new_id=ids)
    return (await read(store, older.tasks[0].spec.id)).task


@pytest.mark.parametrize(
    ("frequency", "ran", "next_run_at"),
    [
        ("hourly", "2026-11-20T11:20:00Z", datetime(2026, 11, 20, 12, 20, tzinfo=UTC)),
        ("every_5_minutes", "2026-11-20T11:58:30Z", datetime(2026, 11, 20, 12, 3, 30, tzinfo=UTC)),
        ("daily", "2026-11-20T09:03:40Z", datetime(2026, 11, 21, 9, 3, tzinfo=UTC)),
        ("0 * * * *", "2026-11-20T11:00:02Z", NOON),
        ("weekly", "2026-11-14T10:00:00Z", datetime(2026, 11, 21, 10, 0, tzinfo=UTC)),
    ],
)
async def test_the_next_run_is_the_first_after_the_last_one(
    store: Store, ids: NewId, frequency: str, ran: str, next_run_at: datetime
) -> None:
    task = await adopted(store, older(frequency=frequency, last_run_at=ran), ids)

    assert (datetime.fromisoformat(ran), next_run_at) == (task.last_run_at, task.next_run_at)
    assert ORIGIN == task.origin


async def test_what_was_owed_runs_once_and_not_again(store: Store, path: Path, ids: NewId) -> None:
    await adopted(store, older(last_run_at="2026-11-20T07:30:00Z"), ids)

    first = await run_due(path, ["copy"], at=NOON)
    second = await run_due(path, ["copy"], at=NOON + timedelta(seconds=30))

    attempts = [run for run in second if run.attempt]
    assert [OutcomeKind.SUCCEEDED] == [run.outcome for run in attempts]
    assert [datetime(2026, 11, 20, 11, 30, tzinfo=UTC)] == [run.occurrence for run in attempts]
    assert len(first) == len(second)


async def test_a_last_run_in_the_future_was_none(store: Store, ids: NewId) -> None:
    found = older(last_run_at="2027-01-01T00:00:00Z")

    task = await adopted(store, found, ids)

    assert (None, NOON + timedelta(hours=1)) == (task.last_run_at, task.next_run_at)
    assert ["last_run_at"] == [note.field for note in found.notes if note.action == "left out"]


async def test_nothing_runs_before_its_time(store: Store, path: Path, ids: NewId) -> None:
    await adopted(store, older(last_run_at="2026-11-20T11:59:00Z"), ids)

    assert [] == await run_due(path, ["copy"], at=NOON + timedelta(minutes=58))


async def test_a_next_run_that_was_put_off_stays_put_off(store: Store, ids: NewId) -> None:
    rows = [
        {
            "title": "Copy",
            "schedule": "0 * * * *",
            "nextRunAt": "2026-11-23T08:30:00Z",
            "agentType": "command",
        }
    ]
    rows[0]["command"] = "true"

    task = await adopted(store, read_foreign([("rows.json", json.dumps(rows))], ImportDefaults(NOON)), ids)

    assert datetime(2026, 11, 23, 9, 0, tzinfo=UTC) == task.next_run_at


async def test_importing_again_changes_nothing(store: Store, ids: NewId) -> None:
    first = read_sample("tasks.json", "rows.csv", "crontab")
    await save_tasks(store, first.tasks, now=NOON, new_id=ids)
    before = await store.list_tasks(TaskFilter())

    again = await save_tasks(store, first.tasks, now=NOON + timedelta(seconds=5), new_id=ids)

    assert {"unchanged"} == {change.action for change in again}
    assert before == await store.list_tasks(TaskFilter())


async def test_what_an_interrupted_import_left_undone_is_made_good(store: Store, ids: NewId) -> None:
    one = older(last_run_at="2026-11-20T11:20:00Z", frequency="0 */3 * * *")
    await save_tasks(store, [type(one.tasks[0])(one.tasks[0].spec)], now=NOON, new_id=ids)

    task = await adopted(store, one, ids, now=NOON + timedelta(seconds=5))

    assert datetime(2026, 11, 20, 11, 20, tzinfo=UTC) == task.last_run_at
    assert NOON == task.next_occurrence


async def test_a_task_that_has_run_here_keeps_its_own_state(store: Store, path: Path, ids: NewId) -> None:
    one = older(last_run_at="2026-11-20T07:30:00Z")
    await adopted(store, one, ids)
    await run_due(path, ["copy"], at=NOON)
    before = await read(store, "copy")

    await save_tasks(store, one.tasks, now=NOON + timedelta(minutes=1), new_id=ids)

    assert before == await read(store, "copy")


async def test_a_task_that_was_switched_off_stays_so(store: Store, ids: NewId) -> None:
    task = await adopted(store, older(enabled=False, last_run_at="2026-11-20T07:30:00Z"), ids)

    assert ("paused", None) == (task.status, task.next_run_at)


async def test_tasks_that_are_there_are_not_removed(
    store: Store, ids: NewId, make_task: Callable[..., Task]
) -> None:
    await store.write([ConditionalWrite(make_task("mine", origin=ORIGIN), None)])

    await adopted(store, older(), ids)

    assert ["copy", "mine"] == [stored.task.id for stored in (await store.list_tasks(TaskFilter())).tasks]


async def test_a_trial_changes_nothing(store: Store, ids: NewId) -> None:
    tasks = older(last_run_at="2026-11-20T09:20:00Z").tasks

    changes = await save_tasks(store, tasks, now=NOON, new_id=ids, dry_run=True)

    assert ["create"] == [change.action for change in changes]
    assert [NOON - timedelta(minutes=100)] == [change.after for change in changes]  # late, as without a trial
    assert () == (await store.list_tasks(TaskFilter())).tasks


def test_a_schedule_without_occurrences_is_told_and_loses_nothing_else() -> None:
    entries = [
        {"id": "past", "command": "true", "frequency": "2020-01-01T00:00:00Z"},
        {"id": "copy", "command": "true", "frequency": "hourly"},
    ]

    kept = drop_ended(read_foreign([("tasks.json", json.dumps(entries))], ImportDefaults(NOON)), now=NOON)

    assert ["copy"] == [one.spec.id for one in kept.tasks]
    assert ["past"] == [fault.task for fault in kept.problems]


class Rival(SqliteStore):
    """A store in which somebody else changes the task just before its state is taken over."""

    async def write(self, writes: Any) -> Any:
        stored = (await super().get_tasks([write.task.id for write in writes])).tasks
        mine = [ConditionalWrite.for_changes(one, {"description": "mine"}) for one in stored]
        assert {WriteStatus.APPLIED} == {answer.status for answer in await super().write(mine)}
        return await super().write(writes)


async def test_somebody_elses_change_meanwhile_is_told(path: Path, ids: NewId) -> None:
    store = Rival(str(path))

    with pytest.raises(ConflictError, match="changed by another writer meanwhile; import again"):
        await save_tasks(store, older(last_run_at="2026-11-20T11:20:00Z").tasks, now=NOON, new_id=ids)

    await store.close()


class _Shop(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads this log."""


async def test_tasks_of_each_kind_run_in_one_tick(
    store: Store, path: Path, ids: NewId, tmp_path: Path
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    report = {"id": "report", "type": "webhook", "frequency": "hourly", "last_run_at": "2026-11-20T10:30:00Z"}
    report["config"] = {"url": f"http://127.0.0.1:{server.server_port}/", "method": "POST"}  # type: ignore[assignment]
    crontab = f"0 12 * * * cat > {tmp_path}/said%Hello%you\n"
    job = f"jobs:\n  - name: Note\n    command: echo noted > {tmp_path}/noted\n    schedule: '0 12 * * *'\n"
    sources = [("tasks.json", json.dumps([report])), ("crontab", crontab), ("jobs.yaml", job)]
    found = read_foreign(sources, ImportDefaults(NOON))
    await save_tasks(store, found.tasks, now=NOON - timedelta(minutes=5), new_id=ids)

    with in_a_thread(server):
        runs = await run_due(path, [one.spec.id for one in found.tasks], at=NOON)

    assert [OutcomeKind.SUCCEEDED] * 3 == [run.outcome for run in runs if run.attempt]
    assert ("Hello\nyou\n", "noted\n") == ((tmp_path / "said").read_text(), (tmp_path / "noted").read_text())
