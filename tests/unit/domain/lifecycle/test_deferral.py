"""Settlements that wait for the next claim: when they may, and that the record says all that they change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import AlertState
from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.complete import Transition, cancel, pause
from functions.domain.lifecycle.decide import StartAttempt, decide
from functions.domain.lifecycle.deferral import (
    can_defer,
    claiming_ticks,
    deferred_transition,
    mark_deferred,
    settle_by_records,
)
from functions.domain.lifecycle.edit import edit_task, queue_runs
from functions.domain.run import Outcome, Run, failed, succeeded
from functions.domain.storage import ConditionalWrite, VersionedTask
from functions.domain.task import QueuedRun, Task, TaskSpec
from functions.domain.types import OutcomeKind, Status, Trigger
from tests.conftest import NOON

MakeTask = Callable[..., Task]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CLAIM_ENDS = NOON + 45 * SECOND  # 20 s of the timeout, 10 until it begins, 15 of margin


@pytest.fixture
def frequent(make_task: MakeTask) -> MakeTask:
    """Build a task of every minute that has succeeded before."""

    def make(task_id: str = "water-plants", **changes: Any) -> Task:
        defaults = {"schedule": "* * * * *", "last_outcome": "succeeded", "last_run_at": NOON - MINUTE}
        return make_task(task_id, **(defaults | changes))

    return make


def _claimed(task: Task, *, defers: bool = True) -> Task:
    start = decide(task, token="tick1.1", now=NOON, defers=defers)
    assert isinstance(start, StartAttempt)
    return task.model_copy(update=dict(start.changes))


def _after(task: Task, outcome: Outcome | None = None) -> Transition:
    return complete_attempt(
        task,
        outcome or succeeded("Answered 200"),
        started_at=NOON,
        now=NOON + SECOND,
        random_fraction=0.5,
    )


def _recorded(task: Task) -> Run:
    return mark_deferred(_after(task)).runs[0]


@pytest.mark.parametrize(("schedule", "minutes"), [("* * * * *", 1), ("*/2 * * * *", 2), ("*/5 * * * *", 5)])
def test_a_frequent_task_is_looked_at_when_its_next_occurrence_is_due(
    frequent: MakeTask, schedule: str, minutes: int
) -> None:
    claimed = _claimed(frequent(schedule=schedule))

    assert CLAIM_ENDS == claimed.claim.until if claimed.claim else None
    assert NOON + minutes * MINUTE == claimed.next_run_at
    assert can_defer(claimed, _after(claimed))


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "*/10 * * * *"},  # an attempt is not made again for ten minutes after a death
        {"timeout_seconds": 50},  # the claim outlives the next occurrence
        {"delivery": "at_most_once"},
        {"last_outcome": "failed", "consecutive_failures": 1},
        {"last_outcome": None},
        {"expired_claims": 1},
        {"backlog": (QueuedRun(at=NOON - MINUTE, trigger=Trigger.MANUAL),)},
        {"end_at": NOON},
        {"expect_seconds": 60, "alert": AlertState(awaiting_since=NOON - 30 * SECOND)},
    ],
)
def test_where_a_later_look_could_be_too_late_the_claims_end_counts(
    frequent: MakeTask, changes: dict[str, Any]
) -> None:
    claimed = _claimed(frequent(**changes))

    assert claimed.claim is not None
    assert claimed.claim.until == claimed.next_run_at
    assert not can_defer(claimed, _after(claimed))


def test_nothing_is_deferred_unless_it_is_asked_for(frequent: MakeTask) -> None:
    claimed = _claimed(frequent(), defers=False)

    assert CLAIM_ENDS == claimed.next_run_at
    assert not can_defer(claimed, _after(claimed))


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        (failed("Answered 500"), {}),
        (failed("Answered 500", permanent=True), {}),
        (Outcome(OutcomeKind.ABANDONED, "Cut"), {}),
        (Outcome(OutcomeKind.CANCELLED, "Cancelled"), {}),
        (succeeded("Two new", memory={"seen": ["a"]}), {}),
        (succeeded("Done"), {"max_runs": 1}),
        (succeeded("Done"), {"dependents": ({"task": "other", "on": "success"},)}),
        (succeeded("Done"), {"notify": ({"on": ["success"]},)}),
    ],
)
def test_what_is_new_is_written_at_once(
    frequent: MakeTask, outcome: Outcome, changes: dict[str, Any]
) -> None:
    claimed = _claimed(frequent(**changes))

    assert not can_defer(claimed, _after(claimed, outcome))


def test_what_would_be_looked_at_at_another_time_is_written_at_once(frequent: MakeTask) -> None:
    claimed = _claimed(frequent())
    after = _after(claimed)

    assert not can_defer(claimed, Transition({**after.changes, "next_run_at": CLAIM_ENDS}, after.runs))


def test_the_same_memory_is_nothing_new(frequent: MakeTask) -> None:
    claimed = _claimed(frequent(memory={"seen": ["a"]}))

    assert can_defer(claimed, _after(claimed, succeeded("None new", memory={"seen": ["a"]})))


def test_the_record_settles_the_task_as_its_tick_would_have(frequent: MakeTask) -> None:
    claimed = _claimed(frequent())
    at_once = claimed.model_copy(update=_after(claimed).changes)

    [settled] = settle_by_records([VersionedTask(claimed, 7)], [_recorded(claimed)])

    assert at_once == settled.task
    assert 7 == settled.revision
    assert {"status", "claim", "last_run_at", "recent"} <= settled.unwritten


@pytest.mark.parametrize("changes", [{"token": "tick9.1"}, {"deferred": False}, {"task_id": "other"}])
def test_other_records_settle_nothing(frequent: MakeTask, changes: dict[str, Any]) -> None:
    stored = VersionedTask(_claimed(frequent()), 7)

    other = _recorded(stored.task).model_copy(update=changes)
    assert [stored] == settle_by_records([stored], [other])
    assert "task_id" in changes or deferred_transition(stored.task, other) is None


def test_the_next_claim_writes_what_was_left(frequent: MakeTask) -> None:
    claimed = _claimed(frequent())
    [settled] = settle_by_records([VersionedTask(claimed, 7)], [_recorded(claimed)])
    start = decide(settled.task, token="tick2.1", now=NOON + MINUTE, defers=True)

    assert isinstance(start, StartAttempt)
    write = ConditionalWrite.for_changes(settled, start.changes)
    assert NOON == write.task.last_run_at
    assert NOON + MINUTE == write.task.occurrence
    assert settled.unwritten | {"claim"} <= (write.fields or set())


def test_a_pause_during_the_attempt_is_kept(frequent: MakeTask) -> None:
    claimed = _claimed(frequent())
    paused = claimed.model_copy(
        update=pause(claimed, note="Moving", until=None, by="ann", now=NOON + SECOND / 2).changes
    )

    transition = deferred_transition(paused, _recorded(claimed))

    assert transition is not None
    assert Status.PAUSED is transition.changes["status"]


@pytest.mark.parametrize("kind", ["edit", "run", "cancel"])
def test_what_users_change_during_an_attempt_is_looked_at_when_its_claim_ends(
    frequent: MakeTask, kind: str
) -> None:
    claimed = _claimed(frequent(schedule="*/5 * * * *"))
    spec = TaskSpec.model_validate(
        {name: getattr(claimed, name) for name in TaskSpec.model_fields} | {"schedule": "* * * * *"}
    )
    now = NOON + SECOND / 2
    changes = {
        "edit": lambda: edit_task(claimed, spec, now=now),
        "run": lambda: queue_runs(claimed, [now], Trigger.MANUAL, now=now),
        "cancel": lambda: cancel(claimed, now=now),
    }[kind]().changes

    assert CLAIM_ENDS == changes["next_run_at"]


def test_a_record_that_would_need_another_one_settles_nothing(frequent: MakeTask) -> None:
    """An edit has put an occurrence into the attempt's time: its skip is a record that nobody has made."""
    claimed = _claimed(frequent())
    edited = claimed.model_copy(update={"next_occurrence": NOON + SECOND / 2})

    assert deferred_transition(edited, _recorded(claimed)) is None


def test_claims_are_grouped_by_their_ticks(frequent: MakeTask) -> None:
    claimed = _claimed(frequent())
    others = [frequent("b"), claimed.model_copy(update={"id": "c"})]

    assert ["tick1"] == claiming_ticks(VersionedTask(task, 1) for task in (claimed, *others))
