"""Commands of a principal: only on tasks that the principal may see, and recorded for audit."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from functions.domain.access import Principal, Scope
from functions.domain.lifecycle.edit import spec_hash
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult
from functions.domain.task import Task, TaskSpec
from functions.domain.types import OutcomeKind
from functions.errors import ConflictError, NotFoundError
from functions.services.executions import list_executions
from functions.services.tasks import SPEC_FIELDS, TaskService
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.contract.documents import create, read

MakeTask = Callable[..., Task]


@pytest.fixture
async def store(tmp_path: Path, make_task: MakeTask) -> AsyncIterator[SqliteStore]:
    one = SqliteStore(str(tmp_path / "tasks.db"))
    await create(one, make_task(id="one", owner="ann"))
    yield one
    await one.close()


def service_of(store: SqliteStore, owner: str, *more_scopes: Scope) -> TaskService:
    principal = Principal(id="k", name="key", scopes=frozenset({"read", "run", *more_scopes}), owner=owner)
    return TaskService(store, principal, clock=lambda: NOON, new_id=lambda: "id")


@pytest.mark.parametrize("command", [TaskService.pause, TaskService.request_run, TaskService.cancel])
async def test_task_of_another_owner_is_not_found_and_stays(
    store: SqliteStore, command: Callable[[TaskService, str], Awaitable[object]]
) -> None:
    before = await read(store, "one")

    with pytest.raises(NotFoundError, match="no task 'one'"):
        await command(service_of(store, "bob"), "one")

    assert before == await read(store, "one")


async def test_a_change_of_another_revision_than_the_caller_saw_is_refused(store: SqliteStore) -> None:
    before = await read(store, "one")
    service = service_of(store, "ann", "write")
    spec = TaskSpec.model_validate(before.task.model_dump(include=set(SPEC_FIELDS)) | {"title": "New"})

    with pytest.raises(ConflictError, match="one is no longer what you saw"):
        await service.edit("one", spec, expected=f"{before.revision}0")
    with pytest.raises(ConflictError, match="one is no longer what you saw"):
        await service.delete("one", expected=f"{before.revision}0")

    assert before == await read(store, "one")
    assert "New" == (await service.edit("one", spec, expected=str(before.revision))).task.title


async def test_pause_returns_the_stored_task_and_is_audited(store: SqliteStore) -> None:
    service = service_of(store, "ann")

    paused = await service.pause("one", note="holiday")

    assert paused == await read(store, "one")
    assert paused.task.pause is not None
    assert [("paused", "holiday")] == [(one.verb, one.note) for one in await service.audit_trail("one")]


async def test_runs_of_a_removed_task_are_shown_to_who_is_bound_to_no_owner(store: SqliteStore) -> None:
    times = {"occurrence": NOON, "started_at": NOON, "finished_at": NOON}
    run = Run(task_id="gone", attempt=1, token="a.1", outcome=OutcomeKind.SUCCEEDED, **times)
    await store.write_with_runs(RunBatch("a.1", NOON, (run,)), [])

    assert [run] == await service_of(store, "").list_runs("gone")
    assert [] == await service_of(store, "").list_runs("gone", since=NOON.replace(hour=13))
    with pytest.raises(NotFoundError):
        await service_of(store, "ann").list_runs("gone")
    with pytest.raises(NotFoundError):
        await service_of(store, "").list_runs("never")


async def test_what_has_not_finished_is_listed_to_its_owner_alone(
    store: SqliteStore, make_task: MakeTask
) -> None:
    begun = {"status": "running", "occurrence": NOON, "attempt": 1, "next_run_at": NOON}
    due = {"next_occurrence": NOON, "next_run_at": NOON}
    await create(store, make_task(id="two", owner="ann", **begun), make_task(id="three", owner="bob", **due))

    async def listed(owner: str, task_id: str = "") -> list[str]:
        found = await list_executions(store, owner=owner, task_id=task_id, now=NOON)
        return [f"{one.task_id} {one.state}" for one in found]

    assert ["two running", "one queued", "three queued"] == await listed("")
    assert ["two running", "one queued"] == await listed("ann")
    assert ["three queued"] == await listed("bob", "three")
    with pytest.raises(NotFoundError):
        await listed("bob", "two")


class OvertakingStore:
    """A store in which another writer, such as a tick, writes the task once just before the caller does."""

    def __init__(self, store: SqliteStore, changes: dict[str, object]) -> None:
        self._store, self._changes, self._is_first = store, changes, True

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def write(self, writes: Sequence[ConditionalWrite]) -> Sequence[WriteResult]:
        await self._overtake()
        return await self._store.write(writes)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> Sequence[WriteResult]:
        await self._overtake()
        return await self._store.write_with_runs(batch, writes)

    async def _overtake(self) -> None:
        if self._is_first:
            self._is_first = False
            stored = await read(self._store, "one")
            await self._store.write([ConditionalWrite.for_changes(stored, self._changes)])


async def test_a_tick_at_the_same_moment_stops_neither_an_edit_nor_a_removal(store: SqliteStore) -> None:
    """Unless the caller named the revision that it saw."""
    before = await read(store, "one")
    spec = TaskSpec.model_validate(before.task.model_dump(include=set(SPEC_FIELDS)) | {"title": "New"})

    def busy() -> TaskService:
        return service_of(OvertakingStore(store, {"run_count": 7}), "ann", "write")  # type: ignore[arg-type]

    with pytest.raises(ConflictError, match="changed at the same moment"):
        await busy().edit("one", spec, expected=str(before.revision))
    edited = await busy().edit("one", spec, definition=spec_hash(before.task))

    assert ("New", 7) == (edited.task.title, edited.task.run_count)
    await busy().delete("one")
    assert () == (await store.get_tasks(["one"])).tasks


async def test_an_edit_of_another_at_the_same_moment_is_not_overwritten(store: SqliteStore) -> None:
    before = await read(store, "one")
    spec = TaskSpec.model_validate(before.task.model_dump(include=set(SPEC_FIELDS)) | {"title": "New"})
    other = service_of(OvertakingStore(store, {"title": "Theirs"}), "ann", "write")  # type: ignore[arg-type]

    with pytest.raises(ConflictError, match="no longer what you saw"):
        await other.edit("one", spec, definition=spec_hash(before.task))

    assert "Theirs" == (await read(store, "one")).task.title


async def test_a_task_whose_edit_was_refused_still_runs_after_others(
    store: SqliteStore, make_task: MakeTask
) -> None:
    await create(store, make_task(id="first", owner="ann"))
    service = service_of(store, "ann", "write")
    fields = (await read(store, "one")).task.model_dump(include=set(SPEC_FIELDS))
    follows = TaskSpec.model_validate(fields | {"after": [{"task": "first"}]})
    saved = await service.edit("one", follows)
    late = service_of(OvertakingStore(store, {"run_count": 7}), "ann", "write")  # type: ignore[arg-type]

    with pytest.raises(ConflictError):
        await late.edit("one", TaskSpec.model_validate(fields), expected=str(saved.revision))

    assert ["one"] == [one.task for one in (await read(store, "first")).task.dependents]
