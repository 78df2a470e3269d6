"""Schedules of business days in words: `first business day of month at 09:00`, `every business day at 17:30`.

[on] [the] first | second | third | ... | 1st ... 23rd | last | second last  business day  of [the|each] month
every | each  business day                        all of them; also `business days`
... of january, of january and july, of quarter   in these months; of each quarter the first or the last one,
                                                  and all of them for every business day
at 09:00                                          required, on the clock of the task's zone
"""

from dataclasses import dataclass

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.words import MONTHS

ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
MAX_PLACE = 23  # no month has more business days of a week of five
EXAMPLE = (
    "write it like first business day of month at 09:00, last business day of month at 17:30, or every "
    "business day at 09:00"
)
ALL_MONTHS = frozenset(range(1, 13))
QUARTER_FIRST, QUARTER_LAST = frozenset({1, 4, 7, 10}), frozenset({3, 6, 9, 12})
FILLERS = frozenset({"on", "the", "each", "every", "a"})


@dataclass(frozen=True, slots=True)
class BusinessDayPhrase:
    """What a phrase means.

    Attributes:
        place: Which business day of a month, from 1, or from its end, -1; None for every one.
    """

    place: int | None
    months: frozenset[int]
    hour: int
    minute: int

    @property
    def canonical(self) -> str:
        """The phrase in its plainest spelling."""
        months = "" if self.place is None and self.months == ALL_MONTHS else f" of {self._months}"
        return f"{self._which} business day{months} at {self.hour:02}:{self.minute:02}"

    @property
    def _which(self) -> str:
        if self.place is None:
            return "every"
        if self.place < 0:
            return "last" if self.place == -1 else f"{ordinal(-self.place)} last"
        return ordinal(self.place)

    @property
    def _months(self) -> str:
        if self.months == ALL_MONTHS:
            return "month"
        return " and ".join(MONTHS[month - 1].lower() for month in sorted(self.months))


def is_phrase(text: str) -> bool:
    """Whether *text*, in lower case, speaks of business days, rightly or not."""
    return "business day" in text or "working day" in text


def ordinal(number: int) -> str:
    """Return the word for a place, e.g. `first`, `11th`."""
    if number <= len(ORDINALS):
        return ORDINALS[number - 1]
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 != 1 else "th"
    return f"{number}{suffix}"


def parse_phrase(text: str) -> BusinessDayPhrase:
    """Read a phrase in lower case, one space between its words.

    Raises:
        ScheduleError: It is not understood.
    """
    words = (
        text.replace("working day", "business day").replace(",", " ").replace("business days", "business day")
    )
    days, at, time = words.partition(" at ")
    which, _, months = days.partition("business day")
    hour, minute = _parse_time(time.strip()) if at else (None, None)
    place = _parse_place([word for word in which.split() if word not in FILLERS])
    # "Every second business day" may mean every other one: what repeats a place has to say of what.
    is_vague = (place or 0) > 0 and not months and bool({"each", "every"}.intersection(which.split()))
    if hour is None or minute is None or place == 0 or is_vague:
        raise ScheduleError(f'schedule: "{text[:60]}" is not understood; {EXAMPLE}')
    found = _parse_months([word for word in months.split() if word not in FILLERS], place)
    if not found or (months.strip() and not months.strip().startswith(("of ", "in "))):
        raise ScheduleError(f'schedule: "{text[:60]}" names no month that is known; {EXAMPLE}')
    return BusinessDayPhrase(place, found, hour, minute)


def _parse_place(words: list[str]) -> int | None:
    """Return which business day; None for every one, 0 for what is not understood."""
    if not words:
        return None
    if words[-1] == "last":
        before = _parse_ordinal(words[0]) if len(words) == 2 else 1
        return -before if len(words) <= 2 else 0
    return _parse_ordinal(words[0]) if len(words) == 1 else 0


def _parse_ordinal(word: str) -> int:
    names = {ordinal(number): number for number in range(1, MAX_PLACE + 1)}
    short = {f"{number}{suffix}": number for number in range(1, 11) for suffix in ("st", "nd", "rd", "th")}
    return names.get(word) or short.get(word, 0)


def _parse_time(text: str) -> tuple[int | None, int | None]:
    hour, colon, minute = text.partition(":")
    numbers = [part for part in (hour, minute) if part.isascii() and part.isdecimal() and len(part) <= 2]
    if not colon or len(numbers) != 2 or len(minute) != 2 or int(hour) > 23 or int(minute) > 59:
        return None, None
    return int(hour), int(minute)


def _parse_months(words: list[str], place: int | None) -> frozenset[int]:
    """Return the months that `of ...` names, all for none; empty for what is not understood."""
    names = [word for word in words if word not in ("of", "in", "and")]
    if names in ([], ["month"]) or (names == ["quarter"] and place is None):
        return ALL_MONTHS
    if names == ["quarter"]:
        return QUARTER_LAST if place and place < 0 else QUARTER_FIRST
    numbers = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
    numbers |= {name[:3]: number for name, number in numbers.items()}
    found = frozenset(numbers.get(name, 0) for name in names)
    return found if 0 not in found else frozenset()
