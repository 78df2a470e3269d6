"""What is said without a run to say it: reminders, silence and lateness, each with a wake-up of its own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import AlertState
from functions.domain.alerts.outbox import DeliveryAttempt
from functions.domain.lifecycle.after_delivery import after_delivery
from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.complete import end_pause, pause
from functions.domain.lifecycle.decide import ApplyTransition, StartAttempt, decide
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import failed, succeeded
from functions.domain.task import Pause, Task, TaskSpec
from functions.domain.types import Status

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

MakeTask = Callable[..., Task]


def looked_at(task: Task, now: datetime) -> Task:
    """*task* after a tick's look that starts nothing."""
    verdict = decide(task, token="t.1", now=now)
    assert isinstance(verdict, ApplyTransition)
    return task.model_copy(update=dict(verdict.transition.changes))


def started(task: Task, now: datetime) -> Task:
    verdict = decide(task, token="t.1", now=now)
    assert isinstance(verdict, StartAttempt)
    return task.model_copy(update=dict(verdict.changes))


def ran(task: Task, now: datetime, *, fails: bool = False) -> Task:
    outcome = failed("Answered 503") if fails else succeeded("Fine")
    settlement = complete_attempt(started(task, now), outcome, started_at=now, now=now, random_fraction=0.5)
    return task.model_copy(update=dict(settlement.changes))


def delivered(task: Task, now: datetime = NOON) -> Task:
    """*task* after all that is pending was told."""
    changes, _ = after_delivery(
        task, {notice.id: DeliveryAttempt() for notice in task.alert.pending}, now=now
    )
    return task.model_copy(update=dict(changes))


def kinds(task: Task) -> list[str]:
    return [notice.kind for notice in task.alert.pending]


def daily(make_task: MakeTask, **changes: Any) -> Task:
    """A task of each noon, without retries."""
    return make_task(**({"schedule": "0 12 * * *", "retry": {"max_attempts": 1}} | changes))


# -- silence ---------------------------------------------------------------------------------------------


def test_task_that_never_runs_is_noticed_when_a_success_is_overdue(make_task: MakeTask) -> None:
    yearly = {"schedule": "0 0 1 1 *", "next_occurrence": NOON + 42 * DAY, "expect_seconds": 7200}
    spec = TaskSpec.model_validate(make_task(**yearly).model_dump(include=set(TaskSpec.model_fields)))
    task = new_task(spec, now=NOON, origin="")

    looked = looked_at(task, NOON + 2 * HOUR)

    assert NOON + 2 * HOUR == task.next_run_at
    assert (["silent"], "No success since 2026-11-20T12:00:00Z") == (
        kinds(looked),
        looked.alert.pending[0].summary,
    )
    assert NOON + 2 * HOUR + MINUTE == looked.next_run_at  # its delivery, should this tick die


def test_silence_is_told_once_and_its_end_too(make_task: MakeTask) -> None:
    task = daily(make_task, expect_seconds=7200, next_occurrence=NOON + DAY, next_run_at=NOON + 2 * HOUR)
    silent = delivered(looked_at(task, NOON + 2 * HOUR), NOON + 2 * HOUR)

    later = looked_at(silent.model_copy(update={"next_run_at": NOON + 3 * HOUR}), NOON + 3 * HOUR)
    back = ran(silent, NOON + DAY)

    assert NOON + 2 * HOUR == silent.alert.first_notified_at  # from which reminders are counted
    assert ([], NOON + DAY) == (kinds(later), later.next_run_at)
    assert (["recovery"], NOON) == (kinds(back), back.alert.pending[0].since)
    assert (False, NOON + DAY) == (back.alert.missing_success_notified, back.alert.awaiting_since)


def test_each_success_puts_the_silence_off(make_task: MakeTask) -> None:
    task = daily(make_task, expect_seconds=26 * 3600)

    after = ran(task, NOON)
    late = ran(after, NOON + DAY)

    assert ([], NOON + DAY) == (kinds(after), after.next_run_at)
    assert NOON + DAY == late.alert.awaiting_since


def test_silence_of_a_failure_people_know_is_no_news(make_task: MakeTask) -> None:
    after = delivered(ran(daily(make_task, expect_seconds=3600), NOON, fails=True))

    looked = looked_at(after, NOON + HOUR)

    assert NOON + HOUR == after.next_run_at
    assert NOON + DAY == looked.next_run_at
    assert (True, []) == (looked.alert.missing_success_notified, kinds(looked))


def test_silence_is_news_to_rules_that_were_too_patient_for_the_failure(make_task: MakeTask) -> None:
    rules = [{"on": ["failure"], "channels": ["chat"]}, {"on": ["silent"], "channels": ["pager"]}]
    after = delivered(ran(daily(make_task, expect_seconds=3600, notify=rules), NOON, fails=True))

    looked = looked_at(after, NOON + HOUR)

    assert [("silent", ("pager",))] == [(one.kind, one.channels) for one in looked.alert.pending]


def test_silence_nobody_listens_to_is_looked_at_once(make_task: MakeTask) -> None:
    """Else each tick would find the task due."""
    task = daily(
        make_task, expect_seconds=3600, next_occurrence=NOON + DAY, notify=(), next_run_at=NOON + HOUR
    )

    looked = looked_at(task, NOON + HOUR)

    assert (NOON + DAY, []) == (looked.next_run_at, kinds(looked))


def test_paused_task_is_not_silent_and_is_awaited_anew_afterwards(make_task: MakeTask) -> None:
    task = daily(make_task, expect_seconds=3600, next_occurrence=NOON + DAY)
    changes = pause(task, note="", until=NOON + 5 * HOUR, by="ann", now=NOON).changes
    stopped = task.model_copy(update=dict(changes))

    going_on = stopped.model_copy(update=dict(end_pause(stopped, now=NOON + 5 * HOUR).changes))

    assert NOON + 5 * HOUR == stopped.next_run_at
    assert NOON + 6 * HOUR == going_on.next_run_at


@pytest.mark.parametrize(
    "changes",
    [
        {"pause": Pause(), "status": Status.PAUSED},
        {"enabled": False, "status": Status.PAUSED},
        {"status": Status.QUARANTINED},
        {"status": Status.ENDED, "next_occurrence": None},
    ],
)
def test_nothing_is_due_of_a_task_that_is_stopped(changes: dict[str, Any], make_task: MakeTask) -> None:
    alert = AlertState(notified=True, first_notified_at=NOON - DAY, reminded_at=NOON - DAY)
    task = daily(make_task, expect_seconds=60, alert=alert, consecutive_failures=2, **changes)

    looked = looked_at(task, NOON + DAY)

    assert ([], None) == (kinds(looked), looked.next_run_at)


def test_task_in_retry_is_noticed_too(make_task: MakeTask) -> None:
    retry = {"max_attempts": 3, "min_backoff_seconds": 7200, "max_backoff_seconds": 7200}
    waiting = ran(daily(make_task, expect_seconds=3600, retry=retry), NOON, fails=True)

    looked = looked_at(waiting, NOON + HOUR)

    assert (Status.RETRYING, NOON + HOUR, NOON + 2 * HOUR) == (
        waiting.status,
        waiting.next_run_at,
        waiting.retry_at,
    )
    assert (["silent"], Status.RETRYING, NOON + 2 * HOUR) == (kinds(looked), looked.status, looked.retry_at)
    assert NOON + 2 * HOUR == delivered(looked, NOON + HOUR).next_run_at


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.PAUSED, Status.QUARANTINED, Status.ENDED])
def test_look_that_tells_puts_the_next_one_off(status: Status, make_task: MakeTask) -> None:
    """Of a task that is stopped nothing is said but what it was stopped with."""
    pending = ran(daily(make_task), NOON, fails=True).alert.pending
    alert = AlertState(pending=pending, retry_at=NOON, first_notified_at=NOON - DAY, reminded_at=NOON - DAY)
    alert = alert.model_copy(update={"notified": True})
    task = daily(
        make_task,
        alert=alert,
        status=status,
        pause=Pause() if status is Status.PAUSED else None,
        next_occurrence=None if status is Status.ENDED else NOON + DAY,
        consecutive_failures=1,
    )

    looked = looked_at(task, NOON)

    more = ["reminder"] if status is Status.SCHEDULED else []
    assert (["failure", *more], NOON + MINUTE) == (kinds(looked), looked.next_run_at)


# -- reminders -------------------------------------------------------------------------------------------


def test_failing_task_is_looked_at_when_a_reminder_is_due_and_at_no_other_time(make_task: MakeTask) -> None:
    monthly = daily(make_task, schedule="0 12 20 * *", consecutive_failures=1)
    broken = delivered(ran(monthly, NOON, fails=True))

    looked = looked_at(broken, NOON + DAY)
    next_day = delivered(looked, NOON + DAY)

    assert (NOON + DAY, NOON + 2 * DAY) == (broken.next_run_at, next_day.next_run_at)
    assert (["reminder"], 2, "Answered 503") == (
        kinds(looked),
        looked.alert.pending[0].failures,
        looked.alert.pending[0].summary,
    )


def test_failing_run_brings_the_reminder_that_is_due(make_task: MakeTask) -> None:
    task = make_task(schedule="*/30 * * * *", retry={"max_attempts": 1})
    broken = delivered(ran(task, NOON, fails=True))

    half_past = ran(broken, NOON + HOUR / 2, fails=True)
    hour = ran(half_past, NOON + HOUR, fails=True)

    assert ([], ["reminder"], 3) == (kinds(half_past), kinds(hour), hour.alert.pending[0].failures)


def test_changed_error_is_word_enough_when_a_reminder_is_due(make_task: MakeTask) -> None:
    task = make_task(schedule="0 * * * *", retry={"max_attempts": 1})
    broken = delivered(ran(task, NOON, fails=True))
    claimed = started(broken, NOON + HOUR)
    now = NOON + HOUR

    settlement = complete_attempt(
        claimed, failed("Name not found"), started_at=now, now=now, random_fraction=0.5
    )

    assert ["failure"] == [notice.kind for notice in settlement.changes["alert"].pending]


def test_success_ends_reminders(make_task: MakeTask) -> None:
    broken = delivered(ran(daily(make_task), NOON, fails=True))

    back = delivered(ran(broken, NOON + DAY), NOON + DAY)

    assert (None, NOON + 2 * DAY) == (back.alert.first_notified_at, back.next_run_at)


def test_pause_after_too_many_failures_is_the_last_word(make_task: MakeTask) -> None:
    stopped = delivered(ran(daily(make_task, pause_after_failures=1), NOON, fails=True))

    assert (Status.PAUSED, None) == (stopped.status, stopped.next_run_at)


# -- lateness --------------------------------------------------------------------------------------------


def test_late_start_is_told_once_until_one_is_on_time(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *")

    first = ran(task, NOON + 10 * MINUTE)
    second = ran(delivered(first), NOON + 20 * MINUTE)
    on_time = ran(second, NOON + 21 * MINUTE)
    third = ran(on_time, NOON + 31 * MINUTE)

    assert [["late"], [], [], ["late"]] == [kinds(one) for one in (first, second, on_time, third)]
    assert "10 min later" in first.alert.pending[0].summary


def test_late_word_is_in_the_claim_so_that_a_tick_that_dies_does_not_lose_it(make_task: MakeTask) -> None:
    claimed = started(make_task(), NOON + HOUR)

    assert (Status.RUNNING, ["late"]) == (claimed.status, kinds(claimed))


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({}, NOON + 2 * MINUTE),
        ({"misfire": {"grace_seconds": 0}}, NOON + 2 * MINUTE),
        ({"misfire": {"grace_seconds": 3600}}, NOON + HOUR),
        ({"next_run_at": NOON + HOUR}, NOON + HOUR + MINUTE),  # nobody was to look before
        ({"jitter_seconds": 3600, "schedule": "0 12 * * *"}, NOON + HOUR),
    ],
)
def test_start_within_its_grace_is_not_late(
    changes: dict[str, Any], now: datetime, make_task: MakeTask
) -> None:
    assert [] == kinds(started(make_task(**changes), now))


def test_occurrences_that_are_skipped_for_lateness_are_told(make_task: MakeTask) -> None:
    task = make_task(misfire={"policy": "skip", "grace_seconds": 60})

    looked = looked_at(task, NOON + 7 * MINUTE)

    assert (["late"], NOON + 8 * MINUTE) == (kinds(looked), looked.next_run_at)
    assert "looked at 7 min later and skipped" in looked.alert.pending[0].summary
