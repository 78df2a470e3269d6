"""A file that is replaced or removed under a running process: nobody works on what nobody else sees."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from functions.domain.task import Task
from functions.errors import StoreUnavailableError
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.contract.documents import create

MakeTask = Callable[..., Task]
SQLITE = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
print(*(one for [one] in store.execute("SELECT id FROM tasks WHERE next_run_at IS NOT NULL")))
store.close()
"""

REMOVES = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
with store:
    store.execute("DELETE FROM tasks")
print("removed", flush=True)
sys.stdin.read()
store.close()
"""
STORE = """
import asyncio, sys
from functions.stores.sqlite.store import SqliteStore
from functions.domain.storage import TaskFilter

async def main():
    store = SqliteStore(sys.argv[1])
    print(*(one.task.id for one in (await store.list_tasks(TaskFilter(), limit=10)).tasks))
    await store.close()

asyncio.run(main())
"""


def other_process(path: Path, program: str = SQLITE) -> list[str]:
    """The ids of the due tasks that another process finds at *path*, by SQLite alone: it starts at once."""
    words = [sys.executable, *(["-S"] if program is SQLITE else []), "-c", program, str(path)]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.split()


@contextmanager
def that_removes_all(path: Path) -> Iterator[None]:
    """Another process that has removed all tasks from the file, and has it open."""
    words = [sys.executable, "-S", "-c", REMOVES, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"removed\n" == process.stdout.readline()
        yield
        process.communicate()


async def due(store: SqliteStore) -> list[str]:
    return [one.task.id for one in (await store.fetch_due(NOON, limit=10)).tasks]


async def a_file(path: Path, task: Task) -> Path:
    store = SqliteStore(str(path))
    await create(store, task)
    await store.close()
    return path


@pytest.mark.slow
async def test_a_file_moved_into_its_place_is_worked_on_from_then_on(
    tmp_path: Path, make_task: MakeTask
) -> None:
    path = await a_file(tmp_path / "tasks.db", make_task(id="old", next_run_at=NOON))
    backup = await a_file(tmp_path / "backup.db", make_task(id="new", next_run_at=NOON))
    store = SqliteStore(str(path))
    assert ["old"] == await due(store)

    backup.replace(path)

    assert ["new"] == other_process(path)
    assert ["new"] == await due(store)
    await create(store, make_task(id="later", next_run_at=NOON))
    assert {"new", "later"} == set(other_process(path))
    await store.close()
    assert {"new", "later"} == set(other_process(path))


@pytest.mark.slow
async def test_what_was_written_last_does_not_get_into_the_file_in_its_place(
    tmp_path: Path, make_task: MakeTask
) -> None:
    """SQLite leaves the log of a file that was moved, and took it for that of the new one: the old tasks."""
    path = await a_file(tmp_path / "tasks.db", make_task(id="old", next_run_at=NOON))
    backup = await a_file(tmp_path / "backup.db", make_task(id="new", next_run_at=NOON))
    stores = [SqliteStore(str(path)) for _ in range(2)]
    for number, store in enumerate(stores):
        await create(store, make_task(id=f"written{number}", next_run_at=NOON))

    path.rename(tmp_path / "kept.db")
    backup.replace(path)

    assert ["new"] == await due(stores[0])
    await create(stores[0], make_task(id="later", next_run_at=NOON))
    assert {"new", "later"} == set(await due(stores[1])) == set(other_process(path))
    for store in stores:
        await store.close()
    assert {"new", "later"} == set(other_process(path))
    assert {"old", "written0", "written1"} == set(other_process(tmp_path / "kept.db"))


@pytest.mark.slow
async def test_a_removed_file_is_an_error_until_there_is_one_again(
    tmp_path: Path, make_task: MakeTask
) -> None:
    path = await a_file(tmp_path / "tasks.db", make_task(id="old", next_run_at=NOON))
    shutil.copy(path, tmp_path / "backup.db")
    store = SqliteStore(str(path))
    await due(store)

    path.unlink()

    with pytest.raises(StoreUnavailableError, match="it was removed while in use; put it back"):
        await due(store)
    assert not path.exists()
    (tmp_path / "backup.db").replace(path)
    assert ["old"] == await due(store) == other_process(path)
    await store.close()


@pytest.mark.slow
async def test_two_processes_agree_on_a_file_that_one_of_them_made_anew(
    tmp_path: Path, make_task: MakeTask
) -> None:
    path = await a_file(tmp_path / "tasks.db", make_task(id="old", next_run_at=NOON))
    store = SqliteStore(str(path))
    await due(store)

    path.unlink()

    assert [] == other_process(path, STORE)  # it begins with an empty store
    assert [] == await due(store)
    await create(store, make_task(id="new", next_run_at=NOON))
    assert ["new"] == other_process(path)
    await store.close()


async def test_a_log_that_was_removed_is_written_into_its_file(tmp_path: Path, make_task: MakeTask) -> None:
    """By somebody who took it for a temporary file; what is in it would be seen by nobody else."""
    path = await a_file(tmp_path / "tasks.db", make_task(id="old", next_run_at=NOON))
    store = SqliteStore(str(path))
    await create(store, make_task(id="later", next_run_at=NOON))

    for name in ("tasks.db-wal", "tasks.db-shm"):
        (tmp_path / name).unlink()

    assert {"old", "later"} == set(await due(store)) == set(other_process(path))
    await create(store, make_task(id="last", next_run_at=NOON))
    assert {"old", "later", "last"} == set(other_process(path))
    await store.close()


@pytest.mark.slow
async def test_who_finds_no_log_and_begins_one_is_followed(tmp_path: Path, make_task: MakeTask) -> None:
    """Two processes with a log each would run every task twice."""
    path = await a_file(tmp_path / "tasks.db", make_task(id="old", next_run_at=NOON))
    store = SqliteStore(str(path))
    assert ["old"] == await due(store)
    for name in ("tasks.db-wal", "tasks.db-shm"):
        (tmp_path / name).unlink()

    with that_removes_all(path):
        found = await due(store)
    await store.close()

    assert [] == found == other_process(path)


async def test_a_store_that_could_not_be_opened_recovers_by_itself(
    tmp_path: Path, make_task: MakeTask
) -> None:
    path = tmp_path / "tasks.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    store = SqliteStore(str(path))
    with pytest.raises(Exception, match="not an SQLite database"):
        await due(store)
    good = await a_file(tmp_path / "good.db", make_task(id="a", next_run_at=NOON))

    good.replace(path)

    assert ["a"] == await due(store)
    await store.close()
