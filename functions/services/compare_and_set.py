"""Optimistic writes: read, decide, write under a precondition, and repeat when another writer was first."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from functions.domain.lifecycle.complete import Transition
from functions.domain.storage import (
    ConditionalWrite,
    Document,
    DocumentKind,
    RunBatch,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import Task
from functions.errors import ConflictError, NotFoundError, StoreUnavailableError, UnreadableError
from functions.interfaces import DocumentStore, TaskStore
from functions.services.calendars.loading import load_holidays_for

MAX_ATTEMPTS = 8
FIRST_WAIT_S = 0.02  # before the third attempt; doubled for each later one, 1.3 s in all

T = TypeVar("T")


async def compare_and_set(attempt: Callable[[], Awaitable[T | None]], *, subject: str) -> T:
    """Repeat *attempt* until it returns a result; None means that its write was not applied.

    Each attempt reads anew, so that it decides on what the other writer left. The second one follows at once,
    the later ones after a wait.

        attempt 1  reads revision 7, writes "if 7": conflict, another process has written revision 8
        attempt 2  reads revision 8, writes "if 8": applied, and its result is returned

    Raises:
        StoreUnavailableError: No attempt was applied. Whatever *attempt* raises passes through.
    """
    for number in range(MAX_ATTEMPTS):
        if number > 1:
            await asyncio.sleep(FIRST_WAIT_S * 2 ** (number - 2))
        if (result := await attempt()) is not None:
            return result
    raise StoreUnavailableError(f"{subject}: other writers change it too quickly; try again")


class OvertakenError(ConflictError):
    """Another writer was in between; on what is read anew the change may be made."""


async def repeat_overtaken(attempt: Callable[[], Awaitable[T]], *, subject: str, once: bool) -> T:
    """Repeat *attempt*, which reads, decides and writes, while it raises OvertakenError.

    Args:
        once: Whether the caller changes one revision alone, so that the first such error is raised.

    Raises:
        StoreUnavailableError: As in `compare_and_set`.
    """

    async def attempt_or_none() -> T | None:
        try:
            return await attempt()
        except OvertakenError:
            if once:
                raise
            return None

    return await compare_and_set(attempt_or_none, subject=subject)


async def update_document(
    store: DocumentStore,
    kind: DocumentKind,
    document_id: str,
    decide: Callable[[Document | None], dict[str, Any] | None],
    *,
    expire_at: datetime | None = None,
) -> None:
    """Write the data that *decide* returns for the document as it is stored, or for None without one.

    *decide* returns None to leave the document as it is. It is called again after a write without an answer,
    so it returns None for a document that holds the change already.

    Raises:
        StoreUnavailableError: It is not known whether the document was changed.
    """

    async def attempt() -> bool | None:
        found = await store.get_documents(kind, [document_id])
        data = decide(found[0] if found else None)
        if data is None:
            return True
        revision = found[0].revision if found else None
        [written] = await store.put_documents([Document(kind, document_id, data, revision, expire_at)])
        return True if written.status is WriteStatus.APPLIED else None

    await compare_and_set(attempt, subject=document_id)


async def update_task(
    store: TaskStore,
    task_id: str,
    decide: Callable[[Task], Transition],
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> VersionedTask:
    """Write the transition that *decide* returns for the task as it is stored; return the task after it.

    Raises:
        NotFoundError: There is no such task.
        UnreadableError: The task cannot be read.
        InputError: *decide* refuses the change.
        StoreUnavailableError: It is not known whether the task was changed.
    """

    async def attempt() -> VersionedTask | None:
        stored = await get_task(store, task_id)
        if stored.task.excluded:
            await load_holidays_for([stored.task])
        transition = decide(stored.task)
        if not transition.changes:
            return stored
        return await write_transition(store, stored, transition, now=now, new_id=new_id)

    return await compare_and_set(attempt, subject=task_id)


async def write_transition(
    store: TaskStore,
    stored: VersionedTask,
    transition: Transition,
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> VersionedTask | None:
    """Write *transition* with its runs, once; None when the task is no longer the revision of *stored*.

    Raises:
        StoreUnavailableError: It is not known whether the task was changed.
    """
    write = ConditionalWrite.for_changes(stored, transition.changes)
    batch = RunBatch(f"{new_id()}.1", now, transition.runs) if transition.runs else None
    [written] = await store.write_with_runs(batch, [write])
    if written.status is WriteStatus.UNKNOWN:
        raise StoreUnavailableError(
            f"The store did not say whether {stored.task.id} was changed; look, and try again"
        )
    return VersionedTask(write.task, written.revision) if written.status is WriteStatus.APPLIED else None


async def get_task(store: TaskStore, task_id: str) -> VersionedTask:
    """Return a task.

    Raises:
        NotFoundError: There is no task of this id.
        UnreadableError: Its document cannot be read.
    """
    found = await store.get_tasks([task_id])
    if found.invalid:
        raise UnreadableError(f"{task_id} cannot be read: {found.invalid[0].reason}")
    if not found.tasks:
        raise NotFoundError(f"There is no task {task_id!r}")
    return found.tasks[0]


@contextmanager
def hiding_unreadable(task_id: str, *, owner: str) -> Iterator[None]:
    """Let a task that cannot be read not exist for *owner*, unless that is nobody: whose it is nobody knows.

    Raises:
        NotFoundError: It cannot be read, and there is an owner.
    """
    try:
        yield
    except UnreadableError:
        if not owner:
            raise
        raise NotFoundError(f"There is no task {task_id!r}") from None
