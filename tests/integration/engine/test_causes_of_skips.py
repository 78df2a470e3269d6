"""A skip names its cause, and the scheduler's own load is no news of each task: real HTTP."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.task import QueuedRun
from functions.domain.types import Trigger
from functions.engine.scoped_store import TaskSubsetStore
from functions.engine.tick import tick
from functions.interfaces import AttemptSlots
from functions.services.upkeep.watchdog import FULL_DOCUMENT_ID
from tests.integration.engine.conftest import MINUTE, Installation, at_a_standstill

BUDGET = TimeBudget(timedelta(seconds=0.8), timedelta(seconds=4))


@at_a_standstill
async def test_what_a_tick_has_no_room_for_is_not_blamed_on_the_pinger(installation: Installation) -> None:
    """Pinged each minute, with room for 5 of 20; the others were skipped with "No tick came in time"."""
    told: list[Notification] = []

    async def notify(notifications: Sequence[Notification], *, within: timedelta) -> list[tuple[str, ...]]:
        told.extend(notifications)
        return [()] * len(notifications)

    app = installation.app
    app.tick_dependencies = replace(app.tick_dependencies, slots=AttemptSlots(5), notify=notify)
    await installation.put_all([f"t{n:02}" for n in range(20)], path="1")

    reports = []
    for _ in range(8):
        reports.append(await installation.tick(BUDGET))
        installation.pass_time(MINUTE)

    outcomes = await installation.outcomes()
    assert outcomes["capacity"] > 20
    assert 0 == outcomes["misfire"]
    assert [] == [one.kind for one in told if one.kind == "late"]


@at_a_standstill
async def test_the_scheduler_says_by_itself_that_it_has_no_room(installation: Installation) -> None:
    """Only where LATE_AFTER_MINUTES was set did anybody hear of it."""
    app = installation.app
    app.tick_dependencies = replace(app.tick_dependencies, slots=AttemptSlots(5))
    await installation.put_all([f"t{n:02}" for n in range(20)], path="1")

    for _ in range(3):
        await app.tick(BUDGET)
        installation.pass_time(MINUTE)

    assert [FULL_DOCUMENT_ID] == [one.id for one in await app.store.get_documents("meta", [FULL_DOCUMENT_ID])]


@at_a_standstill
async def test_an_outage_is_still_a_misfire(installation: Installation) -> None:
    await installation.put_all([f"t{n:02}" for n in range(5)], path="0.01")
    await installation.tick()
    installation.pass_time(5 * MINUTE)

    await installation.tick()

    outcomes = await installation.outcomes()
    assert (20, 0) == (outcomes["misfire"], outcomes["capacity"])


@at_a_standstill
async def test_what_a_user_runs_meanwhile_is_no_tick(installation: Installation) -> None:
    """`scheduler run ID --wait` runs that task alone; others were skipped as if there had been no room."""
    await installation.put_all([f"t{n:02}" for n in range(5)], path="0.01")
    await installation.tick()
    installation.pass_time(4.5 * MINUTE)
    now = installation.now()
    asked = {"backlog": (QueuedRun(at=now, trigger=Trigger.MANUAL),), "next_run_at": now}
    asked |= {"next_occurrence": now + MINUTE / 2}  # due in the end as well
    await installation.put("by-hand", path="0.01", state=asked)
    dependencies = installation.app.tick_dependencies
    alone = replace(dependencies, store=TaskSubsetStore(dependencies.store, {"by-hand"}))
    by_hand = (await tick(alone, BUDGET)).as_json()
    installation.pass_time(0.5 * MINUTE)

    await installation.tick()

    assert 1 == by_hand["succeeded"]
    outcomes = await installation.outcomes()
    assert (20, 0) == (outcomes["misfire"], outcomes["capacity"])


@at_a_standstill
async def test_a_tick_whose_tasks_are_not_due_again_yet_has_come_all_the_same(
    installation: Installation,
) -> None:
    """What the tick had run was due five minutes later, so nothing that was due told of it."""
    app = installation.app
    app.tick_dependencies = replace(app.tick_dependencies, slots=AttemptSlots(5))
    late: dict[str, Any] = {"misfire": {"policy": "skip", "graceSeconds": 30}}
    await installation.put_all([f"t{n:02}" for n in range(20)], path="1", schedule="*/30 * * * *", **late)

    first = await installation.tick(BUDGET)
    installation.pass_time(MINUTE)
    second = await installation.tick(BUDGET)

    outcomes = await installation.outcomes()
    assert first["postponed"] == second["skipped"] > 0
    assert (second["skipped"], 0) == (outcomes["capacity"], outcomes["misfire"])
