"""A process that gets SIGTERM while attempts run: a deploy, or an instance that is no longer needed."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.integration.engine.conftest import Installation
from tests.support.serving import ROOT, answered, starting

SECRET = "s" * 32


@pytest.mark.process
async def test_attempts_end_within_the_grace_and_what_is_cut_is_made_again_without_a_mark(
    installation: Installation, tmp_path: Path
) -> None:
    installation.ahead[0] = timedelta()  # the process has the machine's clock
    await installation.put_all(
        [f"short{n}" for n in range(10)], path="5", retry={"maxAttempts": 1}, schedule="@yearly"
    )
    await installation.put_all(
        [f"long{n}" for n in range(10)], path="15", retry={"maxAttempts": 1}, schedule="@yearly"
    )
    variables = {"STORE_URL": f"sqlite:///{tmp_path}/tasks.db", "CRON_SECRET": SECRET}
    with starting(ROOT / "main.py", tmp_path, ALLOW_PRIVATE_NETWORKS="1", **variables) as (process, address):
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as session:
            await answered(session, address)
            ping = asyncio.create_task(session.post(f"{address}/tick"))
            async with asyncio.timeout(20):
                while installation.calls.total() < 20:  # noqa: ASYNC110  # the target sets no event
                    await asyncio.sleep(0.05)
            process.terminate()
            await asyncio.gather(ping, return_exceptions=True)
            await asyncio.to_thread(process.wait, 40)

    assert {"succeeded": 10, "abandoned": 10} == await installation.outcomes()
    tasks = [await installation.task(f"long{n}") for n in range(10)]
    states = Counter((task.status, task.interruptions, task.consecutive_failures) for task in tasks)
    assert {("retrying", 1, 0): 10} == states
    assert [] == [task.id for task in tasks if task.alert.pending]
