"""Short ways to say what is in a store."""

from typing import Any

from functions.domain.storage import ConditionalWrite, QueryResult, VersionedTask, WriteStatus
from functions.domain.task import Task
from functions.interfaces import Store


async def create(store: Store, *tasks: Task) -> list[VersionedTask]:
    """Put new *tasks* into *store* and return them as stored."""
    written = await store.write([ConditionalWrite(task, None) for task in tasks])
    assert {WriteStatus.APPLIED} == {answer.status for answer in written}
    return [VersionedTask(task, answer.revision) for task, answer in zip(tasks, written, strict=True)]


async def read(store: Store, task_id: str) -> VersionedTask:
    """The one task with this id, which must be there and readable."""
    found = await store.get_tasks([task_id])
    assert [] == list(found.invalid)
    [stored] = found.tasks
    return stored


def changing(stored: VersionedTask, **changes: Any) -> ConditionalWrite:
    """*stored* with *changes*, guarded by the revision it was read at."""
    return ConditionalWrite.for_changes(stored, changes)


def ids(found: QueryResult) -> list[str]:
    """The ids of the readable tasks of *found*, in its order."""
    return [stored.task.id for stored in found.tasks]


def broken_ids(found: QueryResult) -> list[str]:
    """The ids of the unreadable documents of *found*, sorted."""
    return sorted(one.id for one in found.invalid)
