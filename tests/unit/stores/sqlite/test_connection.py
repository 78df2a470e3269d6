"""The file below the store: its bounds in time, its errors, and what it refuses to touch."""

import asyncio
import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from functions.domain.storage import ConditionalWrite, Document, RunBatch, TaskFilter, WriteStatus
from functions.domain.task import Task
from functions.errors import StoreError, StoreTimeoutError, StoreUnavailableError
from functions.stores.sqlite.connection import SqliteConnection, to_store_error
from functions.stores.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION, migrate
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
OpenFile = Callable[..., SqliteConnection]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scheduler.db"


@pytest.fixture
async def open_store(path: Path) -> AsyncIterator[Callable[..., SqliteStore]]:
    opened: list[SqliteStore] = []

    def open_with(**bounds: Any) -> SqliteStore:
        opened.append(SqliteStore(str(path), **bounds))
        return opened[-1]

    yield open_with
    for store in opened:
        await store.close()


@pytest.fixture
async def open_file(path: Path) -> AsyncIterator[OpenFile]:
    opened: list[SqliteConnection] = []

    def open_with(*, operation_timeout_s: float = 5) -> SqliteConnection:
        opened.append(
            SqliteConnection(
                str(path), prepare=migrate, lock_timeout_s=1, operation_timeout_s=operation_timeout_s
            )
        )
        return opened[-1]

    yield open_with
    for file in opened:
        await file.close()


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of a long transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no other file meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def answer(connection: sqlite3.Connection) -> Any:
    return connection.execute("SELECT 42").fetchone()[0]


# -- bounds ----------------------------------------------------------------------------------------------


async def test_a_locked_file_is_unavailable_within_its_bound(
    open_store: Callable[..., SqliteStore], path: Path, make_task: MakeTask
) -> None:
    store = open_store(lock_timeout_s=0.05, operation_timeout_s=5)
    await store.stats(NOON)

    with locked(path), pytest.raises(StoreUnavailableError) as refused:
        async with asyncio.timeout(1):
            await store.write([ConditionalWrite(make_task(), None)])

    assert str(path) in str(refused.value)
    [written] = await store.write([ConditionalWrite(make_task(), None)])
    assert WriteStatus.APPLIED is written.status


async def test_a_locked_file_can_be_read(open_store: Callable[..., SqliteStore], path: Path) -> None:
    store = open_store(lock_timeout_s=0.05)
    await store.stats(NOON)

    with locked(path):
        assert () == (await store.fetch_due(NOON, limit=1)).tasks


async def test_a_fresh_file_that_is_locked_is_unavailable_and_opens_later(
    open_store: Callable[..., SqliteStore], path: Path
) -> None:
    store = open_store(lock_timeout_s=0.02)

    with locked(path), pytest.raises(StoreUnavailableError):
        await store.stats(NOON)

    assert 0 == (await store.stats(NOON)).due


async def test_a_fresh_file_waits_for_whoever_is_just_making_it(
    open_store: Callable[..., SqliteStore], path: Path
) -> None:
    """SQLite itself refuses to switch a file to WAL, without waiting, while another process writes."""
    store = open_store()

    with locked(path):
        asked = asyncio.create_task(store.stats(NOON))
        done, _ = await asyncio.wait([asked], timeout=0.2)

    assert not done
    assert 0 == (await asked).due


async def test_a_file_that_exists_is_opened_and_read_while_another_process_writes(
    open_store: Callable[..., SqliteStore], path: Path
) -> None:
    await open_store().stats(NOON)

    with locked(path):
        assert 0 == (await open_store(lock_timeout_s=0.05).stats(NOON)).due


async def test_a_write_that_is_not_answered_in_time_is_unknown_and_may_yet_be_done(
    open_store: Callable[..., SqliteStore], path: Path, make_task: MakeTask
) -> None:
    patient, store = open_store(), open_store(lock_timeout_s=5, operation_timeout_s=0.3)
    await patient.stats(NOON)

    with locked(path):
        [written] = await store.write([ConditionalWrite(make_task("ping"), None)])

    assert WriteStatus.UNKNOWN is written.status
    await store.close()  # waits for what was begun
    assert ["ping"] == [stored.task.id for stored in (await patient.get_tasks(["ping"])).tasks]


async def test_an_entry_alone_that_is_not_answered_in_time_is_unavailable(
    open_store: Callable[..., SqliteStore], path: Path
) -> None:
    patient, store = open_store(), open_store(lock_timeout_s=5, operation_timeout_s=0.3)
    await patient.stats(NOON)

    with locked(path), pytest.raises(StoreUnavailableError):
        await store.write_with_runs(RunBatch("ab.1", NOON, ()), [])


async def test_what_had_not_begun_when_its_time_was_up_is_never_done(open_file: OpenFile) -> None:
    file = open_file(operation_timeout_s=0.3)
    release, begun = Event(), Event()

    with pytest.raises(StoreTimeoutError):
        await file.run(lambda _: release.wait(10))
    with pytest.raises(StoreUnavailableError) as refused:
        await file.run(lambda _: begun.set())
    release.set()

    assert not isinstance(refused.value, StoreTimeoutError)
    assert 42 == await file.run(answer)
    assert not begun.is_set()


async def test_the_event_loop_goes_on_while_the_file_works(open_file: OpenFile) -> None:
    file = open_file()
    release = Event()

    asked = asyncio.create_task(file.run(lambda _: release.wait(10)))
    await asyncio.sleep(0)
    release.set()

    assert await asked


async def test_a_cancelled_question_leaves_the_file_usable(
    open_store: Callable[..., SqliteStore], path: Path, make_task: MakeTask
) -> None:
    """What was begun is done whole or not at all; the thread is there for the next question."""
    store = open_store()
    await store.stats(NOON)
    tasks = [make_task(f"t{number}") for number in range(10)]

    with locked(path):
        writing = asyncio.create_task(store.write([ConditionalWrite(task, None) for task in tasks]))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    assert len((await store.fetch_due(NOON, limit=100)).tasks) in (0, 10)
    [written] = await store.write([ConditionalWrite(make_task("next"), None)])
    assert WriteStatus.APPLIED is written.status


async def test_a_file_serves_one_event_loop_after_another(path: Path) -> None:
    """The command line runs each command in a loop of its own."""
    file = SqliteConnection(str(path), prepare=migrate, lock_timeout_s=1, operation_timeout_s=5)

    answers = [await asyncio.to_thread(asyncio.run, file.run(answer)) for _ in range(3)]

    assert [42] * 3 == answers
    await file.close()


async def test_closing_what_was_never_used_is_no_error(open_file: OpenFile, path: Path) -> None:
    await open_file().close()

    assert not os.access(path, os.F_OK)


async def test_a_closed_file_says_so_and_closes_but_once(open_file: OpenFile, path: Path) -> None:
    file = open_file()
    await file.run(answer)
    await file.close()

    with pytest.raises(StoreError, match="the store was closed"):
        await file.run(answer)
    await file.close()


async def test_what_raises_inside_a_transaction_undoes_it(open_file: OpenFile) -> None:
    file = open_file()

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO run_batches VALUES ('ab.1', 0, '[]')")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # it is our own
        await file.run_in_transaction(half)

    assert (0,) == await file.run(lambda c: c.execute("SELECT count(*) FROM run_batches").fetchone())


# -- errors ----------------------------------------------------------------------------------------------


def fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def content(path: Path) -> bytes:
    return path.read_bytes()


async def refusal(path: Path) -> str:
    store = SqliteStore(str(path), lock_timeout_s=0.05)
    with pytest.raises(StoreError) as refused:
        await store.stats(NOON)
    await store.close()
    assert not isinstance(refused.value, StoreUnavailableError)
    assert str(path) in str(refused.value)
    return str(refused.value)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    fill(path, b"tasks:\n- id: s3cret\n" * 1000)

    text = await refusal(path)

    assert "not an SQLite database" in text
    assert "s3cret" not in text
    assert content(path).startswith(b"tasks:")


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "this is a folder" in await refusal(tmp_path)


async def test_a_missing_folder_is_named_as_the_fault(path: Path) -> None:
    assert "its folder does not exist" in await refusal(path.parent / "missing" / "scheduler.db")


async def test_a_path_that_nobody_can_look_at_is_an_error_of_the_store(path: Path) -> None:
    """As a folder that this user may not enter; this one's name is too long."""
    assert "it cannot be opened" in await refusal(path.parent / ("x" * 300) / "scheduler.db")


async def test_a_file_below_a_file_is_refused(path: Path) -> None:
    fill(path, b"")

    assert "its folder does not exist" in await refusal(path / "scheduler.db")


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    store = SqliteStore(str(path))
    await store.stats(NOON)
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    assert f"newer version of this program (schema {SCHEMA_VERSION + 1}" in await refusal(path)


async def test_a_file_of_version_0_1_is_refused_and_left_alone(path: Path) -> None:
    """Its number is ours, and so is its table of tasks: they were listed, and run without a record."""
    store = SqliteStore(str(path))
    await store.stats(NOON)
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE run_batches RENAME TO entries")  # as it was called there
    before = content(path)

    assert "before 0.2.0, whose stores are not read; name another file" in await refusal(path)
    assert before == content(path)


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE tasks (id)", "PRAGMA user_version = 3", "PRAGMA application_id = 7"],
)
async def test_another_program_s_database_is_refused_and_left_alone(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    before = content(path)

    assert "another program's database" in await refusal(path)
    assert before == content(path)


async def test_a_damaged_file_is_refused(path: Path, make_task: MakeTask) -> None:
    store = SqliteStore(str(path))
    await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(200)])
    await store.close()
    whole = content(path)
    fill(path, whole[:4096] + b"\xff" * (len(whole) - 4096))

    assert "damaged" in await refusal(path)


async def test_a_full_disk_is_a_refusal_that_undoes_what_was_begun(open_file: OpenFile) -> None:
    file = open_file()
    await file.run(lambda c: c.execute("PRAGMA max_page_count = 30").fetchone())

    def overfill(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO run_batches VALUES ('ab.1', 0, '[]')")
        connection.execute("INSERT INTO run_batches VALUES ('ab.2', 0, ?)", ("x" * 500_000,))

    with pytest.raises(StoreError, match="the disk is full; free some space"):
        await file.run_in_transaction(overfill)

    assert (0,) == await file.run(lambda c: c.execute("SELECT count(*) FROM run_batches").fetchone())


async def test_a_file_that_cannot_be_written_is_a_refusal(open_file: OpenFile) -> None:
    """As SQLite itself says it: file permissions do not bind everybody who runs tests."""
    file = open_file()
    await file.run(lambda c: c.execute("PRAGMA query_only = 1").fetchone())

    with pytest.raises(StoreError, match="it cannot be written; check the permissions"):
        await file.run(lambda c: c.execute("DELETE FROM run_batches"))


@pytest.mark.parametrize("value", [2**70, "\ud800"], ids=["a number", "half a character"])
async def test_a_value_sqlite_has_no_room_for_is_a_refusal(open_file: OpenFile, value: object) -> None:
    with pytest.raises(StoreError):
        await open_file().run(lambda c: c.execute("SELECT ?", (value,)).fetchone())


async def test_sqlite_s_own_words_do_not_leave(open_file: OpenFile) -> None:
    """They can quote what is stored."""
    with pytest.raises(StoreError) as refused:
        await open_file().run(lambda c: c.execute("SELECT s3cret FROM tasks"))

    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_the_file_is_kept_as_it_is_said_to_be(open_file: OpenFile) -> None:
    """WAL and FULL: readers beside a writer, and a commit outlives a loss of power."""
    file = open_file()

    def setting(name: str) -> Callable[[sqlite3.Connection], Any]:
        return lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert b"wal" == await file.run(setting("journal_mode"))
    assert 2 == await file.run(setting("synchronous"))
    assert APPLICATION_ID == await file.run(setting("application_id"))
    assert SCHEMA_VERSION == await file.run(setting("user_version"))


def test_a_read_only_disk_is_said_to_be_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    cannot_open = sqlite3.OperationalError("unable to open database file")
    cannot_open.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN

    said = str(to_store_error(cannot_open, str(tmp_path / "store.db")))

    assert said.endswith(
        "store.db: the disk is read-only; mount it for writing, or name another file in STORE_URL"
    )


async def test_a_new_file_is_its_owner_s_alone_also_where_a_link_leads(tmp_path: Path) -> None:
    link, target = tmp_path / "store.db", tmp_path / "disk.db"
    link.symlink_to(target)
    store = SqliteStore(str(link))

    await store.stats(NOON)

    assert 0o600 == target.stat().st_mode & 0o777
    await store.close()


async def test_a_file_of_the_first_version_gets_its_shelf_and_keeps_what_it_has(
    tmp_path: Path, make_task: Callable[..., Task]
) -> None:
    path = tmp_path / "old.db"
    store = SqliteStore(str(path))
    await store.write([ConditionalWrite(make_task("ping"), None)])
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE documents")
        connection.execute("PRAGMA user_version = 1")

    opened = SqliteStore(str(path))
    await opened.put_documents([Document("owners", "alice", {"credits": 1})])

    assert ["ping"] == [stored.task.id for stored in (await opened.get_tasks(["ping"])).tasks]
    assert ["alice"] == [one.id for one in await opened.list_documents("owners")]
    await opened.close()


async def test_no_temporary_file_is_needed(
    open_store: Callable[..., SqliteStore], make_task: Callable[..., Task]
) -> None:
    """The disk may have none to spare, or may not be written but for the database."""
    store = open_store()
    tasks = [make_task(f"task-{number}", params={"notes": "x" * 5_000}) for number in range(100)]
    created = await store.write([ConditionalWrite(task, None) for task in tasks])
    writes = [ConditionalWrite(task, one.revision) for task, one in zip(tasks, created, strict=True)]

    with no_more_files():
        changed = await store.write(writes)

    assert {WriteStatus.APPLIED} == {one.status for one in changed}


@pytest.mark.parametrize("value", ["\udcff", 2**63])
async def test_a_value_that_no_database_keeps_is_not_taken_for_a_strange_file(
    tmp_path: Path, value: str | int
) -> None:
    store = SqliteStore(str(tmp_path / "tasks.db"))
    try:
        with pytest.raises(StoreError, match="it keeps no text that is not UTF-8 and no number beyond 64"):
            await store.list_tasks(TaskFilter(), after=value, limit=1)  # type: ignore[arg-type]
    finally:
        await store.close()
