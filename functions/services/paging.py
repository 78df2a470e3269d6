"""Reading all there is, page by page: tasks, documents and run records, each exactly once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from difflib import get_close_matches

from functions.domain.run import Run
from functions.domain.storage import Document, DocumentKind, QueryResult, TaskFilter, VersionedTask
from functions.interfaces import DocumentStore, RunQuery, TaskStore

PAGE_SIZE = 300
TIME_RESOLUTION = timedelta(microseconds=1)


async def iter_documents(
    store: DocumentStore, kind: DocumentKind, *, prefix: str = "", page_size: int = PAGE_SIZE
) -> AsyncIterator[Document]:
    """All documents of *kind* by id; with *prefix* those whose ids are longer and start with it.

    A page reads beyond the prefix: where few documents have it, a small *page_size* reads fewer.
    """
    after = prefix
    while True:
        page = await store.list_documents(kind, after=after, limit=page_size)
        for document in page:
            if not document.id.startswith(prefix):
                return
            yield document
        if len(page) < page_size:
            return
        after = page[-1].id


async def iter_task_pages(store: TaskStore, which: TaskFilter) -> AsyncIterator[QueryResult]:
    """All pages of the tasks that match *which*, by id."""
    after = ""
    while True:
        page = await store.list_tasks(which, after=after, limit=PAGE_SIZE)
        yield page
        ids = [stored.task.id for stored in page.tasks] + [document.id for document in page.invalid]
        if len(ids) < PAGE_SIZE:
            return
        after = max(ids)


async def all_tasks(store: TaskStore, which: TaskFilter) -> list[VersionedTask]:
    """All tasks that match *which*, by id. Unreadable documents are left out."""
    return [stored async for page in iter_task_pages(store, which) for stored in page.tasks]


async def iter_runs(
    store: RunQuery,
    *,
    task_id: str | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    page_size: int = PAGE_SIZE,
) -> AsyncIterator[Run]:
    """All records that finished at *since* or later and earlier than *before*, newest first.

    Many runs may finish at the same moment, at the end of a page too. The next page therefore begins with
    that moment once more, and records already yielded are left out; a page becomes larger where one moment
    alone fills it. With pages of two:

        12:03 a, 12:02 b        yields a and b
        12:02 b, 12:02 c        yields c; b is left out
    """
    seen: set[str] = set()
    while True:
        found = await store.runs(task_id=task_id, since=since, before=before, limit=page_size)
        fresh = [run for run in found if run.key not in seen]
        for run in fresh:
            yield run
        if len(found) < page_size:
            return
        last = found[-1].finished_at
        page_size *= 1 if fresh else 2
        if last + TIME_RESOLUTION != before:
            seen = set()
        seen |= {run.key for run in found if run.finished_at == last}
        before = last + TIME_RESOLUTION


MAX_COMPARED = 200  # tasks read for a suggestion, from the first letter of the id on
SIMILARITY = 0.75  # of 1, by difflib: one wrong letter in four, or two changed places


async def describe_missing_task(store: TaskStore, task_id: str) -> str:
    """Return that there is no task *task_id*, with ids of the store that are like it and begin as it does."""
    page = await store.list_tasks(TaskFilter(), after=task_id[:1], limit=MAX_COMPARED)
    near = get_close_matches(task_id, [one.task.id for one in page.tasks], n=2, cutoff=SIMILARITY)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"there is no task {task_id!r}: {meant}scheduler list shows all"
