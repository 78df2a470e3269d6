"""Reading documents: queries, look-ups by name and counts, in pages where one answer may not do."""

import math
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from functions.domain.storage import Broken, Filter, Stored
from functions.stores.firestore import messages_pb2 as wire
from functions.stores.firestore import queries
from functions.stores.firestore.client import Calls, Line
from functions.stores.firestore.codec import id_of, read_task
from functions.stores.firestore.queries import Names, is_document_id
from functions.stores.metering import count

T = TypeVar("T")

Pages = AsyncGenerator[list[wire.Document], None]  # to be closed by whoever stops early

PAGE = 100  # documents asked for at once where nobody knows how many will do
PASSED_OVER = 1000  # unreadable documents at most, on the way to a readable one that is due
ENTRIES = 20  # the same for ledger entries, each of which may hold 100 records
COUNTED_PER_READ = 1000  # index entries that a count visits for the price of one read
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)


class Reads:
    """Reads of one database, counted as they are billed. All are for use inside `Calls.reading`."""

    def __init__(self, calls: Calls, names: Names) -> None:
        self._calls = calls
        self._names = names

    async def documents(self, query: wire.StructuredQuery) -> list[wire.Document]:
        """The documents *query* finds, in its order."""
        documents, _ = await self._kept(query, _itself)
        return documents

    async def by_id(self, ids: Sequence[str]) -> list[wire.Document]:
        """The tasks' documents with these ids, in any order; those that do not exist are left out."""
        return await self.by_name([self._names.task(each) for each in set(ids) if is_document_id(each)])

    async def by_name(self, asked: Sequence[str]) -> list[wire.Document]:
        """The documents with these full names, in any order; those that do not exist are left out."""
        if not asked:
            return []
        request = wire.BatchGetDocumentsRequest(database=self._names.database, documents=asked)

        async def attempt(line: Line) -> list[wire.Document]:
            answers = [answer async for answer in line.batch_get_documents(request)]
            return [answer.found for answer in answers if answer.HasField("found")]

        documents = await self._calls.read(attempt)
        count(reads=len(asked))  # what is missing is billed as well
        return documents

    async def number(self, query: wire.StructuredQuery) -> int:
        """How many documents *query* finds."""
        request = wire.RunAggregationQueryRequest(parent=self._names.documents)
        counted = request.structured_aggregation_query
        counted.structured_query.CopyFrom(query)
        counted.aggregations.add(alias="n").count.SetInParent()

        async def attempt(line: Line) -> int:
            answers = [answer async for answer in line.run_aggregation_query(request)]
            return sum(answer.result.aggregate_fields["n"].integer_value for answer in answers)

        number = await self._calls.read(attempt)
        count(reads=max(1, -(-number // COUNTED_PER_READ)))
        return number

    def due(
        self, now: datetime, *, limit: int, shards: Sequence[int] = ()
    ) -> AsyncGenerator[list[Stored | Broken], None]:
        """Tasks whose next look has come, earliest first, *limit* at a time; not without end.

        Read as they come: all documents of the wire together take as much memory again as their tasks.
        """
        query = queries.due(self._names.tasks, now, shards=shards)
        return self._pages(query, limit, read_task, most=limit + PASSED_OVER)

    def listed(self, which: Filter, *, after: str, limit: int) -> Pages:
        """Tasks by id, after *after*: all that match *which*, and perhaps some that do not."""
        if which.ids:
            return self._pages_of([each for each in which.ids if each > after])
        name = self._names.task(after) if is_document_id(after) else None
        size = limit if queries.filters_all(which) else max(limit, PAGE)
        return self._pages(queries.listed(self._names.tasks, which, after=name), size, _itself)

    async def beside(self, kind: str, *, after: str, limit: int) -> list[wire.Document]:
        """Small documents of one kind by id, after *after*."""
        name = self._names.beside(kind, after) if is_document_id(after) else None
        query = queries.listed(f"{self._names.prefix}{kind}", Filter(), after=name)
        query.limit.value = limit
        return await self.documents(query)

    def entries(
        self, *, task_id: str | None, since: datetime | None, before: datetime | None, limit: int
    ) -> Pages:
        """Ledger entries with a run in the span, those whose last run finished latest first."""
        query = queries.entries_of(self._names.runs, task_id=task_id, since=since, before=before or FOR_EVER)
        return self._pages(query, ENTRIES if task_id is None else min(limit + 1, PAGE), _itself)

    async def _pages(
        self,
        query: wire.StructuredQuery,
        size: int,
        keep: Callable[[wire.Document], T],
        *,
        most: float = math.inf,
    ) -> AsyncGenerator[list[T], None]:
        query.limit.value = size
        read = 0
        while read < most:
            kept, last = await self._kept(query, keep)
            if kept:
                yield kept
            if last is None or len(kept) < size:
                return
            read += size
            queries.go_on_after(query, last)

    async def _kept(
        self, query: wire.StructuredQuery, keep: Callable[[wire.Document], T]
    ) -> tuple[list[T], wire.Document | None]:
        """What *keep* makes of each document *query* finds, in its order; and the last document, if any."""
        request = wire.RunQueryRequest(parent=self._names.documents, structured_query=query)

        async def attempt(line: Line) -> tuple[list[T], wire.Document | None]:
            kept: list[T] = []
            last = None
            async for answer in line.run_query(request):
                if answer.HasField("document"):
                    last = answer.document
                    kept.append(keep(last))
            return kept, last

        kept, last = await self._calls.read(attempt)
        count(reads=max(1, len(kept)))
        return kept, last

    async def _pages_of(self, ids: Iterable[str]) -> Pages:
        in_order = sorted(ids)
        for start in range(0, len(in_order), PAGE):
            yield sorted(await self.by_id(in_order[start : start + PAGE]), key=id_of)


def _itself(document: wire.Document) -> wire.Document:
    return document
