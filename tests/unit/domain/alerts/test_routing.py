"""Where notices go now, where they wait, and what is not said any more once the wait is over."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Alert, Notice
from functions.domain.alerts.outbox import delivered
from functions.domain.alerts.routing import (
    LONG,
    ChannelSettings,
    Route,
    Switchboard,
    route,
    still_worth_saying,
)
from tests.unit.domain.alerts.test_routing_hours import a_notice

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MORNING = NOON + timedelta(hours=19)
HELD = ChannelSettings.model_validate({"maintenance": [{"from": NOON, "to": MORNING}]})
OPEN = ChannelSettings()
OFF = ChannelSettings(enabled=False)


def board(**settings: ChannelSettings) -> Switchboard:
    return Switchboard(settings, dict.fromkeys(settings, "one"))


@pytest.mark.parametrize(
    ("channels", "send", "held"),
    [
        ((), ("a",), ["b"]),
        (("default",), ("a",), ["b"]),
        (("b", "typo"), ("typo",), ["b"]),
        (("c",), (), []),
        (("nobody",), ("nobody",), []),
    ],
)
def test_notice_is_sent_where_it_may_and_held_where_it_may_not(
    channels: tuple[str, ...], send: tuple[str, ...], held: list[str]
) -> None:
    found = route(a_notice(channels=channels), board(a=OPEN, b=HELD, c=OFF), now=NOON)

    assert Route(send, dict.fromkeys(held, MORNING)) == found


def test_channel_that_asked_for_a_pause_holds_even_what_is_urgent() -> None:
    later = NOON + timedelta(minutes=1)
    busy = Switchboard({"a": OPEN, "b": HELD}, {}, {"a": later, "b": later})

    assert {"a": later, "b": later} == route(a_notice(priority="urgent"), busy, now=NOON).held
    assert {"a": later, "b": MORNING} == route(a_notice(), busy, now=NOON).held


def kept(*notices: Notice, held: tuple[str, ...] = ("a",)) -> list[str]:
    """The kinds still waiting for channel a, all being held for *held*."""
    routes = [Route((), dict.fromkeys(held, MORNING)) for _ in notices]
    after = still_worth_saying(notices, routes)
    return [notice.kind for notice, one in zip(notices, after, strict=True) if "a" in one.held]


def word(kind: str, after: timedelta = timedelta(), *, since: datetime = NOON) -> Notice:
    return a_notice(kind=kind, since=since, at=since + after, id=f"{kind}{since}{after}")


SHORT = LONG - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ([word("failure")], ["failure"]),
        ([word("failure"), word("recovery", SHORT)], []),
        ([word("failure"), word("recovery", LONG)], ["recovery"]),
        ([word("failure"), word("reminder", SHORT), word("recovery", SHORT)], []),
        ([word("failure"), word("reminder", LONG)], ["reminder"]),
        ([word("recovery", SHORT)], ["recovery"]),  # the failure was told before the night
        ([word("failure", since=MORNING), word("recovery", SHORT)], ["failure", "recovery"]),
        ([word("failure"), word("paused")], ["failure", "paused"]),
        (
            [word("failure"), word("recovery", SHORT), word("news"), word("failure", since=MORNING)],
            ["news", "failure"],
        ),
    ],
)
def test_failure_that_is_over_before_anybody_heard_is_not_worth_a_word(
    notices: list[Notice], expected: list[str]
) -> None:
    assert expected == kept(*notices)


def test_each_channel_waits_for_itself() -> None:
    notices = [word("failure"), word("recovery", SHORT)]
    routes = [Route(("b",), {"a": MORNING}), Route(("b",), {"a": MORNING})]

    assert [Route(("b",)), Route(("b",))] == still_worth_saying(notices, routes)


def alert_of(*notices: Notice, **changes: Any) -> Alert:
    return Alert(pending=notices, **changes)


def test_what_is_held_waits_without_being_tried_and_does_not_age() -> None:
    old = a_notice(at=NOON - timedelta(days=9))

    after, given_up = delivered(alert_of(old, tries=19), [()], now=NOON, held=[{"a": MORNING}])
    failing, _ = delivered(after, [("a",)], now=MORNING)
    gone, lost = delivered(failing, [("a",)], now=MORNING + timedelta(days=1))

    assert (("a",), 0, MORNING, ()) == (after.pending[0].channels, after.tries, after.retry_at, given_up)
    assert 1 == failing.tries
    assert ((), [old.id]) == (gone.pending, [one.id for one in lost])


def test_channel_that_failed_is_tried_again_before_the_one_that_is_held_opens() -> None:
    after, _ = delivered(alert_of(a_notice()), [("b",)], now=NOON, held=[{"a": MORNING}])

    assert (("b", "a"), NOON + timedelta(minutes=1), MORNING) == (
        after.pending[0].channels,
        after.retry_at,
        after.held_until,
    )
