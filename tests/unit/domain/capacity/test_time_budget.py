"""The order of starting: urgent first, but nothing starves; and what an attempt is expected to take."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.domain.capacity.time_budget import Deadline, TimeBudget, by_priority, expected_duration
from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from tests.conftest import NOON


def _order(*tasks: Task) -> list[str]:
    return [stored.task.id for stored in by_priority([VersionedTask(task, 1) for task in tasks], now=NOON)]


def test_of_tasks_due_at_once_the_more_urgent_goes_first(make_task: Callable[..., Task]) -> None:
    tasks = [make_task(name, priority=name) for name in ("low", "urgent", "medium", "high")]

    assert ["urgent", "high", "medium", "low"] == _order(*tasks)


def test_a_low_task_that_waited_long_enough_goes_before_an_urgent_one(make_task: Callable[..., Task]) -> None:
    waiting = make_task("waiting", priority="low", next_run_at=NOON - timedelta(minutes=11))

    assert ["waiting", "fresh"] == _order(make_task("fresh", priority="urgent"), waiting)


def test_equals_go_in_the_order_of_their_ids(make_task: Callable[..., Task]) -> None:
    assert ["a", "b", "c"] == _order(make_task("c"), make_task("a"), make_task("b"))


def test_what_a_tick_has_cut_goes_before_everything(make_task: Callable[..., Task]) -> None:
    cut = make_task("cut", priority="low", interruptions=1)

    assert ["cut", "urgent"] == _order(make_task("urgent", priority="urgent"), cut)


def test_what_a_tick_had_claimed_and_not_begun_goes_before_everything(make_task: Callable[..., Task]) -> None:
    released = make_task("released", priority="low", status="retrying", attempt=0, occurrence=NOON)
    failed = make_task("failed", priority="low", status="retrying", attempt=1, occurrence=NOON)

    assert ["released", "urgent", "failed"] == _order(
        failed, make_task("urgent", priority="urgent"), released
    )


def test_an_owner_gets_no_turn_of_others_by_urgency_number_or_lateness(
    make_task: Callable[..., Task],
) -> None:
    late = NOON - timedelta(minutes=20)
    flood = [
        make_task(f"a{number}", owner="ann", priority="urgent", next_run_at=late, interruptions=number % 2)
        for number in range(6)
    ]

    assert ["a1", "high", "low", "a3", "bob-2", "a5", "a0", "a2", "a4"] == _order(
        *flood,
        make_task("bob-2", owner="bob", priority="low"),
        make_task("low", owner="cleo", priority="low"),
        make_task("high", owner="bob", priority="high"),
    )


def test_tasks_without_owner_wait_for_no_turn(make_task: Callable[..., Task]) -> None:
    operators = [make_task(f"op{number}") for number in range(3)]
    anns = [make_task(f"ann{number}", owner="ann", priority="urgent") for number in range(2)]

    assert ["ann0", "op0", "op1", "op2", "ann1"] == _order(*anns, *operators)


def test_of_equals_the_longer_goes_first(make_task: Callable[..., Task]) -> None:
    """It has room at the begin of a tick only."""
    tasks = [make_task(name, recent=recent(ms)) for name, ms in (("a", 3_000), ("b", 18_000), ("c", 40))]

    assert ["b", "a", "c"] == _order(*tasks)


def recent(*durations_ms: int) -> tuple[str, ...]:
    return tuple(f"succeeded {ms} 2026-11-20T12:00:00Z" for ms in durations_ms)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        pytest.param(10.0, {}, id="never ran"),
        pytest.param(4.0, {"timeout_seconds": 4}, id="never ran, with a short timeout"),
        pytest.param(20.0, {"delivery": "at_most_once"}, id="never ran, and may run only once"),
        pytest.param(5.65, {"recent": recent(3_010, 2_950, 9_000, 3_100, 2_990)}, id="one outlier"),
        pytest.param(14.5, {"recent": recent(100, 9_000)}, id="too few to tell an outlier"),
        pytest.param(20.0, {"recent": recent(19_000)}, id="never more than the timeout"),
        pytest.param(20.0, {"recent": (*recent(40), "timed_out 9 2026-11-20T12:00:00Z")}, id="timed out"),
        pytest.param(20.0, {"recent": recent(40), "interruptions": 1}, id="was cut short"),
        pytest.param(10.0, {"recent": ("by hand", "")}, id="edited by hand"),
    ],
)
def test_the_expected_duration_of_a_task(
    make_task: Callable[..., Task], seconds: float, state: dict[str, object]
) -> None:
    assert timedelta(seconds=seconds) == expected_duration(make_task(**state))


def test_an_attempt_that_may_need_a_whole_tick_starts_early_in_one_only(
    make_task: Callable[..., Task],
) -> None:
    deadline = Deadline(NOON, TimeBudget(timedelta(seconds=18), timedelta(seconds=24)))
    task = make_task(timeout_seconds=60, interruptions=1)

    fits = [deadline.fits_now(task, NOON + timedelta(seconds=seconds)) for seconds in (0, 3, 4)]

    assert [True, True, False] == fits


def test_a_tick_that_began_late_skips_nothing_for_its_timeout(make_task: Callable[..., Task]) -> None:
    """The start of a process took three seconds of a tick: an attempt of 20 s was skipped for good.

    Nor does it wait for a tick with more time: on a busy machine there may be none.
    """
    budget = TimeBudget(timedelta(seconds=15), timedelta(seconds=21), usual_limit=timedelta(seconds=24))
    deadline = Deadline(NOON, budget)
    once = make_task("once", delivery="at_most_once", timeout_seconds=20)

    assert not deadline.must_not_try(once)
    assert deadline.fits_now(once, NOON + timedelta(seconds=2))
    assert not deadline.fits_now(once, NOON + timedelta(seconds=4))
    assert deadline.must_not_try(once.model_copy(update={"timeout_seconds": 23}))
