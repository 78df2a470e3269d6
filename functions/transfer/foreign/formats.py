"""Shapes: what an older scheduler's file is, by looking at it or by name, and its reader."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from functions.domain.validation import UnreadableError
from functions.errors import InputError
from functions.taskfiles import Fault, Problem
from functions.taskfiles.parser import Document, parse
from functions.transfer.foreign.convert import Draft, define, faults_of
from functions.transfer.foreign.crontab import has_user, looks_like, read_crontab
from functions.transfer.foreign.entry import Entry, Moved, Note, Older, Terms, entries
from functions.transfer.foreign.rows import draft_frequency, draft_job, draft_row
from functions.transfer.foreign.scheduler_yaml import draft_function
from functions.transfer.foreign.timing import NotScheduledError

MOST_CHARS = 16_000_000
Reader = Callable[[Entry, Terms, Mapping[str, Any]], Draft]


@dataclass(frozen=True, slots=True)
class Shape:
    """A list of entries with named fields.

    Attributes:
        example: What a file of this shape has, for the error when it has nothing of the kind.
        fits: Whether an entry looks like one.
    """

    example: str
    fits: Callable[[Entry], bool]
    reader: Reader


SHAPES: Mapping[str, Shape] = {
    "rows": Shape(
        "rows with scheduleEnabled, nextRunAt or agentType",
        lambda entry: entry.has("scheduleenabled", "nextrunat", "agenttype"),
        draft_row,
    ),
    "scheduler": Shape(
        "YAML with func, and cron or interval",
        lambda entry: entry.has("func", "function", "callable"),
        draft_function,
    ),
    "jobs": Shape(
        "YAML with command and schedule",
        lambda entry: entry.has("command") and entry.has("schedule") and not entry.has("params"),
        draft_job,
    ),
    "tasks": Shape(
        "tasks.json with frequency or last_run_at",
        lambda entry: entry.has("frequency", "frequencyminutes", "frequencyseconds", "lastrunat"),
        draft_frequency,
    ),
}
NAMES = (*SHAPES, "crontab", "cron.d")


def read_older(sources: Sequence[tuple[str, str]], terms: Terms, *, shape: str | None = None) -> Older:
    """Read texts of one shape or several; what can be read is, whatever else is wrong.

    Args:
        sources: The name of each file, and its text.
        shape: One of `NAMES`; None means that it is found by looking.

    Raises:
        InputError: A text is of no shape that is known; nothing was read.
    """
    if shape is not None and shape not in NAMES:
        raise InputError(f"--from: must be one of {', '.join(NAMES)}")
    ids: set[str] = set()
    found = [_read(text, name, terms, shape, ids) for name, text in sources]
    return Older(
        ", ".join(dict.fromkeys(one.shape for one in found)),
        tuple(moved for one in found for moved in one.moved),
        tuple(note for one in found for note in one.notes),
        tuple(fault for one in found for fault in one.faults),
    )


def _read(text: str, name: str, terms: Terms, shape: str | None, ids: set[str]) -> Older:
    if len(text) > MOST_CHARS:
        raise InputError(f"{name}: is larger than any list of tasks should be; split it")
    if shape in ("crontab", "cron.d"):
        return read_crontab(text, name, terms, with_user=shape == "cron.d", ids=ids)
    if shape is None and PurePath(name).suffix not in (".json", ".yaml", ".yml", ".csv") and looks_like(text):
        return read_crontab(text, name, terms, with_user=has_user(text, name), ids=ids)
    document = _document(text, name)
    listed, wrong, beside = entries(document)
    chosen = shape or _look(listed, name)
    older = _listed(chosen, listed, beside, name, terms, ids)
    faults = [
        Fault(name, document.line(one), "", "", "must be a mapping of names to values") for one in wrong
    ]
    unsaid = [
        Note(
            "",
            str(key),
            "left out",
            "stands beside the entries; what it says was not read",
            document.line((key,)),
        )
        for key, value in beside.items()
        if key != "timezone" and value not in (None, "", [], {}) and not isinstance(value, bool | int)
    ]
    return replace(
        older,
        notes=(*older.notes, *unsaid),
        faults=tuple(sorted((*faults, *older.faults), key=lambda fault: fault.line or 0)),
    )


def _look(listed: Sequence[Entry], name: str) -> str:
    for shape, one in SHAPES.items():
        if any(one.fits(entry) for entry in listed):
            return shape
    if any(entry.has("type") and entry.has("schedule") for entry in listed):
        raise InputError(f"{name}: looks like a task file of Cronfire's own; scheduler apply reads it")
    known = "; ".join(f"{shape}: {one.example}" for shape, one in SHAPES.items())
    raise InputError(f"{name}: is of no shape that is known ({known}; crontab); name it by --from")


def _listed(
    shape: str, listed: Sequence[Entry], beside: Mapping[str, Any], file: str, terms: Terms, ids: set[str]
) -> Older:
    moved: list[Moved] = []
    notes: list[Note] = []
    faults: list[Fault] = []
    for entry in listed:
        try:
            found = define(entry, SHAPES[shape].reader(entry, terms, beside), terms, ids=ids)
        except NotScheduledError as exc:
            notes.append(Note(entry.name, "", "left out", str(exc), entry.line()))
            continue
        except InputError as exc:
            found = [_problem(str(exc))]
        if isinstance(found, Moved):
            moved.append(found)
            notes += entry.told(found.spec.id)
        else:
            faults += faults_of(entry, found, file=file)
    return Older(shape, tuple(moved), tuple(notes), tuple(faults))


def _problem(said: str) -> Problem:
    """What an error's text `field: reason` tells of."""
    field, colon, reason = said.partition(": ")
    return Problem((field,), reason) if colon and " " not in field else Problem((), said)


def _document(text: str, name: str) -> Document:
    suffix = PurePath(name).suffix.lower()
    try:
        if suffix == ".csv":
            return _table(text)
        return parse(text.removeprefix("\ufeff"), as_json=suffix == ".json" or _is_json(text))
    except UnreadableError as exc:
        where = "" if exc.line is None else f":{exc.line}"
        raise InputError(f"{name}{where}: {exc}") from None


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _table(text: str) -> Document:
    """A CSV file as a list of rows."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    rows: list[dict[str, Any]] = []
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        before = 1
        for row in reader:
            lines[(len(rows),)] = before + 1
            before = reader.line_num
            rows.append({(key or "cells without a heading").strip(): value for key, value in row.items()})
    except csv.Error as exc:
        raise UnreadableError(f"this is not CSV: {exc}", reader.line_num) from None
    if not rows:
        raise UnreadableError("there is no row below the heading")
    return Document(rows, lines)
