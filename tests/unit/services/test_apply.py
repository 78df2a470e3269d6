"""Applying task files to a store whose answers are lost, or whose writes are not applied."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from functions.domain.storage import ConditionalWrite, RunBatch, TaskFilter, WriteResult, WriteStatus
from functions.domain.task import TaskSpec
from functions.errors import InvalidWriteError, StoreUnavailableError
from functions.services.apply import PlannedChange, TaskSource, apply_plan
from functions.services.paging import all_tasks
from functions.services.tasks import TaskService
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.unit.services.test_tasks import service_of


class UnreliableStore(SqliteStore):
    """Applies the next write, or not, and gives no answer."""

    applies = True
    answers = True

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        if self.answers:
            return await super().write_with_runs(batch, writes)
        if self.applies:
            await super().write_with_runs(batch, writes)
        return [WriteResult(WriteStatus.UNKNOWN)] * len(writes)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[UnreliableStore]:
    one = UnreliableStore(str(tmp_path / "tasks.db"))
    yield one
    await one.close()


def spec(task_id: str, title: str = "Front page") -> TaskSpec:
    fields = {"id": task_id, "title": title, "type": "http", "schedule": "hourly"}
    return TaskSpec.model_validate(fields | {"params": {"url": "https://example.com/"}})


async def apply(store: SqliteStore, *specs: TaskSpec) -> list[PlannedChange]:
    numbers = count()
    return await apply_plan(store, specs, origin="tasks", now=NOON, new_id=lambda: f"id{next(numbers)}")


async def titles(store: SqliteStore) -> dict[str, str]:
    return {stored.task.id: stored.task.title for stored in await all_tasks(store, TaskFilter())}


async def test_lost_answers_to_applied_writes_are_no_conflict(store: UnreliableStore) -> None:
    await apply(store, spec("a"), spec("b"))
    store.answers = False

    changes = await apply(store, spec("a", "Changed"), spec("c"))

    assert ["update", "remove", "create"] == [change.action for change in changes]
    assert {"a": "Changed", "c": "Front page"} == await titles(store)


async def test_writes_that_are_not_in_effect_are_named(store: UnreliableStore) -> None:
    await apply(store, spec("a"), spec("b"))
    store.answers = store.applies = False

    with pytest.raises(StoreUnavailableError, match="a, c, b: the store did not answer in time; apply again"):
        await apply(store, spec("a", "Changed"), spec("c"))


async def test_of_many_writes_that_are_not_in_effect_ten_are_named(store: UnreliableStore) -> None:
    store.answers = store.applies = False

    with pytest.raises(StoreUnavailableError, match=r"t0, t1, .*t9 and 13 more: the store did not answer"):
        await apply(store, *(spec(f"t{number}") for number in range(23)))


async def test_a_task_that_the_store_never_takes_is_named_and_no_conflict(
    store: UnreliableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Firestore and Feishu answer for one that is too large."""

    async def refuse_all(*_: object) -> list[WriteResult]:
        return [WriteResult(WriteStatus.INVALID), WriteResult(WriteStatus.APPLIED)]

    monkeypatch.setattr(store, "write_with_runs", refuse_all)

    with pytest.raises(InvalidWriteError, match=r"^a: the store does not take what it holds"):
        await apply(store, spec("a"), spec("b"))


async def test_a_deletion_without_an_answer_is_no_conflict_either(store: UnreliableStore) -> None:
    await apply(store, spec("a"))
    service: TaskService = service_of(store, "")
    service.principal = replace(service.principal, scopes=frozenset({"read", "write"}))
    store.answers = False

    with pytest.raises(StoreUnavailableError, match="did not say whether a was deleted"):
        await service.delete("a")


# -- several applications, each with its own files, on one store -------------------------------------------


async def apply_from(store: SqliteStore, source: TaskSource, *ids: str, prune: bool = True) -> dict[str, str]:
    """Apply tasks of one source; return what was done to each that was not left as it is."""
    numbers = count()
    changes = await apply_plan(
        store,
        [spec(task_id) for task_id in ids],
        sources=dict.fromkeys(("", *ids), source),
        now=NOON,
        new_id=lambda: f"id{next(numbers)}",
        prune=prune,
    )
    return {change.id: change.action for change in changes if change.action != "unchanged"}


SHOP, BLOG = TaskSource.named("shop/tasks.yaml"), TaskSource.named("blog/tasks.yaml")


async def test_a_file_removes_what_came_from_it_and_nothing_of_another(store: UnreliableStore) -> None:
    await apply_from(store, SHOP, "a", "b")
    await apply_from(store, BLOG, "c")

    assert {"b": "remove"} == await apply_from(store, SHOP, "a")
    assert {} == await apply_from(store, BLOG, "c")
    assert {"a", "c"} == set(await titles(store))


async def test_a_file_that_was_emptied_removes_its_own(store: UnreliableStore) -> None:
    await apply_from(store, SHOP, "a")
    await apply_from(store, BLOG, "c")

    assert {"a": "remove"} == await apply_from(store, SHOP)


async def test_a_file_that_was_moved_takes_its_tasks_along_and_names_what_is_left(
    store: UnreliableStore,
) -> None:
    await apply_from(store, SHOP, "a", "b")

    moved = await apply_from(store, TaskSource.named("shop/all.yaml"), "a")

    assert {"a": "update", "b": "orphaned"} == moved
    assert {"a": "file:shop/all.yaml", "b": "file:shop/tasks.yaml"} == {
        stored.task.id: stored.task.origin for stored in await all_tasks(store, TaskFilter())
    }
    assert {} == await apply_from(store, TaskSource.named("shop/all.yaml"), "a")


async def test_one_file_of_a_folder_leaves_the_others_to_the_folder(store: UnreliableStore) -> None:
    folder = TaskSource.named("tasks")
    await apply_from(store, folder, "a", "b")

    one = await apply_from(store, TaskSource.named("tasks/a.yaml", folders=["tasks"]), "a")

    assert {} == one
    assert {"a": "remove"} == await apply_from(store, folder, "b")


async def test_tasks_that_were_not_made_from_files_stay_what_they_are(store: UnreliableStore) -> None:
    await apply_plan(store, [spec("a"), spec("b")], origin="library", now=NOON, new_id=lambda: "id")

    assert {} == await apply_from(store, SHOP, "a")
    assert {"library"} == {stored.task.origin for stored in await all_tasks(store, TaskFilter())}
