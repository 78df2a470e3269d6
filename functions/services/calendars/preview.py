"""The days of a schedule that is looked at before it is saved: read from text, calendars included."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days.closed import DayRule, OnExcluded
from functions.domain.schedule.days.entries import (
    calendar_names,
    names_holidays,
    split_entries,
)
from functions.domain.schedule.days.public_holidays import check_entries
from functions.domain.schedule.occurrences import day_rule
from functions.domain.schedule.parse import EVERY_DAY
from functions.errors import InputError
from functions.interfaces import DocumentStore
from functions.services.calendars.book import find_days
from functions.services.calendars.loading import load_holidays, load_holidays_for_text


@dataclass(frozen=True, slots=True)
class PreviewDays:
    """Days as they are written, in their plainest spelling, and what they mean."""

    excluded: tuple[str, ...] = ()
    rule: DayRule = EVERY_DAY


async def read_days(
    open_store: Callable[[], DocumentStore], written: object, policy: str = "skip", *, owner: str = ""
) -> PreviewDays:
    """Return the days that *written* means as `except` of a task of *owner*; reads the calendars it names.

    Args:
        open_store: Called only then. A list may hold several days in one text, with commas between them.

    Raises:
        InputError: They are not understood, or a calendar or a country is not known.
    """
    if policy not in get_args(OnExcluded):
        raise InputError("onExcluded: must be skip, next or previous")
    texts = split_entries(written)
    if not isinstance(texts, (list, tuple)) or not all(isinstance(one, str) for one in texts):
        raise InputError("except: must be a list of days")
    texts = [part for one in texts for part in one.split(",")]
    await load_holidays_for_text(texts)
    try:
        excluded = check_entries(texts)
    except ScheduleError as exc:
        raise InputError(f"except: {exc}") from None
    if not excluded and policy == "skip":
        return PreviewDays()
    names = calendar_names(excluded)
    days = await find_days(open_store(), [(owner, name) for name in names]) if names else {}
    calendars = {one.name: one.entries for one in days.values()}
    if any(map(names_holidays, calendars.values())):
        await load_holidays()
    return PreviewDays(excluded, day_rule(excluded, policy, calendars))  # type: ignore[arg-type]  # checked above
