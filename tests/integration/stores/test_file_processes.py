"""Real processes on the stores that are files: they race, and they run out of disk."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from functions.domain.storage import ConditionalWrite
from functions.domain.task import Task
from functions.interfaces import Store
from functions.stores import create_store
from tests.conftest import NOON
from tests.support.store_processes import CLAIM, CREATE, FILL, race, said

MakeTask = Callable[..., Task]
DISK = {
    "sqlite": 300_000,
    "json": 100_000,
}  # bytes a file may have; SQLite begins with some


@pytest.fixture(params=sorted(DISK))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}:///{tmp_path}/tasks.{request.param}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = create_store(url)
    yield store
    await store.close()


async def test_two_processes_win_each_task_exactly_once(url: str, store: Store, make_task: MakeTask) -> None:
    await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(200)])

    one, other = race(CLAIM, url, ["one", "other"])

    assert 200 == len(one) + len(other)
    found = (await store.get_tasks([f"t{number}" for number in range(200)])).tasks
    tokens = {stored.task.claim.token for stored in found if stored.task.claim}
    assert {f"one.{task_id}" for task_id in one} | {f"other.{task_id}" for task_id in other} == tokens


async def test_processes_that_make_the_same_new_file_agree_on_it(url: str, store: Store) -> None:
    answers = race(CREATE, url, ["a", "b", "c", "d"])

    assert ["applied", "conflict", "conflict", "conflict"] == sorted(shared for shared, *_ in answers)
    assert {"applied"} == {answer for _, *own in answers for answer in own}
    assert 81 == len((await store.fetch_due(NOON, limit=1000)).tasks)


async def test_a_disk_that_is_full_is_a_refusal_and_what_was_kept_stays_kept(url: str, store: Store) -> None:
    kind, _, path = url.partition(":///")

    printed = said(FILL, url, LIMIT=DISK[kind])

    assert printed["error"].startswith(f"{path}: the disk ")
    assert 5 < printed["kept"] < 100
    assert printed["kept"] == len((await store.fetch_due(NOON, limit=1000)).tasks)
    assert [] == [file for file in Path(path).parent.iterdir() if file.suffix == ".tmp"]
