"""Importing: an archive into a store. What is there already stays, so that it may be done again."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from functions.domain.run import Run
from functions.domain.storage import RUNS_PER_ENTRY, Document, LedgerEntry, Result, Stored, Write, Written
from functions.domain.task import Task
from functions.domain.types import Model
from functions.errors import InputError, StoreUnavailableError
from functions.services.history import iter_runs
from functions.transfer.archive.export import Kept
from functions.transfer.archive.format import FAULT, Line, Totals, check_heading, read_lines

# Putting: records of an archive into a store, a batch at a time: what is new, and what differs.

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
        found = await self._store.get_tasks(list(tasks))
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
        now = {stored.task.id: stored.task for stored in (await self._store.get_tasks(list(doubtful))).tasks}
        lost = [name for name, (task, _) in doubtful.items() if name not in now or not _same(now[name], task)]
        if any(doubtful[name][1] is Result.UNKNOWN for name in lost):
            raise StoreUnavailableError(f"The store did not say whether it has {lost[0]}; import again")
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
                await self._store.write_with_runs(entry, [])
            if over := {key: runs[key] for key, outcome in told.items() if outcome == "replaced"}:
                after = await self._known(over)  # of two records of one attempt a store keeps the truer
                told |= {key: "refused" for key, run in over.items() if not _same(after.get(key, run), run)}
        return [("runs", key, outcome) for key, outcome in told.items()]

    async def _known(self, runs: Mapping[str, Run]) -> dict[str, Run]:
        """Those of *runs* that are in the store, whatever they say there."""
        moments = [run.finished_at for run in runs.values()]
        between = iter_runs(self._store, since=min(moments), before=max(moments) + INSTANT)
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
            there = {one.id: one for one in await self._store.get_documents(kind, list(mine))}
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
        for document, answer in zip(documents, await self._store.put_documents(documents), strict=True):
            if answer.result is Result.APPLIED:
                continue
            [*found] = await self._store.get_documents(document.kind, [document.id])
            if not found or not _same_document(found[0], document):
                raise StoreUnavailableError(f"{document.kind} {document.id} changes meanwhile; import again")

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


AT_ONCE = RUNS_PER_ENTRY  # what fits one entry of the ledger fits one write of every other kind too


@dataclass(slots=True)
class Imported:
    """What became of an archive.

    Attributes:
        of: How many records the file has, those that stand there twice counted twice.
        refused: What is in the store already, and differs.
        faults: Lines that cannot be read, each with its number; all others were.
    """

    of: Totals = field(default_factory=Totals)
    created: Totals = field(default_factory=Totals)
    unchanged: Totals = field(default_factory=Totals)
    replaced: Totals = field(default_factory=Totals)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Survey:
    """What must be known of a file before anything of it is written.

    Attributes:
        again: Of each task that stands there more than once the line that holds.
        ticks: The ticks whose claims were in flight: their records must be found by these names.
    """

    totals: Totals = field(default_factory=Totals)
    end: Totals | None = None
    again: dict[str, int] = field(default_factory=dict)
    ticks: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


async def import_archive(
    store: Kept,
    path: Path,
    *,
    replace: bool = False,
    dry_run: bool = False,
    tell: Callable[[Imported], None],
) -> Imported:
    """Put all that *path* holds into *store*: documents and runs first, for tasks may start at once.

    The file is gone through three times, for only so much of it is held as one write takes.

    Args:
        replace: What differs in the store becomes as the file has it; otherwise it stays, and is reported.
        dry_run: Only say what would be done.
        tell: Hears of the progress now and then.

    Raises:
        InputError: The file is no archive, or not a whole one; nothing was written.
        StoreUnavailable: The store does not answer; do it again, and it goes on from there.
    """
    survey = _surveyed(path)
    imported = Imported(of=survey.totals, faults=survey.faults)
    putting = Putting(store, survey.ticks, replace=replace, dry_run=dry_run)
    for kinds in (("document",), ("run",), ("task",)):
        for batch in _batches(path, kinds, survey):
            for kind, name, outcome in await putting.put(batch):
                _count(imported, kind, name, outcome)
            tell(imported)
    return imported


def _surveyed(path: Path) -> _Survey:
    survey = _Survey()
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{path}: is empty")
    check_heading(first)
    for line in lines:
        survey.end = None  # nothing may come behind the end
        try:
            _look(survey, line)
        except InputError as exc:
            survey.faults.append(str(exc))
    if survey.end is None:
        raise InputError(
            f"{path}: has no end: the export, or a copy of it, was cut off; nothing was imported"
        )
    if survey.end != survey.totals and not survey.faults:
        survey.faults.append(
            "the last line counts other records than there are: lines were added or taken away"
        )
    return survey


def _look(survey: _Survey, line: Line) -> None:
    match line.kind:
        case "task":
            task = line.task()
            survey.totals.tasks += 1
            if line.again:
                survey.again[task.id] = line.number
            if task.claim is not None:
                survey.ticks.add(task.claim.token.rpartition(".")[0])
        case "run":
            line.run()
            survey.totals.runs += 1
        case "document":
            line.document()
            survey.totals.documents += 1
        case "end":
            figures = (line.values.get(name) for name in ("tasks", "runs", "documents"))
            survey.end = Totals(*(one if isinstance(one, int) else -1 for one in figures))
        case _:
            raise InputError(f"line {line.number}: {line.values.get('why', 'is a second heading')}")


def _batches(path: Path, kinds: tuple[str, ...], survey: _Survey) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for line in read_lines(path):
        if line.kind not in kinds or line.kind == FAULT:
            continue
        try:
            one: Any = {"document": line.document, "run": line.run, "task": line.task}[line.kind]()
        except InputError:
            continue  # it was told of by the survey
        if line.kind == "task" and survey.again.get(one.id, line.number) != line.number:
            continue
        batch.append(one)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _count(imported: Imported, kind: Kind, name: str, outcome: Outcome) -> None:
    if outcome == "refused":
        imported.refused.append(f"{kind.removesuffix('s')} {name}")
        return
    totals = {"created": imported.created, "unchanged": imported.unchanged, "replaced": imported.replaced}[
        outcome
    ]
    setattr(totals, kind, getattr(totals, kind) + 1)
