"""How much one tick starts, and what becomes of what its end cuts short: real HTTP, all defaults."""

from datetime import timedelta
from typing import Any

from functions.domain.capacity.time_budget import TimeBudget
from tests.integration.engine.conftest import MINUTE, Installation, at_a_standstill

LONG = TimeBudget(timedelta(seconds=45), timedelta(seconds=52))
SHORT = TimeBudget(timedelta(seconds=3), timedelta(seconds=4))  # 2.5 s for attempts


@at_a_standstill
async def test_600_tasks_of_three_seconds_all_run_in_one_tick(installation: Installation) -> None:
    """A tick used to start what its timeout of 20 s leaves room for: 200 of these, in its first 2.5 s."""
    await installation.put_all([f"t{n}" for n in range(600)], path="3")

    report = await installation.tick()

    assert (600, 600, 0) == (report["started"], report["succeeded"], report["postponed"])
    assert 600 == installation.calls["/3"]


@at_a_standstill
async def test_a_task_that_needs_nineteen_seconds_has_them_among_others(installation: Installation) -> None:
    known = {"recent": ("succeeded 19010 2026-11-20T12:00:00Z",)}
    await installation.put_all([f"t{n}" for n in range(300)], path="3")
    await installation.put("zz-long", path="19", state=known)

    report = await installation.tick()

    assert (301, 0) == (report["succeeded"], report["postponed"])


@at_a_standstill
async def test_an_attempt_that_the_tick_cuts_goes_first_next_time_and_counts_for_no_try(
    installation: Installation,
) -> None:
    await installation.put("long", path="3.2", retry={"maxAttempts": 1})

    cut = await installation.tick(SHORT)
    task = await installation.task("long")
    again = await installation.tick()

    assert (1, 0, 1) == (cut["started"], cut["failed"], cut["retrying"])
    assert ("retrying", 1, 1) == (task.status, task.attempt, task.interruptions)
    assert (1, 0, 2) == (again["succeeded"], again["failed"], installation.calls["/3.2"])
    assert {"abandoned": 1, "succeeded": 1} == await installation.outcomes()
    assert 0 == (await installation.task("long")).interruptions


@at_a_standstill
async def test_a_task_that_needs_longer_than_any_tick_fails_after_three_cuts_and_says_why(
    installation: Installation,
) -> None:
    await installation.put("long", path="30", timeoutSeconds=60)

    reports = [await installation.tick(SHORT) for _ in range(3)]
    task = await installation.task("long")

    assert [0, 0, 1] == [report["failed"] for report in reports]
    assert "TICK_BUDGET_SECONDS" in task.last_error
    assert (None, 1) == (task.occurrence, task.consecutive_failures)


@at_a_standstill
async def test_a_task_that_must_run_once_is_over_when_it_is_cut(installation: Installation) -> None:
    known = {"recent": ("succeeded 40 2026-11-20T12:00:00Z",)}
    await installation.put("once", path="30", delivery="at_most_once", timeoutSeconds=2.5, state=known)

    report = await installation.tick(TimeBudget(timedelta(seconds=3), timedelta(seconds=4)))

    assert (1, 0, 1) == (report["failed"], report["retrying"], installation.calls["/30"])


@at_a_standstill
async def test_an_attempt_whose_claim_came_late_is_not_begun_to_be_cut(installation: Installation) -> None:
    """It used to have what was left of its claim, was cut, and was made again: two requests for one."""
    known = {"recent": ("succeeded 6000 2026-11-20T12:00:00Z",)}  # it takes ten by now
    daily: dict[str, Any] = {"schedule": "@daily", "timeoutSeconds": 12}
    await installation.put("late", path="10", state=known, **daily)
    await installation.put("other", path="0.1", delivery="at_most_once", **daily)
    installation.delays = [14.0]  # of writes: the claim lasts for 10 + 12 s, and 15 for the results

    first = await installation.tick(LONG)
    released = [await installation.task(name) for name in ("late", "other")]
    installation.pass_time(MINUTE)
    second = await installation.tick()

    assert (0, 2, 0) == (first["started"], first["postponed"], first["retrying"])
    assert [("retrying", 0)] * 2 == [(task.status, task.attempt) for task in released]
    assert (2, {"/10": 1, "/0.1": 1}) == (second["succeeded"], dict(installation.calls))
    assert {"succeeded": 2} == await installation.outcomes()
