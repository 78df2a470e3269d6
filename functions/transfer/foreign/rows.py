"""Reads the formats that are lists of entries with named fields: their timing, and their own fields.

`tasks.json` with `frequency`, jobs with `command` and `schedule`, and rows of a table with `nextRunAt`.
"""

import re
from collections.abc import Callable, Mapping
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
NEXT_RUN_FIELDS = ("nextrunat", "nextrun", "nextruntime", "nextexecution", "scheduledtime")
TIMEZONE_FIELDS = ("timezone", "tz", "zone")
DAY_FIELDS = ("hour", "minute", "day", "dayofweek", "weekday", "dayofmonth")
CLOCK = re.compile(r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::00)?)? ?(?P<half>am|pm)?")
UNIT_NAMES = ("seconds", "minutes", "hours", "days", "weeks")


@dataclass(frozen=True, slots=True)
class RunTimes:
    """The last and the next run of an entry."""

    last_run_at: datetime | None = None
    next_run_at: datetime | None = None


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
    last, upcoming = (_take_instant(entry, names, timezone) for names in (LAST_RUN_FIELDS, NEXT_RUN_FIELDS))
    if last is not None and last.value > defaults.now:
        entry.note_left_out(last.field, "is in the future, and so was no run")
        last = None
    if last is not None:
        entry.note_mapped(last.field, "kept as lastRunAt; nothing before it is run again")
    if upcoming is not None:
        entry.note_mapped(upcoming.field, "the task goes on from there; nothing before it is run again")
    return RunTimes(last.value if last else None, upcoming.value if upcoming else None)


def _take_instant(entry: ForeignEntry, names: tuple[str, ...], timezone: str) -> FieldValue | None:
    """Return the first of the fields *names* with its instant; None where there is none, or no instant."""
    found = entry.take_field(*names)
    at = None if found is None else parse_instant(found.value, timezone)
    if found is not None and at is None:
        entry.note_left_out(found.field, "is no moment anybody can read")
    return None if found is None or at is None else FieldValue(found.field, at)


def read_timing(
    entry: ForeignEntry, names: tuple[str, ...], timezone: str, run_times: RunTimes, defaults: ImportDefaults
) -> Timing:
    """Return the timing of *entry* by the first of the fields *names*, or by the instant of a single run.

    Raises:
        InputError: It says nothing that can be understood; the text names the field.
    """
    found, unit = _take_with_unit(entry, names)
    at = entry.take_field("time", "at", "timeofday", "runat")
    if at is not None and (instant := parse_instant(at.value, timezone)) is not None:
        if found is None or is_once(found.value):
            return _single_run(entry, at, instant, timezone, defaults)
        entry.note_left_out(at.field, f"{found.field} is read in its place")
        at = None
    if found is None:
        raise _missing_timing(entry, names, run_times)
    unit_field = entry.take_field("unit", f"{names[0]}unit", "intervalunit")
    if is_calendar(found.value) and (more := entry.take_field(*DAY_FIELDS)) is not None:
        raise InputError(f"{more.field}: is not read beside {found.field}; write both as one cron expression")
    try:
        timing = convert_timing(
            found.value,
            timezone=timezone,
            anchor=run_times.next_run_at or run_times.last_run_at,
            unit=unit or (str(unit_field.value) if unit_field else ""),
            time_of_day=_time_of_day(at) if at else "",
        )
    except NotScheduledError:
        if run_times.next_run_at is None or run_times.next_run_at <= defaults.now:
            raise
        timing = convert_timing(run_times.next_run_at.isoformat(), timezone=timezone)
    except InputError as exc:
        raise InputError(f"{found.field}: {exc}") from None
    return note_timing(entry, found, timing)


def note_timing(entry: ForeignEntry, found: FieldValue, timing: Timing, remark: str = "") -> Timing:
    """Note what became of the field *found*, with a *remark* of the caller's; return *timing*."""
    why = "; ".join(part for part in (remark, timing.reason) if part)
    entry.notes.append((found.field, timing.action, f"{timing.schedule}: {why}"))
    return timing


def _single_run(
    entry: ForeignEntry, found: FieldValue, instant: datetime, timezone: str, defaults: ImportDefaults
) -> Timing:
    if instant <= defaults.now:
        raise NotScheduledError("it runs once, at a moment that has passed")
    return note_timing(entry, found, once_timing(instant, timezone))


def _missing_timing(entry: ForeignEntry, names: tuple[str, ...], run_times: RunTimes) -> InputError:
    """Return why an entry without any of the fields *names* has no timing."""
    if misspelt := _misspelt(entry, names):
        return InputError(f"{misspelt[0]}: unknown field; {misspelt[1]}")
    if entry.has_field("scheduleenabled") or run_times.next_run_at is None:
        return NotScheduledError("it has no schedule: it is only started by hand")
    return InputError(f"{names[0]}: is missing; write a cron expression, or such as every_5_minutes")


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
        if (found := _take_instant(entry, names, timezone)) is not None:
            bounds[name] = found.value
            entry.note_mapped(found.field, name)
    return bounds


def _build_draft(
    entry: ForeignEntry,
    defaults: ImportDefaults,
    file_fields: Mapping[str, Any],
    names: tuple[str, ...],
    convert: Callable[[ForeignEntry], TypeAndParams],
) -> TaskDraft:
    timezone = timezone_of(entry, defaults, file_fields)
    run_times = run_times_of(entry, timezone, defaults)
    timing = read_timing(entry, names, timezone, run_times, defaults)
    type_name, params = convert(entry)
    fields: dict[str, Any] = {"timezone": timing.timezone or timezone}
    fields |= {name: at.isoformat() for name, at in take_bounds(entry, timezone).items()}
    if timing.start_at is not None:
        fields["startAt"] = timing.start_at.isoformat()
    if type_name == "agent" and (kind := entry.take_field("agenttype")):
        fields["tags"] = [str(kind.value)[:64]]
    return TaskDraft(type_name, params, timing.schedule, fields, run_times.last_run_at, run_times.next_run_at)


def _convert_row_work(entry: ForeignEntry) -> TypeAndParams:
    return convert_work(entry, type_fields=("agenttype", "type", "tasktype", "kind"))


def _misspelt(entry: ForeignEntry, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return a field that is nearly one of *names*, and which one it is nearly; None where one is there."""
    if entry.has_field(*names):
        return None
    for key in entry.fields:
        known = (*names, *FUNCTION_FIELDS, *NEXT_RUN_FIELDS)
        if (name := normalize_name(key)) not in known and (near := suggest(name, names)):
            return str(key), near
    return None


def _take_with_unit(entry: ForeignEntry, names: tuple[str, ...]) -> tuple[FieldValue | None, str]:
    """Return the first of the fields *names*, or of such as `frequency_minutes` with its unit."""
    if (found := entry.take_field(*names)) is not None:
        return found, ""
    for name in names:
        for unit in UNIT_NAMES:
            if (found := entry.take_field(f"{name}{unit}")) is not None:
                return found, unit
    return None, ""
