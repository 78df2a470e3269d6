"""What follows an attempt: state, next wake-up, records and skips."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import AlertState
from functions.domain.events import Outbox
from functions.domain.heartbeat.model import HeartbeatState, OpenRun
from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.complete import Transition, idle_state
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Claim, Pause, QueuedRun, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
OK = succeeded("Answered 200 in 12 ms")
BROKEN = failed("Answered 503")


@pytest.fixture
def claimed(make_task: MakeTask) -> MakeTask:
    """A task of every five minutes, claimed for its noon occurrence."""

    def make(**changes: Any) -> Task:
        return make_task(
            **{
                "status": Status.RUNNING,
                "occurrence": NOON,
                "attempt": 1,
                "next_occurrence": NOON + 5 * MINUTE,
                "claim": Claim(token="t.1", until=NOON + 35 * SECOND, started_at=NOON),
                "next_run_at": NOON + 35 * SECOND,
            }
            | changes
        )

    return make


def _settled(task: Task, outcome: Outcome, *, seconds: float = 1.0) -> tuple[Task, Transition]:
    settlement = complete_attempt(
        task, outcome, started_at=NOON, now=NOON + timedelta(seconds=seconds), random_fraction=0.0
    )
    return task.model_copy(update=dict(settlement.changes)), settlement


def test_a_success_moves_on_to_the_next_occurrence(claimed: MakeTask) -> None:
    after, settlement = _settled(claimed(), OK)

    assert (Status.SCHEDULED, NOON + 5 * MINUTE) == (after.status, after.next_run_at)
    assert (None, None, 0) == (after.claim, after.occurrence, after.attempt)
    assert ("Answered 200 in 12 ms", "", 1000) == (
        after.last_result_summary,
        after.last_error,
        after.last_duration_ms,
    )
    assert [(1, "t.1", True)] == [(run.attempt, run.token, run.final) for run in settlement.runs]


def test_a_failure_waits_for_its_retry_with_the_same_occurrence(claimed: MakeTask) -> None:
    after, settlement = _settled(claimed(), BROKEN)

    assert (Status.RETRYING, NOON, 1) == (after.status, after.occurrence, after.attempt)
    assert NOON + 11 * SECOND == after.next_run_at == after.retry_at
    assert 0 == after.consecutive_failures
    assert [False] == [run.final for run in settlement.runs]


def test_the_last_failure_counts_once_and_moves_on(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(attempt=3, consecutive_failures=4), BROKEN)

    assert (Status.SCHEDULED, 5, "Answered 503") == (
        after.status,
        after.consecutive_failures,
        after.last_error,
    )


def test_a_success_forgets_the_failures(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(consecutive_failures=4, expired_claims=2, last_error="Answered 503"), OK)

    assert (0, 0, "") == (after.consecutive_failures, after.expired_claims, after.last_error)


def test_occurrences_that_came_during_the_run_are_skipped_and_counted(claimed: MakeTask) -> None:
    after, settlement = _settled(claimed(), OK, seconds=11 * 60)

    [_, skip] = settlement.runs
    assert (SkipReason.OVERLAP, 2, NOON + 5 * MINUTE, NOON + 10 * MINUTE) == (
        skip.skip_reason,
        skip.count,
        skip.occurrence,
        skip.last,
    )
    assert NOON + 15 * MINUTE == after.next_run_at


def test_queue_one_keeps_the_newest_of_them_and_skips_the_rest(claimed: MakeTask) -> None:
    after, settlement = _settled(claimed(overlap="queue_one"), OK, seconds=11 * 60)

    assert (QueuedRun(at=NOON + 10 * MINUTE, trigger=Trigger.QUEUED),) == after.backlog
    assert [NOON + 5 * MINUTE] == [run.occurrence for run in settlement.runs[1:]]
    assert NOON + 11 * MINUTE == after.next_run_at


def test_queue_all_keeps_them_all(claimed: MakeTask) -> None:
    after, settlement = _settled(claimed(overlap="queue_all"), OK, seconds=11 * 60)

    assert [NOON + 5 * MINUTE, NOON + 10 * MINUTE] == [extra.at for extra in after.backlog]
    assert 1 == len(settlement.runs)


def test_what_was_owed_before_the_attempt_began_did_not_overlap(claimed: MakeTask) -> None:
    late_try = Claim(token="t.2", until=NOON + 10 * MINUTE, started_at=NOON + 6 * MINUTE)

    after, settlement = _settled(claimed(claim=late_try, attempt=2), OK, seconds=6 * 60 + 1)

    assert 1 == len(settlement.runs)
    assert (NOON + 5 * MINUTE, NOON + 6 * MINUTE + SECOND) == (after.next_occurrence, after.next_run_at)


def test_missed_occurrences_are_recorded_with_the_run_that_stood_in_for_them(claimed: MakeTask) -> None:
    missed = SkippedRange(count=3, first=NOON - 15 * MINUTE, last=NOON - 5 * MINUTE)

    after, settlement = _settled(claimed(missed=missed), OK)

    assert [(SkipReason.MISFIRE, 3)] == [(run.skip_reason, run.count) for run in settlement.runs[1:]]
    assert after.missed is None


def test_a_retry_keeps_what_was_missed_for_the_last_record(claimed: MakeTask) -> None:
    missed = SkippedRange(count=3, first=NOON - 15 * MINUTE, last=NOON - 5 * MINUTE)

    after, settlement = _settled(claimed(missed=missed), BROKEN)

    assert missed == after.missed
    assert 1 == len(settlement.runs)


def test_the_last_of_max_runs_ends_the_task(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(max_runs=3, run_count=2), OK)

    assert (Status.ENDED, None, None) == (after.status, after.next_occurrence, after.next_run_at)


def test_runs_a_person_asked_for_do_not_count_towards_max_runs(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(max_runs=3, run_count=2, trigger=Trigger.MANUAL), OK)

    assert (Status.SCHEDULED, 2) == (after.status, after.run_count)


def test_queued_occurrences_beyond_max_runs_are_skipped_not_forgotten(claimed: MakeTask) -> None:
    queued = (QueuedRun(at=NOON + MINUTE, trigger=Trigger.QUEUED),)

    after, settlement = _settled(claimed(max_runs=1, backlog=queued, overlap="queue_all"), OK)

    assert () == after.backlog
    assert [SkipReason.ENDED] == [run.skip_reason for run in settlement.runs[1:]]


def test_nothing_after_the_end_ends_the_task(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(end_at=NOON + MINUTE, next_occurrence=None), OK)

    assert (Status.ENDED, None) == (after.status, after.next_run_at)


def test_too_many_failures_in_a_row_pause_the_task_and_tell_why(claimed: MakeTask) -> None:
    task = claimed(pause_after_failures=5, consecutive_failures=4, attempt=3)

    after, _ = _settled(task, BROKEN)

    assert after.pause is not None
    assert (Status.PAUSED, "scheduler") == (after.status, after.pause.by)
    assert "5 times" in after.pause.note
    assert "paused" in [notice.kind for notice in after.alert.pending]


@pytest.mark.parametrize(
    ("task", "promised"),
    [
        ({}, NOON + 5 * MINUTE),
        ({"max_runs": 3, "run_count": 2}, None),
        ({"pause_after_failures": 1}, None),
        ({"pause": {"note": "Holiday"}}, None),
    ],
)
def test_no_notification_promises_a_run_that_will_not_come(
    task: dict[str, Any], promised: datetime | None, claimed: MakeTask
) -> None:
    after, _ = _settled(claimed(attempt=3, **task), BROKEN)

    assert promised == after.alert.pending[0].next_run_at


def test_a_task_paused_during_its_run_keeps_the_result_and_stops(claimed: MakeTask) -> None:
    after, settlement = _settled(claimed(pause={"note": "Holiday"}), BROKEN)

    assert (Status.PAUSED, None, 1) == (
        after.status,
        after.pause.until if after.pause else "",
        after.consecutive_failures,
    )
    assert [True] == [run.final for run in settlement.runs]


def test_an_alert_wakes_a_tick_within_a_minute_should_this_one_die(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(attempt=3), BROKEN)

    assert ["failure"] == [notice.kind for notice in after.alert.pending]
    assert NOON + MINUTE + SECOND == after.next_run_at


def test_memory_is_kept_when_given_and_left_alone_when_not(claimed: MakeTask) -> None:
    given, _ = _settled(claimed(memory={"seen": ["a"]}), succeeded("New", memory={"seen": ["b"]}))
    left, _ = _settled(claimed(memory={"seen": ["a"]}), OK)

    assert ({"seen": ["b"]}, {"seen": ["a"]}) == (given.memory, left.memory)


def test_only_the_last_twenty_outcomes_are_kept_in_the_task(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(recent=tuple(f"failed {n} x" for n in range(20))), OK)

    kept = [*(f"failed {n} x" for n in range(1, 20)), "succeeded 1000 2026-11-20T12:00:00Z"]
    assert kept == after.recent.splitlines()


def test_a_cancelled_attempt_is_over_and_is_no_failure(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(cancel_requested=True), Outcome(OutcomeKind.CANCELLED, "Cancelled"))

    assert (Status.SCHEDULED, 0, False) == (after.status, after.consecutive_failures, after.cancel_requested)


def test_a_settlement_never_leaves_the_next_look_in_the_past(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(overlap="queue_all"), OK, seconds=3600)

    assert after.next_run_at is not None
    assert NOON + timedelta(hours=1) <= after.next_run_at


CUT = Outcome(OutcomeKind.ABANDONED, "The tick's time was up while it ran")


def test_an_attempt_that_is_cut_short_is_made_again_at_once_and_counts_for_no_try(claimed: MakeTask) -> None:
    task = claimed(retry={"max_attempts": 1}, consecutive_failures=1)

    after, transition = _settled(task, CUT)

    assert (Status.RETRYING, NOON, 1, 1) == (
        after.status,
        after.occurrence,
        after.attempt,
        after.interruptions,
    )
    assert NOON + SECOND == after.next_run_at
    assert (1, ()) == (after.consecutive_failures, after.alert.pending)
    assert [(OutcomeKind.ABANDONED, False)] == [(run.outcome, run.final) for run in transition.runs]


def test_a_failure_after_a_cut_has_all_its_tries(claimed: MakeTask) -> None:
    after, _ = _settled(claimed(attempt=3, interruptions=1), BROKEN)

    assert (Status.RETRYING, 3) == (after.status, after.attempt)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"interruptions": 2, "attempt": 3}, id="for the third time"),
        pytest.param({"delivery": "at_most_once"}, id="a task that must run once"),
        pytest.param({"cancel_requested": True}, id="a task that a user cancels"),
    ],
)
def test_an_occurrence_is_over_with_its_last_cut(claimed: MakeTask, state: dict[str, Any]) -> None:
    after, transition = _settled(claimed(**state), CUT)

    assert (Status.SCHEDULED, 1, 0) == (after.status, after.consecutive_failures, after.interruptions)
    assert [True] == [run.final for run in transition.runs]


def test_what_an_occurrence_came_to_is_counted_and_an_incident_is_kept(claimed: MakeTask) -> None:
    hour = int(NOON.timestamp()) // 3600
    broken, _ = _settled(claimed(retry={"maxAttempts": 1}), BROKEN)
    again = claimed(**{name: getattr(broken, name) for name in ("tally", "alert", "consecutive_failures")})
    back, _ = _settled(again, OK, seconds=301)
    retrying, _ = _settled(claimed(retry={"maxAttempts": 3}), BROKEN)

    assert (f"{hour} 0.1 0.1", ()) == (broken.tally, broken.incidents)
    assert (f"{hour} 1.1 1.1", ("2026-11-20T12:00:00Z 2026-11-20T12:05:01Z 1",)) == (
        back.tally,
        back.incidents,
    )
    assert "" == retrying.tally, "the occurrence is not over"


WAITS_FOR_USER = QueuedRun(at=NOON, trigger=Trigger.MANUAL)
NOTHING_LEFT = {"next_occurrence": None, "max_runs": 3, "run_count": 2, "on_event": [{"type": "shop.order"}]}


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({}, {"pause": Pause(by="ann", at=NOON)}),
        ({"pause": Pause(by="ann", at=NOON)}, {"pause": None}),
        ({"enabled": False}, {"enabled": True}),
        ({"pause": Pause(until=NOON + 3 * MINUTE)}, {"backlog": (WAITS_FOR_USER,)}),
        ({}, {"next_occurrence": None}),
        (NOTHING_LEFT, {"run_count": 3}),
        (NOTHING_LEFT, {"run_count": 3, "backlog": (WAITS_FOR_USER,)}),
        (NOTHING_LEFT, {"next_occurrence": NOON + 9 * MINUTE}),
        ({}, {"backlog": (QueuedRun(at=NOON, trigger=Trigger.QUEUED),)}),
        ({}, {"alert": AlertState(retry_at=NOON + 2 * MINUTE)}),
        ({}, {"outbox": Outbox(retry_at=NOON + 2 * MINUTE)}),
        ({"expect_seconds": 60}, {"alert": AlertState(awaiting_since=NOON + MINUTE)}),
        (
            {"next_occurrence": NOON + 500 * MINUTE},
            {"alert": AlertState(first_notified_at=NOON, notified=True), "last_run_at": NOON + MINUTE},
        ),
        (
            {"type": "heartbeat", "params": {"maxSeconds": 60, "graceSeconds": 60}},
            {
                "heartbeat": HeartbeatState(open_runs=(OpenRun(run_id="a", started_at=NOON),)),
                "next_occurrence": NOON + 500 * MINUTE,
            },
        ),
    ],
)
def test_the_idle_state_follows_from_the_task_as_changed(
    make_task: MakeTask, before: dict[str, Any], changes: dict[str, Any]
) -> None:
    task = make_task(**{"next_occurrence": NOON + 5 * MINUTE} | before)
    now = NOON + MINUTE
    state = idle_state(task, changes, now=now)
    assert state == idle_state(task.model_copy(update=changes), {}, now=now)
    assert state != idle_state(task, {}, now=now)
