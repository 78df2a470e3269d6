"""Where notices go now, where they wait, and what is not said any more once the wait is over."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import AlertState, Notification
from functions.domain.alerts.outbox import DeliveryAttempt, after_attempt
from functions.domain.alerts.routing import (
    MIN_RECOVERED_FAILURE,
    ChannelPreferences,
    Route,
    RoutingTable,
    drop_superseded,
    route,
)
from tests.unit.domain.alerts.test_routing_hours import a_notice

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MORNING = NOON + timedelta(hours=19)
HELD = ChannelPreferences.model_validate({"maintenance": [{"from": NOON, "to": MORNING}]})
OPEN = ChannelPreferences()
OFF = ChannelPreferences(enabled=False)


def board(**settings: ChannelPreferences) -> RoutingTable:
    return RoutingTable(settings, dict.fromkeys(settings, "one"))


@pytest.mark.parametrize(
    ("channels", "send", "held"),
    [
        ((), ("a",), ["b"]),
        (("default",), ("a",), ["b"]),
        (("b", "typo"), ("a",), ["b"]),  # the default channels stand for one that is not there
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
    busy = RoutingTable({"a": OPEN, "b": HELD}, {}, {"a": later, "b": later})

    assert {"a": later, "b": later} == route(a_notice(priority="urgent"), busy, now=NOON).hold
    assert {"a": later, "b": MORNING} == route(a_notice(), busy, now=NOON).hold


def kept(*notices: Notification, held: tuple[str, ...] = ("a",)) -> list[str]:
    """The kinds still waiting for channel a, all being held for *held*."""
    routes = [Route((), dict.fromkeys(held, MORNING)) for _ in notices]
    after = drop_superseded(notices, routes)
    return [notice.kind for notice, one in zip(notices, after, strict=True) if "a" in one.hold]


def word(kind: str, after: timedelta = timedelta(), *, since: datetime = NOON) -> Notification:
    return a_notice(kind=kind, since=since, at=since + after, id=f"{kind}{since}{after}")


SHORT = MIN_RECOVERED_FAILURE - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ([word("failure")], ["failure"]),
        ([word("failure"), word("recovery", SHORT)], []),
        ([word("failure"), word("recovery", MIN_RECOVERED_FAILURE)], ["recovery"]),
        ([word("failure"), word("reminder", SHORT), word("recovery", SHORT)], []),
        ([word("failure"), word("reminder", MIN_RECOVERED_FAILURE)], ["reminder"]),
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
    notices: list[Notification], expected: list[str]
) -> None:
    assert expected == kept(*notices)


def test_each_channel_waits_for_itself() -> None:
    notices = [word("failure"), word("recovery", SHORT)]
    routes = [Route(("b",), {"a": MORNING}), Route(("b",), {"a": MORNING})]

    assert [Route(("b",)), Route(("b",))] == drop_superseded(notices, routes)


def alert_of(*notices: Notification, **changes: Any) -> AlertState:
    return AlertState(pending=notices, **changes)


def test_what_is_held_waits_without_being_tried_and_does_not_age() -> None:
    old = a_notice(at=NOON - timedelta(days=9))

    after, given_up = after_attempt(
        alert_of(old, delivery_attempts=19), [DeliveryAttempt(held_until={"a": MORNING})], now=NOON
    )
    failing, _ = after_attempt(after, [DeliveryAttempt(("a",))], now=MORNING)
    gone, lost = after_attempt(failing, [DeliveryAttempt(("a",))], now=MORNING + timedelta(days=1))

    assert (("a",), 0, MORNING, ()) == (
        after.pending[0].channels,
        after.delivery_attempts,
        after.retry_at,
        given_up,
    )
    assert 1 == failing.delivery_attempts
    assert ((), [old.id]) == (gone.pending, [one.notification.id for one in lost])


def test_channel_that_failed_is_tried_again_before_the_one_that_is_held_opens() -> None:
    after, _ = after_attempt(alert_of(a_notice()), [DeliveryAttempt(("b",), {"a": MORNING})], now=NOON)

    assert (("b", "a"), NOON + timedelta(minutes=1), MORNING) == (
        after.pending[0].channels,
        after.retry_at,
        after.held_until,
    )


def test_two_reports_that_one_notice_was_not_delivered_are_told_apart() -> None:
    """The first still waits for a channel when the notice is given up on that one, too; routes go by id."""
    names = ("a", "b", "c")
    refused = DeliveryAttempt(("b",), rejected={"a": "code 554"}, open_channels=names)
    after, _ = after_attempt(alert_of(a_notice()), [refused], now=NOON + timedelta(hours=2))
    down = DeliveryAttempt(("b",), open_channels=names)
    after, _ = after_attempt(after, [down, down], now=NOON + timedelta(hours=25))

    assert [("b",), ("a", "c")] == [one.channels for one in after.pending]
    assert 2 == len({one.id for one in after.pending})
