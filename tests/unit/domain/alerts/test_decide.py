"""Whom to tell of what: once per change, never once per run, and nothing is lost on the way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.decide import decide_notifications, notify_of_pause
from functions.domain.alerts.model import AlertState, Notification
from functions.domain.alerts.outbox import DeliveryAttempt, Undelivered, after_attempt
from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, SkipReason

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

MakeTask = Callable[..., Task]


def a_run(outcome: str = "failed", summary: str = "Answered 503", **changes: Any) -> Run:
    at = changes.pop("at", NOON)
    defaults: dict[str, Any] = {
        "task_id": "water-plants",
        "occurrence": at,
        "attempt": 0 if outcome == "skipped" else 1,
        "outcome": outcome,
        "summary": summary,
        "started_at": at,
        "finished_at": at + timedelta(seconds=2),
    }
    return Run.model_validate(defaults | changes)


def live(task: Task, *runs: Run) -> tuple[Task, list[list[str]]]:
    """Let *task* live through *runs*, one a minute, each notice delivered; return the kinds told."""
    told: list[list[str]] = []
    for number, run in enumerate(runs):
        at = NOON + number * MINUTE
        run = run.model_copy(update={"occurrence": at, "started_at": at, "finished_at": at + MINUTE / 2})
        alert, new = decide_notifications(task, run, now=run.finished_at)
        told.append([notice.kind for notice in new])
        failures = task.consecutive_failures
        if run.outcome is OutcomeKind.SUCCEEDED:
            failures = 0
        elif run.outcome in (OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED):
            failures += 1
        alert, _ = after_attempt(alert, [DeliveryAttempt()] * len(alert.pending), now=run.finished_at)
        task = task.model_copy(update={"alert": alert, "consecutive_failures": failures})
    return task, told


def rules(*given: dict[str, Any]) -> dict[str, Any]:
    return {"notify": given}


@pytest.mark.parametrize("outcome", ["failed", "timed_out", "abandoned"])
def test_failures_are_told_once_and_their_end_too(outcome: str, make_task: MakeTask) -> None:
    """1,440 identical messages a day are how people learn to read none."""
    fine = a_run("succeeded", "All is well")

    task, told = live(make_task(), fine, a_run(outcome), a_run(outcome), a_run(outcome), fine, fine)

    assert [[], ["failure"], [], [], ["recovery"], []] == told
    assert AlertState(outcome_history=".!!!..") == task.alert


def test_recovery_says_since_when_and_how_often(make_task: MakeTask) -> None:
    task, _ = live(make_task(), a_run(), a_run(), a_run())
    end = NOON + 10 * MINUTE

    _, (notice,) = decide_notifications(task, a_run("succeeded", "All is well", at=end), now=end)

    assert (NOON, 3, end) == (notice.since, notice.failures, notice.at)


def test_failure_notice_is_complete(make_task: MakeTask) -> None:
    task = make_task(title="Water the plants", timezone="Asia/Tokyo", next_occurrence=NOON + 5 * MINUTE)
    now = NOON + timedelta(seconds=3)

    alert, (notice,) = decide_notifications(task, a_run(attempt=3), now=now)

    expected = Notification(
        id="water-plants@2026-11-20T12:00:00Z#failure",
        kind="failure",
        task_id="water-plants",
        title="Water the plants",
        type="health_check_url",
        schedule="*/5 * * * *",
        timezone="Asia/Tokyo",
        occurrence=NOON,
        at=now,
        summary="Answered 503",
        since=NOON,
        failures=1,
        attempt=3,
        duration_ms=2000,
        next_run_at=NOON + 5 * MINUTE,
    )
    assert expected == notice
    assert (expected,) == alert.pending
    assert (NOON, True) == (alert.failing_since, alert.notified)


def test_changed_error_is_told_once_however_it_alternates(make_task: MakeTask) -> None:
    a, b = a_run(summary="Answered 503"), a_run(summary="Name not found")

    _, told = live(make_task(), a, b, a, b, a, a_run("succeeded"), a)

    assert [["failure"], ["failure"], [], [], [], ["recovery"], ["failure"]] == told


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Answered 503 in 512 ms", "Answered 503 in 7 ms", True),
        ("HTTP 503", "HTTP 404", False),
        ("No answer from a.example.com:443", "No answer from b.example.org", True),
        ("No answer from 10.0.0.1", "No answer from 10.0.0.2:80", True),
        ("Job 1f0e9d3c failed", "Job a94a8fe5 failed", True),
        ("Id 6f1c1f8e-0c1b-4d5e-9d1f-0123456789ab", "Id 00000000-0c1b-4d5e-9d1f-0123456789ff", True),
        ("Late since 2026-11-20T12:00:00Z", "Late since 2026-11-21 09:30:00+01:00", True),
        ("See https://a.example/x?y=1", "See https://b.example/z", True),
        ("Feed is empty", "Feed is broken", False),
        ('But $.id: expected "x", found "cozy\\"pear"', 'But $.id: expected "x", found "odd', True),
        ('But $.id: expected "x", found "a"', 'But $.name: expected "x", found "a"', False),
        ("No answer from ::1", "No answer from fe80::2", True),
    ],
)
def test_error_is_the_same_but_for_numbers_ids_hosts_and_moments(
    first: str, second: str, same: bool, make_task: MakeTask
) -> None:
    _, told = live(make_task(), a_run(summary=first), a_run(summary=second))

    assert [["failure"], [] if same else ["failure"]] == told


def test_time_out_after_failure_is_another_error(make_task: MakeTask) -> None:
    _, told = live(make_task(), a_run("failed", "x"), a_run("timed_out", "x"))

    assert [["failure"], ["failure"]] == told


def test_first_word_waits_for_as_many_failures_as_the_rule_asks(make_task: MakeTask) -> None:
    bad, good = a_run(), a_run("succeeded")
    patient = make_task(**rules({"on": ["failure", "recovery"], "after": 3}))

    _, told = live(patient, bad, bad, good, bad, bad, bad, bad, good)

    assert [[], [], [], [], [], ["failure"], [], ["recovery"]] == told


def test_changed_error_below_the_threshold_is_not_told(make_task: MakeTask) -> None:
    patient = make_task(**rules({"on": ["failure"], "after": 3}))

    _, told = live(patient, a_run(summary="a"), a_run(summary="b"), a_run(summary="c"), a_run(summary="d"))

    assert [[], [], ["failure"], ["failure"]] == told


def test_each_rule_counts_for_itself(make_task: MakeTask) -> None:
    """Chat hears at once, the pager only of what lasts; and each of the end of what it heard."""
    task = make_task(
        **rules(
            {"on": ["failure", "recovery"], "channels": ["chat"]},
            {"on": ["failure", "recovery"], "channels": ["pager"], "after": 3},
        )
    )
    after_two, _ = live(task, a_run(), a_run())
    good = a_run("succeeded", at=NOON + 9 * MINUTE)

    _, (soon,) = decide_notifications(after_two, good, now=good.finished_at)
    after_three, (third,) = decide_notifications(
        after_two, a_run(at=NOON + 2 * MINUTE), now=NOON + 2 * MINUTE
    )
    late_task = after_two.model_copy(update={"alert": after_three, "consecutive_failures": 3})
    _, (late,) = decide_notifications(late_task, good, now=good.finished_at)

    assert (("chat",), ("pager",), ("chat", "pager")) == (soon.channels, third.channels, late.channels)


def test_rule_made_stricter_during_failures_is_still_told(make_task: MakeTask) -> None:
    task = make_task(consecutive_failures=6, **rules({"on": ["failure"], "after": 2}))

    _, new = decide_notifications(task, a_run(), now=NOON)

    assert ["failure"] == [notice.kind for notice in new]


def test_recovery_after_a_resumed_pause_is_told(make_task: MakeTask) -> None:
    """Resuming counts failures anew, but people still wait for the good news."""
    patient = make_task(**rules({"on": ["failure", "recovery"], "after": 3}))
    task, _ = live(patient, a_run(), a_run(), a_run())
    resumed = task.model_copy(update={"consecutive_failures": 0})

    _, new = decide_notifications(resumed, a_run("succeeded"), now=NOON)

    assert ["recovery"] == [notice.kind for notice in new]


def test_failure_after_a_resumed_pause_is_told_anew(make_task: MakeTask) -> None:
    task, _ = live(make_task(), a_run(), a_run())
    resumed = task.model_copy(update={"consecutive_failures": 0})

    _, new = decide_notifications(resumed, a_run(), now=NOON)

    assert ["failure"] == [notice.kind for notice in new]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"on": ["failure"]}], ()),
        ([{"on": ["failure"]}, {"on": ["failure", "recovery"]}], ()),
        ([{"on": ["failure"], "channels": ["a", "b"]}], ("a", "b")),
        ([{"on": ["failure"], "channels": ["a"]}, {"on": ["failure"], "channels": ["b", "a"]}], ("a", "b")),
        ([{"on": ["failure"], "channels": ["a"]}, {"on": ["failure"]}], ("a", "default")),
    ],
)
def test_several_rules_make_one_notice_to_all_their_channels(
    given: list[dict[str, Any]], expected: tuple[str, ...], make_task: MakeTask
) -> None:
    _, (notice,) = decide_notifications(make_task(**rules(*given)), a_run(), now=NOON)

    assert expected == notice.channels


@pytest.mark.parametrize(
    ("on", "news", "told"),
    [
        (None, True, ["news"]),
        (None, False, []),
        (["failure"], True, []),
        (["news"], True, ["news"]),
        (["news"], False, []),
        (["success"], True, ["news"]),
        (["success"], False, ["success"]),
    ],
)
def test_success_is_told_to_those_who_ask_and_news_to_those_who_listen(
    on: list[str] | None, news: bool, told: list[str], make_task: MakeTask
) -> None:
    task = make_task() if on is None else make_task(**rules({"on": on}))
    items = ({"title": "Entry", "url": "https://e.com/1"},)

    _, new = decide_notifications(
        task, a_run("succeeded", "1 new entry", has_news=news, items=items), now=NOON
    )

    assert told == [notice.kind for notice in new]
    assert all(items == notice.items for notice in new)


def test_who_hears_of_a_recovery_is_not_told_of_the_success_as_well(make_task: MakeTask) -> None:
    task = make_task(**rules({"on": ["failure", "recovery", "success"]}))

    _, told = live(task, a_run(), a_run("succeeded"), a_run("succeeded"))

    assert [["failure"], ["recovery"], ["success"]] == told


def test_nobody_is_told_when_no_rule_is_wanted(make_task: MakeTask) -> None:
    task, told = live(make_task(notify=()), a_run(), a_run("succeeded", has_news=True))

    assert [[], []] == told
    assert AlertState() == task.alert
    paused = notify_of_pause(task, task.alert, "Stopped", now=NOON)
    assert ([("nobody",)], False) == ([notice.channels for notice in paused.pending], paused.notified)


@pytest.mark.parametrize("reason", SkipReason)
def test_skips_for_budget_or_settings_are_told_like_failures(reason: SkipReason, make_task: MakeTask) -> None:
    skip = a_run("skipped", "Needs 60 s, a tick has 18 s", skip_reason=reason)
    patient = make_task(**rules({"on": ["failure", "recovery"], "after": 3}))

    _, told = live(patient, skip, skip, a_run("succeeded"))

    speaks = reason in (SkipReason.BUDGET, SkipReason.CONFIG)
    assert ([["failure"], [], ["recovery"]] if speaks else [[], [], []]) == told


def test_cancelled_run_neither_begins_nor_ends_failures(make_task: MakeTask) -> None:
    cancelled = a_run("cancelled")

    _, told = live(make_task(), cancelled, a_run(), cancelled, a_run("succeeded"))

    assert [[], ["failure"], [], ["recovery"]] == told


@pytest.mark.parametrize(
    ("on", "channels"),
    [(None, ()), (["failure"], ("chat",)), (["paused"], ("chat",)), (["news"], ("nobody",))],
)
def test_pause_is_told_to_rules_on_pauses_and_failures(
    on: list[str] | None, channels: tuple[str, ...], make_task: MakeTask
) -> None:
    changes = {} if on is None else rules({"on": on, "channels": ["chat"]})

    [notice] = notify_of_pause(
        make_task(**changes), AlertState(), "Failed 5 times in a row", now=NOON
    ).pending

    assert ("paused", "Failed 5 times in a row", channels) == (notice.kind, notice.summary, notice.channels)


def test_pending_notices_are_limited_and_the_important_ones_stay(make_task: MakeTask) -> None:
    """A channel that is down for a day must not let the document grow without end."""
    task = make_task(**rules({"on": ["failure", "recovery", "news"]}))
    for number in range(60):
        at = NOON + number * MINUTE
        run = a_run("failed", at=at) if number in (0, 2) else a_run("succeeded", at=at, has_news=True)
        alert, _ = decide_notifications(task, run, now=at)
        task = task.model_copy(update={"alert": alert, "consecutive_failures": int(number in (0, 2))})

    kinds = [notice.kind for notice in task.alert.pending]

    assert 20 == len(kinds)
    assert ["failure", "recovery", "failure", "recovery"] == [kind for kind in kinds if kind != "news"]
    assert NOON + 59 * MINUTE == task.alert.pending[-1].at


def test_items_of_pending_notices_stay_far_below_what_a_store_takes(make_task: MakeTask) -> None:
    items = tuple(
        {"title": "字" * 5000, "url": "https://e.com/" + "a" * 5000, "text": "字" * 5000} for _ in range(200)
    )
    task = make_task()
    for number in range(20):
        at = NOON + number * MINUTE
        alert, _ = decide_notifications(task, a_run("succeeded", at=at, has_news=True, items=items), now=at)
        task = task.model_copy(update={"alert": alert})

    assert 20 == len(task.alert.pending)
    assert 50 == len(task.alert.pending[-1].items)
    assert {"title", "text"} == task.alert.pending[-1].items[0].keys()
    assert len(task.alert.model_dump_json().encode()) < 600_000


def test_same_notice_waits_once(make_task: MakeTask) -> None:
    task = make_task()
    alert, _ = decide_notifications(task, a_run(), now=NOON)
    again, _ = decide_notifications(task.model_copy(update={"alert": alert}), a_run(), now=NOON)

    assert 1 == len(again.pending)


def waiting(*ids: str, tries: int = 0, at: datetime = NOON) -> AlertState:
    notices = tuple(
        Notification(
            id=name,
            kind="failure",
            task_id="water-plants",
            title="x",
            type="http",
            schedule="@daily",
            timezone="UTC",
            occurrence=at,
            at=at,
            summary="x",
        )
        for name in ids
    )
    return AlertState(
        pending=notices, delivery_attempts=tries, retry_at=NOON, notified=True, failure_fingerprints="abc"
    )


DONE, FAILED = DeliveryAttempt(), DeliveryAttempt(("feishu",))


def test_delivered_notices_go_and_the_rest_keeps_its_remaining_channels() -> None:
    alert, given_up = after_attempt(waiting("a", "b", "c"), [DONE, FAILED, DONE], now=NOON)

    assert [("b", ("feishu",))] == [(notice.id, notice.channels) for notice in alert.pending]
    assert (1, NOON + MINUTE) == (alert.delivery_attempts, alert.retry_at)
    assert () == given_up


def test_when_all_is_delivered_nothing_is_waited_for() -> None:
    alert, given_up = after_attempt(waiting("a", tries=4), [DONE], now=NOON)

    assert AlertState(notified=True, failure_fingerprints="abc") == alert
    assert () == given_up


def test_tries_grow_apart_and_end() -> None:
    alert, now, waits = waiting("a"), NOON, []
    given_up: tuple[Undelivered, ...] = ()
    while alert.pending:
        alert, given_up = after_attempt(alert, [FAILED], now=now)
        if alert.retry_at is not None:
            waits.append(int((alert.retry_at - now) / MINUTE))
            now = alert.retry_at

    assert [1, 2, 4, 8, 16, 30] + [60] * 23 == waits  # a day and a little
    assert [("a", True)] == [(one.notification.id, one.is_lost) for one in given_up]
    assert (0, None) == (alert.delivery_attempts, alert.retry_at)


def test_a_channel_that_never_replies_gets_three_messages() -> None:
    """It may have taken each: another message of the same would be too many."""
    silent = DeliveryAttempt(("feishu",), unconfirmed=frozenset({"feishu"}))
    first, _ = after_attempt(waiting("a"), [silent], now=NOON)
    second, nothing = after_attempt(first, [silent], now=NOON + MINUTE)
    third, given_up = after_attempt(second, [silent], now=NOON + 3 * MINUTE)

    assert [{"feishu": 1}, {"feishu": 2}] == [alert.pending[0].unconfirmed for alert in (first, second)]
    assert ((), ()) == (nothing, third.pending)
    assert ["no reply came to 3 messages; it may have arrived"] == [
        reason for one in given_up for reason in one.reasons.values()
    ]


def test_notice_of_yesterday_is_given_up_alone() -> None:
    old, young = waiting("old", at=NOON - timedelta(hours=24)), waiting("young")
    both = AlertState(pending=(*old.pending, *young.pending), delivery_attempts=3)

    alert, given_up = after_attempt(both, [FAILED, FAILED], now=NOON)

    assert (["young"], ["old"]) == ([n.id for n in alert.pending], [n.notification.id for n in given_up])


def test_new_notice_is_tried_at_once_whatever_became_of_older_ones(make_task: MakeTask) -> None:
    task = make_task(alert=waiting("a", tries=7))

    alert, _ = decide_notifications(task, a_run(), now=NOON)

    assert (2, 7, None) == (len(alert.pending), alert.delivery_attempts, alert.retry_at)


@pytest.mark.parametrize(
    ("kind", "has_it", "age", "kept"),
    [
        ("recovery", ("feishu",), timedelta(days=6), True),
        ("removed", ("feishu",), timedelta(days=6), True),
        ("recovery", ("feishu",), timedelta(days=7), False),
        ("recovery", ("mail",), timedelta(days=1), False),  # it has no failure that would stay open
        ("reminder", ("feishu",), timedelta(days=1), False),
    ],
)
def test_the_end_of_what_a_channel_has_is_kept_for_a_week(
    kind: str, has_it: tuple[str, ...], age: timedelta, kept: bool
) -> None:
    """After an outage of a day an incident of a pager stayed open for ever."""
    [notice] = waiting("a", at=NOON - age).pending
    notice = notice.model_copy(update={"kind": kind})
    alert = AlertState(pending=(notice,), notified_channels=has_it, delivery_attempts=9)

    after, given_up = after_attempt(alert, [FAILED], now=NOON)

    assert (kept, not kept) == (bool(after.pending), bool(given_up))
