"""The formats of other schedulers: detects the format of a file, or takes it by name, and reads the file."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from functions.domain.task import TaskSpec
from functions.domain.validation import DocumentSyntaxError, FileProblem, Problem
from functions.errors import InputError
from functions.taskfiles.parser import ParsedFile, parse_text
from functions.transfer.foreign.convert import (
    FUNCTION_FIELDS,
    TaskDraft,
    convert_entry,
    to_file_problems,
)
from functions.transfer.foreign.crontab import has_user_column, is_crontab, read_crontab
from functions.transfer.foreign.entry import (
    ForeignEntry,
    ForeignTasks,
    ImportDefaults,
    ImportedTask,
    ImportNote,
    TaskIds,
    find_entries,
)
from functions.transfer.foreign.rows import (
    TIMEZONE_FIELDS,
    draft_frequency,
    draft_job,
    draft_row,
    is_timezone_field,
)
from functions.transfer.foreign.scheduler_yaml import draft_function, is_of_celery
from functions.transfer.foreign.timing import NotScheduledError
from functions.transfer.foreign.unreadable import (
    describe_unknown,
    describe_unreadable,
    describe_unreadable_text,
)

MAX_CHARS = 16_000_000
SETTINGS_SECTIONS = ("scheduler", "settings", "config", "daemon")  # beside the entries
IN_UTC = (
    "times without a zone are read in UTC; give --timezone if they were by the clock of a machine elsewhere"
)
DraftReader = Callable[[ForeignEntry, ImportDefaults, Mapping[str, Any]], TaskDraft]


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """A format that is a list of entries with named fields.

    Attributes:
        example: What a file of this shape has, for the error when it has nothing of the kind.
        matches: Whether an entry looks like one.
    """

    example: str
    matches: Callable[[ForeignEntry], bool]
    draft: DraftReader


JOB_TIMINGS = ("schedule", "cron", "interval", "every")
WORK_FIELDS = ("url", "endpoint", "webhookurl", "prompt")
FORMATS: Mapping[str, ForeignFormat] = {
    "rows": ForeignFormat(
        "rows with scheduleEnabled, nextRunAt or agentType",
        lambda entry: entry.has_field("scheduleenabled", "nextrunat", "agenttype"),
        draft_row,
    ),
    "scheduler": ForeignFormat(
        "YAML with func, and cron or interval",
        lambda entry: entry.has_field(*FUNCTION_FIELDS) or is_of_celery(entry),
        draft_function,
    ),
    "jobs": ForeignFormat(
        "YAML with command and schedule",
        lambda entry: (
            entry.has_field("command") and entry.has_field(*JOB_TIMINGS) and not entry.has_field("params")
        ),
        draft_job,
    ),
    "tasks": ForeignFormat(
        "tasks.json with frequency or last_run_at, or entries with a schedule and a url or a prompt",
        lambda entry: (
            entry.has_field("frequency", "frequencyminutes", "frequencyseconds", "lastrunat")
            or (
                entry.has_field(*JOB_TIMINGS)
                and entry.has_field(*WORK_FIELDS)
                and not entry.has_field("type")
            )
        ),
        draft_frequency,
    ),
}
FORMAT_NAMES = (*FORMATS, "crontab", "cron.d")


def read_foreign(
    sources: Sequence[tuple[str, str | InputError]],
    defaults: ImportDefaults,
    *,
    format_name: str | None = None,
) -> ForeignTasks:
    """Read texts of one format or several; a problem in one entry, or one file, does not stop the others.

    Args:
        sources: The name of each file, and its text, or why it has none.
        format_name: One of `FORMAT_NAMES`; None means that it is found by looking.

    Raises:
        InputError: The only file cannot be read, or is of no shape that is known.
    """
    if format_name is not None and format_name not in FORMAT_NAMES:
        raise InputError(f"--from: must be one of {', '.join(FORMAT_NAMES)}")
    ids = TaskIds()
    found: list[ForeignTasks] = []
    for name, text in sources:
        try:
            found.append(_name_file(_read_source(text, name, defaults, format_name, ids), name))
        except InputError as exc:
            if len(sources) == 1:
                raise
            found.append(ForeignTasks("", (), (), (FileProblem("", None, "", "", str(exc)),)))
    return ForeignTasks(
        ", ".join(dict.fromkeys(one.format_name for one in found if one.format_name)),
        tuple(moved for one in found for moved in one.tasks),
        tuple(note for one in found for note in one.notes),
        tuple(fault for one in found for fault in one.problems),
    )


def _name_file(found: ForeignTasks, name: str) -> ForeignTasks:
    return replace(
        found,
        tasks=tuple(replace(one, file=name) for one in found.tasks),
        notes=tuple(replace(note, file=name) for note in found.notes),
    )


def _read_source(
    text: str | InputError, name: str, defaults: ImportDefaults, format_name: str | None, ids: TaskIds
) -> ForeignTasks:
    if isinstance(text, InputError):
        raise text
    if len(text) > MAX_CHARS:
        raise InputError(f"{name}: is larger than any list of tasks should be; split it")
    text = text.removeprefix("\ufeff")
    if (remedy := describe_unreadable_text(text)) is not None:
        raise InputError(f"{name}: {remedy}")
    if format_name in ("crontab", "cron.d"):
        return read_crontab(text, name, defaults, with_user=format_name == "cron.d", ids=ids)
    if (
        format_name is None
        and PurePath(name).suffix not in (".json", ".yaml", ".yml", ".csv")
        and is_crontab(text)
    ):
        return read_crontab(text, name, defaults, with_user=has_user_column(text, name), ids=ids)
    document = _parse_source(text, name)
    listed, wrong, beside = find_entries(document)
    beside = _with_timezone(beside)
    chosen = format_name or _detect_format(document, listed, name)
    older = _convert_entries(chosen, listed, beside, name, defaults, ids, is_certain=format_name is not None)
    faults = [
        FileProblem(name, document.line_of(one.path), "", one.field, one.reason) for one in document.problems
    ]
    faults += [
        FileProblem(name, document.line_of(one), "", "", "must be a mapping of names to values")
        for one in wrong
    ]
    unsaid = [
        ImportNote(
            "",
            str(key),
            "left out",
            _why_unread(key, value),
            document.line_of((key,)),
        )
        for key, value in beside.items()
        if not is_timezone_field(key)
        and value not in (None, "", [], {})
        and not isinstance(value, bool | int)
    ]
    return replace(
        older,
        notes=(*older.notes, *unsaid),
        problems=tuple(sorted((*faults, *older.problems), key=lambda fault: fault.line or 0)),
    )


def _with_timezone(beside: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *beside* with the zone of the file as `timezone`: `CELERY_TIMEZONE`, `scheduler: {tz: ...}`."""
    sections = [beside, *(one for name in SETTINGS_SECTIONS if isinstance(one := beside.get(name), Mapping))]
    zones = (
        value
        for section in sections
        for name, value in section.items()
        if is_timezone_field(name) and isinstance(value, str)
    )
    zone = next(zones, None)
    return beside if zone is None else {"timezone": zone, **beside}


def _why_unread(name: object, value: Any) -> str:
    if name in SETTINGS_SECTIONS and isinstance(value, Mapping):
        return "only its timezone is read here, for entries without one; serve --config reads the others"
    return "stands beside the entries; what it says was not read"


def _detect_format(document: ParsedFile, entries: list[ForeignEntry], name: str) -> str:
    if (found := describe_unreadable(document, entries)) is not None:
        raise InputError(f"{_place(name, found[0])}: {found[1]}")
    for shape in FORMATS:
        if any(_find_format(entry) == shape for entry in entries):
            return shape
    if any(entry.has_field("type") and entry.has_field("schedule") for entry in entries):
        raise InputError(f"{name}: looks like a task file of Cronfire's own; scheduler apply reads it")
    known = "; ".join(f"{shape}: {one.example}" for shape, one in FORMATS.items())
    line, needed = describe_unknown(entries)
    shapes = f"is of no shape that is known ({known}; crontab); name it by --from"
    raise InputError(f"{_place(name, line)}: {needed}. The file {shapes}")


def _place(name: str, line: int | None) -> str:
    return name if line is None else f"{name}:{line}"


def _find_format(entry: ForeignEntry) -> str | None:
    return next((shape for shape, one in FORMATS.items() if one.matches(entry)), None)


def _convert_entries(
    format_name: str,
    entries: Sequence[ForeignEntry],
    file_fields: Mapping[str, Any],
    file: str,
    defaults: ImportDefaults,
    ids: TaskIds,
    *,
    is_certain: bool,
) -> ForeignTasks:
    """Convert each entry by the format it looks like; with *is_certain*, all by *format_name*."""
    moved: list[ImportedTask] = []
    notes: list[ImportNote] = []
    faults: list[FileProblem] = []
    is_zone_known = defaults.timezone != "UTC" or bool(file_fields.get("timezone"))
    of_no_zone = False
    for entry in entries:
        own = format_name if is_certain else _find_format(entry) or format_name
        try:
            found = convert_entry(entry, FORMATS[own].draft(entry, defaults, file_fields), defaults, ids=ids)
        except NotScheduledError as exc:
            notes.append(ImportNote(entry.name, "", "left out", str(exc), entry.line_of()))
            continue
        except InputError as exc:
            found = [_to_problem(str(exc))]
        if isinstance(found, ImportedTask):
            moved.append(found)
            notes += entry.iter_notes(found.spec.id)
            of_no_zone |= not (is_zone_known or entry.has_field(*TIMEZONE_FIELDS)) and _is_of_clock(
                found.spec
            )
        else:
            faults += to_file_problems(entry, found, file=file)
    if of_no_zone:
        notes.append(ImportNote("", "timezone", "changed", IN_UTC))
    return ForeignTasks(format_name, tuple(moved), tuple(notes), tuple(faults))


def _is_of_clock(spec: TaskSpec) -> bool:
    """Whether another zone than UTC would change when it runs: `0 9 * * *`, and not `*/5 * * * *`."""
    schedule = spec.schedule or ""
    is_of_any_hour = re.fullmatch(r"\S+ \* \* \* \*", schedule) is not None
    return (
        spec.timezone == "UTC" and not is_of_any_hour and not schedule.startswith(("every", "hourly", "@h"))
    )


def _to_problem(message: str) -> Problem:
    """Split an error's text `field: reason` into a problem."""
    field, colon, reason = message.partition(": ")
    return Problem((field,), reason) if colon and " " not in field else Problem((), message)


def _parse_source(text: str, name: str) -> ParsedFile:
    suffix = PurePath(name).suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            return _parse_csv(text)
        if suffix in (".jsonl", ".ndjson"):
            return _parse_lines(text)
        return parse_text(text, as_json=suffix == ".json" or _is_json(text))
    except DocumentSyntaxError as exc:
        raise InputError(f"{_place(name, exc.line)}: {exc}") from None


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _parse_lines(text: str) -> ParsedFile:
    """Return a file with a JSON value on each line as a list."""
    values: list[Any] = []
    lines: dict[tuple[str | int, ...], int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            read = parse_text(line, as_json=True)
        except DocumentSyntaxError as exc:
            raise DocumentSyntaxError(str(exc), number) from None
        problems += (Problem((len(values), *one.path), one.reason) for one in read.problems)
        lines[(len(values),)] = number
        values.append(read.value)
    return ParsedFile(values, lines, tuple(problems))


def _parse_csv(text: str) -> ParsedFile:
    """Return a CSV file as a list of rows. Its cells are separated by what separates those of the heading."""
    heading = text.partition("\n")[0]
    separator = max(",;\t", key=heading.count)  # a spreadsheet of many countries writes semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    rows: list[dict[str, Any]] = []
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        before = 1
        for row in reader:
            lines[(len(rows),)] = before + 1
            before = reader.line_num
            rows.append({(key or "cells without a heading").strip(): value for key, value in row.items()})
    except csv.Error as exc:
        raise DocumentSyntaxError(f"this is not CSV: {exc}", reader.line_num) from None
    if not rows:
        raise DocumentSyntaxError("there is no row below the heading")
    names = [name.strip() for name in reader.fieldnames or ()]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    problems = (
        Problem((), f"the heading {name[:60]!r} is given twice; its last column is read") for name in twice
    )
    return ParsedFile(rows, lines, tuple(problems))
