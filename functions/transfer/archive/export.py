"""Exports a store to an archive file, which appears complete or not at all."""

import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, cast

from functions.domain.storage import InvalidDocument, TaskFilter
from functions.domain.task import Task
from functions.domain.types import Status
from functions.errors import InputError
from functions.interfaces import Store
from functions.services.access.settled_store import SettledStore
from functions.services.paging import PAGE_SIZE, iter_documents, iter_runs, iter_task_pages
from functions.transfer.archive.format import (
    DOCUMENT_KINDS,
    RecordCounts,
    document_line,
    end_line,
    header_line,
    is_local,
    run_line,
    task_line,
)

NO_OBJECT = "it holds no JSON object; mend it where it is stored, or remove it"
MAX_ROUNDS = 3  # of writing again tasks that ran during the export; the rest is reported


@dataclass(slots=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        unreadable: Tasks and other documents that cannot be read, these as `channels/team`: they are not in
            the file.
        running: Tasks that were still running at the end; in the file they are due.
        changing: Tasks that ran, or were changed, until the end: the file may be behind them.
    """

    counts: RecordCounts = field(default_factory=RecordCounts)
    unreadable: list[InvalidDocument] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    changing: list[str] = field(default_factory=list)


async def export_archive(
    store: Store,
    path: Path,
    *,
    clock: Callable[[], datetime],
    on_progress: Callable[[RecordCounts], None],
) -> ExportResult:
    """Write all of *store* to *path*, which is replaced only when everything is written.

    Tasks are read before run records, so that no record is missing that a task refers to. Tasks that ran
    meanwhile are read and written once more. A running task is written as due, with its claim: a tick after
    the import finds the claim expired and looks for the run's record; without one it treats the run as one
    whose process died. So the task is neither stuck, nor run again once its end is known.

    Args:
        on_progress: Called from time to time with the counts so far.

    Raises:
        InputError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # two at once do not mix
    try:
        with _create_private_file(temporary) as file:
            exported = await _Exporter(store, file, clock, on_progress).run()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return exported


class _Exporter:
    def __init__(
        self,
        store: Store,
        file: IO[str],
        clock: Callable[[], datetime],
        on_progress: Callable[[RecordCounts], None],
    ) -> None:
        self._store = cast("Store", SettledStore(store))  # an archive's claims are those of nobody
        self._file = file
        self._clock = clock
        self._on_progress = on_progress
        self._result = ExportResult()

    async def run(self) -> ExportResult:
        since = self._clock()
        self._file.write(header_line(since))
        await self._write_documents()
        busy = await self._write_tasks()
        await self._write_runs(None)
        for _ in range(MAX_ROUNDS):
            before, since = since, self._clock()
            ran = await self._tasks_run_since(before)
            if not ran | busy:
                break
            now_busy = await self._rewrite_tasks(sorted(ran | busy))
            await self._write_runs(before)
            if not ran and now_busy == busy:  # the same runs still go on; an export does not wait
                break
            busy = now_busy
        self._result.running = sorted(busy)
        self._result.changing = sorted(await self._tasks_run_since(since))
        self._file.write(end_line(self._result.counts))
        return self._result

    async def _write_documents(self) -> None:
        for kind in DOCUMENT_KINDS:
            async for document in iter_documents(self._store, kind):
                if is_local(document):
                    continue
                if not document.is_readable:
                    self._result.unreadable.append(InvalidDocument(f"{kind}/{document.id}", NO_OBJECT))
                    continue
                self._file.write(document_line(document))
                self._result.counts.documents += 1
            self._on_progress(self._result.counts)

    async def _write_tasks(self) -> set[str]:
        """Write all tasks but those that are running; return the ids of these."""
        busy: set[str] = set()
        async for page in iter_task_pages(self._store, TaskFilter()):
            self._result.unreadable += page.invalid
            tasks = [stored.task for stored in page.tasks]
            busy |= {task.id for task in tasks if task.status is Status.RUNNING}
            self._write_task_records([task for task in tasks if task.id not in busy])
        return busy

    async def _rewrite_tasks(self, ids: Sequence[str]) -> set[str]:
        """Write the tasks of *ids* as they are now; return those that are running."""
        busy: set[str] = set()
        for start in range(0, len(ids), PAGE_SIZE):
            found = await self._store.get_tasks(ids[start : start + PAGE_SIZE])
            tasks = [stored.task for stored in found.tasks]
            busy |= {task.id for task in tasks if task.status is Status.RUNNING}
            self._write_task_records(tasks, replaces_earlier=True)
        return busy

    def _write_task_records(self, tasks: Sequence[Task], *, replaces_earlier: bool = False) -> None:
        for task in tasks:
            self._file.write(
                task_line(to_due_task(task, now=self._clock()), replaces_earlier=replaces_earlier)
            )
        self._result.counts.tasks += len(tasks)
        self._on_progress(self._result.counts)

    async def _write_runs(self, since: datetime | None) -> None:
        async for run in iter_runs(self._store, since=since):
            self._file.write(run_line(run))
            self._result.counts.runs += 1
            if self._result.counts.runs % PAGE_SIZE == 0:
                self._on_progress(self._result.counts)

    async def _tasks_run_since(self, since: datetime) -> set[str]:
        return {run.task_id async for run in iter_runs(self._store, since=since)}


def to_due_task(task: Task, *, now: datetime) -> Task:
    """Return *task* as exported: the claim of a running one expires now, as if its process had died."""
    if task.status is not Status.RUNNING or task.claim is None:
        return task
    until = min(task.claim.until, now)
    claim = task.claim.model_copy(update={"until": until})
    return task.model_copy(update={"claim": claim, "next_run_at": until})


def _create_private_file(path: Path) -> IO[str]:
    """Create a file that only its owner may read, because it holds params and owners."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
