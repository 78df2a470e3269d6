"""What people do to tasks: nothing they do loses an occurrence in silence."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from functions.domain.lifecycle.complete import Transition, cancel, pause, resume
from functions.domain.lifecycle.edit import backfill_instants, edit_task, new_task, queue_runs
from functions.domain.task import Pause, Task, TaskSpec
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger
from functions.errors import InputError
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def _spec(task: Task, **changes: Any) -> TaskSpec:
    """What a file would say that made *task*, with *changes*."""
    fields = {name: getattr(task, name) for name in TaskSpec.model_fields}
    return TaskSpec.model_validate(fields | changes)


def _after(task: Task, settlement: Transition) -> Task:
    return task.model_copy(update=settlement.changes)


@pytest.fixture
def retrying(make_task: MakeTask) -> Task:
    return make_task(
        status=Status.RETRYING,
        occurrence=NOON,
        attempt=1,
        retry_at=NOON + MINUTE,
        next_occurrence=NOON + HOUR,
        last_outcome=OutcomeKind.FAILED,
        last_error="Answered 503",
    )


class TestFirstLook:
    def test_a_new_task_waits_for_its_next_occurrence(self, make_task: MakeTask) -> None:
        task = new_task(_spec(make_task()), now=NOON + MINUTE, origin="file")

        assert (Status.SCHEDULED, NOON + 5 * MINUTE, "file") == (task.status, task.next_run_at, task.origin)

    def test_a_disabled_task_waits_for_nothing(self, make_task: MakeTask) -> None:
        task = new_task(_spec(make_task(), enabled=False), now=NOON, origin="file")

        assert (Status.PAUSED, None) == (task.status, task.next_run_at)

    def test_a_one_off_time_just_past_runs_at_once(self, make_task: MakeTask) -> None:
        spec = _spec(make_task(), schedule="at 2026-11-20T11:30")

        assert NOON == new_task(spec, now=NOON, origin="file").next_run_at

    @pytest.mark.parametrize(
        "changes", [{"schedule": "at 2026-11-20T08:00"}, {"end_at": NOON - MINUTE}], ids=["past", "ended"]
    )
    def test_a_task_that_would_never_run_is_refused(
        self, make_task: MakeTask, changes: dict[str, Any]
    ) -> None:
        with pytest.raises(InputError, match="no occurrence left"):
            new_task(_spec(make_task(), **changes), now=NOON, origin="file")

    def test_no_occurrence_is_before_the_start(self, make_task: MakeTask) -> None:
        task = new_task(_spec(make_task(), start_at=NOON + HOUR), now=NOON, origin="file")

        assert NOON + HOUR == task.next_occurrence


class TestEdit:
    def test_saving_the_same_again_changes_nothing(self, make_task: MakeTask) -> None:
        task = make_task()

        assert Transition({}, ()) == edit_task(task, _spec(task), now=NOON + 3 * MINUTE)

    def test_a_new_title_does_not_move_the_next_run(self, make_task: MakeTask) -> None:
        task = make_task(next_occurrence=NOON + HOUR)

        settlement = edit_task(task, _spec(task, title="Other"), now=NOON)

        assert NOON + HOUR == _after(task, settlement).next_run_at

    def test_a_new_schedule_counts_from_now(self, make_task: MakeTask) -> None:
        task = make_task(next_occurrence=NOON + HOUR)

        settlement = edit_task(task, _spec(task, schedule="*/10 * * * *"), now=NOON + MINUTE)

        assert NOON + 10 * MINUTE == _after(task, settlement).next_run_at

    def test_an_occurrence_already_owed_stays_owed(self, make_task: MakeTask) -> None:
        task = make_task()

        settlement = edit_task(task, _spec(task, schedule="0 3 * * *"), now=NOON + MINUTE)

        after = _after(task, settlement)
        assert ([NOON], NOON + MINUTE) == ([extra.at for extra in after.backlog], after.next_run_at)
        assert NOON + 15 * HOUR == after.next_occurrence

    def test_an_edit_during_a_run_leaves_the_claim_alone(self, make_task: MakeTask) -> None:
        claim = {"token": "t.1", "until": NOON + MINUTE, "started_at": NOON}
        task = make_task(status=Status.RUNNING, claim=claim, next_occurrence=NOON + HOUR, occurrence=NOON)

        settlement = edit_task(task, _spec(task, schedule="*/10 * * * *"), now=NOON)

        assert not {"claim", "status", "next_run_at"} & settlement.changes.keys()

    def test_editing_a_task_its_failures_stopped_starts_it_again(self, make_task: MakeTask) -> None:
        task = make_task(status=Status.PAUSED, pause=Pause(note="Failed 5 times", by="scheduler"))

        after = _after(task, edit_task(task, _spec(task, title="Mended"), now=NOON + MINUTE))

        assert (Status.SCHEDULED, None) == (after.status, after.pause)

    def test_editing_a_task_a_person_paused_leaves_it_paused(self, make_task: MakeTask) -> None:
        task = make_task(status=Status.PAUSED, pause=Pause(note="Holiday", by="ann"))

        after = _after(task, edit_task(task, _spec(task, title="Other"), now=NOON + MINUTE))

        assert Status.PAUSED == after.status

    def test_disabling_and_enabling_skips_what_came_between_and_counts_it(self, make_task: MakeTask) -> None:
        task = make_task(next_occurrence=NOON + 5 * MINUTE)
        off = _after(task, edit_task(task, _spec(task, enabled=False), now=NOON))

        settlement = edit_task(off, _spec(task), now=NOON + 11 * MINUTE)

        assert (Status.PAUSED, None) == (off.status, off.next_run_at)
        assert [(SkipReason.PAUSED, 2)] == [(run.skip_reason, run.count) for run in settlement.runs]
        assert NOON + 15 * MINUTE == _after(off, settlement).next_run_at


class TestPause:
    def test_a_paused_task_waits_for_nothing(self, make_task: MakeTask) -> None:
        task = make_task()

        after = _after(task, pause(task, note="Holiday", until=None, by="ann", now=NOON))

        assert (Status.PAUSED, None, "Holiday", "ann") == (
            after.status,
            after.next_run_at,
            after.pause.note if after.pause else "",
            after.pause.by if after.pause else "",
        )

    def test_a_pause_with_an_end_wakes_then(self, make_task: MakeTask) -> None:
        task = make_task()

        after = _after(task, pause(task, note="", until=NOON + HOUR, by="", now=NOON))

        assert NOON + HOUR == after.next_run_at

    def test_an_end_in_the_past_is_refused(self, make_task: MakeTask) -> None:
        with pytest.raises(InputError, match="until: must be in the future"):
            pause(make_task(), note="", until=NOON, by="", now=NOON)

    def test_a_waiting_retry_is_given_up_and_recorded(self, retrying: Task) -> None:
        settlement = pause(retrying, note="", until=None, by="", now=NOON)

        after = _after(retrying, settlement)
        assert [(NOON, OutcomeKind.FAILED, True)] == [
            (run.occurrence, run.outcome, run.final) for run in settlement.runs
        ]
        assert (Status.PAUSED, 1) == (after.status, after.consecutive_failures)

    @pytest.mark.parametrize("given_up", [partial(pause, note="", until=None, by=""), cancel])
    def test_a_row_changed_by_hand_may_wait_for_a_retry_of_nothing(
        self, retrying: Task, given_up: Callable[..., Transition]
    ) -> None:
        retrying = retrying.model_copy(update={"occurrence": None})

        settlement = given_up(retrying, now=NOON + MINUTE)

        assert [(NOON + MINUTE, True)] == [(run.occurrence, run.final) for run in settlement.runs]
        assert _after(retrying, settlement).status in (Status.PAUSED, Status.SCHEDULED)

    def test_resuming_skips_what_was_missed_and_counts_it(self, make_task: MakeTask) -> None:
        task = make_task(status=Status.PAUSED, pause=Pause())

        settlement = resume(task, now=NOON + 11 * MINUTE)

        assert [(SkipReason.PAUSED, 3)] == [(run.skip_reason, run.count) for run in settlement.runs]
        assert NOON + 15 * MINUTE == _after(task, settlement).next_run_at

    def test_resuming_may_catch_up(self, make_task: MakeTask) -> None:
        task = make_task(status=Status.PAUSED, pause=Pause())

        settlement = resume(task, now=NOON + 11 * MINUTE, catch_up=True)

        assert ((), NOON) == (settlement.runs, _after(task, settlement).next_occurrence)

    def test_a_task_that_is_not_paused_cannot_be_resumed(self, make_task: MakeTask) -> None:
        with pytest.raises(InputError, match="is not paused"):
            resume(make_task(), now=NOON)

    def test_a_quarantined_task_is_resumed_with_a_clean_record(self, make_task: MakeTask) -> None:
        task = make_task(status=Status.QUARANTINED, expired_claims=3, next_run_at=None)

        after = _after(task, resume(task, now=NOON + MINUTE))

        assert (Status.SCHEDULED, 0) == (after.status, after.expired_claims)


class TestCancel:
    def test_a_running_attempt_is_asked_to_stop(self, make_task: MakeTask) -> None:
        task = make_task(status=Status.RUNNING)

        assert Transition({"cancel_requested": True}, ()) == cancel(task, now=NOON)

    def test_a_waiting_retry_is_over(self, retrying: Task) -> None:
        settlement = cancel(retrying, now=NOON)

        after = _after(retrying, settlement)
        assert [OutcomeKind.CANCELLED] == [run.outcome for run in settlement.runs]
        assert (Status.SCHEDULED, NOON + HOUR, 0) == (
            after.status,
            after.next_run_at,
            after.consecutive_failures,
        )

    def test_nothing_in_hand_is_an_error_that_says_so(self, make_task: MakeTask) -> None:
        with pytest.raises(InputError, match="there is nothing to cancel"):
            cancel(make_task(), now=NOON)


class TestRunsByHand:
    def test_a_run_now_waits_for_the_next_tick_only(self, make_task: MakeTask) -> None:
        task = make_task(next_occurrence=NOON + HOUR, next_run_at=NOON + HOUR)

        after = _after(task, queue_runs(task, [NOON], Trigger.MANUAL, now=NOON))

        assert (NOON, NOON + HOUR) == (after.next_run_at, after.next_occurrence)

    def test_the_same_instant_waits_once(self, make_task: MakeTask) -> None:
        task = make_task(backlog=[{"at": NOON, "trigger": "backfill"}])

        after = _after(task, queue_runs(task, [NOON, NOON + MINUTE], Trigger.BACKFILL, now=NOON))

        assert [NOON, NOON + MINUTE] == [extra.at for extra in after.backlog]

    def test_a_hundred_may_wait_and_no_more(self, make_task: MakeTask) -> None:
        many = [NOON + n * MINUTE for n in range(101)]

        with pytest.raises(InputError, match="at most 100"):
            queue_runs(make_task(), many, Trigger.BACKFILL, now=NOON)

    def test_a_backfill_lists_the_occurrences_of_its_span(self, make_task: MakeTask) -> None:
        instants = backfill_instants(make_task(), first=NOON - 10 * MINUTE, until=NOON - 5 * MINUTE, now=NOON)

        assert [NOON - 10 * MINUTE, NOON - 5 * MINUTE] == instants

    @pytest.mark.parametrize(
        ("state", "count"),
        [
            ({}, 2),  # of 11:50, 11:55 and 12:00 the newest is to run at the next tick
            ({"jitter_seconds": 600}, 2),
            ({"misfire": {"policy": "run_all"}, "next_occurrence": NOON - 5 * MINUTE}, 1),
            ({"status": Status.PAUSED}, 3),
            ({"status": Status.RUNNING, "occurrence": NOON, "next_occurrence": NOON + 5 * MINUTE}, 2),
        ],
    )
    def test_a_backfill_leaves_out_what_runs_anyway(
        self, make_task: MakeTask, state: dict[str, Any], count: int
    ) -> None:
        until = NOON + MINUTE / 3

        instants = backfill_instants(make_task(**state), first=NOON - 10 * MINUTE, until=until, now=until)

        assert [NOON - 10 * MINUTE, NOON - 5 * MINUTE, NOON][:count] == instants

    @pytest.mark.parametrize(
        ("first", "until", "reason"),
        [
            (NOON, NOON + HOUR, "later than now"),
            (NOON - 3 * MINUTE, NOON - MINUTE, "no occurrence"),
            (NOON - 100 * HOUR, NOON, "shorter span"),
        ],
    )
    def test_a_backfill_is_refused_with_its_reason(
        self, make_task: MakeTask, first: Any, until: Any, reason: str
    ) -> None:
        with pytest.raises(InputError, match=reason):
            backfill_instants(make_task(), first=first, until=until, now=NOON)


@pytest.mark.parametrize("max_runs", [1, 3])
def test_max_runs_lowered_to_what_has_run_ends_the_task_at_once(make_task: MakeTask, max_runs: int) -> None:
    task = make_task(run_count=3, max_runs=10, next_occurrence=NOON + HOUR)

    after = _after(task, edit_task(task, _spec(task, max_runs=max_runs), now=NOON))

    assert (Status.ENDED, None, None) == (after.status, after.next_occurrence, after.next_run_at)


def test_max_runs_lowered_during_a_run_lets_it_be_the_last(make_task: MakeTask) -> None:
    task = make_task(
        status=Status.RUNNING, occurrence=NOON, run_count=3, max_runs=10, next_occurrence=NOON + HOUR
    )

    after = _after(task, edit_task(task, _spec(task, max_runs=2), now=NOON))

    assert (Status.RUNNING, NOON + HOUR) == (after.status, after.next_occurrence)


def test_max_runs_raised_again_goes_on(make_task: MakeTask) -> None:
    task = make_task(
        schedule="@hourly",
        status=Status.ENDED,
        run_count=3,
        max_runs=3,
        next_occurrence=None,
        next_run_at=None,
    )

    after = _after(task, edit_task(task, _spec(task, max_runs=4), now=NOON))

    assert (Status.SCHEDULED, NOON + HOUR) == (after.status, after.next_occurrence)


def test_resume_takes_back_a_next_run_that_a_clock_far_ahead_had_set(make_task: MakeTask) -> None:
    paused = make_task(schedule="@hourly", status=Status.PAUSED, next_occurrence=NOON + 800 * HOUR)

    after = _after(paused, resume(paused, now=NOON))

    assert (Status.SCHEDULED, NOON + HOUR) == (after.status, after.next_run_at)
