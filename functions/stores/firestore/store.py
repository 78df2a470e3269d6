"""The production store: tasks and their ledger in Firestore."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from datetime import datetime
from functools import partial

from functions.domain.run import Run
from functions.domain.storage import (
    Broken,
    Counts,
    Document,
    Filter,
    Found,
    Kind,
    LedgerEntry,
    Operations,
    Stored,
    Write,
    Written,
)
from functions.domain.task import Task
from functions.errors import StoreUnavailable
from functions.stores.codec import newest_first
from functions.stores.firestore import queries
from functions.stores.firestore.client import Calls
from functions.stores.firestore.codec import found, id_of
from functions.stores.firestore.queries import is_document_id, names
from functions.stores.firestore.reads import Reads
from functions.stores.firestore.runs_and_documents import (
    moment_in,
    put_document,
    put_removal,
    read_documents,
    runs_in,
)
from functions.stores.firestore.writes import UNKNOWN, keep, send_all, write_all
from functions.stores.metering import count, metered


class FirestoreStore:
    """Tasks in the collection `<prefix>tasks`, the ledger in `<prefix>runs`.

    Nothing is connected before the first call, and each event loop gets a connection of its own: so the
    store survives a fork, and many loops. Every method raises as `Store` and `Catalogue` say.

    Args:
        emulator: `host:port` of an emulator; None means Google.
        read_timeout_s: Seconds one read may take, with all its tries and pages.
        write_timeout_s: Seconds one `write` or `finish` may take.

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
        self._names = names(project, database, prefix)
        self._write_timeout_s = write_timeout_s
        self._calls = Calls(self._names.database, emulator=emulator, read_timeout_s=read_timeout_s)
        self._reads = Reads(self._calls, self._names)

    async def due(self, now: datetime, *, limit: int, shards: tuple[int, int] | None = None) -> Found:
        """Tasks whose next look has come: one query over one field, which needs no composite index.

        Unreadable documents stay due for ever. At most half of *limit* is theirs, so that they never hide
        the readable ones behind them. By *shards* it is one query for each 30 of them.
        """
        if shards is None:
            return await self._due(now, limit, ())
        found = [await self._due(now, limit, some) for some in queries.askable(shards)]
        tasks = sorted((one for each in found for one in each.tasks), key=_next_look)
        broken = [one for each in found for one in each.broken]
        return Found(tuple(tasks[:limit]), tuple(broken[: max(0, limit - len(tasks))]))

    async def _due(self, now: datetime, limit: int, shards: Sequence[int]) -> Found:
        tasks: list[Stored] = []
        broken: list[Broken] = []
        asked = self._reads.due(now, limit=limit, shards=shards)
        async with self._calls.reading(), aclosing(asked) as pages:
            while len(tasks) + min(len(broken), limit // 2) < limit and (page := await anext(pages, None)):
                tasks += [one for one in page if isinstance(one, Stored)]
                broken += [one for one in page if isinstance(one, Broken)]
        return Found(tuple(tasks[:limit]), tuple(broken[: max(0, limit - len(tasks))]))

    async def read(self, ids: Sequence[str]) -> Found:
        """The tasks with these ids, in any order."""
        async with self._calls.reading():
            return found(await self._reads.by_id(ids))

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """Guarded writes by BatchWrite; what is not answered in time is UNKNOWN."""
        return await write_all(self._calls, self._names, writes, deadline=self._write_deadline())

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """The entry, then the writes; when the entry's fate is unknown the writes are UNKNOWN, and unsent."""
        deadline = self._write_deadline()
        if entry is None or await self._kept(entry, deadline=deadline):
            return await write_all(self._calls, self._names, writes, deadline=deadline)
        if not writes:
            raise StoreUnavailable("Firestore did not say whether the ledger entry was kept")
        return [UNKNOWN] * len(writes)

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """All runs of a tick's entries in order: a range of document names, which needs no index."""
        if not is_document_id(tick_id):
            return []
        name = self._names.entry(tick_id)
        async with self._calls.reading():
            # Names of entries end in a number, and the colon is the character after 9.
            query = queries.entries_between(self._names.runs, f"{name}.0", f"{name}.:")
            entries = await self._reads.documents(query)
        by_number = {id_of(entry).removeprefix(f"{tick_id}."): entry for entry in entries}
        numbers = sorted((number for number in by_number if number.isdecimal()), key=int)
        return [run for number in numbers for run in runs_in(by_number[number])]

    def metered(self) -> AbstractContextManager[Operations]:
        """Count operations as Google bills them, by this asyncio task and those it starts, while inside."""
        return metered()

    async def page(self, which: Filter, *, after: str = "", limit: int = 100) -> Found:
        """Tasks by id; what Firestore does not filter without an index of its own is filtered here."""
        tasks: list[Stored] = []
        broken: list[Broken] = []
        async with (
            self._calls.reading(),
            aclosing(self._reads.listed(which, after=after, limit=limit)) as pages,
        ):
            while len(tasks) + len(broken) < limit and (documents := await anext(pages, None)) is not None:
                for document in documents:
                    one = found([document])
                    tasks += (stored for stored in one.tasks if _matches(stored.task, which))
                    broken += one.broken
                    if len(tasks) + len(broken) == limit:
                        break
        return Found(tuple(tasks), tuple(broken))

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Run records by `finished_at`, newest first, whatever order their entries were kept in."""
        if limit <= 0:
            return []
        newest: list[Run] = []
        async with (
            self._calls.reading(),
            aclosing(self._reads.entries(task_id=task_id, since=since, before=before, limit=limit)) as pages,
        ):
            async for entries in pages:
                runs = (run for entry in entries for run in runs_in(entry))
                wanted = (run for run in runs if _is_wanted(run, task_id, since, before))
                newest = newest_first([*newest, *wanted])
                latest = moment_in(entries[-1], "latestAt")
                if len(newest) >= limit and latest and newest[limit - 1].finished_at >= latest:
                    break  # no later page holds a newer run
        return newest[:limit]

    async def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        asked = [self._names.beside(kind, each) for each in set(ids) if is_document_id(each)]
        async with self._calls.reading():
            return read_documents(kind, await self._reads.by_name(asked))

    async def shelf(self, kind: Kind, *, after: str = "", limit: int = 100) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        if limit <= 0:
            return []
        async with self._calls.reading():
            return read_documents(kind, await self._reads.beside(kind, after=after, limit=limit))

    async def put(self, documents: Sequence[Document]) -> list[Written]:
        """Guarded writes by BatchWrite, as of tasks."""
        count(writes=len(documents))
        return await self._sent(documents, put_document)

    async def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Guarded removals by BatchWrite."""
        count(deletes=len(documents))
        return await self._sent(documents, put_removal)

    async def counts(self, now: datetime) -> Counts:
        """The figures of the status page, by three queries at once."""
        tasks, runs = self._names.tasks, self._names.runs
        async with self._calls.reading():
            scheduled, due, entries = await asyncio.gather(
                self._reads.number(queries.looked_at(tasks)),
                self._reads.number(queries.due(tasks, now)),
                self._reads.documents(queries.newest_entry(runs)),
            )
        return Counts(scheduled, due, moment_in(entries[0], "at") if entries else None)

    async def prune(self, now: datetime) -> int:
        """Nothing: Firestore itself removes entries, by a TTL policy on `expireAt`."""
        return 0

    async def close(self) -> None:
        """Close the running loop's connection."""
        await self._calls.close()

    async def _sent(self, documents: Sequence[Document], fill: Callable[..., None]) -> list[Written]:
        fills = [
            (
                f"{one.kind} {one.id}",
                partial(fill, document=one, name=self._names.beside(one.kind, one.id)),
            )
            for one in documents
        ]
        return await send_all(self._calls, self._names, fills, deadline=self._write_deadline())

    async def _kept(self, entry: LedgerEntry, *, deadline: float) -> bool:
        """Whether *entry* is certainly in the ledger; its two tries leave time for the writes."""
        tries = (deadline - 0.6 * self._write_timeout_s, deadline - 0.3 * self._write_timeout_s)
        return await keep(self._calls, self._names, entry, deadlines=tries)

    def _write_deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._write_timeout_s


def _next_look(stored: Stored) -> tuple[datetime, str]:
    assert stored.task.next_run_at is not None  # it would not be due
    return stored.task.next_run_at, stored.task.id


def _matches(task: Task, which: Filter) -> bool:
    equal = (
        (which.status, task.status),
        (which.type, task.type),
        (which.owner, task.owner),
        (which.origin, task.origin),
    )
    return all(not wanted or wanted == given for wanted, given in equal) and (
        not which.tag or which.tag in task.tags
    )


def _is_wanted(run: Run, task_id: str | None, since: datetime | None, before: datetime | None) -> bool:
    at = run.finished_at
    return task_id in (None, run.task_id) and (since or at) <= at and (before is None or at < before)
