"""The shapes that are lists of entries with named fields: what each calls its timing, and what it alone has.

`tasks.json` with `frequency`, jobs with `command` and `schedule`, and rows of a table with `nextRunAt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.errors import InputError
from functions.transfer.foreign.convert import Draft, Work, command, work
from functions.transfer.foreign.entry import Entry, Found, Terms
from functions.transfer.foreign.timing import NotScheduledError, Timing, moment, timing

LAST = ("lastrunat", "lastrun", "lastrunts", "lastexecutedat", "lastexecution")
NEXT = ("nextrunat", "nextrun", "nextruntime", "nextexecution")
ZONE = ("timezone", "tz", "zone")
UNIT_NAMES = ("seconds", "minutes", "hours", "days", "weeks")


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of an entry's past and future."""

    last_run_at: Any = None
    next_run_at: Any = None


def draft_frequency(entry: Entry, terms: Terms, beside: Mapping[str, Any]) -> Draft:
    """An entry of `tasks.json`."""
    return _draft(entry, terms, beside, ("frequency", "schedule", "cron", "interval", "every"), work)


def draft_job(entry: Entry, terms: Terms, beside: Mapping[str, Any]) -> Draft:
    """An entry of `jobs/*.yaml`."""
    return _draft(entry, terms, beside, ("schedule", "cron", "frequency", "interval", "every"), command)


def draft_row(entry: Entry, terms: Terms, beside: Mapping[str, Any]) -> Draft:
    """A row of a table."""
    return _draft(entry, terms, beside, ("schedule", "cron", "frequency", "interval"), _row_work)


def zone_of(entry: Entry, terms: Terms, beside: Mapping[str, Any]) -> str:
    """The zone of *entry*: its own, the file's, or else the usual one."""
    if (found := entry.take(*ZONE)) is not None:
        entry.mapped(found.field, "the zone its times are of")
        return str(found.value).strip()
    return str(beside.get("timezone") or terms.timezone)


def moments_of(entry: Entry, timezone: str, terms: Terms) -> Moments:
    """When *entry* ran last, and is to run next; what cannot be so is left out."""
    last, next_ = entry.take(*LAST), entry.take(*NEXT)
    kept: dict[str, Any] = {}
    for name, found in (("last_run_at", last), ("next_run_at", next_)):
        if found is None:
            continue
        at = moment(found.value, timezone)
        if at is None:
            entry.left(found.field, "is no moment anybody can read")
        elif name == "last_run_at" and at > terms.now:
            entry.left(found.field, "is in the future, and so was no run")
        else:
            kept[name] = at
            why = "kept as lastRunAt" if name == "last_run_at" else "the task goes on from there"
            entry.mapped(found.field, f"{why}; nothing before it is run again")
    return Moments(**kept)


def timed(entry: Entry, names: tuple[str, ...], timezone: str, moments: Moments, terms: Terms) -> Timing:
    """When *entry* runs, as the first of the fields *names* says.

    Raises:
        InputError: It says nothing that can be understood; the text names the field.
    """
    found = entry.take(*names)
    unit = ""
    if found is None:
        found, unit = _united(entry, names)
    if found is None:
        if entry.has("scheduleenabled") or moments.next_run_at is None:
            raise NotScheduledError("it has no schedule: nothing but a person ever started it")
        raise InputError(f"{names[0]}: is missing; write a cron expression, or such as every_5_minutes")
    at, said = (
        entry.take("time", "at", "timeofday", "runat"),
        entry.take("unit", f"{names[0]}unit", "intervalunit"),
    )
    try:
        read = timing(
            found.value,
            timezone=timezone,
            anchor=moments.next_run_at or moments.last_run_at,
            unit=unit or (str(said.value) if said else ""),
            at=str(at.value) if at else "",
        )
    except NotScheduledError:
        if moments.next_run_at is None or moments.next_run_at <= terms.now:
            raise
        read = timing(moments.next_run_at.isoformat(), timezone=timezone)
    except InputError as exc:
        raise InputError(f"{found.field}: {exc}") from None
    entry.notes.append((found.field, read.did, f"{read.schedule}: {read.why}"))
    return read


def _draft(entry: Entry, terms: Terms, beside: Mapping[str, Any], names: tuple[str, ...], does: Any) -> Draft:
    timezone = zone_of(entry, terms, beside)
    moments = moments_of(entry, timezone, terms)
    when = timed(entry, names, timezone, moments, terms)
    found: Work = does(entry)
    fields: dict[str, Any] = {"timezone": when.timezone or timezone}
    if when.start_at is not None:
        fields["startAt"] = when.start_at.isoformat()
    if found[0] == "agent" and (kind := entry.given.get(_key(entry, "agenttype"))):
        fields["tags"] = [str(kind)[:64]]
    return Draft(found[0], found[1], when.schedule, fields, moments.last_run_at, moments.next_run_at)


def _row_work(entry: Entry) -> Work:
    return work(entry, kinds=("agenttype", "type", "tasktype", "kind"))


def _key(entry: Entry, name: str) -> str:
    found = entry.take(name)
    return found.field if found else ""


def _united(entry: Entry, names: tuple[str, ...]) -> tuple[Found | None, str]:
    """A field such as `frequency_minutes`, with its unit."""
    for name in names:
        for unit in UNIT_NAMES:
            if (found := entry.take(f"{name}{unit}")) is not None:
                return found, unit
    return None, ""
