"""Exporting: all that a store keeps, into a file that is there whole or not at all."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from functions.domain.storage import Broken, Filter
from functions.domain.task import Task
from functions.domain.types import Status
from functions.errors import InputError
from functions.interfaces import DocumentStore, TaskStore
from functions.services.history import iter_runs
from functions.transfer.archive.format import (
    SHELVES,
    Totals,
    document_line,
    end_line,
    heading_line,
    run_line,
    task_line,
)

PAGE = 300
ROUNDS = 3  # looks at what ran during the export; who never rests is told


class Kept(TaskStore, DocumentStore, Protocol):
    """All that is to be moved."""


@dataclass(slots=True)
class Exported:
    """What came into the file.

    Attributes:
        broken: Documents that cannot be read as tasks: they are not in the file.
        running: Tasks that were still running at the end; in the file they are due.
        restless: Tasks that ran, or were changed, until the end: the file may be behind them.
    """

    totals: Totals = field(default_factory=Totals)
    broken: list[Broken] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    restless: list[str] = field(default_factory=list)


async def export(
    store: Kept, path: Path, *, clock: Callable[[], datetime], tell: Callable[[Totals], None]
) -> Exported:
    """Write all of *store* to *path*, which is replaced only when everything is written.

    Tasks are read before the records of runs, so that no record is missing that a task counts on. What ran
    meanwhile is read again and stands in the file once more. A task that is running is written as due, with
    its claim: who imports it finds the claim expired and the run's record, if there is one, and otherwise
    treats the run as one whose process died. So it is neither stuck, nor run again once its end is known.

    Args:
        tell: Hears of the progress now and then.

    Raises:
        InputError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with _private(temporary) as file:
            exported = await _Export(store, file, clock, tell).run()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return exported


class _Export:
    def __init__(
        self, store: Kept, file: IO[str], clock: Callable[[], datetime], tell: Callable[[Totals], None]
    ) -> None:
        self._store = store
        self._file = file
        self._clock = clock
        self._tell = tell
        self._done = Exported()

    async def run(self) -> Exported:
        since = self._clock()
        self._file.write(heading_line(since))
        await self._documents()
        busy = await self._tasks()
        await self._runs(None)
        for _ in range(ROUNDS):
            before, since = since, self._clock()
            ran = await self._ran(before)
            if not ran | busy:
                break
            now_busy = await self._again(sorted(ran | busy))
            await self._runs(before)
            if not ran and now_busy == busy:  # still at the same work; waiting is not our business
                break
            busy = now_busy
        self._done.running = sorted(busy)
        self._done.restless = sorted(await self._ran(since))
        self._file.write(end_line(self._done.totals))
        return self._done

    async def _documents(self) -> None:
        for kind in SHELVES:
            after = ""
            while page := await self._store.list_documents(kind, after=after, limit=PAGE):
                for document in page:
                    self._file.write(document_line(document))
                self._done.totals.documents += len(page)
                self._tell(self._done.totals)
                after = page[-1].id

    async def _tasks(self) -> set[str]:
        """Write all tasks but those that are running; return the ids of these."""
        busy: set[str] = set()
        after = ""
        while True:
            found = await self._store.list_tasks(Filter(), after=after, limit=PAGE)
            self._done.broken += found.broken
            tasks = [stored.task for stored in found.tasks]
            busy |= {task.id for task in tasks if task.status is Status.RUNNING}
            self._write([task for task in tasks if task.id not in busy])
            if len(tasks) + len(found.broken) < PAGE:
                return busy
            after = max([task.id for task in tasks] + [broken.id for broken in found.broken])

    async def _again(self, ids: Sequence[str]) -> set[str]:
        """Write the tasks of *ids* as they are now; return those that are running."""
        busy: set[str] = set()
        for start in range(0, len(ids), PAGE):
            found = await self._store.get_tasks(ids[start : start + PAGE])
            tasks = [stored.task for stored in found.tasks]
            busy |= {task.id for task in tasks if task.status is Status.RUNNING}
            self._write(tasks, again=True)
        return busy

    def _write(self, tasks: Sequence[Task], *, again: bool = False) -> None:
        for task in tasks:
            self._file.write(task_line(due(task, now=self._clock()), again=again))
        self._done.totals.tasks += len(tasks)
        self._tell(self._done.totals)

    async def _runs(self, since: datetime | None) -> None:
        async for run in iter_runs(self._store, since=since):
            self._file.write(run_line(run))
            self._done.totals.runs += 1
            if self._done.totals.runs % PAGE == 0:
                self._tell(self._done.totals)

    async def _ran(self, since: datetime) -> set[str]:
        return {run.task_id async for run in iter_runs(self._store, since=since)}


def due(task: Task, *, now: datetime) -> Task:
    """*task* as it is exported: when it is running, its claim ends now, as that of a process that died."""
    if task.status is not Status.RUNNING or task.claim is None:
        return task
    until = min(task.claim.until, now)
    claim = task.claim.model_copy(update={"until": until})
    return task.model_copy(update={"claim": claim, "next_run_at": until})


def _private(path: Path) -> IO[str]:
    """A new file that nobody else may read: params and owners are in it."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
