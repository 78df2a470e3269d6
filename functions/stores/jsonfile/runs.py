"""The run log: one appended line of JSON for each batch of runs, cached in memory."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

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
    """One entry as read, with its text."""

    id: str
    at: datetime
    runs: tuple[Run, ...]
    text: bytes


class RunLog:
    """`tasks.history.jsonl`. Who changes it holds the store's lock; who reads it needs none.

    An entry kept again is one more line, and the last line of an entry counts. A line that cannot be read
    (a crash cut it short) hides no other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.stem}.history.jsonl")
        self._file = JsonFile(self._path)
        self._entries: dict[str, HistoryEntry] = {}
        self._runs: dict[str, Run] | None = None
        self._read_position = (0, 0)  # which file, and how much of it

    def save(self, batch: RunBatch) -> None:
        """Append *batch*, on the disk for good, or leave the file as it was."""
        runs = ", ".join(encode_model(run) for run in batch.runs)
        head = f'"batch": {json.dumps(batch.id)}, "at": "{format_instant(batch.at)}"'
        text = f'{{{head}, "runs": [{runs}]}}\n'.encode()
        with self._path.open("ab+", buffering=0) as file:  # a buffer would try again when it is closed
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
        self._refresh()
        known = self._runs_by_key()
        mine = [line for line in self._entries.values() if _belongs_to_tick(line.id, tick_id)]
        return [
            known[run.key]
            for line in sorted(mine, key=lambda one: (len(one.id), one.id))
            for run in line.runs
        ]

    def runs(
        self, task_id: str | None, since: datetime | None, before: datetime | None, limit: int
    ) -> list[Run]:
        """Run records, newest first; of two of one moment the one kept later."""
        self._refresh()
        found = [
            run
            for run in reversed(list(self._runs_by_key().values()))
            if (task_id is None or run.task_id == task_id)
            and (since is None or run.finished_at >= since)
            and (before is None or run.finished_at < before)
        ]
        return sorted(found, key=lambda run: run.finished_at, reverse=True)[: max(0, limit)]

    def last_saved_at(self) -> datetime | None:
        """When an entry was last kept; None when none was."""
        self._refresh()
        return max((line.at for line in self._entries.values()), default=None)

    def is_prune_due(self, now: datetime) -> bool:
        """Whether its first entry is well past keeping."""
        try:
            with self._path.open("rb") as file:
                first = _decode_entry(file.readline())
        except FileNotFoundError:
            return False
        return first is not None and first.at < now - RUN_RETENTION * 1.1

    def prune(self, now: datetime) -> int:
        """Remove what is past keeping, and lines that later ones stand for; return how many entries went."""
        self._refresh()
        kept = [line for line in self._entries.values() if line.at >= now - RUN_RETENTION]
        removed = len(self._entries) - len(kept)
        if removed:
            self._file.replace(b"".join(line.text for line in kept))
        return removed

    def _refresh(self) -> None:
        """Take in what was appended since; all of it when the file is another one."""
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                which, size = self._read_position
                if which != stat.st_ino or size > stat.st_size or not self._ends_with_newline(file, size):
                    self._entries, self._runs, size = {}, None, 0
                file.seek(size)
                text = file.read()
        except FileNotFoundError:
            self._entries, self._runs, self._read_position = {}, None, (0, 0)
            return
        ends = text.rfind(NEWLINE) + 1  # what comes after is being written
        self._read_position = (stat.st_ino, size + ends)
        for each in text[:ends].splitlines(keepends=True):
            if line := _decode_entry(each):
                self._entries.pop(line.id, None)  # kept again, it comes last
                self._entries[line.id] = line
                self._runs = None

    def _ends_with_newline(self, file: Any, size: int) -> bool:
        """Whether a line ends where *size* bytes do."""
        if not size:
            return True
        file.seek(size - 1)
        return bool(file.read(1) == NEWLINE)

    def _runs_by_key(self) -> Mapping[str, Run]:
        """The records by key. Of two of one attempt the later holds, but a result is truer than none."""
        if self._runs is None:
            runs: dict[str, Run] = {}
            for line in self._entries.values():
                for run in line.runs:
                    known = runs.get(run.key)
                    vaguer = run.outcome is OutcomeKind.ABANDONED
                    if known is None or not vaguer or known.outcome is OutcomeKind.ABANDONED:
                        runs[run.key] = run
            self._runs = runs
        return self._runs


def _belongs_to_tick(batch_id: str, tick_id: str) -> bool:
    before, point, number = batch_id.rpartition(".")
    return bool(point) and before == tick_id and number.isdecimal()


def _decode_entry(text: bytes) -> HistoryEntry | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    document = as_mapping(replace_half_pairs(content) if may_hold_half_pairs(text) else content)
    name, at, runs = document.get("batch"), parse_stored_instant(document.get("at")), document.get("runs")
    if not isinstance(name, str) or at is None or not isinstance(runs, list):
        return None
    return HistoryEntry(name, at, tuple(run for one in runs if (run := _decode_run(one))), text)


def _decode_run(document: Any) -> Run | None:
    try:
        return Run.model_validate(document)
    except ValidationError:
        return None
