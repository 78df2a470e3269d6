"""Reads the formats that are lists of entries with named fields: their timing, and their own fields.

`tasks.json` with `frequency`, jobs with `command` and `schedule`, and rows of a table with `nextRunAt`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.domain.validation import suggest
from functions.errors import InputError
from functions.transfer.foreign.convert import (
    FUNCTION_FIELDS,
    TaskDraft,
    TypeAndParams,
    convert_command,
    convert_work,
)
from functions.transfer.foreign.entry import FieldValue, ForeignEntry, ImportDefaults, normalize_name
from functions.transfer.foreign.timing import (
    NotScheduledError,
    Timing,
    convert_timing,
    is_calendar,
    is_once,
    once_timing,
    parse_instant,
)

LAST_RUN_FIELDS = ("lastrunat", "lastrun", "lastrunts", "lastexecutedat", "lastexecution")
NEXT_RUN_FIELDS = ("nextrunat", "nextrun", "nextruntime", "nextexecution")
TIMEZONE_FIELDS = ("timezone", "tz", "zone")
DAY_FIELDS = ("hour", "minute", "day", "dayofweek", "weekday", "dayofmonth")
CLOCK = re.compile(r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::00)?)? ?(?P<half>am|pm)?")
UNIT_NAMES = ("seconds", "minutes", "hours", "days", "weeks")


@dataclass(frozen=True, slots=True)
class RunTimes:
    """The last and the next run of an entry."""

    last_run_at: Any = None
    next_run_at: Any = None


def draft_frequency(
    entry: ForeignEntry, defaults: ImportDefaults, file_fields: Mapping[str, Any]
) -> TaskDraft:
    """Read an entry of `tasks.json`."""
    return _build_draft(
        entry, defaults, file_fields, ("frequency", "schedule", "cron", "interval", "every"), convert_work
    )


def draft_job(entry: ForeignEntry, defaults: ImportDefaults, file_fields: Mapping[str, Any]) -> TaskDraft:
    """Read an entry of `jobs/*.yaml`."""
    return _build_draft(
        entry, defaults, file_fields, ("schedule", "cron", "frequency", "interval", "every"), convert_command
    )


def draft_row(entry: ForeignEntry, defaults: ImportDefaults, file_fields: Mapping[str, Any]) -> TaskDraft:
    """Read a row of a table."""
    return _build_draft(
        entry, defaults, file_fields, ("schedule", "cron", "frequency", "interval"), _convert_row_work
    )


def timezone_of(entry: ForeignEntry, defaults: ImportDefaults, file_fields: Mapping[str, Any]) -> str:
    """Return the zone of *entry*: its own, the file's, or else the default."""
    if (found := entry.take_field(*TIMEZONE_FIELDS)) is not None:
        entry.note_mapped(found.field, "the zone its times are of")
        return str(found.value).strip()
    return str(file_fields.get("timezone") or defaults.timezone)


def is_timezone_field(name: object) -> bool:
    """Whether a setting beside the entries is their zone, such as `tz` or `SCHEDULER_TIMEZONE`."""
    normalized = normalize_name(name)
    return normalized in TIMEZONE_FIELDS or normalized.endswith("timezone")


def run_times_of(entry: ForeignEntry, timezone: str, defaults: ImportDefaults) -> RunTimes:
    """Return when *entry* ran last and runs next; impossible times are left out."""
    last, next_ = entry.take_field(*LAST_RUN_FIELDS), entry.take_field(*NEXT_RUN_FIELDS)
    kept: dict[str, Any] = {}
    for name, found in (("last_run_at", last), ("next_run_at", next_)):
        if found is None:
            continue
        at = parse_instant(found.value, timezone)
        if at is None:
            entry.note_left_out(found.field, "is no moment anybody can read")
        elif name == "last_run_at" and at > defaults.now:
            entry.note_left_out(found.field, "is in the future, and so was no run")
        else:
            kept[name] = at
            why = "kept as lastRunAt" if name == "last_run_at" else "the task goes on from there"
            entry.note_mapped(found.field, f"{why}; nothing before it is run again")
    return RunTimes(**kept)


def read_timing(
    entry: ForeignEntry, names: tuple[str, ...], timezone: str, run_times: RunTimes, defaults: ImportDefaults
) -> Timing:
    """Return the timing of *entry* by the first of the fields *names*.

    Raises:
        InputError: It says nothing that can be understood; the text names the field.
    """
    found = entry.take_field(*names)
    unit = ""
    if found is None:
        found, unit = _take_with_unit(entry, names)
    at = entry.take_field("time", "at", "timeofday", "runat")
    moment = parse_instant(at.value, timezone) if at else None
    if at is not None and moment is not None:
        if found is None or is_once(found.value):
            return _read_moment(entry, at, moment, timezone, defaults)
        entry.note_left_out(at.field, f"{found.field} is read in its place")
        at = None
    if found is None:
        if misspelt := _misspelt(entry, names):
            raise InputError(f"{misspelt[0]}: unknown field; {misspelt[1]}")
        if entry.has_field("scheduleenabled") or run_times.next_run_at is None:
            raise NotScheduledError("it has no schedule: it is only started by hand")
        raise InputError(f"{names[0]}: is missing; write a cron expression, or such as every_5_minutes")
    unit_field = entry.take_field("unit", f"{names[0]}unit", "intervalunit")
    if is_calendar(found.value) and (more := entry.take_field(*DAY_FIELDS)) is not None:
        raise InputError(f"{more.field}: is not read beside {found.field}; write both as one cron expression")
    try:
        read = convert_timing(
            found.value,
            timezone=timezone,
            anchor=run_times.next_run_at or run_times.last_run_at,
            unit=unit or (str(unit_field.value) if unit_field else ""),
            time_of_day=_time_of_day(at) if at else "",
        )
    except NotScheduledError:
        if run_times.next_run_at is None or run_times.next_run_at <= defaults.now:
            raise
        read = convert_timing(run_times.next_run_at.isoformat(), timezone=timezone)
    except InputError as exc:
        raise InputError(f"{found.field}: {exc}") from None
    entry.notes.append((found.field, read.action, f"{read.schedule}: {read.reason}"))
    return read


def _read_moment(
    entry: ForeignEntry, found: FieldValue, moment: datetime, timezone: str, defaults: ImportDefaults
) -> Timing:
    """Return the timing of an entry that runs once, at *moment*."""
    if moment <= defaults.now:
        raise NotScheduledError("it runs once, at a moment that has passed")
    read = once_timing(moment, timezone)
    entry.notes.append((found.field, read.action, f"{read.schedule}: {read.reason}"))
    return read


def _time_of_day(found: FieldValue) -> str:
    """Return a time of day as `19:30`.

    Raises:
        InputError: It is none; the text names the field.
    """
    clock = CLOCK.fullmatch(" ".join(str(found.value).lower().split()))
    if clock is not None and (clock["minute"] or clock["half"]):
        hour, minute = int(clock["hour"]), int(clock["minute"] or 0)
        if clock["half"] and 1 <= hour <= 12:
            hour = hour % 12 + (12 if clock["half"] == "pm" else 0)
        elif clock["half"]:
            hour = 24
        if hour < 24 and minute < 60:
            return f"{hour}:{minute:02}"
    raise InputError(f"{found.field}: must be a time of day, such as 09:30")


def take_bounds(entry: ForeignEntry, timezone: str) -> dict[str, datetime]:
    """Return `startAt` and `endAt`, as far as the entry has them."""
    bounds: dict[str, datetime] = {}
    for name, names in (
        ("startAt", ("startdate", "startat", "start")),
        ("endAt", ("enddate", "endat", "end")),
    ):
        if (found := entry.take_field(*names)) is None:
            continue
        if (at := parse_instant(found.value, timezone)) is None:
            entry.note_left_out(found.field, "is no moment anybody can read")
        else:
            bounds[name] = at
            entry.note_mapped(found.field, name)
    return bounds


def _build_draft(
    entry: ForeignEntry,
    defaults: ImportDefaults,
    file_fields: Mapping[str, Any],
    names: tuple[str, ...],
    to_work: Any,
) -> TaskDraft:
    timezone = timezone_of(entry, defaults, file_fields)
    moments = run_times_of(entry, timezone, defaults)
    when = read_timing(entry, names, timezone, moments, defaults)
    found: TypeAndParams = to_work(entry)
    fields: dict[str, Any] = {"timezone": when.timezone or timezone}
    fields |= {name: at.isoformat() for name, at in take_bounds(entry, timezone).items()}
    if when.start_at is not None:
        fields["startAt"] = when.start_at.isoformat()
    if found[0] == "agent" and (kind := entry.fields.get(_key_of(entry, "agenttype"))):
        fields["tags"] = [str(kind)[:64]]
    return TaskDraft(found[0], found[1], when.schedule, fields, moments.last_run_at, moments.next_run_at)


def _convert_row_work(entry: ForeignEntry) -> TypeAndParams:
    return convert_work(entry, type_fields=("agenttype", "type", "tasktype", "kind"))


def _key_of(entry: ForeignEntry, name: str) -> str:
    found = entry.take_field(name)
    return found.field if found else ""


def _misspelt(entry: ForeignEntry, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return a field that is nearly one of *names*, and which one it is nearly; None where one is there."""
    if entry.has_field(*names):
        return None
    for key in entry.fields:
        if (name := normalize_name(key)) not in (*names, *FUNCTION_FIELDS) and (near := suggest(name, names)):
            return str(key), near
    return None


def _take_with_unit(entry: ForeignEntry, names: tuple[str, ...]) -> tuple[FieldValue | None, str]:
    """Return the timing of a field such as `frequency_minutes`, with its unit."""
    for name in names:
        for unit in UNIT_NAMES:
            if (found := entry.take_field(f"{name}{unit}")) is not None:
                return found, unit
    return None, ""
