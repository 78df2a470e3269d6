"""The production store: tasks and their runs in Firestore."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial

from functions.domain.run import Run
from functions.domain.storage import (
    ConditionalWrite,
    Document,
    DocumentKind,
    DuePosition,
    InvalidDocument,
    OrderedPage,
    OrderPosition,
    QueryResult,
    RunBatch,
    StoreStats,
    TaskFilter,
    TaskOrder,
    VersionedTask,
    WriteResult,
    is_key,
)
from functions.domain.task import Task
from functions.errors import StoreUnavailableError
from functions.stores.codec import hidden_tasks_error, merge_newest_first
from functions.stores.firestore import queries
from functions.stores.firestore.client import FirestoreConnection
from functions.stores.firestore.codec import RawDocument, id_of, to_query_result
from functions.stores.firestore.queries import is_document_id, resource_paths
from functions.stores.firestore.reads import MAX_INVALID_SKIPPED, FirestoreReader
from functions.stores.firestore.runs_and_documents import (
    decode_documents,
    decode_runs,
    encode_delete,
    encode_document,
    get_timestamp,
    position_of,
)
from functions.stores.firestore.writes import UNKNOWN, save_run_batch, write_documents, write_tasks
from functions.stores.metering import CountingStore, add_operations

COUNT_PAGE_SIZE = 300  # where Firestore cannot count by itself


class FirestoreStore(CountingStore):
    """Tasks in the collection `<prefix>tasks`, run batches in `<prefix>runs`.

    Nothing is connected before the first call, and each event loop gets a connection of its own: so the
    store survives a fork, and many loops. Every method raises as the protocols of `interfaces` say.

    Args:
        emulator: `host:port` of an emulator; None means Google.
        read_timeout_s: Seconds one read may take, with all its tries and pages.
        write_timeout_s: Seconds one `write` or `write_with_runs` may take.

    Raises:
        SettingsError: Project, database or prefix are no names that Firestore knows.
    """

    def __init__(
        self,
        project: str,
        database: str = "(default)",
        *,
        prefix: str = "",
        emulator: str | None = None,
        read_timeout_s: float = 8.0,
        write_timeout_s: float = 8.0,
    ) -> None:
        self._paths = resource_paths(project, database, prefix)
        self._write_timeout_s = write_timeout_s
        self._connection = FirestoreConnection(
            self._paths.database, emulator=emulator, read_timeout_s=read_timeout_s
        )
        self._reader = FirestoreReader(self._connection, self._paths)

    async def fetch_due(
        self,
        now: datetime,
        *,
        limit: int,
        after: DuePosition | None = None,
        shards: tuple[int, int] | None = None,
    ) -> QueryResult:
        """Return the tasks that are due: one query over one field, which needs no composite index.

        Unreadable documents stay due for ever. At most half of *limit* is theirs, so that they never hide
        the readable ones behind them. By *shards* it is one query for each 30 of them.

        Raises:
            StoreError: There are more of them, before the first task that can be read, than it looks past.
        """
        if shards is None:
            return await self._fetch_due(now, limit, after, ())
        found = [await self._fetch_due(now, limit, after, some) for some in queries.chunk_shards(shards)]
        tasks = sorted((one for each in found for one in each.tasks), key=_next_run_order)
        broken = [one for each in found for one in each.invalid]
        return QueryResult(tuple(tasks[:limit]), tuple(broken[: max(0, limit - len(tasks))]))

    async def _fetch_due(
        self,
        now: datetime,
        limit: int,
        after: DuePosition | None,
        shards: Sequence[int],
        *,
        may_be_hidden: bool = False,
    ) -> QueryResult:
        tasks: list[VersionedTask] = []
        broken: list[InvalidDocument] = []
        due_pages = self._reader.iter_due(now, limit=limit, after=after, shards=shards)
        async with self._connection.limit_read_time(), aclosing(due_pages) as pages:
            while len(tasks) + min(len(broken), limit // 2) < limit and (page := await anext(pages, None)):
                tasks += [one for one in page if isinstance(one, VersionedTask)]
                broken += [one for one in page if isinstance(one, InvalidDocument)]
        if not tasks and len(broken) >= limit + MAX_INVALID_SKIPPED and not may_be_hidden:
            raise hidden_tasks_error(len(broken))
        return QueryResult(tuple(tasks[:limit]), tuple(broken[: max(0, limit - len(tasks))]))

    async def list_due(self, now: datetime, *, limit: int) -> QueryResult:
        """Return the tasks that are due, earliest first."""
        return await self._fetch_due(now, limit, None, (), may_be_hidden=True)

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """The tasks with these ids, in any order."""
        async with self._connection.limit_read_time():
            return to_query_result(await self._reader.get_task_documents(ids))

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        """Guarded writes by BatchWrite; what is not answered in time is UNKNOWN."""
        return await write_tasks(self._connection, self._paths, writes, deadline=self._write_deadline())

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """The entry, then the writes; when the entry's fate is unknown the writes are UNKNOWN, and unsent."""
        deadline = self._write_deadline()
        if batch is None or await self._save_batch(batch, deadline=deadline):
            return await write_tasks(self._connection, self._paths, writes, deadline=deadline)
        if not writes:
            raise StoreUnavailableError("Firestore did not say whether the runs were saved")
        return [UNKNOWN] * len(writes)

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """All runs of a tick's entries in order: a range of document names, which needs no index."""
        if not is_document_id(tick_id):
            return []
        name = self._paths.run_batch_path(tick_id)
        async with self._connection.limit_read_time():
            # Names of entries end in a number, and the colon is the character after 9.
            query = queries.batches_between_query(self._paths.run_collection, f"{name}.0", f"{name}.:")
            entries = await self._reader.run_query(query)
        by_number = {id_of(entry).removeprefix(f"{tick_id}."): entry for entry in entries}
        numbers = sorted((number for number in by_number if number.isdecimal()), key=int)
        return [run for number in numbers for run in decode_runs(by_number[number])]

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Tasks by id; what Firestore does not filter without an index of its own is filtered here."""
        tasks: list[VersionedTask] = []
        broken: list[InvalidDocument] = []
        if not which.has_keys:
            return QueryResult(())
        async with (
            self._connection.limit_read_time(),
            aclosing(self._reader.iter_tasks(which, after=after, limit=limit)) as pages,
        ):
            while len(tasks) + len(broken) < limit and (documents := await anext(pages, None)) is not None:
                for document in documents:
                    parsed = to_query_result([document])
                    tasks += (stored for stored in parsed.tasks if _matches_filter(stored.task, which))
                    broken += parsed.invalid
                    if len(tasks) + len(broken) == limit:
                        break
        return QueryResult(tuple(tasks), tuple(broken))

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None = None, limit: int = 100
    ) -> OrderedPage:
        """A page of all tasks in *order*, which begins behind *after*."""
        documents: list[RawDocument] = []
        async with self._connection.limit_read_time():
            if after is None or after.value is not None:
                documents = await self._reader.list_ordered(order, after=after, limit=limit)
            if order == "nextRunAt" and len(documents) < limit:  # null is before all instants in Firestore
                behind = after.id if after and after.value is None else ""
                documents += await self._reader.list_without_run(after=behind, limit=limit - len(documents))
        following = position_of(order, documents[-1]) if documents and len(documents) == limit else None
        return OrderedPage(to_query_result(documents).tasks, following)

    async def count_tasks(self, which: TaskFilter) -> int:
        """How many tasks match *which*; Firestore counts where it can filter, without reading the tasks."""
        if which.ids or not which.has_keys or not queries.is_fully_filtered(which):
            return await self._count_by_listing(which)
        async with self._connection.limit_read_time():
            return await self._reader.count_matches(
                queries.matching_tasks_query(self._paths.task_collection, which)
            )

    async def _count_by_listing(self, which: TaskFilter) -> int:
        number, after = 0, ""
        while True:
            page = await self.list_tasks(which, after=after, limit=COUNT_PAGE_SIZE)
            ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
            number += len(ids)
            if len(ids) < COUNT_PAGE_SIZE:
                return number
            after = max(ids)

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Run records by `finished_at`, newest first, whatever order their batches were saved in."""
        if limit <= 0 or not is_key(task_id or ""):
            return []
        newest: list[Run] = []
        async with (
            self._connection.limit_read_time(),
            aclosing(
                self._reader.iter_run_batches(task_id=task_id, since=since, before=before, limit=limit)
            ) as pages,
        ):
            async for entries in pages:
                runs = (run for entry in entries for run in decode_runs(entry))
                matching = (run for run in runs if _is_requested_run(run, task_id, since, before))
                newest = merge_newest_first([*newest, *matching])
                latest = get_timestamp(entries[-1], "latestAt")
                if len(newest) >= limit and latest and newest[limit - 1].finished_at >= latest:
                    break  # no later page holds a newer run
        return newest[:limit]

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        asked = [self._paths.document_path(kind, each) for each in set(ids) if is_document_id(each)]
        async with self._connection.limit_read_time():
            return decode_documents(kind, await self._reader.get_by_path(asked))

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 100
    ) -> list[Document]:
        """Documents of *kind* by id, those behind *after*. A page is short only at the end of the list."""
        documents: list[Document] = []
        async with self._connection.limit_read_time():
            while (left := limit - len(documents)) > 0:
                page = await self._reader.list_documents(kind, after=after, limit=left)
                documents += decode_documents(kind, page)
                if len(page) < left:
                    break
                after = id_of(page[-1])
        return documents

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Guarded writes by BatchWrite, as of tasks."""
        add_operations(writes=len(documents))
        return await self._write_documents(documents, encode_document)

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Guarded removals by BatchWrite."""
        add_operations(deletes=len(documents))
        return await self._write_documents(documents, encode_delete)

    async def stats(self, now: datetime) -> StoreStats:
        """The figures of the status page, by three queries at once."""
        tasks, runs = self._paths.task_collection, self._paths.run_collection
        async with self._connection.limit_read_time():
            scheduled, due, entries = await asyncio.gather(
                self._reader.count_matches(queries.active_tasks_query(tasks)),
                self._reader.count_matches(queries.due_query(tasks, now)),
                self._reader.run_query(queries.newest_batch_query(runs)),
            )
        return StoreStats(scheduled, due, get_timestamp(entries[0], "at") if entries else None)

    async def prune(self, now: datetime) -> int:
        """Nothing: Firestore itself removes entries, by a TTL policy on `expireAt`."""
        return 0

    async def close(self) -> None:
        """Close the running loop's connection."""
        await self._connection.close()

    async def _write_documents(
        self, documents: Sequence[Document], encode: Callable[..., None]
    ) -> list[WriteResult]:
        fills = [
            (
                f"{one.kind} {one.id}",
                partial(encode, document=one, name=self._paths.document_path(one.kind, one.id)),
            )
            for one in documents
        ]
        return await write_documents(self._connection, self._paths, fills, deadline=self._write_deadline())

    async def _save_batch(self, batch: RunBatch, *, deadline: float) -> bool:
        """Whether *batch* is certainly stored; its two tries leave time for the writes."""
        tries = (deadline - 0.6 * self._write_timeout_s, deadline - 0.3 * self._write_timeout_s)
        return await save_run_batch(self._connection, self._paths, batch, deadlines=tries)

    def _write_deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._write_timeout_s


def _next_run_order(stored: VersionedTask) -> tuple[datetime, str]:
    assert stored.task.next_run_at is not None  # it would not be due
    return stored.task.next_run_at, stored.task.id


def _matches_filter(task: Task, which: TaskFilter) -> bool:
    equal = (
        (which.status, task.status),
        (which.type, task.type),
        (which.owner, task.owner),
        (which.origin, task.origin),
    )
    return all(not wanted or wanted == given for wanted, given in equal) and (
        (not which.tag or which.tag in task.tags)
        and (not which.outcomes or task.last_outcome in which.outcomes)
    )


def _is_requested_run(run: Run, task_id: str | None, since: datetime | None, before: datetime | None) -> bool:
    at = run.finished_at
    return task_id in (None, run.task_id) and (since or at) <= at and (before is None or at < before)
