"""Cron schedules in English, made from the very sets of numbers that decide when they run.

The words are those of a small grammar, which the tests parse back: no sentence can mean other times than run.
"""

from collections.abc import Callable, Iterable, Sequence

from functions.domain.schedule.calendar import LAST_IN_MONTH, DayMatcher, WallTimes

MAX_WORDS_CHARS = 160  # a longer sentence explains less than the expression
MAX_MOMENTS = 6  # times of day that are listed one by one
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", LAST_IN_MONTH: "last"}


def describe_wall_times(times: WallTimes) -> str:
    """Return when *times* are, e.g. `At 09:30, Monday through Friday`; empty when that would be too long."""
    assert isinstance(times.days, DayMatcher)
    days = _describe_days(times.days)
    text = _describe_times(times.minutes, times.hours)
    if not days and text.startswith("At "):
        text = f"Every day at {text.removeprefix('At ')}"
    if len(times.days.months) < 12:
        names = _runs(sorted(times.days.months), lambda month: MONTHS[month - 1])
        days += f", in {_join(names, 'and')}"
    found = text + days
    return found if len(found) <= MAX_WORDS_CHARS else ""


def _describe_times(minutes: Sequence[int], hours: Sequence[int]) -> str:
    if step := even_step(minutes, 60):
        return _describe_minute_steps(step, minutes, hours)
    first, last = clock_text(hours[0], minutes[0]), clock_text(hours[-1], minutes[-1])
    if len(hours) == 24:
        return "Every hour" if minutes == (0,) else f"Every hour at {_describe_numbers('minute', minutes)}"
    if len(minutes) * len(hours) <= MAX_MOMENTS:
        return f"At {_join([clock_text(hour, minute) for hour in hours for minute in minutes], 'and')}"
    if len(minutes) == 1 and is_run(hours):
        return f"Every hour from {first} through {last}"
    if len(minutes) == 1 and (step := even_step(hours, 24)):
        return f"Every {step} hours" + ("" if first == "00:00" else f" from {first} on")
    return f"At {_describe_numbers('minute', minutes)} of {_describe_numbers('hour', hours)}"


def _describe_minute_steps(step: int, minutes: Sequence[int], hours: Sequence[int]) -> str:
    text = "Every minute" if step == 1 else f"Every {step} minutes"
    begin = f", beginning at minute {minutes[0]} of each hour" if minutes[0] else ""
    if len(hours) == 24:
        return text + begin
    if is_run(hours):
        first, last = clock_text(hours[0], minutes[0]), clock_text(hours[-1], minutes[-1])
        return f"{text} from {first} through {last}"
    return f"{text}{begin + ',' if begin else ''} in {_describe_numbers('hour', hours)}"


def _describe_days(days: DayMatcher) -> str:
    """Return a clause that begins with a comma; empty for every day."""
    is_any_date, is_any_weekday = len(days.dates) == 31, len(days.weekdays) == 7
    if days.requires_both:
        if is_any_date:
            return "" if is_any_weekday else _on_weekdays(days)
        weekdays = "" if is_any_weekday else f" if it is {_weekday_list(days, 'or')}"
        return f", on {_date_list(days)}{weekdays}"
    if is_any_date or is_any_weekday:
        return ""
    if not days.dates and not days.last_date:
        return _on_weekdays(days)
    return f", on {_date_list(days)} or on {_weekday_list(days, 'and')}"


def _on_weekdays(days: DayMatcher) -> str:
    text = _weekday_list(days, "and")
    is_range = " through " in text and "," not in text and " and " not in text
    return f", {text}" if is_range else f", on {text}"


def _date_list(days: DayMatcher) -> str:
    dates = _runs(sorted(days.dates), str)
    if not days.last_date:
        return f"{_plural('day', days.dates)} {_join(dates, 'and')} of the month"
    if not dates:
        return "the last day of the month"
    return f"{_plural('day', days.dates)} {_join([*dates, 'the last day'], 'and')} of the month"


def _weekday_list(days: DayMatcher, conjunction: str) -> str:
    plain = _runs(sorted((day - 1) % 7 for day in days.weekdays), lambda day: WEEKDAYS[(day + 1) % 7])
    special = sorted(
        (which or 6, day) for day, which in days.nth_weekdays if day not in days.weekdays
    )  # the last comes after the fifth
    named = [f"the {ORDINALS[which % 6]} {WEEKDAYS[day]}" for which, day in special]
    return _join([*plain, *named], conjunction) + (" of the month" if named else "")


def _describe_numbers(noun: str, numbers: Sequence[int]) -> str:
    return f"{_plural(noun, numbers)} {_join(_runs(numbers, str), 'and')}"


def _plural(noun: str, items: Iterable[object]) -> str:
    return noun if len(list(items)) == 1 else f"{noun}s"


def _runs(numbers: Sequence[int], name: Callable[[int], str]) -> list[str]:
    """*numbers*, ascending, by name; three and more in a row as one range."""
    return [
        name(first) if first == last else f"{name(first)} through {name(last)}"
        for first, last in runs_of(numbers)
    ]


def runs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of *numbers*, ascending; fewer than three are each alone."""
    found: list[tuple[int, int]] = []
    start = 0
    for end in range(1, len(numbers) + 1):
        if end < len(numbers) and numbers[end] == numbers[end - 1] + 1:
            continue
        run = numbers[start:end]
        found += [(run[0], run[-1])] if len(run) >= 3 else [(one, one) for one in run]
        start = end
    return found


def _join(items: Sequence[str], conjunction: str) -> str:
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}" if len(items) > 1 else items[0]


def even_step(numbers: Sequence[int], size: int) -> int:
    """The step by which *numbers* divide *size* evenly, without a gap at its end; 0 when they do not.

    Minutes 0, 15, 30, 45 do, and 5, 20, 35, 50; 0 and 50 do not: the next hour's is 10 minutes later.
    """
    if len(numbers) < 2:
        return 0
    step = numbers[1] - numbers[0]
    is_even = size % step == 0 and tuple(numbers) == tuple(range(numbers[0] % step, size, step))
    return step if is_even else 0


def is_run(numbers: Sequence[int]) -> bool:
    """Whether *numbers* follow one another without a gap."""
    return numbers[-1] - numbers[0] == len(numbers) - 1


def clock_text(hour: int, minute: int) -> str:
    """Return a time of day, e.g. `09:30`."""
    return f"{hour:02}:{minute:02}"
