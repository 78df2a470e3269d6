"""`next` says when a schedule's occurrences are, without a store."""

import pytest

from tests.unit.cli.conftest import Scheduler

AUTUMN = ("--timezone", "America/New_York", "--after", "2026-10-31T12:00:00Z")


def test_json_is_a_list_of_utc_instants(scheduler: Scheduler) -> None:
    said = scheduler("next", "30 1 * * *", *AUTUMN, "--count", "2", "--json", STORE_URL="no store at all")

    assert (0, '["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]\n') == (said.code, said.out)


def test_people_get_both_clocks_and_the_change_between_them(scheduler: Scheduler) -> None:
    said = scheduler("next", "30 1 * * *", *AUTUMN, "--count", "2")

    lines = said.out.splitlines()
    assert ["2026-11-01", "01:30", "EDT", "2026-11-01T05:30:00Z"] == lines[1].split()
    assert ["2026-11-02", "01:30", "EST", "2026-11-02T06:30:00Z"] == lines[2].split()
    assert "twice" in lines[3]


def test_utc_is_shown_once(scheduler: Scheduler) -> None:
    said = scheduler("next", "daily", "--after", "2026-12-01T00:00:00Z", "--count", "1")

    assert ["UTC", "2026-12-02 00:00 UTC"] == said.out.split("\n")[:2]


def test_the_zone_is_the_default_one_when_none_is_given(scheduler: Scheduler) -> None:
    words = ("next", "daily", "--after", "2026-12-01T00:00:00Z", "--count", "1", "--json")

    said = scheduler(*words, DEFAULT_TIMEZONE="Asia/Tokyo")

    assert ["2026-12-01T15:00:00Z"] == said.data


def test_an_occurrence_at_the_instant_itself_is_not_after_it(scheduler: Scheduler) -> None:
    said = scheduler("next", "daily", "--after", "2026-12-01T00:00:00Z", "--count", "1", "--json")

    assert ["2026-12-02T00:00:00Z"] == said.data


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [((), "2026-12-01T00:20:00Z"), (("--anchor", "2026-12-01T00:05:00Z"), "2026-12-01T00:05:00Z")],
)
def test_an_interval_counts_from_its_anchor(
    scheduler: Scheduler, anchor: tuple[str, ...], expected: str
) -> None:
    said = scheduler(
        "next", "every 20m", "--after", "2026-12-01T00:00:00Z", *anchor, "--count", "1", "--json"
    )

    assert [expected] == said.data


def test_h_needs_the_id_it_is_drawn_from(scheduler: Scheduler) -> None:
    words = ("next", "H 3 * * *", "--after", "2026-12-01T00:00:00Z", "--count", "1", "--json")

    assert 2 == scheduler(*words).code
    assert scheduler(*words, "--id", "a").data != scheduler(*words, "--id", "backup").data


def test_a_schedule_that_is_over_has_no_occurrence(scheduler: Scheduler) -> None:
    words = ("next", "at 2026-12-01T09:00", "--after", "2027-01-01T00:00:00Z")

    assert [] == scheduler(*words, "--json").data
    assert "no occurrence" in scheduler(*words).out


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (("--start-at", "2026-12-01T00:10:00Z"), ["00:10", "00:30", "00:50"]),
        (("--end-at", "2026-12-01T00:40"), ["00:20", "00:40"]),
        (("--max-runs", "1"), ["00:20"]),
    ],
)
def test_bounds_of_a_task_are_honoured(
    scheduler: Scheduler, bounds: tuple[str, ...], expected: list[str]
) -> None:
    words = ("next", "every 20m", "--after", "2026-12-01T00:00:00Z", "--count", "3", "--timezone", "UTC")

    said = scheduler(*words, *bounds, "--json")

    assert expected == [at[11:16] for at in said.data]


def test_bounds_without_room_are_refused(scheduler: Scheduler) -> None:
    said = scheduler("next", "daily", "--start-at", "3d", "--end-at", "1d")

    assert (2, "scheduler: endAt: must not be earlier than startAt\n") == (said.code, said.err)
    none = scheduler("next", "daily", "--start-at", "2026-12-01T09:00", "--end-at", "2026-12-01T10:00")
    assert "within its bounds" in none.out
