"""Reading documents: queries, look-ups by name and counts, in pages where one answer may not do."""

import math
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    RunAggregationQueryRequest,
    RunQueryRequest,
    RunQueryResponse,
    StructuredQuery,
)
from google.protobuf.wrappers_pb2 import Int32Value

from functions.domain.storage import (
    DuePosition,
    InvalidDocument,
    OrderPosition,
    TaskFilter,
    TaskOrder,
    VersionedTask,
)
from functions.stores.firestore import queries
from functions.stores.firestore.client import CallOptions, FirestoreConnection
from functions.stores.firestore.codec import RawDocument, decode_task, id_of
from functions.stores.firestore.queries import ResourcePaths, is_document_id
from functions.stores.metering import add_operations

T = TypeVar("T")

DocumentPages = AsyncGenerator[list[RawDocument], None]  # a caller that stops early closes it

PAGE_SIZE = 100  # documents in one request where the number needed is unknown
# Unreadable documents at most, on the way to a readable one that is due; more take longer than a read may.
MAX_INVALID_SKIPPED = 5_000
BATCH_PAGE_SIZE = 20  # the same for run batches, each of which may hold 100 runs
INDEX_ENTRIES_PER_READ = 1000  # index entries that a count visits for the price of one read
MAX_INSTANT = datetime(9999, 12, 31, tzinfo=UTC)


class FirestoreReader:
    """Reads of one database, counted as they are billed.

    All are for use inside `FirestoreConnection.limit_read_time`.
    """

    def __init__(self, connection: FirestoreConnection, paths: ResourcePaths) -> None:
        self._connection = connection
        self._paths = paths

    async def run_query(self, query: StructuredQuery) -> list[RawDocument]:
        """The documents *query* finds, in its order."""
        documents, _ = await self._collect(query, _identity)
        return documents

    async def get_task_documents(self, ids: Sequence[str]) -> list[RawDocument]:
        """The tasks' documents with these ids, in any order; those that do not exist are left out."""
        return await self.get_by_path(
            [self._paths.task_path(each) for each in set(ids) if is_document_id(each)]
        )

    async def get_by_path(self, paths: Sequence[str]) -> list[RawDocument]:
        """The documents with these full names, in any order; those that do not exist are left out."""
        if not paths:
            return []
        request = BatchGetDocumentsRequest(database=self._paths.database, documents=paths)

        async def attempt(client: FirestoreAsyncClient, options: CallOptions) -> list[RawDocument]:
            responses = await client.batch_get_documents(request, **options)
            found = [BatchGetDocumentsResponse.pb(response) async for response in responses]
            return [response.found for response in found if response.HasField("found")]

        documents = await self._connection.read_with_retries(attempt)
        add_operations(reads=len(paths))  # what is missing is billed as well
        return documents

    async def count_matches(self, query: StructuredQuery) -> int:
        """How many documents *query* finds."""
        request = RunAggregationQueryRequest(
            parent=self._paths.documents_root, structured_aggregation_query=queries.count_query(query, "n")
        )

        async def attempt(client: FirestoreAsyncClient, options: CallOptions) -> int:
            responses = await client.run_aggregation_query(request, **options)
            counts = [response.result.aggregate_fields["n"] async for response in responses]
            return sum(count.integer_value for count in counts)

        number = await self._connection.read_with_retries(attempt)
        add_operations(reads=max(1, -(-number // INDEX_ENTRIES_PER_READ)))
        return number

    def iter_due(
        self, now: datetime, *, limit: int, after: DuePosition | None = None, shards: Sequence[int] = ()
    ) -> AsyncGenerator[list[VersionedTask | InvalidDocument], None]:
        """Return the tasks that are due, earliest first, *limit* at a time; not without end.

        Read as they come: all documents together take as much memory again as their tasks.
        """
        query = queries.due_query(self._paths.task_collection, now, shards=shards)
        if after is not None:
            path = self._paths.task_path(after.id) if after.id else None
            queries.start_at_due(query, after.at, path)
        return self._iter_pages(query, limit, decode_task, max_documents=limit + MAX_INVALID_SKIPPED)

    def iter_tasks(self, which: TaskFilter, *, after: str, limit: int) -> DocumentPages:
        """Tasks by id, after *after*: all that match *which*, and perhaps some that do not."""
        if which.ids:
            return self._iter_pages_by_id([each for each in which.ids if each > after])
        name = self._paths.task_path(after) if is_document_id(after) else None
        size = limit if queries.is_fully_filtered(which) else max(limit, PAGE_SIZE)
        return self._iter_pages(
            queries.list_query(self._paths.task_collection, which, after=name), size, _identity
        )

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None, limit: int
    ) -> list[RawDocument]:
        """Tasks that have a value in *order*, behind *after*."""
        query = queries.order_query(self._paths.task_collection, order)
        if after is not None:
            queries.start_behind(query, after.value, self._paths.task_path(after.id))
        query.limit = Int32Value(value=limit)
        return await self.run_query(query)

    async def list_without_run(self, *, after: str, limit: int) -> list[RawDocument]:
        """Tasks that have no next run by id, after *after*."""
        query = queries.without_run_query(self._paths.task_collection)
        if is_document_id(after):
            query.start_at = queries.behind_name(self._paths.task_path(after))
        query.limit = Int32Value(value=limit)
        return await self.run_query(query)

    async def list_documents(self, kind: str, *, after: str, limit: int) -> list[RawDocument]:
        """Small documents of one kind by id, after *after*."""
        name = self._paths.document_path(kind, after) if is_document_id(after) else None
        query = queries.list_query(f"{self._paths.prefix}{kind}", TaskFilter(), after=name)
        query.limit = Int32Value(value=limit)
        return await self.run_query(query)

    def iter_run_batches(
        self, *, task_id: str | None, since: datetime | None, before: datetime | None, limit: int
    ) -> DocumentPages:
        """Run batches with a run in the span, those whose last run finished latest first."""
        query = queries.batches_query(
            self._paths.run_collection, task_id=task_id, since=since, before=before or MAX_INSTANT
        )
        return self._iter_pages(
            query, BATCH_PAGE_SIZE if task_id is None else min(limit + 1, PAGE_SIZE), _identity
        )

    async def _iter_pages(
        self,
        query: StructuredQuery,
        size: int,
        convert: Callable[[RawDocument], T],
        *,
        max_documents: float = math.inf,
    ) -> AsyncGenerator[list[T], None]:
        query.limit = Int32Value(value=size)
        read = 0
        while read < max_documents:
            kept, last = await self._collect(query, convert)
            if kept:
                yield kept
            if last is None or len(kept) < size:
                return
            read += size
            queries.start_after(query, last)

    async def _collect(
        self, query: StructuredQuery, convert: Callable[[RawDocument], T]
    ) -> tuple[list[T], RawDocument | None]:
        """What *convert* makes of each document *query* finds, in order; and the last document, if any."""
        request = RunQueryRequest(parent=self._paths.documents_root, structured_query=query)

        async def attempt(
            client: FirestoreAsyncClient, options: CallOptions
        ) -> tuple[list[T], RawDocument | None]:
            kept: list[T] = []
            last = None
            async for response in await client.run_query(request, **options):
                found = RunQueryResponse.pb(response)
                if found.HasField("document"):
                    last = found.document
                    kept.append(convert(last))
            return kept, last

        kept, last = await self._connection.read_with_retries(attempt)
        add_operations(reads=max(1, len(kept)))
        return kept, last

    async def _iter_pages_by_id(self, ids: Iterable[str]) -> DocumentPages:
        in_order = sorted(ids)
        for start in range(0, len(in_order), PAGE_SIZE):
            yield sorted(await self.get_task_documents(in_order[start : start + PAGE_SIZE]), key=id_of)


def _identity(document: RawDocument) -> RawDocument:
    return document
