"""Reads job lists of schedulers inside a program: a `cron` or `interval` trigger, and a function to call."""

import re
from collections.abc import Mapping
from typing import Any

from functions.domain.types import timezone_or_utc, to_local
from functions.errors import InputError
from functions.transfer.foreign.convert import TaskDraft, convert_function
from functions.transfer.foreign.entry import FieldValue, ForeignEntry, ImportDefaults, normalize_name
from functions.transfer.foreign.rows import read_timing, run_times_of, timezone_of
from functions.transfer.foreign.timing import Timing, interval_timing, parse_instant, to_float

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as APScheduler counts them, from 0
DAY_NUMBER = re.compile(r"(?<![/\d])[0-6](?!\d)")  # what follows a stroke is a step
COUNTED_FROM_SUNDAY = (
    "its days of the week count from Sunday as 0; look at it if APScheduler's from_crontab read it, "
    "which counts from Monday"
)
CRON_FIELDS = ("minute", "hour", "day", "month", "dayofweek")
UNITS = {"weeks": 604_800, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
CELERY_FIELDS = ("minute", "hour", "dayofmonth", "monthofyear", "dayofweek")


def is_of_celery(entry: ForeignEntry) -> bool:
    """Whether *entry* is one of Celery's beat: a task by its name, and a schedule."""
    return entry.has_field("task") and entry.has_field("schedule") and not entry.has_field("type", "command")


def draft_function(
    entry: ForeignEntry, defaults: ImportDefaults, file_fields: Mapping[str, Any]
) -> TaskDraft:
    """Read an entry with `func`."""
    timezone = timezone_of(entry, defaults, file_fields)
    moments = run_times_of(entry, timezone, defaults)
    when = _convert_timing(entry, defaults, timezone, moments)
    type_name, params = convert_function(entry)
    fields: dict[str, Any] = {"timezone": when.timezone or timezone}
    if when.start_at is not None:
        fields["startAt"] = when.start_at.isoformat()
    _convert_bounds(entry, fields, timezone)
    _convert_late_runs(entry, fields)
    return TaskDraft(type_name, params, when.schedule, fields, moments.last_run_at, moments.next_run_at)


def _convert_timing(entry: ForeignEntry, defaults: ImportDefaults, timezone: str, run_times: Any) -> Timing:
    anchor = run_times.next_run_at or run_times.last_run_at
    if is_of_celery(entry) and (timing := _convert_celery(entry, anchor)) is not None:
        return timing
    trigger = entry.take_field("trigger")
    if trigger is not None and isinstance(trigger.value, Mapping):
        return _convert_trigger(entry, trigger, trigger.value, anchor, timezone)
    if (timing := _convert_named_trigger(entry, anchor, timezone)) is not None:
        return timing
    loose = _take_trigger_fields(entry)
    kind = str(trigger.value).lower() if trigger else ""
    if trigger is not None and (loose or kind == "date"):
        return _convert_trigger(entry, trigger, {"type": kind, **loose}, anchor, timezone)
    timing = read_timing(
        entry,
        ("cron", "cronstring", "interval", "every", "schedule", "frequency"),
        timezone,
        run_times,
        defaults,
    )
    if entry.has_field("cron") and DAY_NUMBER.search("".join(timing.schedule.split(" ")[4:])):
        entry.note_changed("cron", COUNTED_FROM_SUNDAY)
    return timing


def _convert_named_trigger(entry: ForeignEntry, anchor: Any, timezone: str) -> Timing | None:
    """Read `cron: {...}`, `interval: {...}`, `every: {...}`, `interval: SECONDS`: the first given."""
    fields = ((name, entry.take_field(name)) for name in ("cron", "interval", "every"))
    name, found = next(((name, field) for name, field in fields if field is not None), ("", None))
    if found is None:
        return None
    if isinstance(found.value, Mapping):
        return _convert_trigger(entry, found, {"type": name, **found.value}, anchor, timezone)
    if name == "interval" and isinstance(found.value, int | float):
        return _note_interval(entry, found, to_float(found.value), anchor, "in seconds")
    return None


def _convert_celery(entry: ForeignEntry, anchor: Any) -> Timing | None:
    """Read a schedule of Celery's beat: seconds, or `crontab(...)`, where a field left out is `*`."""
    found = entry.take_field("schedule")
    if found is None:
        return None
    given: Any = found.value
    if isinstance(given, int | float) and not isinstance(given, bool):
        return _note_interval(entry, found, to_float(given), anchor, "in seconds")
    if isinstance(given, str) and given.strip().startswith("crontab(") and given.strip().endswith(")"):
        parts = (one.partition("=") for one in _split_arguments(given.strip()[len("crontab(") : -1]))
        given = {name.strip(): value.strip().strip("'\"") for name, _, value in parts}
    if not isinstance(given, Mapping):
        return None
    values = {normalize_name(name): str(value).replace(" ", "") for name, value in given.items()}
    if unknown := values.keys() - set(CELERY_FIELDS):
        raise InputError(f"{found.field}: {min(unknown)} is no field of crontab(...)")
    text = " ".join(values.get(name, "*") for name in CELERY_FIELDS)
    return _note_timing(entry, found, Timing(text, "mapped", "the same fields"), "")


def _split_arguments(text: str) -> list[str]:
    """Split `minute='0,30', hour=7` at the commas that are outside quotes."""
    parts, quote = [""], ""
    for sign in text:
        if sign in "'\"":
            quote = "" if sign == quote else quote or sign
        if sign == "," and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [one for one in parts if one.strip()]


def _take_trigger_fields(entry: ForeignEntry) -> dict[str, Any]:
    """Return the fields of a trigger that are fields of the entry itself."""
    return {
        name: found.value
        for name in (*CRON_FIELDS, *UNITS, "second", "week", "year", "rundate")
        if (found := entry.take_field(name)) is not None
    }


def _convert_trigger(
    entry: ForeignEntry, found: FieldValue, given: Mapping[str, Any], anchor: Any, timezone: str
) -> Timing:
    values = {normalize_name(name): value for name, value in given.items()}
    kind = str(values.pop("type", values.pop("trigger", ""))).lower()
    if kind == "date" or "rundate" in values:
        at = parse_instant(values.get("rundate"), timezone)
        if at is None:
            raise InputError(f"{found.field}: run_date must be a moment, such as 2026-12-01 09:00")
        local = to_local(at, timezone_or_utc(timezone)).replace(tzinfo=None)
        text = f"at {local.isoformat(timespec='minutes')}"
        return _note_timing(entry, found, Timing(text, "mapped", "once"), "")
    zone = str(values.pop("timezone", "") or "")
    if kind in ("interval", "every") or (not kind and set(UNITS) & values.keys()):
        return _convert_interval(entry, found, values, anchor)
    return _convert_cron(entry, found, values, zone)


def _convert_interval(
    entry: ForeignEntry, found: FieldValue, values: Mapping[str, Any], anchor: Any
) -> Timing:
    try:
        seconds = sum(to_float(values[unit]) * length for unit, length in UNITS.items() if unit in values)
    except (TypeError, ValueError):
        raise InputError(f"{found.field}: must be numbers of {', '.join(UNITS)}") from None
    if not seconds:
        raise InputError(f"{found.field}: names no stretch of time, such as minutes: 15")
    return _note_interval(entry, found, seconds, anchor, "")


def _convert_cron(entry: ForeignEntry, found: FieldValue, values: Mapping[str, Any], zone: str) -> Timing:
    """Return five cron fields; those finer than the finest given are at their minimum, as in APScheduler."""
    if values.get("week", "*") != "*" or values.get("year", "*") != "*":
        raise InputError(f"{found.field}: weeks of the year, and years, cannot be kept")
    if str(values.get("second", "0")) not in ("0", "00"):
        raise InputError(f"{found.field}: seconds cannot be kept; a task runs at a minute")
    order = ("month", "day", "dayofweek", "hour", "minute", "second")
    given = [name for name in order if name in values]
    if not given:
        raise InputError(f"{found.field}: names no field of a cron expression, such as hour: 9")
    finest = max(order.index(name) for name in given)
    least = {"month": "1", "day": "1", "hour": "0", "minute": "0"}
    fields = {
        name: str(values.get(name, "*" if order.index(name) < finest or name == "dayofweek" else least[name]))
        for name in CRON_FIELDS
    }
    days = fields["dayofweek"]
    if (named := DAY_NUMBER.sub(lambda found: WEEKDAYS[int(found[0])], days)) != days:
        fields["dayofweek"] = named
        why = f"{days} counts from Monday as 0 there, which is {fields['dayofweek']}"
        return _note_timing(
            entry, found, Timing(" ".join(fields.values()), "changed", why, timezone=zone), ""
        )
    text = " ".join(fields.values()).lower()
    return _note_timing(entry, found, Timing(text, "mapped", "the same fields", timezone=zone), "")


def _note_interval(
    entry: ForeignEntry, found: FieldValue, seconds: float, anchor: Any, remark: str
) -> Timing:
    try:
        timing = interval_timing(seconds, anchor)
    except InputError as exc:
        raise InputError(f"{found.field}: {exc}") from None
    return _note_timing(entry, found, timing, remark)


def _note_timing(entry: ForeignEntry, found: FieldValue, timing: Timing, remark: str) -> Timing:
    why = "; ".join(part for part in (remark, timing.reason) if part)
    entry.notes.append((found.field, timing.action, f"{timing.schedule}: {why}"))
    return timing


def _convert_bounds(entry: ForeignEntry, fields: dict[str, Any], timezone: str) -> None:
    for name, names in (
        ("startAt", ("startdate", "startat", "start")),
        ("endAt", ("enddate", "endat", "end")),
    ):
        found = entry.take_field(*names)
        at = parse_instant(found.value, timezone) if found else None
        if found is not None and at is None:
            entry.note_left_out(found.field, "is no moment anybody can read")
        elif found is not None and at is not None and (name != "startAt" or "startAt" not in fields):
            fields[name] = at.isoformat()
            entry.note_mapped(found.field, name)


def _convert_late_runs(entry: ForeignEntry, fields: dict[str, Any]) -> None:
    """Return the policies for late and overlapping runs."""
    grace, coalesce = entry.take_field("misfiregracetime"), entry.take_field("coalesce")
    misfire: dict[str, Any] = {}
    if grace is not None and isinstance(grace.value, int | float):
        misfire["graceSeconds"] = min(604_800, max(0, int(grace.value)))
        entry.note_mapped(grace.field, "misfire.graceSeconds")
    if coalesce is not None:
        misfire["policy"] = "run_once" if coalesce.value is True else "run_all"
        entry.note_mapped(coalesce.field, f"misfire.policy {misfire['policy']}")
    elif entry.has_field("coalesce"):
        misfire["policy"] = "run_all"
    if misfire:
        fields["misfire"] = misfire
    if (found := entry.take_field("maxinstances")) is not None:
        if found.value == 1:
            entry.note_mapped(found.field, "one run at a time, as everywhere here")
        else:
            entry.note_left_out(found.field, "a task has one run at a time here; see overlap")
    if (found := entry.take_field("jitter")) is not None and isinstance(found.value, int | float):
        fields["jitterSeconds"] = min(3600, max(0, int(found.value)))
        entry.note_mapped(found.field, "jitterSeconds")
