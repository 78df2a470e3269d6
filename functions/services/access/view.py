"""What one owner may see of a store: tasks and their history, without filters that a caller could forget.

Task types, pages, the API's reads and public links are handed a view, never the store. History belongs to a
task, not to its id: runs and audit entries of an earlier task of the same id, perhaps of another owner, are
left out.
"""

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from functions.domain.access import AuditEntry
from functions.domain.run import Run
from functions.domain.storage import MAX_RUNS_READ, MAX_TASKS_READ, QueryResult, TaskFilter, VersionedTask
from functions.domain.task import Task
from functions.errors import MissingIndexError, NotFoundError
from functions.interfaces import Store, TaskStore
from functions.services.access.audit import list_entries
from functions.services.compare_and_set import get_task, hiding_unreadable
from functions.services.paging import iter_runs, iter_task_pages

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Default = TypeVar("Default")


async def tolerate_missing_index(query: Awaitable[Result], default: Default) -> Result | Default:
    """Return what *query* returns; *default*, and a warning in the log, when there is no index for it.

    What lists and counts failing tasks has indexes of its own, which a database of an earlier version lacks.
    """
    try:
        return await query
    except MissingIndexError as exc:
        log.warning("index_missing", extra={"detail": str(exc)})
        return default


class OwnerView:
    """The tasks of one owner.

    Args:
        owner: Empty for the operator, who sees the tasks of all.
    """

    def __init__(self, store: TaskStore, owner: str) -> None:
        self._store = store
        self.owner = owner

    def sees(self, owner: str) -> bool:
        """Whether what belongs to *owner* is in this view."""
        return self.owner in ("", owner)

    async def find_task(self, task_id: str) -> VersionedTask:
        """Return a task.

        Raises:
            NotFoundError: There is none in this view.
            UnreadableError: Its document cannot be read, and the caller is the operator.
        """
        with hiding_unreadable(task_id, owner=self.owner):
            stored = await get_task(self._store, task_id)
        if not self.sees(stored.task.owner):
            raise NotFoundError(f"There is no task {task_id!r}")
        return stored

    async def find_visible(self, task_id: str) -> VersionedTask | None:
        """Return a task; None when there is none in this view."""
        try:
            return await self.find_task(task_id)
        except NotFoundError:
            return None

    async def list_page(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Return a page of the tasks that match *which*, by id; none when it is about another owner.

        A page that is not full is the last one.
        """
        if which.owner and not self.sees(which.owner):
            return QueryResult(())
        page = await self._store.list_tasks(self._within(which), after=after, limit=limit)
        if not self.owner or not page.invalid:
            return page
        readable = [*page.tasks]  # whose an unreadable task is nobody knows
        while len(page.tasks) + len(page.invalid) >= limit > len(readable):
            after = max([stored.task.id for stored in page.tasks] + [one.id for one in page.invalid])
            page = await self._store.list_tasks(self._within(which), after=after, limit=limit)
            readable += page.tasks
        return QueryResult(tuple(readable[:limit]))

    async def count_tasks(self, which: TaskFilter) -> int:
        """Return how many tasks of this view match *which*; a read for each thousand."""
        if which.owner and not self.sees(which.owner):
            return 0
        return await self._store.count_tasks(self._within(which))

    async def list_tasks(
        self, which: TaskFilter | None = None, *, limit: int = MAX_TASKS_READ
    ) -> Sequence[Task]:
        """Return the first *limit* tasks that match *which*, by id."""
        found: list[Task] = []
        async for page in iter_task_pages(self._store, self._within(which or TaskFilter())):
            found += (stored.task for stored in page.tasks)
            if len(found) >= limit:
                break
        return found[:limit]

    async def list_runs(self, since: datetime, *, limit: int = MAX_RUNS_READ) -> Sequence[Run]:
        """Return the runs that finished at *since* or later, newest first, among the *limit* newest."""
        runs: list[Run] = []
        async for run in iter_runs(self._store, since=since):
            runs.append(run)
            if len(runs) == limit:
                break
        if not self.owner:
            return runs
        known = {task.id: task for task in await self.list_tasks()}
        return [run for run in runs if run.task_id in known and is_run_of(known[run.task_id], run)]

    async def list_newest_runs(
        self, *, after: tuple[datetime, int] | None, searched: int
    ) -> tuple[list[Run], list[Run]]:
        """Return the newest *searched* records, and those of them that are of this view.

        Reads the tasks of the records as well.

        Args:
            after: The instant to go on from, and how many records of it to pass over.
        """
        at, seen = after or (None, 0)
        before = None if at is None else at + timedelta(microseconds=1)
        read = await self._store.runs(before=before, limit=searched + seen)
        records = read[len([run for run in read if run.finished_at == at][:seen]) :]
        if not self.owner or not records:
            return records, records
        found = await self._store.get_tasks(sorted({run.task_id for run in records}))
        tasks = {stored.task.id: stored.task for stored in found.tasks if self.sees(stored.task.owner)}
        own = [run for run in records if run.task_id in tasks and is_run_of(tasks[run.task_id], run)]
        return records, own

    async def list_runs_of(
        self, task_id: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Run]:
        """Return the runs of a task, newest first; not those of an earlier task of the same id.

        Raises:
            NotFoundError: There is none in this view.
        """
        task = (await self.find_task(task_id)).task
        found: list[Run] = []
        async for run in iter_runs(self._store, task_id=task_id, since=since, before=before, page_size=limit):
            if is_run_of(task, run):
                found.append(run)
            if len(found) == limit:
                break
        return found

    def _within(self, which: TaskFilter) -> TaskFilter:
        return replace(which, owner=self.owner) if self.owner else which


def is_run_of(task: Task, run: Run) -> bool:
    """Whether *run* is of *task*, and not of one that had its id before."""
    return run.task_id == task.id and run.task_created_at in (None, task.created_at)


async def list_entries_of(store: Store, task: Task, *, limit: int) -> list[AuditEntry]:
    """Return who changed *task*, newest first; not who changed an earlier task of its id."""
    entries = await list_entries(store, task.id, limit=limit)
    return [entry for entry in entries if entry.at >= task.created_at]
