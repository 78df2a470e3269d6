"""Whatever a function of the user raises is a failure of its task: once, and of nobody else."""

import asyncio
from pathlib import Path

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from tests.integration.engine.conftest import DEFAULT_BUDGET, Installation

JOBS = """
import asyncio

class Odd(BaseException):
    pass

async def odd(): raise Odd("odd")
async def closes(): raise GeneratorExit
async def interrupts(): raise KeyboardInterrupt
async def exits(): raise SystemExit(3)

async def cancels():
    asyncio.current_task().cancel()
    await asyncio.sleep(5)

def odd_thread(): raise Odd("odd")
def closes_thread(): raise GeneratorExit
def interrupts_thread(): raise KeyboardInterrupt
def fine(): return "fine"
"""
NAMES = (
    "odd",
    "closes",
    "interrupts",
    "exits",
    "cancels",
    "odd_thread",
    "closes_thread",
    "interrupts_thread",
)


async def test_each_fails_once_and_the_tick_goes_on(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    environment = {"STORE_URL": f"sqlite:///{tmp_path}/tasks.db", "PYTHON_TASKS": "odd_jobs"}
    app = App(Settings.from_env(environment, serves_http=False), clock=installation.app.now)
    for name in (*NAMES, "fine"):
        await installation.put(
            name.replace("_", "-"),
            path="",
            type="python",
            params={"callable": f"odd_jobs:{name}"},
            retry={"maxAttempts": 1},
        )

    async with asyncio.timeout(20):
        report = await app.tick(DEFAULT_BUDGET)

    await app.close()
    assert (9, 8, 1) == (report["started"], report["failed"], report["succeeded"])
    assert {"failed": 8, "succeeded": 1} == await installation.outcomes()
