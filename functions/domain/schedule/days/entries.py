"""The entries of `except` and of calendars: one kind of day each, read from text and written back alike.

2026-12-24                 a date
2026-12-24..2027-01-02     from one date to another, both included
12-25, 12-24..01-02        the same of each year
sat, fri..sat              weekdays
weekends                   Saturdays and Sundays, or what the countries of `holidays:` call so
weekends:fri..sat          other weekends; weekends:none for a week without
holidays:LV, holidays:US-CA    the public holidays of a country, or of one of its parts
calendar:company           the entries of a calendar of that name
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from functions.domain.schedule.base import ScheduleError

MAX_ENTRIES = 500  # of a task, and of a calendar
MAX_CALENDARS = 5  # of a task
MAX_ENTRY_CHARS = 80
MAX_NAMED = 10  # entries that are not understood
MAX_NAME_CHARS = 63
FIRST_YEAR, LAST_YEAR = 1970, 9000
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # from Sunday, 0, as cron counts
WEEKDAY_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
EXAMPLE = (
    "write dates (2026-12-24, 12-25), ranges (2026-12-24..2027-01-02, 12-24..01-02), weekdays (sat), "
    "weekends, holidays:LV or calendar:NAME"
)
LEAP_YEAR = 2000  # has every date of a year
MonthDay = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DateRange:
    """The dates from *first* to *last*, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


@dataclass(frozen=True, slots=True)
class YearlyRange:
    """The dates from *first* to *last* of each year, both included; over New Year when *last* is earlier."""

    first: MonthDay
    last: MonthDay

    def __str__(self) -> str:
        first, last = (f"{month:02}-{day:02}" for month, day in (self.first, self.last))
        return first if first == last else f"{first}..{last}"


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Weekdays, from Sunday, 0; more than one as a range."""

    first: int
    last: int

    @property
    def numbers(self) -> frozenset[int]:
        """All of them."""
        return frozenset((self.first + step) % 7 for step in range((self.last - self.first) % 7 + 1))

    def __str__(self) -> str:
        first, last = WEEKDAYS[self.first], WEEKDAYS[self.last]
        return first if first == last else f"{first}..{last}"


@dataclass(frozen=True, slots=True)
class Weekends:
    """The weekends; *days* None means the usual ones, or those of the countries that are named."""

    days: Weekdays | None = None
    is_none: bool = False

    def __str__(self) -> str:
        return "weekends:none" if self.is_none else f"weekends:{self.days}" if self.days else "weekends"


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """The public holidays of a country, or of one of its parts; both by their codes."""

    country: str
    part: str = ""

    def __str__(self) -> str:
        return f"holidays:{self.country}-{self.part}" if self.part else f"holidays:{self.country}"


@dataclass(frozen=True, slots=True)
class CalendarName:
    """The entries of a calendar, which are kept beside the task."""

    name: str

    def __str__(self) -> str:
        return f"calendar:{self.name}"


Entry = DateRange | YearlyRange | Weekdays | Weekends | PublicHolidays | CalendarName


@lru_cache(maxsize=4096)
def parse_entry(text: str) -> Entry:
    """Return what one entry means.

    Raises:
        ScheduleError: It is not understood; the text begins with the entry.
    """
    if len(text) > MAX_ENTRY_CHARS:
        raise ScheduleError(f'"{text[:40]}..." is too long; {EXAMPLE}')
    kind, colon, value = (part.strip() for part in text.strip().partition(":"))
    word = kind.lower()
    if colon and word in ("holidays", "holiday"):
        return _parse_holidays(value)
    if colon and word in ("calendar", "calendars"):
        return CalendarName(check_calendar_name(value))
    if word in ("weekends", "weekend"):
        return _parse_weekends(value) if colon else Weekends()
    if colon or not word:
        raise ScheduleError(f'"{text}" is not understood; {EXAMPLE}')
    return _parse_days(text.strip().lower())


def check_calendar_name(name: str) -> str:
    """Return *name*; raises ScheduleError when no calendar can have it."""
    allowed = all(one.isascii() and (one.isdigit() or one.islower() or one in "-_.") for one in name)
    if not name or len(name) > MAX_NAME_CHARS or not allowed or not (name[0].isdigit() or name[0].islower()):
        raise ScheduleError(
            f'"{name[:40]}" is not the name of a calendar, which has lower-case letters, digits, dots, '
            f"hyphens and underscores, begins with one of the first two, and has at most {MAX_NAME_CHARS} "
            "characters"
        )
    return name


def split_entries(given: object) -> object:
    """Return *given* as a list of texts where it is one text, or has mappings such as `{holidays: LV}`.

    Anything else stays as it is, for the model to refuse.
    """
    if isinstance(given, str):
        return [
            part for line in given.replace(";", ",").splitlines() for part in line.split(",") if part.strip()
        ]
    if isinstance(given, Mapping):
        return list(_of_mapping(given))
    if isinstance(given, (list, tuple)):
        return [text for one in given for text in (_of_mapping(one) if isinstance(one, Mapping) else (one,))]
    return given


def canonical_entries(texts: Iterable[str], *, may_name_calendars: bool = True) -> tuple[str, ...]:
    """Return *texts* in their plainest spelling, each once, in the order given.

    Raises:
        ScheduleError: Some are not understood, or there are too many; the text names each.
    """
    entries, reasons = read_entries(texts, may_name_calendars=may_name_calendars)
    if reasons:
        raise ScheduleError(join_reasons(reasons))
    return entries


def read_entries(
    texts: Iterable[str], *, may_name_calendars: bool = True
) -> tuple[tuple[str, ...], list[str]]:
    """Return the plainest spelling of those of *texts* that are understood, and what is wrong with others."""
    found: dict[str, Entry] = {}
    reasons: list[str] = []
    for number, text in enumerate(texts):
        if number >= MAX_ENTRIES:
            reasons.append(f"must have at most {MAX_ENTRIES} entries; a range is one entry")
            break
        try:
            entry = parse_entry(text)
        except ScheduleError as exc:
            reasons.append(str(exc))
            continue
        if isinstance(entry, CalendarName) and not may_name_calendars:
            reasons.append(f'"{entry}" is a calendar within a calendar; write its entries')
        found[str(entry)] = entry
    if sum(isinstance(entry, CalendarName) for entry in found.values()) > MAX_CALENDARS:
        reasons.append(f"must name at most {MAX_CALENDARS} calendars")
    return tuple(found), reasons


def join_reasons(reasons: Sequence[str]) -> str:
    """Return *reasons* as one text, which says once how entries are written."""
    different = list(dict.fromkeys(reasons))
    shown = different[:MAX_NAMED]
    explained = next((number for number, one in enumerate(shown) if one.endswith(EXAMPLE)), 0)
    texts = [
        one if number <= explained else one.removesuffix(f"; {EXAMPLE}") for number, one in enumerate(shown)
    ]
    if more := len(different) - len(shown):
        texts.append(f"{more} more are wrong")
    return "; also ".join(texts)


def calendar_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the calendars that canonical entries name."""
    return tuple(text.removeprefix("calendar:") for text in texts if text.startswith("calendar:"))


def names_holidays(texts: Iterable[str]) -> bool:
    """Whether canonical entries name the public holidays of a country."""
    return any(text.startswith("holidays:") for text in texts)


def _of_mapping(given: Mapping[object, object]) -> Iterable[object]:
    for kind, value in given.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            yield "weekends" if kind == "weekends" and one is True else f"{kind}:{one}" if one else one


def _parse_holidays(value: str) -> PublicHolidays:
    country, _, part = value.partition("-")
    if len(country) not in (2, 3) or not (country.isascii() and country.isalpha()):
        raise ScheduleError(
            f'"holidays:{value[:20]}" names no country; write its code, such as holidays:LV, or '
            "holidays:US-CA for a part of one"
        )
    return PublicHolidays(country.upper(), part.strip().upper())


def _parse_weekends(value: str) -> Weekends:
    if value.lower() == "none":
        return Weekends(is_none=True)
    days = _parse_weekdays(value.lower())
    if days is None:
        raise ScheduleError(
            f'"weekends:{value[:20]}" names no weekdays; write weekends:fri..sat or weekends:none'
        )
    return Weekends(days)


def _parse_days(text: str) -> Entry:
    if weekdays := _parse_weekdays(text):
        return weekdays
    written = [part.strip() for part in text.split("..")]
    ends = [_parse_date(part) for part in written]
    if len(ends) > 2 or None in ends:
        raise ScheduleError(f'"{text}" is not understood; {EXAMPLE}')
    first, last = ends[0], ends[-1]
    if isinstance(first, date) and isinstance(last, date):
        if last < first:
            raise ScheduleError(f'"{text}" runs backwards; write {last}..{first}')
        return DateRange(first, last)
    if isinstance(first, tuple) and isinstance(last, tuple):
        return YearlyRange(first, last)
    raise ScheduleError(
        f'"{text}" has a year at one end only; write it at both ends, or at none for each year'
    )


def _parse_weekdays(text: str) -> Weekdays | None:
    ends = [_weekday(part.strip()) for part in text.split("..")]
    if len(ends) > 2 or None in ends:
        return None
    return Weekdays(ends[0] or 0, ends[-1] or 0)


def _weekday(text: str) -> int | None:
    for names in (WEEKDAYS, WEEKDAY_NAMES):
        if text in names:
            return names.index(text)
    return None


def _parse_date(text: str) -> date | MonthDay | None:
    """Return a date, or a month and a day; None for what looks like neither.

    Raises:
        ScheduleError: It looks like one, and the calendar has none such.
    """
    parts = text.split("-")
    if not all(part.isascii() and part.isdecimal() for part in parts):
        return None
    lengths = [len(part) for part in parts]
    if lengths not in ([4, 2, 2], [2, 2]):
        return None
    year, month, day = (int(part) for part in (parts if len(parts) == 3 else [str(LEAP_YEAR), *parts]))
    try:
        found = date(year, month, day)
    except ValueError:
        raise ScheduleError(
            f'"{text}" is not in the calendar; write a date such as 2026-12-24 or 12-24'
        ) from None
    if len(parts) == 2:
        return month, day
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ScheduleError(f'"{text}" is out of range; use a year from {FIRST_YEAR} to {LAST_YEAR}')
    return found
