"""Time zones as a schedule needs them: the offset from UTC in each period, and names that are no zone."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from difflib import get_close_matches
from functools import lru_cache, partial
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator

from functions.domain.schedule.base import FIRST_SECOND, LAST_SECOND, ClockChange, ScheduleError, instant_at
from functions.domain.types import find_timezone, timezone_names, timezone_or_utc

DAY = 86_400
BLOCK_BITS = 25  # periods are computed in blocks of 2**25 seconds, about a year, when first needed
MAX_BLOCKS = 64  # of a zone: what the longest search needs; there are 600 zones and 7,000 years
OFFSET_PATTERN = re.compile(r"(?:(?:Etc/)?(?:UTC|GMT))?[+-]?\d{1,2}(?::?\d{2})?", re.IGNORECASE)
ABBREVIATIONS = {  # the likeliest place; several zones share each abbreviation
    "ACDT": "Australia/Adelaide", "ACST": "Australia/Adelaide",
    "ADT": "America/Halifax", "AST": "America/Halifax",
    "AEDT": "Australia/Sydney", "AEST": "Australia/Sydney",
    "AKDT": "America/Anchorage", "AKST": "America/Anchorage",
    "ART": "America/Argentina/Buenos_Aires", "BRT": "America/Sao_Paulo",
    "AWST": "Australia/Perth",
    "BST": "Europe/London", "WET": "Europe/Lisbon", "WEST": "Europe/Lisbon",
    "CDT": "America/Chicago", "CST": "America/Chicago", "CST6CDT": "America/Chicago", "CT": "America/Chicago",
    "CEST": "Europe/Berlin", "CET": "Europe/Berlin", "MET": "Europe/Berlin",
    "EAT": "Africa/Nairobi", "SAST": "Africa/Johannesburg", "WAT": "Africa/Lagos",
    "EDT": "America/New_York", "EST": "America/New_York", "EST5EDT": "America/New_York",
    "ET": "America/New_York",
    "EEST": "Europe/Athens", "EET": "Europe/Athens",
    "HKT": "Asia/Hong_Kong", "HST": "Pacific/Honolulu", "ICT": "Asia/Bangkok", "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "PHT": "Asia/Manila", "PKT": "Asia/Karachi",
    "SGT": "Asia/Singapore", "WIB": "Asia/Jakarta",
    "MDT": "America/Denver", "MST": "America/Denver", "MST7MDT": "America/Denver", "MT": "America/Denver",
    "MSK": "Europe/Moscow", "TRT": "Europe/Istanbul",
    "NZDT": "Pacific/Auckland", "NZST": "Pacific/Auckland",
    "PDT": "America/Los_Angeles", "PST": "America/Los_Angeles", "PST8PDT": "America/Los_Angeles",
    "PT": "America/Los_Angeles",
}  # fmt: skip
OTHER_NAMES = {  # of Windows, and of places whose zone has the name of another city; in lower case
    "z": "UTC", "pytz.utc": "UTC", "etc/unknown": "UTC",
    "asia/beijing": "Asia/Shanghai", "beijing": "Asia/Shanghai", "china standard time": "Asia/Shanghai",
    "india": "Asia/Kolkata", "mumbai": "Asia/Kolkata", "india standard time": "Asia/Kolkata",
    "tokyo standard time": "Asia/Tokyo", "korea standard time": "Asia/Seoul",
    "singapore standard time": "Asia/Singapore", "arabian standard time": "Asia/Dubai",
    "gmt standard time": "Europe/London", "greenwich standard time": "Africa/Abidjan",
    "w. europe standard time": "Europe/Berlin", "romance standard time": "Europe/Paris",
    "central europe standard time": "Europe/Budapest", "central european standard time": "Europe/Warsaw",
    "fle standard time": "Europe/Kyiv", "gtb standard time": "Europe/Bucharest",
    "russian standard time": "Europe/Moscow", "turkey standard time": "Europe/Istanbul",
    "israel standard time": "Asia/Jerusalem", "egypt standard time": "Africa/Cairo",
    "south africa standard time": "Africa/Johannesburg",
    "eastern standard time": "America/New_York", "central standard time": "America/Chicago",
    "mountain standard time": "America/Denver", "us mountain standard time": "America/Phoenix",
    "pacific standard time": "America/Los_Angeles", "pacific time": "America/Los_Angeles",
    "eastern time": "America/New_York", "central time": "America/Chicago",
    "mountain time": "America/Denver", "atlantic standard time": "America/Halifax",
    "e. south america standard time": "America/Sao_Paulo",
    "argentina standard time": "America/Argentina/Buenos_Aires",
    "aus eastern standard time": "Australia/Sydney", "w. australia standard time": "Australia/Perth",
    "new zealand standard time": "Pacific/Auckland",
    "san francisco": "America/Los_Angeles", "washington": "America/New_York",
}  # fmt: skip
THIS_MACHINE = ("local", "localtime", "tzlocal()", "system")


@dataclass(frozen=True, slots=True)
class OffsetPeriod:
    """A stretch of time during which a zone keeps one offset. Seconds since 1970 in UTC.

    Attributes:
        start: Its first second.
        end: The first second after it.
        offset: What is added to UTC to get the wall clock, in seconds.
        previous_offset: The offset until *start*; the same as *offset* where only a block begins.
        valid_from_local: The latest wall-clock time shown before *start*; later ones are new in this period.
    """

    start: int
    end: int
    offset: int
    previous_offset: int
    valid_from_local: int


class Zone:
    """One IANA zone. Its periods are computed day by day, and some of them cached."""

    def __init__(self, name: str, info: tzinfo) -> None:
        self.name = name
        self._info = info
        self._blocks: dict[int, tuple[OffsetPeriod, ...]] = {}

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    def offset_period(self, second: int) -> OffsetPeriod:
        """Return the period that *second* lies in."""
        number = second >> BLOCK_BITS
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= MAX_BLOCKS:
                self._blocks.clear()
            block = self._blocks[number] = tuple(
                self._find_offset_periods(number << BLOCK_BITS, (number + 1) << BLOCK_BITS)
            )
        for period in block:
            if second < period.end:
                return period
        raise AssertionError("a block has no hole")

    def offset_periods(self, first: int, until: int) -> Iterator[OffsetPeriod]:
        """Yield the periods that share a second with *first* to *until*, both included, in order."""
        while first <= until:
            period = self.offset_period(first)
            yield period
            first = period.end

    def utc_second(self, wall: int) -> int:
        """When the wall clock shows *wall*: the first time if it does twice, the end of the gap if never."""
        for period in self.offset_periods(wall - 2 * DAY, wall + 2 * DAY):
            if wall < period.end + period.offset:
                return max(period.start, wall - period.offset)
        raise AssertionError("no zone is two days away from UTC")

    def _find_offset_periods(self, begin: int, end: int) -> Iterator[OffsetPeriod]:
        start, before = begin, self._offset(begin - 1)
        reached = begin + before
        for at, old in self._offset_changes(
            begin - 2 * DAY, end
        ):  # a repeat may still be going on at the start
            if at > begin:
                yield OffsetPeriod(start, at, old, before, reached)
                start, before = at, old
            reached = max(reached, at + old)
        yield OffsetPeriod(start, end, self._offset(end - 1), before, reached)

    def _offset_changes(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield when an offset ends, and which, after *first* and before *end*."""
        for early, late in pairwise([*range(first, end, DAY), end - 1]):
            while (offset := self._offset(early)) != self._offset(late):
                early += bisect_left(range(early, late), True, key=partial(self._has_other_offset, offset))
                yield early, offset

    def _has_other_offset(self, offset: int, second: int) -> bool:
        return self._offset(second) != offset

    def _offset(self, second: int) -> int:
        known = min(max(second, FIRST_SECOND), LAST_SECOND)
        offset = datetime.fromtimestamp(known, self._info).utcoffset()
        assert offset is not None
        return offset.days * DAY + offset.seconds


@lru_cache(maxsize=1024)
def load_zone(name: str) -> Zone:
    """Return the zone called *name*.

    Raises:
        ScheduleError: It is not an IANA name, or one that stands for an offset and not for a place.
    """
    info = find_timezone(name)
    if info is None or name in ABBREVIATIONS or name == "Factory" or OFFSET_PATTERN.fullmatch(name):
        raise ScheduleError(_rejection_message(name))
    return Zone(name, info)


@lru_cache(maxsize=1024)
def load_clock(name: str) -> Zone:
    """Return the zone called *name*, which need be no place, for times of day; UTC when there is none."""
    return Zone(name, timezone_or_utc(name))


def _check_place(name: str) -> str:
    try:
        return load_zone(name).name
    except ScheduleError as exc:
        raise ValueError(str(exc).removeprefix("timezone: ")) from None


PlaceName = Annotated[str, AfterValidator(_check_place)]  # what the `timezone` of a task may be


def _rejection_message(name: str) -> str:
    name = name.encode(errors="replace").decode()  # pydantic passes on no text with half of a surrogate pair
    if not name.strip():
        return "timezone: it is empty; write a place such as Europe/Riga, or UTC"
    if OFFSET_PATTERN.fullmatch(name.replace(" ", "")):
        return (
            f"timezone: {name} is an offset, which knows no daylight saving; "
            "write a place such as Europe/Riga, or UTC"
        )
    if place := ABBREVIATIONS.get(name.upper()):
        return f"timezone: {name} is an abbreviation, not a zone; write a place such as {place}"
    if name.strip().lower() in THIS_MACHINE:
        return f"timezone: {name} is another zone on each machine; write a place such as Europe/Riga, or UTC"
    near = _similar_names(name)
    remedy = f"did you mean {' or '.join(near)}?" if near else "write a place such as Europe/Riga, or UTC"
    return f'timezone: "{name[:64]}" is not an IANA zone; {remedy}'


def _similar_names(name: str) -> list[str]:
    if place := OTHER_NAMES.get(re.sub(r" \(.*", "", name.strip().lower())):
        return [place]
    wanted = name.strip().replace(" ", "_").lower()
    by_key = {}
    for known in sorted(timezone_names() - ABBREVIATIONS.keys() - {"Factory"}):
        by_key[known.rpartition("/")[2].lower()] = known
        by_key[known.lower()] = known
    found = [wanted] if wanted in by_key else get_close_matches(wanted, by_key, n=2, cutoff=0.75)
    return list(dict.fromkeys(by_key[key] for key in found))


def describe_dst_gap(
    zone_name: str, period: OffsetPeriod, *, first: int, last: int, count: int, has_fixed_times: bool
) -> ClockChange:
    """The clocks go forward as *period* begins; *count* wall-clock times from *first* to *last* are missing.

    Fixed times run once, at the end of the gap; otherwise not at all.
    """
    left_out = "this run is left out" if count == 1 else f"these {count} runs are left out"
    fate = f"runs once, at {instant_at(period.start + period.offset):%H:%M}" if has_fixed_times else left_out
    text = f"{_format_times(first, last)} does not exist in {zone_name}: {fate}"
    return ClockChange(instant_at(period.start), "gap", text)


def describe_dst_overlap(
    zone_name: str, period: OffsetPeriod, *, first: int, last: int, has_fixed_times: bool
) -> ClockChange:
    """The clocks go back where *period* begins; wall-clock times from *first* to *last* come twice.

    Fixed times run the first time only; otherwise both times.
    """
    fate = "runs once, the first time" if has_fixed_times else "runs both times"
    return ClockChange(
        instant_at(period.start),
        "repeat",
        f"{_format_times(first, last)} happens twice in {zone_name}: {fate}",
    )


def _format_times(first: int, last: int) -> str:
    text = f"{instant_at(first):%Y-%m-%d %H:%M}"
    if last == first:
        return text
    same_day = f"{instant_at(first):%Y-%m-%d}" == f"{instant_at(last):%Y-%m-%d}"
    return f"{text} to {instant_at(last):{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}}"
