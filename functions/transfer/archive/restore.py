"""Restores an archive into a store. Records that exist stay, so that a restore may be repeated."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from functions.domain.events import Dependent
from functions.domain.run import Run
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    Document,
    RunBatch,
    VersionedTask,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Task
from functions.domain.types import Model
from functions.errors import InputError, InvalidWriteError, StoreUnavailableError
from functions.interfaces import Store
from functions.services.dependencies import add_links
from functions.services.paging import iter_runs
from functions.transfer.archive.format import (
    ArchiveRecord,
    RecordCounts,
    check_header,
    is_local,
    read_records,
)

# Writing the records of an archive, a batch at a time.

RecordKind = Literal["tasks", "runs", "documents"]
RestoreOutcome = Literal["created", "unchanged", "replaced", "refused", "invalid"]
RecordResult = tuple[RecordKind, str, RestoreOutcome]
TIME_RESOLUTION = timedelta(microseconds=1)
Record = TypeVar("Record", ConditionalWrite, Document)


class RecordRestorer:
    """Writes records to *store*. Writing the same ones again changes nothing.

    Args:
        ticks: Runs of these ticks are written under the tick's id, where a tick that finds one of their
            claims expired looks for them.
        replace: Whether a stored record that differs is replaced.

    Attributes:
        problems: Records that the store takes never, each with the store's reason.
    """

    def __init__(self, store: Store, ticks: Collection[str], *, replace: bool, dry_run: bool) -> None:
        self._store = store
        self._ticks = ticks
        self._replace = replace
        self._dry_run = dry_run
        self.problems: list[str] = []

    async def restore(self, batch: Sequence[Any]) -> list[RecordResult]:
        """Write records of one kind; return the outcome of each.

        Raises:
            StoreUnavailableError: It is not known whether all were written.
        """
        match batch[0]:
            case Task():
                return await self._restore_tasks({task.id: task for task in batch})
            case Run():
                return await self._restore_runs({run.key: run for run in batch})
            case _:
                return await self._restore_documents(batch)

    async def _restore_tasks(self, tasks: Mapping[str, Task]) -> list[RecordResult]:
        found = await self._store.get_tasks(list(tasks))
        there: dict[str, VersionedTask] = {stored.task.id: stored for stored in found.tasks}
        outcomes: dict[str, RestoreOutcome] = {broken.id: "refused" for broken in found.invalid}
        writes = []
        for task_id, task in tasks.items():
            if task_id in outcomes:
                continue
            known = there.get(task_id)
            wanted = _with_followers_of(known.task, task) if known else task
            same = known is not None and _is_same(known.task, _with_followers(wanted, known.task.dependents))
            outcomes[task_id] = self._choose_outcome(known is not None, same)
            if outcomes[task_id] in ("created", "replaced"):
                writes.append(ConditionalWrite(wanted, known.revision if known else None))
        if writes and not self._dry_run:
            written = await self._write_apart(self._store.write, writes)
            outcomes |= await self._find_refused(writes, written)
            await self._link([tasks[name] for name in tasks if outcomes[name] in ("created", "replaced")])
        return [("tasks", task_id, outcome) for task_id, outcome in outcomes.items()]

    async def _write_apart(
        self, write: Callable[[Sequence[Record]], Awaitable[list[WriteResult]]], records: Sequence[Record]
    ) -> list[WriteResult]:
        """Write *records*; one that the store takes never stops no other, and is among the problems."""
        try:
            results = await write(records)
        except InvalidWriteError as exc:
            if len(records) == 1:
                self.problems.append(f"{_name_of(records[0])} is not imported: {exc}")
                return [WriteResult(WriteStatus.INVALID)]
            halves = (records[: len(records) // 2], records[len(records) // 2 :])
            return [result for half in halves for result in await self._write_apart(write, half)]
        for record, result in zip(records, results, strict=True):
            if result.status is WriteStatus.INVALID:
                await self._write_apart(write, [record])  # alone it is refused with the reason
        return results

    async def _link(self, followers: Sequence[Task]) -> None:
        """Let the tasks that *followers* run after start them, also those that stay as the store has them."""
        before = sorted({one.task for task in followers for one in task.after})
        found = await self._store.get_tasks(before) if before else None
        for stored in found.tasks if found else ():
            linked = {one.task for one in stored.task.dependents}
            for task in followers:
                if task.id not in linked and any(one.task == stored.task.id for one in task.after):
                    await add_links(self._store, task)

    async def _find_refused(
        self, writes: Sequence[ConditionalWrite], written: Sequence[WriteResult]
    ) -> dict[str, RestoreOutcome]:
        """Return the refused ones of the writes without success; some were applied without an answer."""
        doubtful = {
            write.task.id: (write.task, answer.status)
            for write, answer in zip(writes, written, strict=True)
            if answer.status is not WriteStatus.APPLIED
        }
        if not doubtful:
            return {}
        now = {stored.task.id: stored.task for stored in (await self._store.get_tasks(list(doubtful))).tasks}
        lost = [
            name for name, (task, _) in doubtful.items() if name not in now or not _is_same(now[name], task)
        ]
        if any(doubtful[name][1] is WriteStatus.UNKNOWN for name in lost):
            raise StoreUnavailableError(f"The store did not say whether it has {lost[0]}; import again")
        return {name: "invalid" if doubtful[name][1] is WriteStatus.INVALID else "refused" for name in lost}

    async def _restore_runs(self, runs: Mapping[str, Run]) -> list[RecordResult]:
        known = await self._stored_runs(runs)
        outcomes = {
            key: self._choose_outcome(key in known, key in known and _is_same(known[key], run))
            for key, run in runs.items()
        }
        wanted = [run for key, run in runs.items() if outcomes[key] in ("created", "replaced")]
        if wanted and not self._dry_run:
            for entry in self._run_batches(wanted):
                await self._store.write_with_runs(entry, [])
            if over := {key: runs[key] for key, outcome in outcomes.items() if outcome == "replaced"}:
                after = await self._stored_runs(over)  # the store keeps one record an attempt
                outcomes |= {
                    key: "refused" for key, run in over.items() if not _is_same(after.get(key, run), run)
                }
        return [("runs", key, outcome) for key, outcome in outcomes.items()]

    async def _stored_runs(self, runs: Mapping[str, Run]) -> dict[str, Run]:
        """Return the stored records of *runs*, in their stored state."""
        moments = [run.finished_at for run in runs.values()]
        between = iter_runs(self._store, since=min(moments), before=max(moments) + TIME_RESOLUTION)
        return {run.key: run async for run in between if run.key in runs}

    def _run_batches(self, runs: Sequence[Run]) -> list[RunBatch]:
        """Return batches whose ids derive from their content, so that writing one twice leaves one."""
        groups: dict[str, list[Run]] = {}
        for run in runs:
            tick = run.token.rpartition(".")[0]
            groups.setdefault(tick if tick in self._ticks else "", []).append(run)
        entries = []
        for tick, group in groups.items():
            digest = hashlib.sha256("\n".join(sorted(run.key for run in group)).encode()).hexdigest()
            name = f"{tick}.{10**9 + int(digest[:8], 16)}" if tick else f"import-{digest[:16]}.1"
            entries.append(RunBatch(name, max(run.finished_at for run in group), tuple(group)))
        return entries

    async def _restore_documents(self, documents: Sequence[Document]) -> list[RecordResult]:
        outcomes: dict[str, RestoreOutcome] = {}
        for kind in dict.fromkeys(one.kind for one in documents):
            given = {one.id: one for one in documents if one.kind == kind}
            stored = {one.id: one for one in await self._store.get_documents(kind, list(given))}
            puts = []
            for name, document in given.items():
                outcome, put = self._plan_document(document, stored.get(name))
                outcomes[f"{kind}/{name}"] = outcome
                if outcome in ("created", "replaced"):
                    puts.append(put)
            if puts and not self._dry_run:
                outcomes |= dict.fromkeys(await self._put_documents(puts), "invalid")
        return [("documents", name, outcome) for name, outcome in outcomes.items()]

    def _plan_document(self, document: Document, stored: Document | None) -> tuple[RestoreOutcome, Document]:
        """Return what becomes of *document*, and what to write: subscribers are added to those *stored*."""
        if stored is None:
            return self._choose_outcome(False, False), replaced(document, revision=None)
        adds = document.kind == "listeners"
        merged = _merge_subscribers(stored, document) if adds else document
        outcome = self._choose_outcome(True, _is_same_document(stored, merged), always_replace=adds)
        return outcome, replaced(merged, revision=stored.revision)

    async def _put_documents(self, documents: Sequence[Document]) -> list[str]:
        """Write *documents*; return the names of those that the store takes never."""
        invalid: list[str] = []
        written = await self._write_apart(self._store.put_documents, documents)
        for document, answer in zip(documents, written, strict=True):
            if answer.status is WriteStatus.APPLIED:
                continue
            if answer.status is WriteStatus.INVALID:
                invalid.append(f"{document.kind}/{document.id}")
                continue
            [*found] = await self._store.get_documents(document.kind, [document.id])
            if not found or not _is_same_document(found[0], document):
                raise StoreUnavailableError(f"{document.kind} {document.id} changes meanwhile; import again")
        return invalid

    def _choose_outcome(
        self, is_known: bool, is_same: bool, *, always_replace: bool = False
    ) -> RestoreOutcome:
        if not is_known:
            return "created"
        if is_same:
            return "unchanged"
        return "replaced" if self._replace or always_replace else "refused"


def _name_of(record: ConditionalWrite | Document) -> str:
    return f"{record.kind}/{record.id}" if isinstance(record, Document) else f"task {record.task.id}"


def _is_same(one: Model, other: Model) -> bool:
    dump: Callable[[Model], str] = lambda model: model.model_dump_json(by_alias=True)  # noqa: E731  # a short name
    return one == other or dump(one) == dump(other)


def _is_same_document(one: Document, other: Document) -> bool:
    return dict(one.data) == dict(other.data) and one.expire_at == other.expire_at


def _with_followers(task: Task, followers: Sequence[Dependent]) -> Task:
    return task.model_copy(update={"dependents": tuple(followers)})


def _with_followers_of(known: Task, task: Task) -> Task:
    """Return *task* with the followers of both, as of `_merge_subscribers`."""
    return _with_followers(task, list(dict.fromkeys((*known.dependents, *task.dependents))))


def _merge_subscribers(known: Document, one: Document) -> Document:
    """Return the subscribers of both: one too many does no harm, a missing one is never started."""
    lists = [document.data.get("tasks") for document in (known, one)]  # one was perhaps spoilt by hand
    ids = {str(name) for some in lists if isinstance(some, list) for name in some}
    return replaced(one, data={"tasks": sorted(ids)})


BATCH_SIZE = RUNS_PER_BATCH  # other kinds of records are smaller than runs


@dataclass(slots=True)
class ImportResult:
    """The outcome of a restore.

    Attributes:
        total: How many records the file has, those that stand there twice counted twice.
        left_out: How many records belong to the installation that made them, such as its keys.
        refused: What is in the store already, and differs.
        problems: Lines that cannot be read, each with its number, and records that the store takes never;
            all others were.
    """

    total: RecordCounts = field(default_factory=RecordCounts)
    created: RecordCounts = field(default_factory=RecordCounts)
    unchanged: RecordCounts = field(default_factory=RecordCounts)
    replaced: RecordCounts = field(default_factory=RecordCounts)
    left_out: int = 0
    refused: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Survey:
    """What a first pass over the file finds before anything is written.

    Attributes:
        latest_lines: Of each task that stands there more than once the line that holds.
        ticks: The ticks whose claims were in flight: their records must be found by these names.
    """

    counts: RecordCounts = field(default_factory=RecordCounts)
    end: RecordCounts | None = None
    left_out: int = 0
    latest_lines: dict[str, int] = field(default_factory=dict)
    ticks: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


async def import_archive(
    store: Store,
    path: Path,
    *,
    replace: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[ImportResult], None],
) -> ImportResult:
    """Write the records of *path* to *store*: documents and runs first, because tasks may start at once.

    The file is gone through three times, for only so much of it is held as one write takes.

    Args:
        replace: What differs in the store becomes as the file has it; otherwise it stays, and is reported.
        dry_run: Only say what would be done.
        on_progress: Called from time to time with the result so far.

    Raises:
        InputError: The file is no archive, or not a whole one; nothing was written.
        StoreUnavailableError: The store does not answer; do it again, and it goes on from there.
    """
    survey = _survey(path)
    imported = ImportResult(total=survey.counts, left_out=survey.left_out, problems=survey.problems)
    restorer = RecordRestorer(store, survey.ticks, replace=replace, dry_run=dry_run)
    for record_kind in ("document", "run", "task"):
        for batch in _iter_batches(path, record_kind, survey):
            for kind, name, outcome in await restorer.restore(batch):
                _count_outcome(imported, kind, name, outcome)
            on_progress(imported)
    imported.problems += restorer.problems
    return imported


def _survey(path: Path) -> _Survey:
    survey = _Survey()
    lines = read_records(path)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{path}: is empty")
    check_header(first)
    for line in lines:
        survey.end = None  # no line may follow the end
        try:
            _survey_record(survey, line)
        except InputError as exc:
            survey.problems.append(str(exc))
    if survey.end is None:
        raise InputError(
            f"{path}: has no end: the export, or a copy of it, was cut off; nothing was imported"
        )
    if survey.end != survey.counts and not survey.problems:
        survey.problems.append(
            "the last line counts other records than there are: lines were added or taken away"
        )
    return survey


def _survey_record(survey: _Survey, record: ArchiveRecord) -> None:
    match record.kind:
        case "task":
            task = record.parse_task()
            survey.counts.tasks += 1
            if record.replaces_earlier:
                survey.latest_lines[task.id] = record.number
            if task.claim is not None:
                survey.ticks.add(task.claim.token.rpartition(".")[0])
        case "run":
            record.parse_run()
            survey.counts.runs += 1
        case "document":
            survey.left_out += is_local(record.parse_document())
            survey.counts.documents += 1
        case "end":
            figures = (record.fields.get(name) for name in ("tasks", "runs", "documents"))
            survey.end = RecordCounts(*(one if isinstance(one, int) else -1 for one in figures))
        case _:
            raise InputError(f"line {record.number}: {record.fields.get('why', 'is a second heading')}")


def _iter_batches(path: Path, kind: str, survey: _Survey) -> Iterator[list[Any]]:
    """Yield the records of *kind* to write, as many at a time as one write takes."""
    records = _iter_records(path, kind, survey)
    while batch := list(islice(records, BATCH_SIZE)):
        yield batch


def _iter_records(path: Path, kind: str, survey: _Survey) -> Iterator[Task | Run | Document]:
    for line in read_records(path):
        if line.kind != kind:
            continue
        try:
            record = line.parse()
        except InputError:
            continue  # the survey has reported it
        if isinstance(record, Document) and is_local(record):
            continue
        if isinstance(record, Task) and survey.latest_lines.get(record.id, line.number) != line.number:
            continue
        yield record


def _count_outcome(result: ImportResult, kind: RecordKind, name: str, outcome: RestoreOutcome) -> None:
    if outcome == "invalid":
        return
    if outcome == "refused":
        result.refused.append(f"{kind.removesuffix('s')} {name}")
        return
    totals = {"created": result.created, "unchanged": result.unchanged, "replaced": result.replaced}[outcome]
    setattr(totals, kind, getattr(totals, kind) + 1)
