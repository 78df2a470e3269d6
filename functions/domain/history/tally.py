"""How often a task succeeded and failed in each of the last 24 hours and 90 days, and its last incidents.

Kept in the task, so that a tick needs no write more for them, and a page no read. The text is short: equal
neighbours are one entry, and most hours of a healthy task are equal.

    "499123 60x22,12.1 1440x89,700.3"

In hour 499123 since 1970 there were 12 successes and one failure, in each of the 22 hours before 60
successes; on its day 700 successes and 3 failures. Days are those of UTC. The last entry stands alone, so
that one more outcome in the same hour changes only the ends of the text.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.domain.types import format_instant, parse_stored_instant

HOURS = 24
DAYS = 90
MAX_INCIDENTS = 8
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Slot:
    """The occurrences that ended in one hour or on one day."""

    begins_at: datetime
    succeeded: int
    failed: int

    @property
    def share(self) -> float | None:
        """The part that succeeded; None when there was none."""
        total = self.succeeded + self.failed
        return self.succeeded / total if total else None


@dataclass(frozen=True, slots=True)
class Tally:
    """The last 24 hours and 90 days, oldest first, the present ones last."""

    hours: tuple[Slot, ...]
    days: tuple[Slot, ...]

    def share_of_days(self, number: int) -> float | None:
        """The part that succeeded in the last *number* days; None when there was none."""
        return _share(self.days[-number:])

    @property
    def share_of_hours(self) -> float | None:
        """The part that succeeded in the last 24 hours; None when there was none."""
        return _share(self.hours)


def _share(slots: tuple[Slot, ...]) -> float | None:
    good, bad = sum(slot.succeeded for slot in slots), sum(slot.failed for slot in slots)
    return good / (good + bad) if good + bad else None


def add_to_tally(text: str, *, succeeded: bool, at: datetime) -> str:
    """Return the tally *text* with one outcome more; a text that cannot be read is begun anew."""
    hour = int(at.timestamp()) // _HOUR_S
    try:
        last_text, hours, days = text.split(" ")
        last = int(last_text)
        if hour > last:
            hours = _shift(hours, hour - last, HOURS)
            days = _shift(days, hour // 24 - last // 24, DAYS)
        return f"{max(hour, last)} {_increment(hours, succeeded)} {_increment(days, succeeded)}"
    except ValueError:
        first = _increment("0", succeeded)
        return f"{hour} {first} {first}"


def read_tally(text: str, *, now: datetime) -> Tally:
    """Return the tally *text* as of *now*; what cannot be read is empty."""
    hour = int(now.timestamp()) // _HOUR_S
    try:
        last_text, hours, days = text.split(" ")
        last = min(int(last_text), hour)
        found_hours = _expand(_shift(hours, hour - last, HOURS))
        found_days = _expand(_shift(days, hour // 24 - last // 24, DAYS))
    except ValueError:
        found_hours, found_days = [], []
    return Tally(_slots(found_hours, hour, HOURS, 1), _slots(found_days, hour // 24, DAYS, 24))


def _increment(entries: str, succeeded: bool) -> str:
    before, comma, last = entries.rpartition(",")
    good, _, bad = last.partition(".")
    text = f"{int(good) + 1}.{bad}" if succeeded and bad else str(int(good) + 1) if succeeded else ""
    return f"{before}{comma}{text or f'{good}.{int(bad or 0) + 1}'}"


def _shift(entries: str, by: int, limit: int) -> str:
    """Return *entries* with *by* empty ones behind, at most *limit* in all."""
    if by <= 0:
        return entries
    runs = [_parse_run(entry) for entry in entries.split(",")]
    _append(runs, runs.pop()[0], 1)
    _append(runs, "0", min(by, limit) - 1)
    excess = sum(number for _, number in runs) + 1 - limit
    while excess > 0:
        entry, number = runs.pop(0)
        if number > excess:
            runs.insert(0, (entry, number - excess))
        excess -= number
    return ",".join([*(entry if number == 1 else f"{entry}x{number}" for entry, number in runs), "0"])


def _append(runs: list[tuple[str, int]], entry: str, number: int) -> None:
    if number and runs and runs[-1][0] == entry:
        runs[-1] = (entry, runs[-1][1] + number)
    elif number:
        runs.append((entry, number))


def _parse_run(entry: str) -> tuple[str, int]:
    text, _, number = entry.partition("x")
    return text, int(number or 1)


def _expand(entries: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for entry in entries.split(","):
        text, number = _parse_run(entry)
        good, _, bad = text.partition(".")
        found += [(int(good), int(bad or 0))] * min(number, DAYS)
    return found


def _slots(counts: list[tuple[int, int]], last: int, limit: int, hours: int) -> tuple[Slot, ...]:
    padded = ([(0, 0)] * limit + counts)[-limit:]
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=(last - limit + 1) * hours)
    return tuple(
        Slot(first + timedelta(hours=number * hours), good, bad) for number, (good, bad) in enumerate(padded)
    )


# Incidents that are over, in the task as well: `<first failure> <recovery> <failures>`.


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which a task failed: from the first failure to the recovery, or until now.

    Attributes:
        until: None while it lasts.
        failures: Occurrences that failed.
    """

    since: datetime
    until: datetime | None
    failures: int


def add_incident(
    lines: tuple[str, ...], *, since: datetime, until: datetime, failures: int
) -> tuple[str, ...]:
    """Return *lines* with an incident that is over."""
    line = f"{format_instant(since)} {format_instant(until)} {failures}"
    return (*lines, line)[-MAX_INCIDENTS:]


def read_incidents(lines: tuple[str, ...]) -> list[Incident]:
    """Return the incidents in *lines*, newest first; lines that cannot be read are left out."""
    found = []
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or not words[2].isdecimal():
            continue
        since, until = parse_stored_instant(words[0]), parse_stored_instant(words[1])
        if since is not None and until is not None:
            found.append(Incident(since, until, int(words[2][:9])))
    return found[::-1]
