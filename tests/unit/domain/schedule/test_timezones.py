"""Zones: which names are accepted, and the eras between changes of their clocks."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from functions.domain.schedule.base import instant_at
from functions.domain.schedule.cron import CronSchedule, has_fixed_times, parse_wall_times
from functions.domain.schedule.parse import ScheduleError, parse_schedule
from functions.domain.schedule.timezones import ABBREVIATIONS, BLOCK_BITS, OTHER_NAMES, Zone, load_zone

BORDER = 54 << BLOCK_BITS  # where two blocks of eras meet, in 2027
HOUR = 3600


@pytest.mark.parametrize(
    "name",
    ["UTC", "GMT", "Etc/UTC", "Europe/Riga", "America/Argentina/Buenos_Aires", "Asia/Calcutta", "Japan"],
)
def test_names_of_places_are_accepted(name: str) -> None:
    """Older names of the same place as well: people have them in their settings."""
    assert name == load_zone(name).name


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        (" ", "it is empty; write a place such as Europe/Riga, or UTC"),
        (
            "UTC+2",
            "UTC+2 is an offset, which knows no daylight saving; write a place such as Europe/Riga, or UTC",
        ),
        ("EST5EDT", "EST5EDT is an abbreviation, not a zone; write a place such as America/New_York"),
        ("cet", "cet is an abbreviation, not a zone; write a place such as Europe/Berlin"),
        ("europe/riga", '"europe/riga" is not an IANA zone; did you mean Europe/Riga?'),
        ("New York", '"New York" is not an IANA zone; did you mean America/New_York?'),
        ("Europe/Rigaa", '"Europe/Rigaa" is not an IANA zone; did you mean Europe/Riga or Europe/Sofia?'),
        ("AKST", "AKST is an abbreviation, not a zone; write a place such as America/Anchorage"),
        ("nzdt", "nzdt is an abbreviation, not a zone; write a place such as Pacific/Auckland"),
        (
            "W. Europe Standard Time",
            '"W. Europe Standard Time" is not an IANA zone; did you mean Europe/Berlin?',
        ),
        (
            "Eastern Time (US & Canada)",
            '"Eastern Time (US & Canada)" is not an IANA zone; did you mean America/New_York?',
        ),
        ("Asia/Beijing", '"Asia/Beijing" is not an IANA zone; did you mean Asia/Shanghai?'),
        ("Z", '"Z" is not an IANA zone; did you mean UTC?'),
        (
            "localtime",
            "localtime is another zone on each machine; write a place such as Europe/Riga, or UTC",
        ),
        ("Nowhere", '"Nowhere" is not an IANA zone; write a place such as Europe/Riga, or UTC'),
    ],
)
def test_a_refusal_names_the_fault_and_the_remedy(name: str, refusal: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("0 9 * * *", timezone=name, anchor=datetime(2026, 1, 1, tzinfo=UTC))

    assert f"timezone: {refusal}" == str(refused.value)


@pytest.mark.parametrize(
    "name", ["+02:00", "-5", "GMT-3", "GMT0", "UTC+05:30", "Etc/GMT+5", "etc/gmt-14", "utc+2", "+0530"]
)
def test_offsets_are_refused_as_offsets(name: str) -> None:
    """They are right for half of the year, which is worse than never."""
    with pytest.raises(ScheduleError, match="is an offset"):
        load_zone(name)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "Europe", "Factory", "zones", "Europe/riga"])
def test_what_is_not_a_zone_is_refused_before_any_file_is_opened(name: str) -> None:
    with pytest.raises(ScheduleError, match="is not an IANA zone"):
        load_zone(name)


def test_eras_join_without_a_hole_and_change_where_the_clocks_do() -> None:
    new_york = load_zone("America/New_York")
    first, until = stamp("2026-01-01T00:00"), stamp("2027-01-01T00:00")

    eras = list(new_york.offset_periods(first, until))

    assert [early.end for early in eras[:-1]] == [late.start for late in eras[1:]]
    assert [early.offset for early in eras[:-1]] == [late.previous_offset for late in eras[1:]]
    assert [stamp("2026-03-08T07:00"), stamp("2026-11-01T06:00")] == [
        era.start for era in eras if era.previous_offset != era.offset and first < era.start
    ]


def test_two_changes_in_one_day_are_both_found() -> None:
    """No zone does that today; a zone that will must not be read wrong."""
    noon = BORDER + 100 * 24 * HOUR
    odd = Zone("Odd", Clock([(noon, 0), (noon + 5 * HOUR, HOUR)], at_last=3 * HOUR))

    found = [(era.start, era.offset) for era in odd.offset_periods(noon, noon + 24 * HOUR)]

    assert [(noon, HOUR), (noon + 5 * HOUR, 3 * HOUR)] == found


@pytest.mark.parametrize("from_border_min", [-60, -59, -10, -1, 0, 1, 10])
def test_fixed_times_run_once_where_a_repeat_meets_the_border_of_a_block(from_border_min: int) -> None:
    """How the zone is cut for speed must show nowhere."""
    change = (BORDER // 60 + from_border_min) * 60
    zone_ = Zone("Back", Clock([(change, 2 * HOUR)], at_last=HOUR))
    schedule = CronSchedule(
        "", parse_wall_times("0-59 0-23 * * *"), zone_, has_fixed_times("0-59 0-23 * * *")
    )
    before, after = instant_at(change) - timedelta(minutes=1), instant_at(change) + timedelta(hours=1)

    assert after == schedule.next_after(before)
    assert [before, after] == schedule.last_n(before, after, 9)


def stamp(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


class Clock(tzinfo):
    """A zone of our own making: each offset with the second at which it ends, and the one after them."""

    def __init__(self, ends: list[tuple[int, int]], *, at_last: int) -> None:
        self.ends, self.at_last = ends, at_last

    def fromutc(self, dt: datetime) -> datetime:
        second = int(dt.replace(tzinfo=UTC).timestamp())
        wall = dt + timedelta(seconds=self.offset_at(second))
        # Python asks back by wall clock; the fold says which of two instants was meant.
        return wall.replace(fold=int(self._candidates(wall)[0] != second))

    def utcoffset(self, dt: datetime | None) -> timedelta:
        assert dt is not None
        candidates = self._candidates(dt)
        wall = int(dt.replace(tzinfo=UTC).timestamp())
        return timedelta(seconds=wall - candidates[dt.fold and -1])

    def dst(self, dt: datetime | None) -> None:
        return None

    def tzname(self, dt: datetime | None) -> str:
        return "odd"

    def offset_at(self, second: int) -> int:
        return next((offset for end, offset in self.ends if second < end), self.at_last)

    def _candidates(self, wall: datetime) -> list[int]:
        shown = int(wall.replace(tzinfo=UTC, fold=0).timestamp())
        offsets = {offset for _, offset in self.ends} | {self.at_last}
        return sorted(shown - offset for offset in offsets if self.offset_at(shown - offset) == offset)


def test_what_is_suggested_for_other_names_is_a_zone() -> None:
    for place in {*ABBREVIATIONS.values(), *OTHER_NAMES.values()}:
        assert place == load_zone(place).name
    assert all(name == name.lower() for name in OTHER_NAMES)
