"""Retries: random waits that grow, asked-for waits obeyed, and never into the next occurrence."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.lifecycle.attempt import next_retry_at
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from tests.conftest import NOON

FAILED = failed("Answered 503")
MakeTask = Callable[..., Task]


@pytest.fixture
def running(make_task: MakeTask) -> MakeTask:
    """A daily task in its first attempt at noon."""

    def make(**changes: Any) -> Task:
        daily = {"schedule": "0 12 * * *", "attempt": 1, "next_occurrence": NOON + timedelta(days=1)}
        return make_task(**(daily | changes))

    return make


@pytest.mark.parametrize(
    ("attempt", "dice", "seconds"), [(1, 0.0, 10), (1, 0.999999, 20), (2, 0.999999, 40), (2, 0.5, 25)]
)
def test_waits_are_drawn_between_the_floor_and_a_doubling_ceiling(
    running: MakeTask, attempt: int, dice: float, seconds: float
) -> None:
    task = running(attempt=attempt)

    at = next_retry_at(task, FAILED, now=NOON, random_fraction=dice)

    assert at is not None
    assert seconds == pytest.approx((at - NOON).total_seconds(), abs=0.1)


def test_no_wait_is_longer_than_the_longest_allowed(running: MakeTask) -> None:
    task = running(attempt=12, retry={"max_attempts": 20, "max_backoff_seconds": 60})

    assert NOON + timedelta(seconds=60) == next_retry_at(task, FAILED, now=NOON, random_fraction=1.0)


def test_the_wait_the_other_side_asks_for_is_obeyed(running: MakeTask) -> None:
    busy = failed("Answered 429", retry_after=timedelta(minutes=7))

    assert NOON + timedelta(minutes=7) == next_retry_at(running(), busy, now=NOON, random_fraction=0.5)


def test_an_asked_for_wait_beyond_half_way_to_the_next_occurrence_means_no_retry(running: MakeTask) -> None:
    busy = failed("Answered 429", retry_after=timedelta(hours=13))

    assert next_retry_at(running(), busy, now=NOON, random_fraction=0.5) is None


def test_a_task_of_every_minute_is_not_retried_because_its_next_run_comes_first(running: MakeTask) -> None:
    task = running(schedule="* * * * *", next_occurrence=NOON + timedelta(minutes=1))

    assert next_retry_at(task, FAILED, now=NOON, random_fraction=0.0) is None


def test_a_task_of_every_five_minutes_is_retried_when_a_tick_comes_before_half_way(running: MakeTask) -> None:
    task = running(schedule="*/5 * * * *", next_occurrence=NOON + timedelta(minutes=5))

    assert NOON + timedelta(seconds=10) == next_retry_at(task, FAILED, now=NOON, random_fraction=0.0)


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        (succeeded("Done"), {}),
        (failed("Address not allowed", permanent=True), {}),
        (Outcome(OutcomeKind.CANCELLED, "Cancelled"), {}),
        (FAILED, {"attempt": 3}),
        (FAILED, {"delivery": "at_most_once"}),
        (FAILED, {"cancel_requested": True}),
        (FAILED, {"pause": {"note": "Holiday"}}),
    ],
    ids=["success", "permanent", "cancelled", "last", "at-most-once", "cancel-requested", "paused"],
)
def test_there_is_no_retry_of(running: MakeTask, outcome: Outcome, changes: dict[str, Any]) -> None:
    assert next_retry_at(running(**changes), outcome, now=NOON, random_fraction=0.0) is None
