"""When a channel is closed to a notice: quiet hours on any clock, maintenance, and what passes through."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from functions.domain.alerts.model import Notification
from functions.domain.alerts.routing import ChannelPreferences, DailyDigest, earliest_send_time

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
NIGHT = {"from": "22:00", "to": "07:00", "timezone": "Europe/Riga"}  # UTC+2 in winter


def a_notice(**changes: Any) -> Notification:
    defaults: dict[str, Any] = {
        "id": "shop@2026-11-20T12:00:00Z#failure",
        "kind": "failure",
        "task_id": "shop",
        "title": "Shop",
        "type": "http",
        "schedule": "@daily",
        "timezone": "UTC",
        "occurrence": NOON,
        "at": NOON,
        "summary": "Answered 503",
    }
    return Notification.model_validate(defaults | changes)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}:00+00:00")


def held(settings: dict[str, Any], now: datetime, **changes: Any) -> datetime | None:
    return earliest_send_time(ChannelPreferences.model_validate(settings), a_notice(**changes), now)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("11-20T19:59", None),
        ("11-20T20:00", "11-21T05:00"),
        ("11-21T04:59", "11-21T05:00"),
        ("11-21T05:00", None),
        ("07-01T18:59", None),
        ("07-01T19:00", "07-02T04:00"),  # summer time
        ("10-24T21:00", "10-25T05:00"),  # the night with an hour twice: 07:00 is UTC+2 again
        ("03-28T21:00", "03-29T04:00"),  # the night without one of its hours
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(now: str, until: str | None) -> None:
    assert (at(until) if until else None) == held({"quiet": [NIGHT]}, at(now))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("11-20T21:00", "11-21T05:00"),  # Friday's night lasts into Saturday
        ("11-21T04:00", "11-21T05:00"),
        ("11-21T21:00", None),
        ("11-23T04:00", None),  # Monday morning belongs to Sunday's night
    ],
)
def test_days_are_those_on_which_the_quiet_begins(now: str, until: str | None) -> None:
    quiet = NIGHT | {"days": ["mon", "tue", "wed", "thu", "fri"]}

    assert (at(until) if until else None) == held({"quiet": [quiet]}, at(now))


def test_hour_that_comes_twice_is_quiet_from_its_first_time() -> None:
    quiet = NIGHT | {"from": "03:30"}

    found = [held({"quiet": [quiet]}, at(f"10-25T{now}")) for now in ("00:15", "00:45", "01:15")]

    assert [None, at("10-25T05:00"), at("10-25T05:00")] == found


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (("22:00", "03:30"), "03-29T00:59", "03-29T01:00"),  # the clock goes from 02:59 to 04:00
        (("22:00", "03:30"), "03-29T01:00", None),
        (("03:30", "07:00"), "03-29T01:10", "03-29T04:00"),
        (("03:10", "03:50"), "03-29T01:10", None),  # both in the hour that is left out
    ],
)
def test_hour_that_is_left_out_is_over_where_it_would_begin(
    hours: tuple[str, str], now: str, until: str | None
) -> None:
    """A time that no clock shows ended the quiet half an hour late, and began it as late."""
    quiet = NIGHT | {"from": hours[0], "to": hours[1]}

    assert (at(until) if until else None) == held({"quiet": [quiet]}, at(now))


def test_zones_that_no_schedule_may_have_still_have_clocks() -> None:
    quiet = NIGHT | {"timezone": "CET"}

    assert at("11-21T06:00") == held({"quiet": [quiet]}, at("11-20T21:00"))


def test_quiet_at_day_ends_on_the_same_day() -> None:
    quiet = {"from": "13:00", "to": "14:30"}

    found = [held({"quiet": [quiet]}, at(f"11-20T{now}")) for now in ("12:59", "13:00", "14:30")]

    assert [None, at("11-20T14:30"), None] == found


def test_windows_that_follow_one_another_are_one() -> None:
    settings = {
        "quiet": [NIGHT, {"from": "07:00", "to": "08:00", "timezone": "Europe/Riga"}],
        "maintenance": [{"from": "2026-11-21T05:30:00Z", "to": "2026-11-21T21:00:00Z"}],
    }

    assert at("11-22T06:00") == held(settings, at("11-20T22:00"))


def test_hours_that_never_end_let_through_in_the_end() -> None:
    """A channel quiet around the clock is a mistake; nothing may hang on it for ever."""
    settings = {"quiet": [{"from": "00:00", "to": "00:00"}]}

    until = held(settings, NOON)

    assert until is not None
    assert NOON < until < NOON + timedelta(days=60)


@pytest.mark.parametrize(
    ("scope", "is_held"),
    [
        ({}, True),
        ({"tasks": ["shop"]}, True),
        ({"tasks": ["other"]}, False),
        ({"tags": ["web", "x"]}, True),
        ({"tags": ["x"]}, False),
        ({"tasks": ["other"], "tags": ["web"]}, True),
    ],
)
def test_maintenance_is_about_its_tasks_and_tags_or_about_all(scope: dict[str, Any], is_held: bool) -> None:
    window = {"from": "2026-11-20T11:00:00Z", "to": "2026-11-20T13:00:00Z"} | scope

    found = held({"maintenance": [window]}, NOON, tags=["web"])

    assert (NOON + timedelta(hours=1) if is_held else None) == found
    assert held({"maintenance": [window]}, NOON + timedelta(hours=1), tags=["web"]) is None


@pytest.mark.parametrize("changes", [{"priority": "urgent"}, {"kind": "channel"}, {"kind": "test"}])
def test_what_is_urgent_or_about_channels_waits_for_nothing(changes: dict[str, Any]) -> None:
    window = {"from": "2026-11-20T11:00:00Z", "to": "2026-11-20T13:00:00Z"}

    assert held({"maintenance": [window], "quiet": [NIGHT]}, NOON, **changes) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet": [{"from": "24:00", "to": "07:00"}]},
        {"quiet": [{"from": "22:00", "to": "7:00"}]},
        {"quiet": [NIGHT | {"timezone": "Europe/Nowhere"}]},
        {"quiet": [NIGHT | {"days": ["monday"]}]},
        {"maintenance": [{"from": "2026-11-20T11:00:00Z", "to": "2026-11-20T11:00:00Z"}]},
        {"maintenance": [{"from": "2026-11-20T11:00:00", "to": "2026-11-20T12:00:00"}]},
        {"ratePerMinute": 0},
        {"digest": {"at": "8"}},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChannelPreferences.model_validate(wrong)


def test_channel_is_open_unless_somebody_or_its_vendor_says_no() -> None:
    disabled = {"disabled": {"reason": "gone", "at": NOON, "config_hash": "one"}}
    found = [
        ChannelPreferences.model_validate(settings).is_open(mark)
        for settings in ({}, {"enabled": False}, disabled)
        for mark in ("one", "two")
    ]

    assert [True, True, False, False, False, True] == found


@pytest.mark.parametrize("zone", ["CET", "Etc/GMT+5", "+02:00", "Nowhere"])
def test_a_digest_has_a_zone_that_its_task_can_have(zone: str) -> None:
    with pytest.raises(ValidationError, match="write a place such as"):
        DailyDigest.model_validate({"at": "08:00", "timezone": zone})
