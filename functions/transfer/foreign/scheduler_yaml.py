"""Reads job lists of schedulers inside a program: a `cron` or `interval` trigger, and a function to call."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from functions.errors import InputError
from functions.transfer.foreign.convert import TaskDraft, convert_function
from functions.transfer.foreign.entry import FieldValue, ForeignEntry, ImportDefaults, normalize_name
from functions.transfer.foreign.rows import (
    RunTimes,
    note_timing,
    read_timing,
    run_times_of,
    take_bounds,
    timezone_of,
)
from functions.transfer.foreign.timing import (
    Timing,
    interval_timing,
    match_both_days,
    once_timing,
    parse_instant,
    to_float,
)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as APScheduler counts them, from 0
DAY_NUMBER = re.compile(r"(?<![/\d])[0-6](?!\d)")  # what follows a stroke is a step
POSITIONED_DAY = re.compile(rf"(1st|2nd|3rd|4th|5th|last)\s+({'|'.join(WEEKDAYS)})")
STEP_FROM_FIRST = re.compile(r"\*(?=/)")  # */2 depends on the first day of the week as well
COUNTED_FROM_SUNDAY = (
    "its days of the week count from Sunday as 0; look at it if APScheduler's from_crontab read it, "
    "which counts from Monday"
)
EITHER_DAY = (
    "either of its two days is enough; look at it if APScheduler's from_crontab read it, "
    "for which a day must match both"
)
CRON_FIELDS = ("minute", "hour", "day", "month", "dayofweek")
TEXT_FIELDS = ("cron", "cronstring", "interval", "every", "schedule", "frequency")
UNITS = {"weeks": 604_800, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
CELERY_FIELDS = ("minute", "hour", "dayofmonth", "monthofyear", "dayofweek")
CALL = re.compile(r"(?:[\w.]+\.)?(crontab|timedelta)\((.*)\)", re.DOTALL)
ARGUMENTS = {  # in the order in which a call has them without names
    "crontab": ("minute", "hour", "dayofweek", "dayofmonth", "monthofyear"),
    "timedelta": ("days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"),
}
FIELDS_BY_KIND: Mapping[str, tuple[str, ...]] = {  # of a trigger of APScheduler
    "cron": (*CRON_FIELDS, "second", "week", "year"),
    "interval": tuple(UNITS),
    "date": ("rundate",),
}
EXAMPLES = {
    "cron": "a field of a cron expression, such as hour: 9",
    "interval": "a stretch of time, such as minutes: 15",
    "date": "run_date, such as 2026-12-01 09:00",
}


def is_of_celery(entry: ForeignEntry) -> bool:
    """Whether *entry* is one of Celery's beat: a task by its name, and a schedule."""
    return entry.has_field("task") and entry.has_field("schedule") and not entry.has_field("type", "command")


def draft_function(
    entry: ForeignEntry, defaults: ImportDefaults, file_fields: Mapping[str, Any]
) -> TaskDraft:
    """Read an entry with `func`."""
    kind, trigger = _take_trigger(entry)
    timezone = timezone_of(entry, defaults, file_fields)
    run_times = run_times_of(entry, timezone, defaults)
    bounds = take_bounds(entry, timezone)
    anchor = run_times.next_run_at or run_times.last_run_at or bounds.get("startAt")
    timing = _convert_celery(entry, anchor) if is_of_celery(entry) else None
    timing = timing or _convert_fields(entry, kind, trigger, anchor, timezone)
    timing = timing or _convert_text(entry, defaults, timezone, run_times)
    type_name, params = convert_function(entry)
    if timing.start_at is not None:
        bounds["startAt"] = timing.start_at
    fields: dict[str, Any] = {"timezone": timing.timezone or timezone}
    fields |= {name: at.isoformat() for name, at in bounds.items()}
    if entry.values_of("nextruntime") == [None]:
        fields["enabled"] = False
        entry.note_mapped("next_run_time", "null is a job that is paused: the task is switched off here too")
    repeat = entry.take_field("repeat")
    if repeat is not None and type(repeat.value) is int and repeat.value >= 0:
        fields["maxRuns"] = repeat.value + 1
        entry.note_mapped(repeat.field, f"maxRuns: {repeat.value + 1}: a first run, and the repetitions")
    elif repeat is not None:
        entry.note_left_out(repeat.field, "is no number of repetitions")
    _convert_late_runs(entry, fields)
    return TaskDraft(type_name, params, timing.schedule, fields, run_times.last_run_at, run_times.next_run_at)


def _take_trigger(entry: ForeignEntry) -> tuple[str, FieldValue | None]:
    """Return the kind of the trigger and the field that says it; fields inside it become the entry's own.

        trigger: interval          with seconds: 90 beside it
        trigger: {type: interval, seconds: 90}
        interval: {seconds: 90}

    Raises:
        InputError: It is of a kind that cannot be kept.
    """
    for name, known in (("trigger", ""), ("cron", "cron"), ("interval", "interval"), ("every", "interval")):
        if known and not isinstance(next(iter(entry.values_of(name)), None), Mapping):
            continue
        if (found := entry.take_field(name)) is None:
            continue
        kind: Any = found.value
        if isinstance(kind, Mapping):
            inside = {normalize_name(one): (one, value) for one, value in kind.items()}
            _, kind = inside.pop("type", ("", known))
            entry.adopt_fields(dict(inside.values()))
        kind = str(kind).lower().rpartition(".")[2].removesuffix("trigger")
        kind = "interval" if kind == "every" else kind
        if kind not in ("", *FIELDS_BY_KIND):
            raise InputError(f"{found.field}: {kind[:40]!r} cannot be kept; write cron, interval or date")
        return kind, found
    return "", None


def _convert_fields(
    entry: ForeignEntry, kind: str, trigger: FieldValue | None, anchor: Any, timezone: str
) -> Timing | None:
    """Read the fields of a trigger, such as `hour: 9`, or a number of seconds; None where there is neither.

    Raises:
        InputError: They are of several kinds, or a text says when it runs as well.
    """
    known = (name for names in FIELDS_BY_KIND.values() for name in names)
    found = {name: field for name in known if (field := entry.take_field(name)) is not None}
    texts = [text.field for name in TEXT_FIELDS if (text := entry.take_field(name)) and text != trigger]
    if not found:
        seconds = next(iter(entry.values_of("interval")), None)
        if isinstance(seconds, int | float) and (interval := entry.take_field("interval")) is not None:
            return _note_interval(entry, interval, to_float(seconds), anchor, "in seconds")
        if kind and trigger is not None and not texts:
            raise InputError(f"{trigger.field}: is {kind} without {EXAMPLES[kind]}")
        return None
    kinds = {one for one, names in FIELDS_BY_KIND.items() if any(name in found for name in names)}
    if texts or kinds - {kind or min(kinds)}:
        named = ", ".join([*texts, *(field.field for field in found.values())])
        raise InputError(f"{named}: do not go together; write one cron expression, interval or run_date")
    values = {name: field.value for name, field in found.items()}
    source = trigger or next(iter(found.values()))
    if kinds == {"date"}:
        return _convert_date(entry, source, values["rundate"], timezone)
    if kinds == {"interval"}:
        return _convert_interval(entry, source, values, anchor)
    return _convert_cron(entry, source, values)


def _convert_text(
    entry: ForeignEntry, defaults: ImportDefaults, timezone: str, run_times: RunTimes
) -> Timing:
    """Read a cron expression, or words."""
    timing = read_timing(entry, TEXT_FIELDS, timezone, run_times, defaults)
    if entry.has_field("cron") and len(fields := timing.schedule.split(" ")) == len(CRON_FIELDS):
        _, _, date, _, weekday = fields
        if DAY_NUMBER.search(weekday) or STEP_FROM_FIRST.search(weekday):
            entry.note_changed("cron", COUNTED_FROM_SUNDAY)
        if not date.startswith(("*", "?")) and not weekday.startswith(("*", "?")):
            entry.note_changed("cron", EITHER_DAY)
    return timing


def _convert_celery(entry: ForeignEntry, anchor: Any) -> Timing | None:
    """Read seconds, `timedelta(...)` or `crontab(...)`, a field left out being `*`; None for other text."""
    found = entry.take_field("schedule")
    if found is None:
        return None
    given: Any = found.value
    if isinstance(given, int | float) and not isinstance(given, bool):
        return _note_interval(entry, found, to_float(given), anchor, "in seconds")
    if isinstance(given, str) and (call := CALL.fullmatch(given.strip())):
        given = _read_arguments(found.field, call[1], call[2])
        if call[1] == "timedelta":
            return _convert_interval(entry, found, given, anchor)
    if not isinstance(given, Mapping):
        return None
    values = {normalize_name(name): str(value).replace(" ", "") for name, value in given.items()}
    if unknown := values.keys() - set(CELERY_FIELDS):
        raise InputError(f"{found.field}: {min(unknown)} is no field of crontab(...)")
    fields = {name: values.get(name, "*") for name in CELERY_FIELDS}
    return _note_fields(entry, found, list(fields.values()), "")


def _read_arguments(field: str, call: str, text: str) -> dict[str, str]:
    """Return the arguments of a *call* by name: `0, hour=7` of `crontab` as `{minute: 0, hour: 7}`.

    Raises:
        InputError: One of them is none of the call's, or stands without a name behind one that has a name.
    """
    names, found, is_named = ARGUMENTS[call], dict[str, str](), False
    for number, part in enumerate(_split_arguments(text)):
        name, equals, value = part.rpartition("=")
        is_named |= bool(equals)
        in_order = "" if is_named else next(iter(names[number:]), "")
        key = normalize_name(name) if equals else in_order
        if key not in names:
            raise InputError(f"{field}: {(name or value).strip()} is no field of {call}(...)")
        found[key] = value.strip().strip("'\"")
    return found


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


def _convert_date(entry: ForeignEntry, found: FieldValue, given: Any, timezone: str) -> Timing:
    at = parse_instant(given, timezone)
    if at is None:
        raise InputError(f"{found.field}: run_date must be a moment, such as 2026-12-01 09:00")
    return note_timing(entry, found, once_timing(at, timezone))


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


def _convert_cron(entry: ForeignEntry, found: FieldValue, values: Mapping[str, Any]) -> Timing:
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
    if fields["dayofweek"] == "*" and (days_of_month := _convert_day_names(fields["day"])) is not None:
        fields["day"], weekdays = days_of_month
        return _note_fields(entry, found, [*list(fields.values())[:-1], weekdays], "")
    days = fields["dayofweek"].lower()
    named = DAY_NUMBER.sub(lambda number: WEEKDAYS[int(number[0])], STEP_FROM_FIRST.sub("mon-sun", days))
    why = f"{days} counts from Monday as 0 there, which is {named}" if named != days else ""
    return _note_fields(entry, found, [*list(fields.values())[:-1], named], why)


def _convert_day_names(days: str) -> tuple[str, str] | None:
    """Return the days of month and week that APScheduler names in one field; None where it names none so.

    last                 L    *
    3rd fri, last mon    *    fri#3,monL
    """
    parts = [one.strip().lower() for one in days.split(",")]
    if parts == ["last"]:
        return "L", "*"
    found = [POSITIONED_DAY.fullmatch(one) for one in parts]
    names = [f"{one[2]}L" if one[1] == "last" else f"{one[2]}#{one[1][0]}" for one in found if one]
    return ("*", ",".join(names)) if len(names) == len(parts) else None


def _note_fields(entry: ForeignEntry, found: FieldValue, fields: Sequence[str], why: str) -> Timing:
    """Return the timing of five *fields*, of which a day has to match both that name days."""
    try:
        date, weekday = match_both_days(fields[2], fields[4])
    except InputError as exc:
        raise InputError(f"{found.field}: {exc}") from None
    text = " ".join([*fields[:2], date, fields[3], weekday])
    if weekday != fields[4]:
        why = "; ".join(part for part in (why, f"{fields[2]} and {fields[4]} are {weekday}") if part)
    timing = Timing(text.lower(), "changed" if why else "mapped", why or "the same fields")
    return note_timing(entry, found, timing)


def _note_interval(
    entry: ForeignEntry, found: FieldValue, seconds: float, anchor: Any, remark: str
) -> Timing:
    try:
        timing = interval_timing(seconds, anchor)
    except InputError as exc:
        raise InputError(f"{found.field}: {exc}") from None
    return note_timing(entry, found, timing, remark)


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
