"""Putting: records of an archive into a store, a batch at a time: what is new, and what differs."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace as replaced
from datetime import timedelta
from typing import Any, Literal

from functions.errors import StoreUnavailable
from functions.history import all_runs
from functions.moving.exporting import Kept
from functions.rules.outcome import Run
from functions.rules.storage import Document, LedgerEntry, Result, Stored, Write, Written
from functions.rules.task import Task
from functions.rules.words import Model

Kind = Literal["tasks", "runs", "documents"]
Outcome = Literal["created", "unchanged", "replaced", "refused"]
Told = tuple[Kind, str, Outcome]
INSTANT = timedelta(microseconds=1)


class Putting:
    """Puts records into *store*. Putting the same again changes nothing.

    Args:
        ticks: Records of these ticks are kept under their names: a tick that finds one of their claims
            expired looks for them there.
        replace: Whether what differs is replaced, and not left as it is.
    """

    def __init__(self, store: Kept, ticks: Collection[str], *, replace: bool, dry_run: bool) -> None:
        self._store = store
        self._ticks = ticks
        self._replace = replace
        self._dry_run = dry_run

    async def put(self, batch: Sequence[Any]) -> list[Told]:
        """Put records of one kind; say what became of each.

        Raises:
            StoreUnavailable: It is not known whether all were written.
        """
        match batch[0]:
            case Task():
                return await self._tasks({task.id: task for task in batch})
            case Run():
                return await self._runs({run.key: run for run in batch})
            case _:
                return await self._documents(batch)

    async def _tasks(self, tasks: Mapping[str, Task]) -> list[Told]:
        found = await self._store.read(list(tasks))
        there: dict[str, Stored] = {stored.task.id: stored for stored in found.tasks}
        told: dict[str, Outcome] = {broken.id: "refused" for broken in found.broken}
        writes = []
        for task_id, task in tasks.items():
            if task_id in told:
                continue
            known = there.get(task_id)
            told[task_id] = self._judged(known is not None, known is not None and _same(known.task, task))
            if told[task_id] in ("created", "replaced"):
                writes.append(Write(task, known.revision if known else None))
        if writes and not self._dry_run:
            written = await self._store.write(writes)
            told |= await self._refused(writes, written)
        return [("tasks", task_id, outcome) for task_id, outcome in told.items()]

    async def _refused(self, writes: Sequence[Write], written: Sequence[Written]) -> dict[str, Outcome]:
        """What became of the writes that were not applied: an answer may have been lost."""
        doubtful = {
            write.task.id: (write.task, answer.result)
            for write, answer in zip(writes, written, strict=True)
            if answer.result is not Result.APPLIED
        }
        if not doubtful:
            return {}
        now = {stored.task.id: stored.task for stored in (await self._store.read(list(doubtful))).tasks}
        lost = [name for name, (task, _) in doubtful.items() if name not in now or not _same(now[name], task)]
        if any(doubtful[name][1] is Result.UNKNOWN for name in lost):
            raise StoreUnavailable(f"The store did not say whether it has {lost[0]}; import again")
        return dict.fromkeys(lost, "refused")

    async def _runs(self, runs: Mapping[str, Run]) -> list[Told]:
        known = await self._known(runs)
        told = {
            key: self._judged(key in known, key in known and _same(known[key], run))
            for key, run in runs.items()
        }
        wanted = [run for key, run in runs.items() if told[key] in ("created", "replaced")]
        if wanted and not self._dry_run:
            for entry in self._entries(wanted):
                await self._store.finish(entry, [])
            if over := {key: runs[key] for key, outcome in told.items() if outcome == "replaced"}:
                after = await self._known(over)  # of two records of one attempt a store keeps the truer
                told |= {key: "refused" for key, run in over.items() if not _same(after.get(key, run), run)}
        return [("runs", key, outcome) for key, outcome in told.items()]

    async def _known(self, runs: Mapping[str, Run]) -> dict[str, Run]:
        """Those of *runs* that are in the store, whatever they say there."""
        moments = [run.finished_at for run in runs.values()]
        between = all_runs(self._store, since=min(moments), before=max(moments) + INSTANT)
        return {run.key: run async for run in between if run.key in runs}

    def _entries(self, runs: Sequence[Run]) -> list[LedgerEntry]:
        """Ledger entries whose names are made from what is in them: writing them again leaves one."""
        groups: dict[str, list[Run]] = {}
        for run in runs:
            tick = run.token.rpartition(".")[0]
            groups.setdefault(tick if tick in self._ticks else "", []).append(run)
        entries = []
        for tick, group in groups.items():
            digest = hashlib.sha256("\n".join(sorted(run.key for run in group)).encode()).hexdigest()
            name = f"{tick}.{10**9 + int(digest[:8], 16)}" if tick else f"import-{digest[:16]}.1"
            entries.append(LedgerEntry(name, max(run.finished_at for run in group), tuple(group)))
        return entries

    async def _documents(self, documents: Sequence[Document]) -> list[Told]:
        told: list[Told] = []
        for kind in dict.fromkeys(one.kind for one in documents):
            mine = {one.id: one for one in documents if one.kind == kind}
            there = {one.id: one for one in await self._store.documents(kind, list(mine))}
            puts = []
            for name, one in mine.items():
                known = there.get(name)
                wanted = _united(known, one) if known is not None and kind == "listeners" else one
                same = known is not None and _same_document(known, wanted)
                outcome = self._judged(known is not None, same, may_replace=kind == "listeners")
                told.append(("documents", f"{kind}/{name}", outcome))
                if outcome in ("created", "replaced"):
                    puts.append(replaced(wanted, revision=known.revision if known else None))
            if puts and not self._dry_run:
                await self._put(puts)
        return told

    async def _put(self, documents: Sequence[Document]) -> None:
        for document, answer in zip(documents, await self._store.put(documents), strict=True):
            if answer.result is Result.APPLIED:
                continue
            [*found] = await self._store.documents(document.kind, [document.id])
            if not found or not _same_document(found[0], document):
                raise StoreUnavailable(f"{document.kind} {document.id} changes meanwhile; import again")

    def _judged(self, known: bool, same: bool, *, may_replace: bool = False) -> Outcome:
        if not known:
            return "created"
        if same:
            return "unchanged"
        return "replaced" if self._replace or may_replace else "refused"


def _same(one: Model, other: Model) -> bool:
    dump: Callable[[Model], str] = lambda model: model.model_dump_json(by_alias=True)  # noqa: E731  # a short name
    return one == other or dump(one) == dump(other)


def _same_document(one: Document, other: Document) -> bool:
    return dict(one.data) == dict(other.data) and one.expire_at == other.expire_at


def _united(known: Document, one: Document) -> Document:
    """Who listens by either: a listener too many does no harm, one too few is never started."""
    ids = {str(name) for document in (known, one) for name in document.data.get("tasks", ())}
    return replaced(one, data={"tasks": sorted(ids)})
