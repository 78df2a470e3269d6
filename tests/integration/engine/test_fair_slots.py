"""Hanging targets and tasks beside them, at a tenth of the defaults: 20 slots, 25 that hang, 3 good ones."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.types import OutcomeKind
from functions.interfaces import AttemptSlots
from tests.integration.engine.conftest import MINUTE, Installation, at_a_standstill

BUDGET = TimeBudget(timedelta(seconds=2.5), timedelta(seconds=5))


@at_a_standstill
async def test_hanging_targets_do_not_stop_the_others(installation: Installation) -> None:
    """They used to take all slots, tick after tick: the good ones ran in every third minute."""
    app = installation.app
    app.tick_dependencies = replace(app.tick_dependencies, slots=AttemptSlots(20))
    hangs: dict[str, Any] = {"timeoutSeconds": 3, "retry": {"maxAttempts": 1}}
    await installation.put_all([f"a-hangs{n:02}" for n in range(25)], path="hang/30", **hangs)
    installation.address = installation.address.replace("127.0.0.1", "localhost")
    await installation.put_all([f"good{n}" for n in range(3)], path="good/0.01")

    good = []
    for _ in range(4):
        before = installation.calls["/good/0.01"]
        await installation.tick(BUDGET)
        good.append(installation.calls["/good/0.01"] - before)
        installation.pass_time(MINUTE)

    assert [3, 3, 3] == good[1:]
    runs = await app.store.runs(limit=1000)
    assert 25 == len(Counter(run.task_id for run in runs if run.outcome == "timed_out"))


@at_a_standstill
async def test_ticks_at_the_same_time_share_the_part_for_hanging_targets(installation: Installation) -> None:
    """Each tick used to take a share of its own, so that two of one process gave them all its slots."""
    app = installation.app
    app.tick_dependencies = replace(app.tick_dependencies, slots=AttemptSlots(8))
    hung: dict[str, Any] = {"timeoutSeconds": 3, "state": {"last_outcome": OutcomeKind.TIMED_OUT}}
    await installation.put_all([f"a-hangs{n:02}" for n in range(12)], path="hang/30", **hung)

    first = asyncio.create_task(installation.tick(BUDGET))
    await _called(installation, "/hang/30", 6)
    installation.address = installation.address.replace("127.0.0.1", "localhost")
    await installation.put("good", path="good/0.01")
    second = asyncio.create_task(installation.tick(BUDGET))
    await _called(installation, "/good/0.01", 1)

    reports = await asyncio.gather(first, second)
    assert 1 == reports[1]["succeeded"]


async def _called(installation: Installation, path: str, times: int) -> None:
    async with asyncio.timeout(20):
        while installation.calls[path] < times:  # noqa: ASYNC110  # the target sets no event
            await asyncio.sleep(0.01)
