"""The words of a cron schedule, parsed back: they mean all times at which it runs, and no other."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from functions.domain.schedule.describe import describe_schedule
from functions.domain.schedule.parse import Schedule, ScheduleError, parse_schedule
from functions.domain.schedule.words import MAX_WORDS_CHARS
from tests.support.profile import examples

MONTHS = [f"{date(2026, month, 1):%B}" for month in range(1, 13)]
WEEKDAYS = [f"{date(2026, 6, day):%A}" for day in range(1, 8)]  # a Monday is the first
ORDINALS = ["first", "second", "third", "fourth", "fifth"]
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2029, 1, 1, tzinfo=UTC)
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(3 * 365 + 1)]  # the third year is a leap year
Moments = frozenset[tuple[int, int]]
IsDay = Callable[[date], bool]


# -- what a reader makes of the words ---------------------------------------------------------------------


def read(words: str) -> tuple[Moments, IsDay]:
    """The hours and minutes that *words* name, and whether they name a day."""
    head, found, months = words.rpartition(", in ")
    if not found or months.split(" ")[0].rstrip(",") not in MONTHS:
        head, months = words, "January through December"
    time, *days = re.split(r", (?:on )?(?=days? \d|the |[A-Z])", head, maxsplit=1)
    is_month, is_day = read_days(months), read_days(*days) if days else lambda day: True
    return read_time(time), lambda day: is_month(day) and is_day(day)


def read_time(text: str) -> Moments:
    text = text.removeprefix("Every day at ").removeprefix("At ")
    if re.match(r"\d\d:", text):
        return frozenset((int(one[:2]), int(one[3:])) for one in items(text))
    if found := re.fullmatch(r"minutes? (.+) of hours? (.+)", text):
        return each(numbers(found[2]), numbers(found[1]))
    if found := re.fullmatch(r"Every (?:(\d+) )?(minute|hour)s?(.*)", text):
        return read_rhythm(int(found[1] or 1), found[2], found[3])
    raise AssertionError(f"not of the grammar: {text}")


def read_rhythm(step: int, unit: str, rest: str) -> Moments:
    if found := re.fullmatch(r" at minutes? (.+)", rest):
        return each(range(24), numbers(found[1]))
    begin = 0
    if found := re.fullmatch(r", beginning at minute (\d+) of each hour,?(.*)", rest):
        begin, rest = int(found[1]), found[2]
    first, last = (0, begin), (23, 59)
    if found := re.fullmatch(r" from (\d\d):(\d\d) (?:on|through (\d\d):(\d\d))", rest):
        first = (int(found[1]), int(found[2]))
        last = (int(found[3]), int(found[4])) if found[3] else last
        rest, begin = "", first[1] % step if unit == "minute" else first[1]
    if unit == "hour":
        return frozenset((hour, begin) for hour in range(first[0], last[0] + 1, step))
    every = each(range(24), range(begin, 60, step))
    if found := re.fullmatch(r" in hours? (.+)", rest):
        hours = numbers(found[1])
        return frozenset(one for one in every if one[0] in hours)
    assert not rest
    return frozenset(one for one in every if first <= one <= last)


def read_days(text: str) -> IsDay:
    if " if it is " in text:
        both = [read_days(one) for one in text.split(" if it is ")]
        return lambda day: all(one(day) for one in both)
    if " or on " in text:
        either = [read_days(one) for one in text.split(" or on ")]
        return lambda day: any(one(day) for one in either)
    text = text.removesuffix(" of the month")
    if text == "the last day":
        return is_last
    if found := re.fullmatch(r"days? (.+)", text):
        plain = [one for one in items(found[1]) if one != "the last day"]
        dates, has_last = numbers(" and ".join(plain)), len(plain) < len(items(found[1]))
        return lambda day: day.day in dates or (has_last and is_last(day))
    named = [read_name(one) for one in items(text)]
    return lambda day: any(one(day) for one in named)


def is_last(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def read_name(name: str) -> IsDay:
    if name.startswith("the "):
        _, which, weekday = name.split(" ")
        named = WEEKDAYS.index(weekday)
        if which == "last":
            return lambda day: day.weekday() == named and (day + timedelta(days=7)).month != day.month
        number = ORDINALS.index(which)
        return lambda day: day.weekday() == named and (day.day - 1) // 7 == number
    first, _, last = name.partition(" through ")
    if first in MONTHS:
        return lambda day: MONTHS.index(first) < day.month <= MONTHS.index(last or first) + 1
    return lambda day: WEEKDAYS.index(first) <= day.weekday() <= WEEKDAYS.index(last or first)


def items(text: str) -> list[str]:
    return re.split(r", | and | or ", text)


def numbers(text: str) -> frozenset[int]:
    found: set[int] = set()
    for one in items(text):
        first, _, last = one.partition(" through ")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def each(hours: Iterable[int], minutes: Iterable[int]) -> Moments:
    return frozenset(product(hours, minutes))


# -- proof ------------------------------------------------------------------------------------------------


def terms(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    one = st.one_of(
        st.just("*"),
        st.builds(str, number),
        st.builds("*/{}".format, st.integers(1, max(high - 1, 2))),
        st.builds("{}/{}".format, number, st.integers(1, max(high // 2, 2))),
        st.tuples(number, number, st.integers(1, 4)).map(lambda of: f"{min(of[:2])}-{max(of[:2])}/{of[2]}"),
        *([st.sampled_from(more)] if more else []),
    )
    return st.one_of(one, one, st.lists(one, min_size=2, max_size=3).map(",".join))


EXPRESSIONS = st.tuples(
    terms(0, 59),
    terms(0, 23),
    st.one_of(st.just("*"), terms(1, 31, "L")),
    st.one_of(st.just("*"), terms(1, 12)),
    st.one_of(st.just("*"), terms(0, 7, "5L", "SUNL", "1#2", "MON#5", "0#1", "MON-FRI", "SAT-SUN")),
).map(" ".join)


@pytest.mark.slow
@given(EXPRESSIONS)
@settings(max_examples=examples(300), deadline=None)
def test_words_name_the_times_at_which_it_runs_and_no_others(expression: str) -> None:
    try:
        schedule = parse_schedule(expression, timezone="UTC", anchor=NEW_YEAR)
    except ScheduleError:
        assume(False)
    words = describe_schedule(expression, timezone="UTC")
    if words == expression:
        return  # too long for words

    assert len(words) <= MAX_WORDS_CHARS
    moments, is_day = read(words)
    assert days_of(schedule) == [day for day in DAYS if is_day(day)]
    first = schedule.next_after(NEW_YEAR)
    assert first is not None
    whole = schedule.occurrence_range(midnight(first), midnight(first) + timedelta(hours=23, minutes=59))
    assert whole is not None
    on_the_day = schedule.last_n(whole.first, whole.last, 1440)
    assert moments == {(at.hour, at.minute) for at in on_the_day}


def midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0)


def days_of(schedule: Schedule) -> list[date]:
    found: list[date] = []
    at = schedule.next_after(NEW_YEAR - timedelta(microseconds=1))
    while at is not None and at < END:
        found.append(at.date())
        at = schedule.next_after(at.replace(hour=23, minute=59, second=59))
    return found


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 1,15 * 1-5", "At 00:00, on days 1 and 15 of the month or on Monday through Friday"),
        ("0 0 */10 * 1", "At 00:00, on days 1, 11, 21 and 31 of the month if it is Monday"),
        ("59/15 * * * *", "Every hour at minute 59"),
        ("*/50 * * * *", "Every hour at minutes 0 and 50"),
        ("*/7 * * * *", "Every hour at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
        ("0 */5 * * *", "Every day at 00:00, 05:00, 10:00, 15:00 and 20:00"),
        ("5/15 9-17 * * *", "Every 15 minutes from 09:05 through 17:50"),
        ("3/15 8,20 * * *", "Every 15 minutes, beginning at minute 3 of each hour, in hours 8 and 20"),
        ("0 9 */21 * 6L", "At 09:00, on days 1 and 22 of the month if it is the last Saturday of the month"),
        (
            "0 0 1,L * 1#2,5L",
            "At 00:00, on day 1 and the last day of the month"
            " or on the second Monday and the last Friday of the month",
        ),
        ("0 0 * * 5L,1#2", "At 00:00, on the second Monday and the last Friday of the month"),
        ("0 0 1-31 * 1", "Every day at 00:00"),
        ("0 0 1-31 2-4 1", "Every day at 00:00, in February through April"),
    ],
)
def test_what_is_easily_misread(expression: str, words: str) -> None:
    assert words == describe_schedule(expression, timezone="UTC")


def test_a_sentence_too_long_to_help_gives_way_to_the_expression() -> None:
    expression = "*/7 1,4,9,12,17 2,5,8,11,14,17,20,23 2,4,7,9,11 2,4"

    assert expression == describe_schedule(expression, timezone="UTC")


def test_a_reader_of_wrong_words_would_notice() -> None:
    """The proof can fail: the words that a library gave, read as anyone reads them."""
    moments, _ = read("Every 50 minutes")

    assert (1, 0) in moments
    _, is_day = read("At 00:00, on days 1 and 15 of the month if it is Monday through Friday")
    assert not is_day(date(2026, 11, 16))  # a Monday, on which `0 0 1,15 * 1-5` runs
