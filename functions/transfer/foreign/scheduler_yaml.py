"""The shape of schedulers inside a program: `cron` or `interval`, and the path of a function to call."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from functions.errors import InputError
from functions.transfer.foreign.convert import Draft, function
from functions.transfer.foreign.entry import Entry, Found, Terms, plain
from functions.transfer.foreign.rows import moments_of, timed, zone_of
from functions.transfer.foreign.timing import Timing, interval, moment, place

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as APScheduler counts them, from 0
CRON_FIELDS = ("minute", "hour", "day", "month", "dayofweek")
UNITS = ("weeks", "days", "hours", "minutes", "seconds")


def draft_function(entry: Entry, terms: Terms, beside: Mapping[str, Any]) -> Draft:
    """An entry with `func`."""
    timezone = zone_of(entry, terms, beside)
    moments = moments_of(entry, timezone, terms)
    when = _when(entry, terms, timezone, moments)
    type_name, params = function(entry)
    fields: dict[str, Any] = {"timezone": when.timezone or timezone}
    if when.start_at is not None:
        fields["startAt"] = when.start_at.isoformat()
    _bounds(entry, fields, timezone)
    _manners(entry, fields)
    return Draft(type_name, params, when.schedule, fields, moments.last_run_at, moments.next_run_at)


def _when(entry: Entry, terms: Terms, timezone: str, moments: Any) -> Timing:
    anchor = moments.next_run_at or moments.last_run_at
    trigger = entry.take("trigger")
    if trigger is not None and isinstance(trigger.value, Mapping):
        return _of_mapping(entry, trigger, trigger.value, anchor, timezone)
    for name in ("cron", "interval", "every"):
        found = entry.take(name)
        if found is not None and isinstance(found.value, Mapping):
            return _of_mapping(entry, found, {"type": name, **found.value}, anchor, timezone)
        if found is not None and name == "interval" and isinstance(found.value, int | float):
            return _told(entry, found, interval(timedelta(seconds=float(found.value)), anchor), "in seconds")
        if found is not None:
            break
    loose = _loose(entry)
    kind = str(trigger.value).lower() if trigger else ""
    if trigger is not None and (loose or kind == "date"):
        return _of_mapping(entry, trigger, {"type": kind, **loose}, anchor, timezone)
    return timed(entry, ("cron", "interval", "every", "schedule", "frequency"), timezone, moments, terms)


def _loose(entry: Entry) -> dict[str, Any]:
    """The fields of a trigger that stand in the entry itself."""
    return {
        name: found.value
        for name in (*CRON_FIELDS, *UNITS, "second", "week", "year", "rundate")
        if (found := entry.take(name)) is not None
    }


def _of_mapping(entry: Entry, found: Found, given: Mapping[str, Any], anchor: Any, timezone: str) -> Timing:
    values = {plain(name): value for name, value in given.items()}
    kind = str(values.pop("type", values.pop("trigger", ""))).lower()
    if kind == "date" or "rundate" in values:
        at = moment(values.get("rundate"), timezone)
        if at is None:
            raise InputError(f"{found.field}: run_date must be a moment, such as 2026-12-01 09:00")
        text = f"at {at.astimezone(place(timezone)).replace(tzinfo=None).isoformat(timespec='minutes')}"
        return _told(entry, found, Timing(text, "mapped", "once"), "")
    zone = str(values.pop("timezone", "") or "")
    if kind in ("interval", "every") or (not kind and set(UNITS) & values.keys()):
        return _interval(entry, found, values, anchor)
    return _cron(entry, found, values, zone)


def _interval(entry: Entry, found: Found, values: Mapping[str, Any], anchor: Any) -> Timing:
    try:
        stretch = timedelta(**{unit: float(values[unit]) for unit in UNITS if unit in values})
    except (TypeError, ValueError):
        raise InputError(f"{found.field}: must be numbers of {', '.join(UNITS)}") from None
    if not stretch:
        raise InputError(f"{found.field}: names no stretch of time, such as minutes: 15")
    return _told(entry, found, interval(stretch, anchor), "")


def _cron(entry: Entry, found: Found, values: Mapping[str, Any], zone: str) -> Timing:
    """Five fields. What is finer than the finest given is at its least, as APScheduler has it."""
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
    if any(one.isdigit() for one in days):
        fields["dayofweek"] = "".join(
            DAYS[int(one)] if one.isdigit() and int(one) < 7 else one for one in days
        )
        why = f"{days} counts from Monday as 0 there, which is {fields['dayofweek']}"
        return _told(entry, found, Timing(" ".join(fields.values()), "changed", why, timezone=zone), "")
    text = " ".join(fields.values()).lower()
    return _told(entry, found, Timing(text, "mapped", "the same fields", timezone=zone), "")


def _told(entry: Entry, found: Found, when: Timing, more: str) -> Timing:
    why = "; ".join(part for part in (more, when.why) if part)
    entry.notes.append((found.field, when.did, f"{when.schedule}: {why}"))
    return when


def _bounds(entry: Entry, fields: dict[str, Any], timezone: str) -> None:
    for name, names in (
        ("startAt", ("startdate", "startat", "start")),
        ("endAt", ("enddate", "endat", "end")),
    ):
        found = entry.take(*names)
        at = moment(found.value, timezone) if found else None
        if found is not None and at is None:
            entry.left(found.field, "is no moment anybody can read")
        elif found is not None and at is not None and (name != "startAt" or "startAt" not in fields):
            fields[name] = at.isoformat()
            entry.mapped(found.field, name)


def _manners(entry: Entry, fields: dict[str, Any]) -> None:
    """What becomes of runs that are late or that overlap."""
    grace, coalesce = entry.take("misfiregracetime"), entry.take("coalesce")
    misfire: dict[str, Any] = {}
    if grace is not None and isinstance(grace.value, int | float):
        misfire["graceSeconds"] = min(604_800, max(0, int(grace.value)))
        entry.mapped(grace.field, "misfire.graceSeconds")
    if coalesce is not None:
        misfire["policy"] = "run_once" if coalesce.value is True else "run_all"
        entry.mapped(coalesce.field, f"misfire.policy {misfire['policy']}")
    elif entry.has("coalesce"):
        misfire["policy"] = "run_all"
    if misfire:
        fields["misfire"] = misfire
    if (found := entry.take("maxinstances")) is not None:
        if found.value == 1:
            entry.mapped(found.field, "one run at a time, as everywhere here")
        else:
            entry.left(found.field, "a task has one run at a time here; see overlap")
    if (found := entry.take("jitter")) is not None and isinstance(found.value, int | float):
        fields["jitterSeconds"] = min(3600, max(0, int(found.value)))
        entry.mapped(found.field, "jitterSeconds")
