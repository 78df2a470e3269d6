"""All changes of all zones' clocks from 2015 to 2037, found by looking at every day through zoneinfo."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from functions.domain.schedule.timezones import load_zone
from functions.domain.types import TZDATA_DIR, timezone_names
from functions.errors import InputError

FIRST, LAST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
# No zone changes its offset and back within a week.
WEEKS = [FIRST + timedelta(weeks=n) for n in range((LAST - FIRST).days // 7 + 2)]
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Change:
    """One change of one zone's clocks: when, and the wall clock just before and just after."""

    zone: str
    at: datetime
    before: datetime
    after: datetime

    @property
    def on_whole_hours(self) -> bool:
        return self.before.minute == 0 and self.after.minute == 0

    @property
    def skips_midnight(self) -> bool:
        midnight = self.after.replace(hour=0, minute=0)
        return self.before <= midnight < self.after


def load(name: str) -> ZoneInfo:
    """The zone from the pinned tzdata, whatever tables the machine has."""
    with (TZDATA_DIR / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def changes() -> tuple[Change, ...]:
    """Every change there is, once for all zones that share the same history."""
    files = {
        (TZDATA_DIR / "zoneinfo" / name).read_bytes(): name
        for name in sorted(timezone_names())
        if _accepted(name)
    }
    histories = {}
    for name in files.values():
        found = _changes_of(name)
        histories[tuple((change.at, change.after) for change in found)] = found
    return tuple(change for history in histories.values() for change in history)


def _accepted(name: str) -> bool:
    try:
        load_zone(name)
    except InputError:
        return False
    return True


def _changes_of(name: str) -> list[Change]:
    info = load(name)

    def offset(at: datetime) -> timedelta:
        found = at.astimezone(info).utcoffset()
        assert found is not None
        return found

    found = []
    for (early, old), (late, new) in pairwise((week, offset(week)) for week in WEEKS):
        if old != new:
            while late - early > SECOND:
                middle = early + (late - early) // 2 // SECOND * SECOND
                early, late = (middle, late) if offset(middle) == old else (early, middle)
            wall = late.replace(tzinfo=None)
            found.append(Change(name, late, wall + old, wall + new))
    return found
