"""Rows of the table as editable tasks, and tasks as cells to write."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.domain.storage import InvalidDocument
from functions.domain.task import Task, slugify
from functions.stores.bitable.cells import (
    changed_cells,
    decode_notes,
    encode_cells,
    encode_notes,
    parse_user_cells,
    sanitize,
    to_milliseconds,
    to_seconds,
    to_text,
)
from functions.stores.bitable.config import CellParser
from functions.stores.bitable.schema import INVALID_STATUS
from functions.stores.bitable.table import Record, RowUpdate
from functions.stores.editable.model import EditableRow, EditableTasks, Section, revision_of, sort_rows
from functions.stores.json_text import as_mapping, content_hash

CONTENT_COLUMNS = ("id", "title", "type", "schedule", "params", "state")  # a row with none of these is blank
CORRUPT_STATE = "state: it was changed by hand and cannot be read; empty that cell, and the task begins anew"


def parse_rows(
    records: Sequence[Record], *, at: datetime, parser: CellParser
) -> tuple[EditableTasks, Mapping[str, Sequence[Record]]]:
    """The rows of *records* that are not blank, and the records of each by its name.

    Args:
        at: When a row was changed, where Feishu does not say.
    """
    named: dict[str, list[Record]] = {}
    nameless: list[Record] = []
    for record in records:
        if name := cell_text(record, "id"):
            named.setdefault(name, []).append(record)
        elif not is_blank(record):
            nameless.append(record)
    for record in nameless:
        named[_generate_id(record, named)] = [record]
    rows = [_parse_row(name, same, at, parser) for name, same in named.items()]
    last = max((revision_of(row.state) for row in rows), default=0)
    return EditableTasks(sort_rows(rows), last_revision=last), named


def is_blank(record: Record) -> bool:
    """Whether the row holds nothing of a task."""
    return not any(cell_text(record, name) for name in CONTENT_COLUMNS)


def is_new(record: Record) -> bool:
    """Whether the scheduler has not taken the row in, and it is not blank."""
    return not cell_text(record, "state") and not is_blank(record)


def cell_text(record: Record, name: str) -> str:
    """The text in a cell; empty for an empty one."""
    return to_text(record.fields.get(name))


def _generate_id(record: Record, taken: Iterable[str]) -> str:
    """An id for a row that has none. Titles in Chinese, say, make none: then it is the row's own name."""
    known, number = set(taken), 2
    before = as_mapping(decode_notes(cell_text(record, "state"))).get("id")
    if isinstance(before, str) and before not in known:  # a user emptied the cell
        return before
    name = slugify(cell_text(record, "title")) or f"task-{slugify(record.id)}"
    if name not in known:
        return name
    while f"{name}-{number}" in known:
        number += 1
    return f"{name}-{number}"


def _parse_row(name: str, duplicates: Sequence[Record], at: datetime, parser: CellParser) -> EditableRow:
    if len(duplicates) > 1:
        return EditableRow(name, [dict(one.fields) for one in duplicates], None, saved_at=at)
    [record] = duplicates
    kept, spoiled = state_of(record, name)
    given, faults = parse_user_cells(record.fields, imported=kept is not None, parser=parser)
    exact = as_mapping(as_mapping(kept).get("exact"))
    entry = {**given, "id": name}
    for field, [seen, meant] in exact.items():
        if content_hash(given.get(field)) == seen:
            faults.pop(field, None)
            entry[field] = meant
    fault = CORRUPT_STATE if spoiled else "; ".join(faults.values())
    at = record.modified_at or at
    has_name = bool(cell_text(record, "id") or cell_text(record, "title"))
    return EditableRow(
        name, [entry], kept, saved_at=at, row_id=record.id, problem=fault, is_unnamed=not has_name
    )


def state_of(record: Record, name: str) -> tuple[Section | None, bool]:
    """What the scheduler keeps of the task *name* in its row, and whether that was spoiled.

    None when it has not taken the row in. A copy of another row, given an id of its own, is such a row.
    """
    notes = cell_text(record, "state")
    if not notes:
        return None, False
    kept = decode_notes(notes)
    if kept is None or not isinstance(kept.get("exact", {}), dict):
        return {}, True
    return (kept, False) if kept.get("id") == name else (None, False)


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row as it is to be, with what has to be written into its cells for that."""

    row: EditableRow
    fields: Mapping[str, Any]


def encode_row(
    row: EditableRow, before: EditableRow | None, record: Record | None, *, parser: CellParser
) -> EncodedRow:
    """*row*, as it was decided on, with all that is kept of it.

    Only cells whose meaning changes are written: the user's own wording stays. A cell does
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
    given, _ = parse_user_cells({**there, **cells}, imported=True, parser=parser)
    exact = {
        field: [content_hash(given.get(field)), entry.get(field)]
        for field in sorted(given.keys() | entry.keys())
        if field != "id" and given.get(field) != entry.get(field)
    }
    kept = {**(row.state or {}), "id": row.task_id} | ({"exact": exact} if exact else {})
    place = record.id if record else ""
    done = EditableRow(row.task_id, row.entries, kept, saved_at=row.saved_at, row_id=place)
    fields = changed_cells({**cells, **status_cells(done)}, there)
    return EncodedRow(done, fields | {"state": encode_notes(kept, subject=f"Task {row.task_id}")})


def with_row_id(row: EditableRow, row_id: str) -> EditableRow:
    """*row*, now that it has a place."""
    return EditableRow(row.task_id, row.entries, row.state, saved_at=row.saved_at, row_id=row_id)


def _cells_to_write(entry: Section, before: Section | None) -> dict[str, Any]:
    target = encode_cells(entry)
    if before is None:
        return target
    always = ("id", "enabled", "timezone")  # a new row gets its id and zone, and its box is checked
    return {
        name: one for name, one in target.items() if name in always or entry.get(name) != before.get(name)
    }


def status_cells(row: EditableRow) -> dict[str, Any]:
    """Return the cells of *row* in the columns that the scheduler writes for users."""
    if isinstance(row.versioned, InvalidDocument):
        return {"status": INVALID_STATUS, "lastError": sanitize(row.versioned.reason)}
    return _task_status_cells(row.versioned.task)


def status_updates(row: EditableRow, records: Sequence[Record]) -> list[RowUpdate]:
    """Return the cells to write so that users see the state and the id of *row*; empty when they do."""
    look = status_cells(row)
    if not isinstance(row.versioned, InvalidDocument):
        look["id"] = row.task_id
    changes = (RowUpdate(record.id, changed_cells(look, record.fields)) for record in records)
    return [change for change in changes if change.fields]


def _task_status_cells(task: Task) -> dict[str, Any]:
    return {
        "status": str(task.status),
        "Next run": None if task.next_run_at is None else to_milliseconds(task.next_run_at),
        "Last run": None if task.last_run_at is None else to_milliseconds(task.last_run_at),
        "lastOutcome": None if task.last_outcome is None else str(task.last_outcome),
        "lastResultSummary": sanitize(task.last_result_summary),
        "lastError": sanitize(task.last_error),
        "runCount": task.run_count,
        "nextRunAt": None if task.next_run_at is None else to_seconds(task.next_run_at),
    }
