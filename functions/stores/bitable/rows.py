"""Rows of the table as tasks that people write by hand, and what is to be written into their cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.domain.storage import Broken
from functions.domain.task import Task, slug
from functions.stores.bitable.cells import (
    cells_of,
    differing,
    fit,
    milliseconds,
    pack,
    seconds,
    text,
    unpack,
    written_in,
)
from functions.stores.bitable.config import Reading
from functions.stores.bitable.schema import BROKEN
from functions.stores.bitable.table import Change, Record
from functions.stores.editable.model import Part, Row, Tasks, ordered, revision_of
from functions.stores.json_text import digest, mapping

TELLS = ("id", "title", "type", "schedule", "params", "state")  # a row with none of these is blank
SPOILED = "state: it was changed by hand and cannot be read; empty that cell, and the task begins anew"


def tasks_of(
    records: Sequence[Record], *, at: datetime, reads: Reading
) -> tuple[Tasks, Mapping[str, Sequence[Record]]]:
    """The rows of *records* that are not blank, and the records of each by its name.

    Args:
        at: When a row was changed, where Feishu does not say.
    """
    named: dict[str, list[Record]] = {}
    nameless: list[Record] = []
    for record in records:
        if name := cell(record, "id"):
            named.setdefault(name, []).append(record)
        elif not is_blank(record):
            nameless.append(record)
    for record in nameless:
        named[_new_name(record, named)] = [record]
    rows = [_row(name, same, at, reads) for name, same in named.items()]
    last = max((revision_of(row.kept) for row in rows), default=0)
    return Tasks(ordered(rows), last=last), named


def is_blank(record: Record) -> bool:
    """Whether nobody has written anything of a task into the row."""
    return not any(cell(record, name) for name in TELLS)


def is_new(record: Record) -> bool:
    """Whether the scheduler has not taken the row in, and it is not blank."""
    return not cell(record, "state") and not is_blank(record)


def cell(record: Record, name: str) -> str:
    """The text in a cell; empty for an empty one."""
    return text(record.fields.get(name))


def _new_name(record: Record, taken: Iterable[str]) -> str:
    """An id for a row that has none. Titles in Chinese, say, make none: then it is the row's own name."""
    known, number = set(taken), 2
    before = mapping(unpack(cell(record, "state"))).get("id")
    if isinstance(before, str) and before not in known:  # somebody emptied the cell
        return before
    name = slug(cell(record, "title")) or f"task-{slug(record.id)}"
    if name not in known:
        return name
    while f"{name}-{number}" in known:
        number += 1
    return f"{name}-{number}"


def _row(name: str, same: Sequence[Record], at: datetime, reads: Reading) -> Row:
    if len(same) > 1:
        return Row(name, [dict(one.fields) for one in same], None, at=at)
    [record] = same
    kept, spoiled = kept_in(record, name)
    given, faults = written_in(record.fields, taken=kept is not None, reads=reads)
    exact = mapping(mapping(kept).get("exact"))
    entry = {**given, "id": name}
    for field, [seen, meant] in exact.items():
        if digest(given.get(field)) == seen:
            faults.pop(field, None)
            entry[field] = meant
    fault = SPOILED if spoiled else "; ".join(faults.values())
    at = record.modified_at or at
    has_name = bool(cell(record, "id") or cell(record, "title"))
    return Row(name, [entry], kept, at=at, place=record.id, fault=fault, nameless=not has_name)


def kept_in(record: Record, name: str) -> tuple[Part | None, bool]:
    """What the scheduler keeps of the task *name* in its row, and whether that was spoiled.

    None when it has not taken the row in. A copy of another row, given an id of its own, is such a row.
    """
    notes = cell(record, "state")
    if not notes:
        return None, False
    kept = unpack(notes)
    if kept is None or not isinstance(kept.get("exact", {}), dict):
        return {}, True
    return (kept, False) if kept.get("id") == name else (None, False)


@dataclass(frozen=True, slots=True)
class Finished:
    """A row as it is to be, with what has to be written into its cells for that."""

    row: Row
    fields: Mapping[str, Any]


def finished(row: Row, before: Row | None, record: Record | None, *, reads: Reading) -> Finished:
    """*row*, as it was decided on, with all that is kept of it.

    Only cells that come to mean something else are written: a person's own way to put it stays. A cell does
    not hold every value exactly (a date has no microseconds); what it was meant to say is kept beside it, and
    counts for as long as the cell is not touched.

    Args:
        before: The row as it was read, and *record* its cells; None for a new one.

    Raises:
        StoreError: It is more than a cell holds.
    """
    [entry] = row.entries
    there = {} if record is None else record.fields
    cells = _cells_to_write(entry, None if before is None else before.entries[0])
    given, _ = written_in({**there, **cells}, taken=True, reads=reads)
    exact = {
        field: [digest(given.get(field)), entry.get(field)]
        for field in sorted(given.keys() | entry.keys())
        if field != "id" and given.get(field) != entry.get(field)
    }
    kept = {**(row.kept or {}), "id": row.name} | ({"exact": exact} if exact else {})
    place = record.id if record else ""
    done = Row(row.name, row.entries, kept, at=row.at, place=place)
    fields = differing({**cells, **look_of(done)}, there)
    return Finished(done, fields | {"state": pack(kept, what=f"Task {row.name}")})


def placed(row: Row, place: str) -> Row:
    """*row*, now that it has a place."""
    return Row(row.name, row.entries, row.kept, at=row.at, place=place)


def _cells_to_write(entry: Part, before: Part | None) -> dict[str, Any]:
    wanted = cells_of(entry)
    if before is None:
        return wanted
    always = ("id", "enabled", "timezone")  # a new row gets its id and zone, and its box is checked
    return {
        name: one for name, one in wanted.items() if name in always or entry.get(name) != before.get(name)
    }


def look_of(row: Row) -> dict[str, Any]:
    """What people are to see of *row* in the columns that the scheduler writes."""
    if isinstance(row.read, Broken):
        return {"status": BROKEN, "lastError": fit(row.read.reason)}
    return _look(row.read.task)


def to_be_told(row: Row, records: Sequence[Record]) -> list[Change]:
    """What has to be written so that people see how *row* stands, and its id; nothing where they do."""
    look = look_of(row)
    if not isinstance(row.read, Broken):
        look["id"] = row.name
    changes = (Change(record.id, differing(look, record.fields)) for record in records)
    return [change for change in changes if change.fields]


def _look(task: Task) -> dict[str, Any]:
    return {
        "status": str(task.status),
        "Next run": None if task.next_run_at is None else milliseconds(task.next_run_at),
        "Last run": None if task.last_run_at is None else milliseconds(task.last_run_at),
        "lastOutcome": None if task.last_outcome is None else str(task.last_outcome),
        "lastResultSummary": fit(task.last_result_summary),
        "lastError": fit(task.last_error),
        "runCount": task.run_count,
        "nextRunAt": None if task.next_run_at is None else seconds(task.next_run_at),
    }
