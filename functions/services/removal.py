"""Removals: of a task that fails people are notified, and each can be undone for a month.

A removed task is kept in a document.

The documents of an owner stand together, so that its page reads no others. A second one, of the task's id,
leads those who see all tasks to them:

    removed.ping                  a task without an owner
    removed.@2bd806c97f0e.ping    one of alice
    removal.ping@2bd806c97f0e     {"at": "2026-11-30T12:00:00+00:00"}
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Final

from pydantic import ValidationError

from functions.domain.access import Principal
from functions.domain.lifecycle.removal import notifications_left_by
from functions.domain.lifecycle.restore import restored_task
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, Document, VersionedTask, WriteStatus
from functions.domain.task import Task, TaskSpec
from functions.domain.types import Instant, Model
from functions.errors import ConflictError, NotAllowedError, NotFoundError, StoreError, StoreUnavailableError
from functions.interfaces import DocumentStore, Store, TaskStore
from functions.services.access.audit import record_change
from functions.services.access.limits import OwnerLimits
from functions.services.access.view import is_run_of
from functions.services.calendars.book import with_current_days
from functions.services.calendars.loading import load_holidays_for
from functions.services.compare_and_set import update_document
from functions.services.dependencies import sync_links
from functions.services.paging import PAGE_SIZE, iter_documents, iter_runs

RETENTION: Final = timedelta(days=30)
PREFIX: Final = "removed."  # of the documents' ids, before the owner's mark and the id of the task
OWNER_PREFIX: Final = "removal."  # of the documents that say whose task of an id was removed
OWN_PAGE, NAMESAKES = 100, 10  # documents read at once: of an owner, and of one id
MAX_BYTES: Final = 60_000  # of a task as JSON: what a document holds
MAX_SHOWN: Final = 500

log = logging.getLogger(__name__)


class _Removal(Model):
    task: Task
    by: str = ""
    at: Instant


@dataclass(frozen=True, slots=True)
class RemovedTask:
    """A task as it was when it was removed.

    Attributes:
        by: Who removed it, see `Principal.author`.
        until: When it is forgotten.
    """

    task: Task
    by: str
    at: datetime

    @property
    def until(self) -> datetime:
        """When it is forgotten."""
        return self.at + RETENTION


def _prefix_of(mark: str) -> str:
    return f"{PREFIX}@{mark}." if mark else PREFIX  # no id of a task begins with `@`


def _mark_of(owner: str) -> str:
    """Return what stands for *owner* in an id: each has its own, so that no removal outdoes another's."""
    return sha256(owner.encode("utf-8", "replace")).hexdigest()[:24] if owner else ""


async def keep_removed(store: DocumentStore, task: Task, *, by: str, now: datetime) -> None:
    """Keep *task*, which is about to be removed. Never raises: one that cannot be kept is removed as well."""
    whole = task.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    data: dict[str, object] = {"task": whole, "by": by, "at": now.isoformat()}
    if len(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")) > MAX_BYTES:
        data["task"] = whole | {"memory": {}}
    mark = _mark_of(task.owner)
    documents = {_prefix_of(mark) + task.id: data}
    if mark:
        documents = {f"{OWNER_PREFIX}{task.id}@{mark}": {"at": data["at"]}} | documents
    try:
        for name, kept in documents.items():
            await update_document(store, "meta", name, partial(_replaced, kept), expire_at=now + RETENTION)
    except StoreError as exc:
        log.warning("removed_task_not_kept", extra={"task_id": task.id, "error": str(exc)})


async def remove_stored(store: TaskStore, stored: VersionedTask, *, by: str, now: datetime) -> WriteStatus:
    """Remove the task, if it is still the revision of *stored*; what it owes people is delivered by a tick.

    That is written first: when this process dies in between, they have news of a removal that has yet to
    come, where the other order would leave the incident open for ever.
    """
    left = notifications_left_by(stored.task, by=by, now=now)
    kept = None
    if left is not None:
        [kept] = await store.write([ConditionalWrite(left, None)])
        if kept.status is not WriteStatus.APPLIED:
            return WriteStatus.UNKNOWN
    [written] = await store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])
    if written.status is WriteStatus.CONFLICT and left is not None and kept is not None:
        await store.write([ConditionalWrite(left, kept.revision, delete=True)])
    return written.status


def _replaced(data: dict[str, object], known: Document | None) -> dict[str, object] | None:
    return None if known is not None and known.data == data else data


class RemovedTasks:
    """The removed tasks that one principal may see.

    Every method raises NotAllowedError without its scope, and StoreError as `Store` does.
    """

    def __init__(
        self,
        store: Store,
        principal: Principal,
        *,
        limits: OwnerLimits,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._principal = principal
        self._limits = limits
        self._clock = clock
        self._new_id = new_id

    async def list_removed(self) -> list[RemovedTask]:
        """Return those that are not there again, the latest first."""
        self._principal.require_scope("read")
        mark = _mark_of(self._principal.owner)
        size = OWN_PAGE if mark else PAGE_SIZE
        found = [
            one
            async for document in iter_documents(self._store, "meta", prefix=_prefix_of(mark), page_size=size)
            if (one := self._parse(document)) is not None
        ]
        newest = {one.task.id: one for one in sorted(found, key=lambda one: one.at)}  # of one id, as `get`
        latest = sorted(newest.values(), key=lambda one: one.at, reverse=True)[:MAX_SHOWN]
        there = await self._store.get_tasks([one.task.id for one in latest])
        ids = {stored.task.id for stored in there.tasks} | {document.id for document in there.invalid}
        return [one for one in latest if one.task.id not in ids]

    async def get(self, task_id: str) -> RemovedTask:
        """Return a removed task, the latest of this id that the caller may see.

        Raises:
            NotFoundError: None is kept.
        """
        self._principal.require_scope("read")
        mark = _mark_of(self._principal.owner)
        names = [_prefix_of(mark) + task_id]
        if not mark:
            prefix = f"{OWNER_PREFIX}{task_id}@"
            others = iter_documents(self._store, "meta", prefix=prefix, page_size=NAMESAKES)
            names += [_prefix_of(other.id.removeprefix(prefix)) + task_id async for other in others]
        documents = await self._store.get_documents("meta", names)
        found = [one for document in documents if (one := self._parse(document)) is not None]
        if not found:
            raise NotFoundError(f"There is no removed task {task_id!r}")
        return max(found, key=lambda one: one.at)

    async def list_runs(self, removed: RemovedTask, *, limit: int) -> list[Run]:
        """Return its runs, newest first; not those of another task of its id."""
        found: list[Run] = []
        async for run in iter_runs(self._store, task_id=removed.task.id, page_size=limit):
            if is_run_of(removed.task, run):
                found.append(run)
            if len(found) == limit:
                break
        return found

    async def restore(self, task_id: str) -> VersionedTask:
        """Undo the removal: the task is there again, with its history; see `restored_task`.

        Raises:
            NotFoundError: As `get`.
            ConflictError: There is a task of this id again.
            InputError: A task that it runs after is gone.
            NotAllowedError: The caller or the owner may not have it any more.
        """
        self._principal.require_scope("write")
        removed = await self.get(task_id)
        await load_holidays_for([removed.task])
        task = restored_task(removed.task, now=self._clock())
        spec = TaskSpec.model_construct(**{name: getattr(task, name) for name in TaskSpec.model_fields})
        await self._limits.check(spec, self._principal)
        async with (
            self._limits.one_more(task.owner) as is_exceeded,
            sync_links(self._store, spec, can_see=self._principal.can_see),
        ):
            [written] = await self._store.write([ConditionalWrite(task, None)])
            if written.status is WriteStatus.APPLIED and await is_exceeded():
                await self._store.write([ConditionalWrite(task, written.revision, delete=True)])
                raise NotAllowedError(f"owner: other tasks of {task.owner} took the last places; try again")
        if written.status is WriteStatus.CONFLICT:
            raise ConflictError(f"There is a task {task_id!r} again; it stays as it is")
        if written.status is WriteStatus.UNKNOWN:
            raise StoreUnavailableError(
                f"The store did not say whether {task_id} is there; look, and try again"
            )
        await record_change(
            self._store,
            "restored",
            task_id,
            by=self._principal.author,
            at=self._clock(),
            new_id=self._new_id,
        )
        return await with_current_days(
            self._store, VersionedTask(task, written.revision), now=self._clock(), new_id=self._new_id
        )

    def _parse(self, document: Document) -> RemovedTask | None:
        """Return the task of *document*; None when it is expired, cannot be read, or is another's."""
        data: Mapping[str, object] = document.data
        try:
            found = _Removal.model_validate(data)
        except ValidationError:
            return None
        is_over = found.at + RETENTION <= self._clock()
        if is_over or not self._principal.can_see(found.task.owner):
            return None
        return RemovedTask(found.task, found.by, found.at)
