"""A task's days in words, in English and in Chinese: the excluded ones, and business days."""

from collections.abc import Sequence

from functions.domain.schedule.days.closed import OnExcluded
from functions.domain.schedule.days.entries import (
    CalendarName,
    DateRange,
    Entry,
    PublicHolidays,
    Weekdays,
    Weekends,
    YearlyRange,
    parse_entry,
)
from functions.domain.schedule.days.phrases import ALL_MONTHS, BusinessDayPhrase, ordinal
from functions.domain.schedule.words import MONTHS, WEEKDAYS, clock_text
from functions.domain.schedule.words_zh import WEEKDAYS as WEEKDAYS_ZH

MAX_NAMED = 4  # entries that are named; of more the others are counted


def business_days_in_english(phrase: BusinessDayPhrase) -> str:
    """Return e.g. `At 09:00 on the first business day of the month`."""
    time = clock_text(phrase.hour, phrase.minute)
    names = [MONTHS[month - 1] for month in sorted(phrase.months)]
    if phrase.place is None:
        months = "" if phrase.months == ALL_MONTHS else f" of {_join(names, 'and')}"
        return f"At {time} on every business day{months}"
    place = ordinal(phrase.place) if phrase.place > 0 else _last(phrase.place)
    months = "the month" if phrase.months == ALL_MONTHS else _join(names, "and")
    return f"At {time} on the {place} business day of {months}"


def business_days_in_chinese(phrase: BusinessDayPhrase) -> str:
    """Return e.g. `每月第一个工作日 09:00`, as `business_days_in_english`."""
    time = clock_text(phrase.hour, phrase.minute)
    names = "、".join(str(month) for month in sorted(phrase.months))
    months = "每月" if phrase.months == ALL_MONTHS else f"{names} 月"
    if phrase.place is None:
        return f"{'每个' if phrase.months == ALL_MONTHS else f'{months}每个'}工作日 {time}"
    if phrase.place == -1:
        return f"{months}最后一个工作日 {time}"
    place = f"第 {phrase.place} 个" if phrase.place > 0 else f"倒数第 {-phrase.place} 个"
    return f"{months}{place}工作日 {time}"


def days_in_english(entries: Sequence[str], policy: OnExcluded) -> str:
    """Return a clause to follow a schedule in words, e.g. `, except on weekends and public holidays (LV)`."""
    if policy == "skip":
        return f", except on {_name_entries(entries, 'and')}" if entries else ""
    others = [one for one in entries if one != "weekends"]
    named = ["in a weekend", *(f"on {_in_english(parse_entry(text))}" for text in others[:MAX_NAMED])]
    if len(others) > MAX_NAMED:
        named.append(f"on {len(others) - MAX_NAMED} more")
    which = "next" if policy == "next" else "previous"
    return f"; on the {which} business day when that is {_join(named, 'or')}"


def days_in_chinese(entries: Sequence[str], policy: OnExcluded) -> str:
    """As `days_in_english`."""
    if policy != "skip":
        entries = [one for one in entries if one != "weekends"]
    found = [_in_chinese(parse_entry(text)) for text in entries[:MAX_NAMED]]
    if len(entries) > MAX_NAMED:
        found.append(f"另外 {len(entries) - MAX_NAMED} 项")
    days = "、".join(found)
    if policy == "skip":
        return f"，{days}除外" if entries else ""
    which = "后" if policy == "next" else "前"
    return f"；遇周末{'、' + days if days else ''}则改在{which}一个工作日"


def _name_entries(entries: Sequence[str], conjunction: str) -> str:
    found = [_in_english(parse_entry(text)) for text in entries[:MAX_NAMED]]
    if len(entries) > MAX_NAMED:
        found.append(f"{len(entries) - MAX_NAMED} more")
    return _join(found, conjunction)


def _in_english(entry: Entry) -> str:
    match entry:
        case PublicHolidays():
            return f"public holidays ({str(entry).removeprefix('holidays:')})"
        case CalendarName():
            return f"days of {entry.name}"
        case Weekdays():
            names = [f"{WEEKDAYS[day]}s" for day in (entry.first, entry.last)]
            return names[0] if entry.first == entry.last else f"{names[0]} through {names[1]}"
        case Weekends():
            if entry.is_none:
                return "no weekends"
            return f"weekends ({entry.days})" if entry.days else "weekends"
        case DateRange() | YearlyRange():
            return str(entry).replace("..", " to ")


def _in_chinese(entry: Entry) -> str:
    match entry:
        case PublicHolidays():
            return f"公共假日（{str(entry).removeprefix('holidays:')}）"
        case CalendarName():
            return f"日历 {entry.name} 的日期"
        case Weekdays():
            first, last = WEEKDAYS_ZH[entry.first], WEEKDAYS_ZH[entry.last]
            return first if first == last else f"{first}至{last}"
        case Weekends():
            if entry.is_none:
                return "无周末"
            days = entry.days
            return f"周末（{WEEKDAYS_ZH[days.first]}至{WEEKDAYS_ZH[days.last]}）" if days else "周末"
        case DateRange() | YearlyRange():
            return str(entry).replace("..", " 至 ")


def _last(place: int) -> str:
    return "last" if place == -1 else f"{ordinal(-place)} last"


def _join(items: Sequence[str], conjunction: str) -> str:
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}" if len(items) > 1 else items[0]
