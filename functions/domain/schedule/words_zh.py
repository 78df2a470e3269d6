"""Cron schedules in Chinese; what `words` does in English, with the same meaning for the same numbers."""

from collections.abc import Callable, Sequence

from functions.domain.schedule.calendar import LAST_IN_MONTH, DayMatcher, WallTimes
from functions.domain.schedule.words import (
    MAX_MOMENTS,
    MAX_WORDS_CHARS,
    clock_text,
    even_step,
    is_run,
    runs_of,
)

WEEKDAYS = ("周日", "周一", "周二", "周三", "周四", "周五", "周六")
ORDINALS = {1: "第一个", 2: "第二个", 3: "第三个", 4: "第四个", 5: "第五个", LAST_IN_MONTH: "最后一个"}
LIST_MARK = "、"


def describe_wall_times(times: WallTimes) -> str:
    """Return when *times* are, e.g. `周一至周五 09:30`; empty when that would be too long."""
    months = ""
    assert isinstance(times.days, DayMatcher)
    if len(times.days.months) < 12:
        months = _list(sorted(times.days.months), "{} 月")
    days = _describe_days(times.days)
    text = _describe_times(times.minutes, times.hours)
    when = f"{months}{days}" or ("每天" if text[0].isdigit() else "")
    found = f"{when} {text}".strip() if text[0].isdigit() else f"{when}，{text}".strip("，")
    return found if len(found) <= MAX_WORDS_CHARS else ""


def _describe_times(minutes: Sequence[int], hours: Sequence[int]) -> str:
    if step := even_step(minutes, 60):
        return _describe_minute_steps(step, minutes, hours)
    first, last = clock_text(hours[0], minutes[0]), clock_text(hours[-1], minutes[-1])
    if len(hours) == 24:
        return "每小时整点" if minutes == (0,) else f"每小时第 {_list(minutes, '{}')} 分"
    if len(minutes) * len(hours) <= MAX_MOMENTS:
        return LIST_MARK.join(clock_text(hour, minute) for hour in hours for minute in minutes)
    if len(minutes) == 1 and is_run(hours):
        return f"每小时一次，从 {first} 到 {last}"
    if len(minutes) == 1 and (step := even_step(hours, 24)):
        return f"每 {step} 小时" + ("" if first == "00:00" else f"，从 {first} 开始")
    return f"在 {_list(hours, '{}')} 点的第 {_list(minutes, '{}')} 分"


def _describe_minute_steps(step: int, minutes: Sequence[int], hours: Sequence[int]) -> str:
    text = "每分钟" if step == 1 else f"每 {step} 分钟"
    begin = f"（从每小时第 {minutes[0]} 分开始）" if minutes[0] else ""
    if len(hours) == 24:
        return text + begin
    if is_run(hours):
        return f"{text}，从 {clock_text(hours[0], minutes[0])} 到 {clock_text(hours[-1], minutes[-1])}"
    return f"{text}{begin}，在 {_list(hours, '{}')} 点"


def _describe_days(days: DayMatcher) -> str:
    is_any_date, is_any_weekday = len(days.dates) == 31, len(days.weekdays) == 7
    if days.requires_both:
        if is_any_date:
            return "" if is_any_weekday else _weekday_list(days)
        return _date_list(days) + ("" if is_any_weekday else f"且为{_weekday_list(days)}")
    if is_any_date or is_any_weekday:
        return ""
    if not days.dates and not days.last_date:
        return _weekday_list(days)
    return f"{_date_list(days)}或{_weekday_list(days)}"


def _date_list(days: DayMatcher) -> str:
    dates = _list(sorted(days.dates), "{} 日") if days.dates else ""
    return "每月 " + LIST_MARK.join(filter(None, (dates, "最后一天" if days.last_date else "")))


def _weekday_list(days: DayMatcher) -> str:
    plain = _name_runs(sorted((day - 1) % 7 for day in days.weekdays), lambda day: WEEKDAYS[(day + 1) % 7])
    special = sorted((which or 6, day) for day, which in days.nth_weekdays if day not in days.weekdays)
    named = [f"{ORDINALS[which % 6]}{WEEKDAYS[day]}" for which, day in special]
    return LIST_MARK.join([*plain, *([f"每月{LIST_MARK.join(named)}"] if named else [])])


def _list(numbers: Sequence[int], form: str) -> str:
    return LIST_MARK.join(_name_runs(numbers, form.format))


def _name_runs(numbers: Sequence[int], name: Callable[[int], str]) -> list[str]:
    return [
        f"{name(first)}至{name(last)}" if first != last else name(first) for first, last in runs_of(numbers)
    ]
