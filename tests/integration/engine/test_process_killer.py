"""A task that kills its process, among others that do not: real processes, real deaths."""

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.engine.conftest import Installation
from tests.support.serving import ROOT, environment

JOBS = """
import os, signal, time

def dies():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)

def works():
    time.sleep(0.5)
"""
TICK = """
import asyncio, os, sys
from datetime import UTC, datetime, timedelta
from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget

ahead = timedelta(seconds=float(sys.argv[1]))

async def main():
    app = App(Settings.from_env(dict(os.environ), serves_http=False), clock=lambda: datetime.now(UTC) + ahead)
    await app.tick(TimeBudget(timedelta(seconds=18), timedelta(seconds=24)))
    await app.close()

asyncio.run(main())
"""


@pytest.mark.process
async def test_only_the_guilty_is_quarantined(installation: Installation, tmp_path: Path) -> None:
    """30 of 31 innocent tasks were quarantined with it, within three minutes."""
    (tmp_path / "deadly.py").write_text(JOBS)
    python = {"path": "", "type": "python", "timeoutSeconds": 5}
    names = [f"works{n:02}" for n in range(30)]
    await installation.put_all(names, **python, params={"callable": "deadly:works"})  # type: ignore[arg-type]
    await installation.put("dies", **python, params={"callable": "deadly:dies"})  # type: ignore[arg-type]
    variables = environment(STORE_URL=f"sqlite:///{tmp_path}/tasks.db", PYTHON_TASKS="deadly")
    variables["PYTHONPATH"] = f"{ROOT}:{tmp_path}"

    codes = []
    for _ in range(6):  # a minute each: the claim of a process that died has expired
        command = [sys.executable, "-c", TICK, str(installation.ahead[0].total_seconds())]
        done = await asyncio.to_thread(
            subprocess.run, command, env=variables, capture_output=True, check=False
        )
        codes.append(done.returncode)
        installation.pass_time(timedelta(minutes=1))

    stored = (await installation.app.store.get_tasks(["dies", *names])).tasks
    quarantined = [one.task.id for one in stored if one.task.status == "quarantined"]
    ran = Counter(
        run.task_id for run in await installation.app.store.runs(limit=9999) if run.outcome == "succeeded"
    )
    assert ([-9] * 4, ["dies"]) == (codes[:4], quarantined)
    assert {0} == {one.task.expired_claims for one in stored if one.task.id != "dies"}
    assert set(names) == ran.keys()
