"""The run log: one appended line of JSON for each batch of runs; memory holds an index of the lines."""

import heapq
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, RunBatch
from functions.domain.types import OutcomeKind, format_instant, parse_stored_instant
from functions.stores.codec import encode_model
from functions.stores.json_text import as_mapping, may_hold_half_pairs, replace_half_pairs
from functions.stores.jsonfile.files import JsonFile, sync_folder

NEWLINE = b"\n"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Where the line of an entry is, and what shows whether it has to be read.

    Months of history are hundreds of megabytes, so its records are read when somebody wants them.

    Attributes:
        offset: Where the line begins; entries that were kept later have a greater one.
        oldest, newest: When the first and the last of its runs ended.
    """

    id: str
    at: datetime
    offset: int
    length: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class _Wanted:
    task_id: str | None
    since: datetime | None
    before: datetime | None

    def may_be_in(self, entry: HistoryEntry) -> bool:
        return (self.since is None or entry.newest >= self.since) and (
            self.before is None or entry.oldest < self.before
        )

    def may_be_named(self, line: bytes) -> bool:
        """Whether the task is named in *line*: most lines are not read any further."""
        return self.task_id is None or not self.task_id.isascii() or self.task_id.encode() in line

    def matches(self, run: Run) -> bool:
        return (
            (self.task_id is None or run.task_id == self.task_id)
            and (self.since is None or run.finished_at >= self.since)
            and (self.before is None or run.finished_at < self.before)
        )

    def latest_in(self, entry: HistoryEntry) -> datetime:
        return entry.newest if self.before is None else min(entry.newest, self.before)


class _NewestRuns:
    """The newest of the records that are added, at least one; of two of one attempt the one kept later."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[str, tuple[datetime, int, int, Run]] = {}  # when it ended, where it is, the record
        self._ends: list[datetime] = []  # of the newest ones, the oldest of these first

    def add(self, run: Run, *, offset: int, number: int) -> None:
        """Take *run*, record *number* of the entry at *offset*."""
        known = self._found.get(run.key)
        if known and known[1] > offset:
            return
        self._found[run.key] = (run.finished_at, offset, number, run)
        if known is None:
            push = heapq.heappush if len(self._ends) < self._limit else heapq.heappushpop
            push(self._ends, run.finished_at)

    def are_after(self, at: datetime) -> bool:
        """Whether there are enough of them, all later than *at*: what ended until then is none of them."""
        return len(self._ends) == self._limit and at < self._ends[0]

    def list_all(self) -> list[Run]:
        """Return them, newest first."""
        newest = sorted(self._found.values(), key=lambda one: one[:3], reverse=True)
        return [run for *_, run in newest[: self._limit]]


class RunLog:
    """`tasks.history.jsonl`. Who changes it holds the store's lock; who reads it needs none.

    An entry kept again is one more line, and the last line of an entry counts. A line that cannot be read
    (a crash cut it short) hides no other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.stem}.history.jsonl")
        self._file = JsonFile(self._path)
        self._entries: dict[str, HistoryEntry] = {}
        self._read_position = (0, 0)  # which file, and how much of it

    def save(self, batch: RunBatch) -> None:
        """Append *batch*, on the disk for good, or leave the file as it was."""
        runs = ", ".join(encode_model(run) for run in batch.runs)
        head = f'"batch": {json.dumps(batch.id)}, "at": "{format_instant(batch.at)}"'
        text = f'{{{head}, "runs": [{runs}]}}\n'.encode()
        new = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(new, "ab+", buffering=0) as file:  # a buffer would try again when it is closed
            size = file.seek(0, os.SEEK_END)
            left = text if self._ends_with_newline(file, size) else NEWLINE + text
            try:
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
        if not size:
            sync_folder(self._path)

    def of_tick(self, tick_id: str) -> list[Run]:
        """The runs in the entries of one tick, as they are known now."""
        with self._open() as file:
            found: dict[str, Run] = {}
            for entry in self._of_ticks({tick_id}):
                for run in _read_runs(file, entry):
                    found[run.key] = _choose_record(found.get(run.key), run)
            return [self._with_result(run, file) for run in found.values()]

    def runs(
        self, task_id: str | None, since: datetime | None, before: datetime | None, limit: int
    ) -> list[Run]:
        """Run records, newest first; of two of one moment the one kept later."""
        if limit <= 0:
            return []
        wanted, newest = _Wanted(task_id, since, before), _NewestRuns(limit)
        with self._open() as file:
            entries = sorted(filter(wanted.may_be_in, self._entries.values()), key=wanted.latest_in)
            while entries and not newest.are_after(wanted.latest_in(entries[-1])):
                entry = entries.pop()
                for number, read in enumerate(_read_runs(file, entry, wanted.may_be_named)):
                    run = self._with_result(read, file) if wanted.task_id in (None, read.task_id) else read
                    if wanted.matches(run):
                        newest.add(run, offset=entry.offset, number=number)
        return newest.list_all()

    def last_saved_at(self) -> datetime | None:
        """When an entry was last kept; None when none was."""
        with self._open():
            return max((entry.at for entry in self._entries.values()), default=None)

    def is_prune_due(self, now: datetime) -> bool:
        """Whether its first entry is well past keeping."""
        try:
            with self._path.open("rb") as file:
                first = _index_line(file.readline(), 0)
        except FileNotFoundError:
            return False
        return first is not None and first.at < now - RUN_RETENTION * 1.1

    def prune(self, now: datetime) -> int:
        """Remove what is past keeping, and lines that later ones stand for; return how many entries went."""
        with self._open() as file:
            kept = [entry for entry in self._entries.values() if entry.at >= now - RUN_RETENTION]
            removed = len(self._entries) - len(kept)
            if removed and file is not None:
                self._file.replace(_read_line(file, entry) for entry in kept)
        return removed

    @contextmanager
    def _open(self) -> Iterator[IO[bytes] | None]:
        """The file, with the index of it as it is now; None when there is none."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._entries, self._read_position = {}, (0, 0)
            yield None
            return
        with file:
            self._refresh(file)
            yield file

    def _refresh(self, file: IO[bytes]) -> None:
        """Take in what was appended since; all of it when the file is another one."""
        stat = os.fstat(file.fileno())
        which, size = self._read_position
        if which != stat.st_ino or size > stat.st_size or not self._ends_with_newline(file, size):
            self._entries, size = {}, 0
        file.seek(size)
        for line in file:
            if not line.endswith(NEWLINE):
                break  # it is being written
            if entry := _index_line(line, size):
                self._entries.pop(entry.id, None)  # kept again, it comes last
                self._entries[entry.id] = entry
            size += len(line)
        self._read_position = (stat.st_ino, size)

    def _of_ticks(self, tick_ids: set[str]) -> list[HistoryEntry]:
        mine = [entry for entry in self._entries.values() if _tick_of(entry.id) in tick_ids]
        return sorted(mine, key=lambda one: (len(one.id), one.id))

    def _with_result(self, run: Run, file: IO[bytes] | None) -> Run:
        """*run*, or the result of the same attempt, which is truer than that it was given up.

        The tick that made the attempt keeps its result; that it was given up, another may have kept.
        """
        if run.outcome is not OutcomeKind.ABANDONED or not run.token:
            return run
        for entry in self._of_ticks({run.token.rpartition(".")[0]}):
            for other in _read_runs(file, entry):
                if other.key == run.key and other.outcome is not OutcomeKind.ABANDONED:
                    run = other
        return run

    def _ends_with_newline(self, file: Any, size: int) -> bool:
        """Whether a line ends where *size* bytes do."""
        if not size:
            return True
        file.seek(size - 1)
        return bool(file.read(1) == NEWLINE)


def _choose_record(known: Run | None, run: Run) -> Run:
    """Which of two records of one attempt holds: the later, but a result is truer than none."""
    is_vaguer = run.outcome is OutcomeKind.ABANDONED
    return known if known and is_vaguer and known.outcome is not OutcomeKind.ABANDONED else run


def _tick_of(entry_id: str) -> str:
    """The id of the tick that kept an entry; empty for another writer's."""
    before, point, number = entry_id.rpartition(".")
    return before if point and number.isdecimal() else ""


def _read_line(file: IO[bytes], entry: HistoryEntry) -> bytes:
    file.seek(entry.offset)
    return file.read(entry.length)


def _read_runs(
    file: IO[bytes] | None, entry: HistoryEntry, may_be_wanted: Callable[[bytes], bool] = bool
) -> list[Run]:
    """The readable runs of *entry*; none when its line is not wanted."""
    line = _read_line(file, entry) if file is not None else b""
    if not may_be_wanted(line) or (content := _parse_line(line)) is None:
        return []
    return [run for one in content["runs"] if (run := _decode_run(one))]


def _parse_line(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    document = as_mapping(replace_half_pairs(content) if may_hold_half_pairs(line) else content)
    is_entry = isinstance(document.get("batch"), str) and isinstance(document.get("runs"), list)
    return dict(document) if is_entry else None


def _index_line(line: bytes, offset: int) -> HistoryEntry | None:
    content = _parse_line(line)
    at = parse_stored_instant(content.get("at")) if content else None
    if content is None or at is None:
        return None
    ends = [parse_stored_instant(as_mapping(run).get("finishedAt")) for run in content["runs"]]
    known = [end for end in ends if end is not None] or [at]
    return HistoryEntry(content["batch"], at, offset, len(line), min(known), max(known))


def _decode_run(document: Any) -> Run | None:
    try:
        return Run.model_validate(document)
    except ValidationError:
        return None
