"""Public holidays by country, and weekends with their exceptions, from the library `holidays`.

The library is imported by the first use: 0.15 s of processor time, in a thread wherever a loop would wait. A
release changes dates, as governments do: they are computed when they are needed, and stored nowhere.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days.entries import PublicHolidays, join_reasons, parse_entry, read_entries

MAX_NAMED = 8  # codes in a message
SATURDAY_AND_SUNDAY = frozenset({6, 0})  # from Sunday, 0


@dataclass(frozen=True, slots=True)
class HolidayYear:
    """One country in one year.

    Attributes:
        dates: Its public holidays.
        weekend: Its weekend, from Sunday, 0.
        workdays: Days of its weekends on which people work, to make up for a holiday.
    """

    dates: frozenset[date]
    weekend: frozenset[int]
    workdays: frozenset[date]


def load() -> None:
    """Import the library with its countries, which may be done in a thread before anything is computed."""
    from holidays import countries  # noqa: F401


def check(entry: PublicHolidays) -> None:
    """Check that the library knows the country and its part.

    Raises:
        ScheduleError: It does not; the text names those that are nearest.
    """
    if entry.country not in _country_codes():
        near = _nearest(entry.country, _country_codes())
        raise ScheduleError(f'"{entry}" is no country that is known; {near}, or others of ISO 3166')
    parts = _parts_of(entry.country)
    if entry.part and entry.part not in parts:
        near = _nearest(entry.part, parts) if parts else f"write holidays:{entry.country}, it has no parts"
        raise ScheduleError(f'"{entry}" is no part of {entry.country} that is known; {near}')


def check_entries(texts: Iterable[str], *, may_name_calendars: bool = True) -> tuple[str, ...]:
    """Return *texts* as `canonical_entries` does, which raises the same; unknown countries are wrong, too."""
    entries, reasons = read_entries(texts, may_name_calendars=may_name_calendars)
    reasons += _country_problems(entries)
    if reasons:
        raise ScheduleError(join_reasons(reasons))
    return entries


def _country_problems(entries: Iterable[str]) -> Iterator[str]:
    for text in entries:
        if isinstance(entry := parse_entry(text), PublicHolidays):
            try:
                check(entry)
            except ScheduleError as exc:
                yield str(exc)


@lru_cache(maxsize=2048)
def holiday_year(entry: PublicHolidays, year: int) -> HolidayYear:
    """Return the days off of *entry* in *year*; none of a country that is unknown by now."""
    if entry.country not in _country_codes():
        return HolidayYear(frozenset(), SATURDAY_AND_SUNDAY, frozenset())
    from holidays import country_holidays

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of years beyond those that are known exactly
        found = country_holidays(
            entry.country, subdiv=_parts_of(entry.country).get(entry.part), years=year, expand=False
        )
        weekend = frozenset((day + 1) % 7 for day in found.weekend)
        workdays = frozenset(one for one in found.weekend_workdays if one.year == year)
    return HolidayYear(frozenset(found), weekend, workdays)


@lru_cache(maxsize=1)
def _country_codes() -> frozenset[str]:
    from holidays.registry import EntityLoader

    return frozenset(EntityLoader.get_country_codes())


@lru_cache(maxsize=256)
def _parts_of(country: str) -> dict[str, str]:
    """Return the parts of *country* as the library spells them, by their codes in capitals."""
    import holidays

    return {part.upper(): part for part in getattr(holidays, country).subdivisions}


def _nearest(code: str, known: Iterable[str]) -> str:
    plain = sorted(one for one in known if len(one) <= 3)
    near = get_close_matches(code, plain, n=3, cutoff=0.5) or [one for one in plain if one[:1] == code[:1]]
    return f"there is {', '.join((near or plain)[:MAX_NAMED])}"
