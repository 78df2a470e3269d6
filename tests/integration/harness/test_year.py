"""A year with changes of the clocks, outages and failures: every occurrence has exactly one end."""

import asyncio
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.run import Outcome, Run, failed, succeeded
from functions.domain.task import Job, Task, TaskSpec
from functions.domain.types import OutcomeKind, SkipReason
from tests.harness.chaos.checker.oracle import occurrences
from tests.harness.simulation.year import World, spans
from tests.support.shared import once_per_run

pytestmark = pytest.mark.timeout(400)  # the year is lived by the first of them

START = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
AWAY = (
    (datetime(2026, 2, 3, 4, tzinfo=UTC), datetime(2026, 2, 3, 7, tzinfo=UTC)),
    (datetime(2026, 3, 29, 0, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC)),  # over a change of clocks
    (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 3, 12, tzinfo=UTC)),
    (datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 8, 11, tzinfo=UTC)),
    (datetime(2026, 8, 15, 4, tzinfo=UTC), datetime(2026, 8, 15, 7, tzinfo=UTC)),
    (datetime(2026, 10, 25, 0, 40, tzinfo=UTC), datetime(2026, 10, 25, 1, 20, tzinfo=UTC)),
)
SCHEDULES = (
    ("night-riga", "30 3 * * *", "Europe/Riga"),  # in the hour that is left out and comes twice
    ("night-new-york", "30 2 * * *", "America/New_York"),
    ("night-lord-howe", "45 1 * * *", "Australia/Lord_Howe"),  # half an hour is left out
    (
        "wild-riga",
        "15 */4 * * *",
        "Europe/Riga",
    ),  # the oracle itself errs on half an hour; see test_cron_against_debian
    ("week", "0 9 * * MON-FRI", "Europe/Riga"),
    ("last-day", "0 0 L * *", "America/New_York"),
    ("interval", "every 2h", "UTC"),  # more of them missed at once than `run_all` keeps
)
# Half of all runs of the year were its, and the weeks with a long and a short outage show what the others do.
BOUNDS = {"interval": {"startAt": "2026-07-20T00:00:00Z", "endAt": "2026-08-31T12:00:00Z"}}
POLICIES = ("run_once", "run_all", "skip")


def spec(name: str, schedule: str, timezone: str, policy: str) -> TaskSpec:
    return TaskSpec.model_validate(
        {
            "id": f"{name}-{policy.replace('_', '-')}",
            "title": name,
            "type": "http",
            "schedule": schedule,
            "timezone": timezone,
            "misfire": {"policy": policy},
        }
        | BOUNDS.get(name, {})
    )


async def work(job: Job) -> Outcome:
    """Every seventh day its first attempt fails, every thirteenth all attempts do."""
    day = job.scheduled_at.timetuple().tm_yday
    if day % 13 == 0 or (day % 7 == 0 and job.attempt == 1):
        return failed("Answered 503, expected 200")
    return succeeded("Answered 200")


@dataclass(frozen=True, repr=False)  # pytest writes out what a fixture returns: seconds for a year
class Year:
    """What is left of the year."""

    ticks: int
    told: list[Notification]
    tasks: dict[str, Task]
    runs: dict[str, list[Run]]


async def live() -> Year:
    world = World(START, END, work, AWAY)
    await world.create(*(spec(*schedule, policy) for schedule in SCHEDULES for policy in POLICIES))
    await world.live()
    tasks = await world.tasks()
    runs = {task_id: await world.runs(task_id) for task_id in tasks}
    await world.store.close()
    return Year(world.ticks, world.told, tasks, runs)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    """The year, lived once: it takes some 15 seconds."""
    return once_per_run(tmp_path_factory, "year", lambda: asyncio.run(live()))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("name", "schedule", "timezone"), SCHEDULES)
def test_every_occurrence_of_the_year_has_one_end(
    year: Year, name: str, schedule: str, timezone: str, policy: str
) -> None:
    task_id = f"{name}-{policy.replace('_', '-')}"
    given: dict[str, Any] = {"schedule": schedule, "timezone": timezone} | BOUNDS.get(name, {})
    task = year.tasks[task_id]
    due = occurrences(given, created=task.created_at, after=START, until=END)
    runs = year.runs[task_id]

    ends = Counter(run.occurrence for run in runs if run.final and run.skip_reason is None)
    for first, last, number in spans(runs):
        within = due[bisect_left(due, first) : bisect_right(due, last)]
        skipped = [at for at in within if at not in ends]
        assert number == len(skipped), f"a skip of {number} from {first} to {last}"
        ends.update(skipped)

    waiting = [at for at in due if task.next_occurrence is not None and at >= task.next_occurrence]
    assert set(due) - set(waiting) == set(ends)
    assert {1} == set(ends.values())
    assert len(waiting) <= 1


def test_each_policy_did_what_it_says(year: Year) -> None:
    def count(task_id: str, **wanted: Any) -> int:
        found = [
            run
            for run in year.runs[task_id]
            if all(getattr(run, name) == value for name, value in wanted.items())
        ]
        return sum(run.count for run in found)

    missed = {"skip_reason": SkipReason.MISFIRE}
    late = {"trigger": "catch_up", "final": True, "skip_reason": None}

    assert 0 < count("interval-run-all", **missed) < 40
    assert count("interval-run-all", **late) > 40
    assert count("interval-run-once", **missed) > 30
    assert 0 == count("interval-skip", **late)
    assert count("interval-skip", **missed) > 40


def test_failures_were_tried_again_and_told_once_each(year: Year) -> None:
    runs = year.runs["night-riga-run-once"]
    tried_again = [run for run in runs if not run.final]
    gave_up = [run for run in runs if run.final and run.outcome is OutcomeKind.FAILED]

    assert len(tried_again) > len(gave_up) > 20
    told = [notice for notice in year.told if notice.task_id == "night-riga-run-once"]
    assert len(gave_up) == sum(notice.kind == "failure" for notice in told)
    assert len(told) == len({notice.id for notice in told})


def test_no_minute_was_needed_that_had_nothing_to_do(year: Year) -> None:
    """An idle minute is one query; the year is made of some thousand ticks, not half a million."""
    assert year.ticks < 12_000
    assert (END - START) / timedelta(minutes=1) > 500_000
