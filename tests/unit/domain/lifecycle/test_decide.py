"""What a due task needs: an attempt, a settlement without one, a look into the ledger, a word to people."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import AlertState, Notification
from functions.domain.events import OnEvent
from functions.domain.lifecycle.decide import (
    ApplyTransition,
    KnownTicks,
    RecoverClaim,
    StartAttempt,
    decide,
    release_claim,
    time_left,
)
from functions.domain.lifecycle.recover import EXPIRED_CLAIM_LIMIT, recover, take_suspects
from functions.domain.run import Run
from functions.domain.storage import VersionedTask
from functions.domain.task import Claim, Pause, QueuedRun, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
BACKFILLED = QueuedRun(at=NOON - HOUR, trigger=Trigger.BACKFILL)


def _started(task: Task, **when: Any) -> Task:
    verdict = decide(task, token="tick.1", **when)
    assert isinstance(verdict, StartAttempt)
    return task.model_copy(update=dict(verdict.changes))


def _settled(task: Task, **when: Any) -> tuple[Task, tuple[Run, ...]]:
    verdict = decide(task, token="tick.1", **when)
    assert isinstance(verdict, ApplyTransition)
    return task.model_copy(update=dict(verdict.transition.changes)), verdict.transition.runs


@pytest.fixture
def notice() -> Notification:
    return Notification(
        id="water-plants@2026-11-20T12:00:00Z#failure",
        kind="failure",
        task_id="water-plants",
        title="Water plants",
        type="http",
        schedule="* * * * *",
        timezone="UTC",
        occurrence=NOON,
        at=NOON,
        summary="Answered 503",
    )


class TestClaim:
    def test_a_claim_takes_the_occurrence_and_points_the_schedule_at_the_next(
        self, make_task: MakeTask
    ) -> None:
        after = _started(make_task(), now=NOON + SECOND)

        assert (Status.RUNNING, NOON, 1) == (after.status, after.occurrence, after.attempt)
        assert NOON + 5 * MINUTE == after.next_occurrence

    def test_a_claim_outlives_the_attempts_timeout_by_the_margin(self, make_task: MakeTask) -> None:
        after = _started(make_task(timeout_seconds=20), now=NOON)

        assert after.claim == Claim(token="tick.1", until=NOON + 45 * SECOND, started_at=NOON)
        assert NOON + 45 * SECOND == after.next_run_at

    @pytest.mark.parametrize(
        ("given", "waited", "left"),
        [
            ({}, 10, 20),  # a claim lasts ten seconds longer than its attempt may take
            ({}, 20, 10),  # one that never ran is expected to take half of the default timeout
            ({}, 20.5, 0),
            ({"recent": ("succeeded 2000 2026-11-20T11:55:00Z",)}, 26, 4),  # 2 s by half, and one
            ({"recent": ("succeeded 2000 2026-11-20T11:55:00Z",)}, 26.5, 0),
            ({"recent": ("timed_out 20000 2026-11-20T11:55:00Z",)}, 10.5, 0),  # all of it
            ({"interruptions": 1}, 10.5, 0),
            ({"delivery": "at_most_once"}, 10.5, 0),
            ({"delivery": "at_most_once", "recent": ("succeeded 9 2026-11-20T11:55:00Z",)}, 10.5, 0),
        ],
    )
    def test_an_attempt_begins_only_with_the_time_that_it_is_expected_to_take(
        self, make_task: MakeTask, given: dict[str, Any], waited: float, left: float
    ) -> None:
        claimed = _started(make_task(timeout_seconds=20, **given), now=NOON)

        assert left * SECOND == time_left(claimed, now=NOON + waited * SECOND)

    def test_jitter_holds_the_start_back_but_not_the_occurrence(self, make_task: MakeTask) -> None:
        task = make_task(jitter_seconds=60)

        early, late = decide(task, token="t.1", now=NOON), decide(task, token="t.1", now=NOON + MINUTE)

        assert isinstance(early, ApplyTransition)
        assert isinstance(late, StartAttempt)
        assert NOON == late.changes["occurrence"]


class TestMisfire:
    def test_run_once_runs_the_newest_and_counts_the_rest(self, make_task: MakeTask) -> None:
        after = _started(make_task(), now=NOON + 22 * MINUTE)

        assert (NOON + 20 * MINUTE, NOON + 25 * MINUTE) == (after.occurrence, after.next_occurrence)
        assert after.missed == SkippedRange(count=4, first=NOON, last=NOON + 15 * MINUTE)

    def test_run_all_runs_each_oldest_first(self, make_task: MakeTask) -> None:
        after = _started(make_task(misfire={"policy": "run_all"}), now=NOON + 11 * MINUTE)

        assert (NOON, Trigger.CATCH_UP) == (after.occurrence, after.trigger)
        assert (
            QueuedRun(at=NOON + 5 * MINUTE, trigger=Trigger.CATCH_UP),
            QueuedRun(at=NOON + 10 * MINUTE, trigger=Trigger.SCHEDULE),
        ) == after.backlog
        assert after.missed is None

    def test_run_all_keeps_the_newest_hundred_and_counts_the_rest(self, make_task: MakeTask) -> None:
        task = make_task(misfire={"policy": "run_all"}, schedule="* * * * *")

        after = _started(task, now=NOON + 149 * MINUTE)

        assert 99 == len(after.backlog)
        assert after.missed == SkippedRange(count=50, first=NOON, last=NOON + 49 * MINUTE)

    def test_skip_leaves_out_what_is_past_its_grace_and_says_so(self, make_task: MakeTask) -> None:
        task = make_task(misfire={"policy": "skip", "grace_seconds": 60}, notify=())

        after, runs = _settled(task, now=NOON + 7 * MINUTE)

        assert [(SkipReason.MISFIRE, 2)] == [(run.skip_reason, run.count) for run in runs]
        assert (Status.SCHEDULED, NOON + 10 * MINUTE) == (after.status, after.next_run_at)

    def test_skip_runs_what_is_within_its_grace(self, make_task: MakeTask) -> None:
        task = make_task(misfire={"policy": "skip", "grace_seconds": 60})

        assert NOON == _started(task, now=NOON + MINUTE).occurrence

    def test_late_work_yields_to_work_that_is_on_time(self, make_task: MakeTask) -> None:
        daily = make_task(schedule="0 12 * * *")

        on_time = decide(daily, token="t.1", now=NOON + 2 * HOUR)
        late = decide(daily, token="t.1", now=NOON + 2 * HOUR + SECOND)

        assert isinstance(on_time, StartAttempt)
        assert isinstance(late, StartAttempt)
        assert (False, True) == (on_time.is_catch_up, late.is_catch_up)

    def test_a_year_away_is_one_run_and_one_count(self, make_task: MakeTask) -> None:
        after = _started(make_task(schedule="* * * * *"), now=NOON + timedelta(days=365))

        assert after.missed is not None
        assert 365 * 24 * 60 == after.missed.count


class TestRetry:
    def test_a_retry_is_the_same_occurrence_and_the_next_attempt(self, make_task: MakeTask) -> None:
        task = make_task(
            status=Status.RETRYING,
            occurrence=NOON,
            attempt=1,
            retry_at=NOON + MINUTE,
            next_occurrence=NOON + 5 * MINUTE,
        )

        after = _started(task, now=NOON + MINUTE)

        assert (NOON, 2, None) == (after.occurrence, after.attempt, after.retry_at)

    def test_a_retry_gives_way_to_the_next_occurrence(self, make_task: MakeTask) -> None:
        task = make_task(
            status=Status.RETRYING,
            occurrence=NOON,
            attempt=1,
            retry_at=NOON + MINUTE,
            next_occurrence=NOON + 5 * MINUTE,
            last_outcome=OutcomeKind.FAILED,
            last_error="Answered 503",
        )

        after, runs = _settled(task, now=NOON + 6 * MINUTE)

        assert [(NOON, OutcomeKind.FAILED, True)] == [(r.occurrence, r.outcome, r.final) for r in runs]
        assert (1, NOON + 5 * MINUTE, NOON + 6 * MINUTE) == (
            after.consecutive_failures,
            after.next_occurrence,
            after.next_run_at,
        )

    def test_what_a_crash_left_undone_does_not_give_way(self, make_task: MakeTask) -> None:
        task = make_task(
            status=Status.RETRYING,
            occurrence=NOON,
            attempt=1,
            expired_claims=1,
            retry_at=NOON + MINUTE,
            next_occurrence=NOON + 5 * MINUTE,
        )

        assert NOON == _started(task, now=NOON + 6 * MINUTE).occurrence

    def test_a_released_claim_is_the_same_attempt_again(self, make_task: MakeTask) -> None:
        claimed = _started(make_task(), now=NOON)
        given_back = claimed.model_copy(update=release_claim(claimed, now=NOON + SECOND))

        again = _started(given_back, now=NOON + 6 * MINUTE)

        assert (NOON, 1) == (again.occurrence, again.attempt)

    @pytest.mark.parametrize(
        ("given", "since"),
        [
            ({}, NOON),  # as before the claim
            ({"jitter_seconds": 60}, NOON + 58 * SECOND),  # the start that is drawn for it
            (
                {
                    "attempt": 1,
                    "status": Status.RETRYING,
                    "occurrence": NOON,
                    "retry_at": NOON,
                    "next_occurrence": NOON + HOUR,
                },
                NOON + MINUTE,
            ),
            (
                {"next_occurrence": None, "backlog": (BACKFILLED,)},
                NOON + MINUTE,
            ),  # long ago: not late by that
        ],
    )
    def test_what_was_claimed_and_never_begun_is_due_since_it_was_before(
        self, make_task: MakeTask, given: dict[str, Any], since: datetime
    ) -> None:
        claimed = _started(make_task(**given), now=NOON + MINUTE)

        after = claimed.model_copy(update=release_claim(claimed, now=NOON + MINUTE))

        assert (since, None, claimed.attempt - 1) == (after.next_run_at, after.claim, after.attempt)

    def test_what_was_missed_goes_on_yielding_after_its_claim_was_released(self, make_task: MakeTask) -> None:
        """It used to be on time then, and began after its share of the tick."""
        released = {"status": Status.RETRYING, "occurrence": NOON, "retry_at": NOON, "trigger": "catch_up"}
        released["next_occurrence"] = NOON + 5 * MINUTE

        found = [
            decide(make_task(**released, attempt=attempt), token="t.1", now=NOON + SECOND)
            for attempt in (0, 1)
        ]

        assert [True, False] == [one.is_catch_up for one in found if isinstance(one, StartAttempt)]


class TestPause:
    def test_a_pause_with_an_end_ends_by_itself_and_counts_what_it_left_out(
        self, make_task: MakeTask
    ) -> None:
        task = make_task(status=Status.PAUSED, pause=Pause(until=NOON + 12 * MINUTE))

        after, runs = _settled(task, now=NOON + 12 * MINUTE)

        assert [(SkipReason.PAUSED, 3)] == [(run.skip_reason, run.count) for run in runs]
        assert (Status.SCHEDULED, NOON + 15 * MINUTE, None) == (after.status, after.next_run_at, after.pause)

    def test_a_paused_task_still_runs_when_a_person_asks(self, make_task: MakeTask) -> None:
        asked = (QueuedRun(at=NOON + SECOND, trigger=Trigger.MANUAL),)
        task = make_task(status=Status.PAUSED, pause=Pause(), backlog=asked)

        after = _started(task, now=NOON + SECOND)

        assert (NOON + SECOND, Trigger.MANUAL, NOON) == (
            after.occurrence,
            after.trigger,
            after.next_occurrence,
        )


class TestTelling:
    def test_only_waiting_notices_mean_no_attempt(self, make_task: MakeTask, notice: Notification) -> None:
        alert = AlertState(pending=(notice,), retry_at=NOON)

        after, runs = _settled(make_task(next_occurrence=NOON + HOUR, alert=alert), now=NOON)

        assert ((notice,), ()) == (after.alert.pending, runs)

    @pytest.mark.parametrize(
        ("changes", "next_look"),
        [
            ({}, NOON + MINUTE),
            ({"next_occurrence": NOON + SECOND}, NOON + SECOND),
            ({"status": Status.RETRYING, "occurrence": NOON, "retry_at": NOON + SECOND}, NOON + SECOND),
            ({"status": Status.QUARANTINED}, NOON + MINUTE),
            ({"status": Status.PAUSED, "pause": Pause()}, NOON + MINUTE),
        ],
        ids=["waits", "next-comes-first", "retry-comes-first", "quarantined", "paused"],
    )
    def test_of_several_ticks_one_tells_and_the_others_look_again_in_a_minute(
        self, make_task: MakeTask, notice: Notification, changes: dict[str, Any], next_look: datetime
    ) -> None:
        task = make_task(
            **{"next_occurrence": NOON + HOUR, "alert": AlertState(pending=(notice,), retry_at=NOON)}
            | changes
        )

        after, _ = _settled(task, now=NOON)

        assert (NOON + MINUTE, next_look) == (after.alert.retry_at, after.next_run_at)

    def test_a_due_task_with_waiting_notices_is_attempted(
        self, make_task: MakeTask, notice: Notification
    ) -> None:
        alert = AlertState(pending=(notice,), retry_at=NOON)

        assert isinstance(decide(make_task(alert=alert), token="t.1", now=NOON), StartAttempt)


class TestLostPlace:
    """A task that waits for its schedule without a next occurrence: removed by hand, or never written."""

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"last_run_at": NOON - 5 * MINUTE}, (Status.SCHEDULED, NOON)),  # due now, and run
            ({"last_run_at": NOON + SECOND}, (Status.SCHEDULED, NOON + 5 * MINUTE)),  # it has run
            ({"last_run_at": None, "updated_at": NOON - MINUTE}, (Status.SCHEDULED, NOON)),
            ({"schedule": "at 2026-11-20T11:00", "last_run_at": NOON - HOUR}, (Status.ENDED, None)),
            ({"last_run_at": NOON - HOUR, "max_runs": 3, "run_count": 3}, (Status.ENDED, None)),
            ({"last_run_at": NOON, "end_at": NOON + MINUTE}, (Status.ENDED, None)),
        ],
    )
    def test_it_goes_on_behind_its_last_run(
        self, make_task: MakeTask, given: dict[str, Any], expected: tuple[Status, datetime | None]
    ) -> None:
        task = make_task(**{"created_at": NOON - HOUR, "updated_at": NOON - HOUR, **given})
        task = task.model_copy(update={"next_occurrence": None})

        after, runs = _settled(task, now=NOON + 2 * SECOND)

        assert (*expected, ()) == (after.status, after.next_occurrence, runs)

    def test_one_that_waits_for_events_alone_has_not_lost_it(self, make_task: MakeTask) -> None:
        task = make_task(on_event=(OnEvent(type="shop.opened"),)).model_copy(update={"next_occurrence": None})

        after, _ = _settled(task, now=NOON)

        assert (Status.SCHEDULED, None) == (after.status, after.next_occurrence)


class TestExpiredClaim:
    @pytest.fixture
    def dead(self, make_task: MakeTask) -> MakeTask:
        def make(**changes: Any) -> Task:
            return _started(make_task(**changes), now=NOON)

        return make

    def test_the_ledger_of_the_dead_tick_is_asked_first(self, dead: MakeTask) -> None:
        assert RecoverClaim("tick") == decide(dead(), token="other.1", now=NOON + 36 * SECOND)

    def test_without_a_record_the_occurrence_is_tried_again(self, dead: MakeTask) -> None:
        task = dead()

        settlement = recover(task, None, now=NOON + 36 * SECOND)

        after = task.model_copy(update=dict(settlement.changes))
        assert [(OutcomeKind.ABANDONED, 1, False)] == [
            (r.outcome, r.attempt, r.final) for r in settlement.runs
        ]
        assert 2 == _started(after, now=NOON + 36 * SECOND).attempt

    def test_with_a_record_it_is_settled_and_not_run_again(self, dead: MakeTask) -> None:
        task = dead()
        record = Run(
            task_id=task.id,
            occurrence=NOON,
            attempt=1,
            token="tick.1",
            outcome=OutcomeKind.SUCCEEDED,
            summary="Answered 200",
            started_at=NOON,
            finished_at=NOON + SECOND,
        )

        settlement = recover(task, record, now=NOON + 36 * SECOND)

        after = task.model_copy(update=dict(settlement.changes))
        assert (Status.SCHEDULED, NOON + 5 * MINUTE, "Answered 200") == (
            after.status,
            after.next_run_at,
            after.last_result_summary,
        )

    def test_a_claim_of_no_occurrence_is_put_away(self, dead: MakeTask) -> None:
        """Somebody has removed the occurrence by hand: nothing can be recovered, and others wait."""
        task = dead().model_copy(update={"occurrence": None})

        after, runs = _settled(task, now=NOON + 36 * SECOND)

        assert (Status.SCHEDULED, None, NOON + 5 * MINUTE, ()) == (
            after.status,
            after.claim,
            after.next_run_at,
            runs,
        )

    def test_at_most_once_is_never_tried_again(self, dead: MakeTask) -> None:
        task = dead(delivery="at_most_once")

        settlement = recover(task, None, now=NOON + 36 * SECOND)

        assert [(OutcomeKind.ABANDONED, True)] == [(r.outcome, r.final) for r in settlement.runs]
        assert Status.SCHEDULED == settlement.changes["status"]

    def test_a_task_that_takes_its_process_down_is_quarantined(self, dead: MakeTask) -> None:
        task = dead().model_copy(update={"expired_claims": EXPIRED_CLAIM_LIMIT - 1})

        settlement = recover(task, None, now=NOON + 36 * SECOND)

        after = task.model_copy(update=dict(settlement.changes))
        assert Status.QUARANTINED == after.status
        assert "paused" in [notice.kind for notice in after.alert.pending]
        assert after.next_run_at == after.alert.retry_at

    def test_what_came_while_it_lay_dead_is_owed_not_overlapped(self, dead: MakeTask) -> None:
        task = dead(delivery="at_most_once")

        settlement = recover(task, None, now=NOON + 6 * MINUTE)

        assert 1 == len(settlement.runs)
        assert NOON + 5 * MINUTE == settlement.changes["next_occurrence"]


@pytest.mark.parametrize("status", [Status.RUNNING, Status.RETRYING])
def test_a_state_no_tick_leaves_behind_is_mended(make_task: MakeTask, status: Status) -> None:
    after, runs = _settled(make_task(status=status), now=NOON)

    assert (Status.SCHEDULED, NOON, ()) == (after.status, after.next_run_at, runs)


def test_a_quarantined_task_is_never_woken_by_mending(make_task: MakeTask) -> None:
    after, _ = _settled(make_task(status=Status.QUARANTINED), now=NOON)

    assert (Status.QUARANTINED, None) == (after.status, after.next_run_at)


class TestPromised:
    """An occurrence once promised is kept, even when the schedule would no longer imply it."""

    OFF_GRID = NOON + 17 * SECOND

    def test_it_is_run(self, make_task: MakeTask) -> None:
        after = _started(make_task(next_occurrence=self.OFF_GRID), now=NOON + MINUTE)

        assert (self.OFF_GRID, NOON + 5 * MINUTE) == (after.occurrence, after.next_occurrence)

    def test_it_is_counted_when_it_was_missed(self, make_task: MakeTask) -> None:
        after = _started(make_task(next_occurrence=self.OFF_GRID), now=NOON + 11 * MINUTE)

        assert after.missed == SkippedRange(count=2, first=self.OFF_GRID, last=NOON + 5 * MINUTE)

    def test_it_is_queued_with_the_others(self, make_task: MakeTask) -> None:
        task = make_task(next_occurrence=self.OFF_GRID, misfire={"policy": "run_all"})

        after = _started(task, now=NOON + 6 * MINUTE)

        assert (self.OFF_GRID, [NOON + 5 * MINUTE]) == (
            after.occurrence,
            [extra.at for extra in after.backlog],
        )

    def test_it_is_skipped_and_counted_when_the_task_was_paused(self, make_task: MakeTask) -> None:
        task = make_task(
            status=Status.PAUSED, pause=Pause(until=NOON + MINUTE), next_occurrence=self.OFF_GRID
        )

        _, runs = _settled(task, now=NOON + MINUTE)

        assert [(self.OFF_GRID, 1)] == [(run.occurrence, run.count) for run in runs]


def test_what_ticks_had_no_room_for_is_no_misfire_and_no_late_start(make_task: MakeTask) -> None:
    """Another task ran after it was due: somebody did ping."""
    task = make_task(schedule="* * * * *", next_occurrence=NOON - 5 * MINUTE, next_run_at=NOON - 5 * MINUTE)

    known = decide(task, token="t.1", now=NOON, ticks=KnownTicks([NOON - MINUTE]))
    unknown = decide(task, token="t.1", now=NOON, ticks=KnownTicks([NOON - 6 * MINUTE]))

    assert isinstance(known, StartAttempt)
    assert isinstance(unknown, StartAttempt)
    assert (True, False) == (known.changes["missed"].tick_came, unknown.changes["missed"].tick_came)
    assert "alert" not in known.changes
    assert unknown.changes["alert"].late_notified


def test_only_a_tick_that_could_have_started_what_was_missed_is_the_cause(
    make_task: MakeTask,
) -> None:
    task = make_task(schedule="*/5 * * * *", next_occurrence=NOON - 10 * MINUTE, next_run_at=NOON)

    found = {
        minutes: decide(task, token="t.1", now=NOON, ticks=KnownTicks([NOON - minutes * MINUTE]))
        for minutes in (1, 4, 6, 9, 11)
    }

    came = {n: one.changes["missed"].tick_came for n, one in found.items() if isinstance(one, StartAttempt)}
    assert {1: True, 4: True, 6: False, 9: False, 11: False} == came  # skipped: 11:50 and 11:55


def test_those_that_may_have_killed_a_process_are_tried_in_ever_smaller_groups(make_task: MakeTask) -> None:
    deaths = {**{f"once{n:02}": 1 for n in range(40)}, **{f"twice{n}": 2 for n in range(5)}, "a": 3, "b": 3}
    suspects = deque(VersionedTask(make_task(name, expired_claims=n), 1) for name, n in deaths.items())

    sizes = []
    while group := take_suspects(suspects):
        sizes.append(len(group))

    assert [32, 8, 4, 1, 1, 1] == sizes
