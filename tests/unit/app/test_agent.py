"""An agent as it is deployed: settings, a model's server, a tick, credits; and the key nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from functions.app import application
from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import new_task
from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskSpec
from functions.domain.types import SkipReason
from functions.taskfiles.validation import check_task
from tests.fakes.llm_server import KEY, MODEL, LlmServer, finds, says

TULIP = {"title": "Tulips are in", "url": "https://example.com/tulips", "text": "Red ones.", "score": 0.9}
TASK = {
    "id": "flowers",
    "title": "Flowers",
    "type": "agent",
    "owner": "ann",
    "schedule": "@yearly",
    "params": {"goal": "Which flowers are in?", "maxTokens": 10_000},
    "notify": [],
}


@pytest.fixture
async def model() -> AsyncIterator[LlmServer]:
    server = LlmServer(finds(TULIP, usage=(1000, 500)), says(f"no JSON, but {KEY}", usage=(1000, 500)))
    await server.server.start_server()
    yield server
    await server.server.close()


@pytest.fixture
async def scheduler(model: LlmServer, tmp_path: Path) -> AsyncIterator[App]:
    """Private addresses are closed to tasks; the model's server is one all the same."""
    settings = Settings.from_env(
        {
            "STORE_URL": f"sqlite:///{tmp_path}/agents.db",
            "LLM_BASE_URL": model.url,
            "LLM_API_KEY": KEY,
            "LLM_MODEL": MODEL,
            "CREDITS_PER_RUN": "agent=5",
            "CREDITS_PER_1K_TOKENS": "2",
        },
        serves_http=False,
    )
    wired = application.build_app(settings)
    yield wired
    await wired.close()


@pytest.mark.slow
async def test_an_agent_runs_is_charged_and_is_stopped(
    scheduler: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    spec = check_task(TASK)
    assert isinstance(spec, TaskSpec), spec
    await scheduler.accounts.set_plan("ann", monthly_credits=22)
    for number, trial in enumerate(("succeeds", "fails", "is refused")):
        task = new_task(
            spec.model_copy(update={"id": f"flowers-{number}"}), now=scheduler.now(), origin=trial
        )
        due = task.model_copy(update={"next_occurrence": scheduler.now(), "next_run_at": scheduler.now()})
        await scheduler.store.write([ConditionalWrite(due, None)])
        await scheduler.tick(TimeBudget(None, None))

    runs = {run.task_id: run for run in await scheduler.store.runs()}
    account = await scheduler.accounts.get("ann")
    assert ("Found it", 8.0) == (runs["flowers-0"].summary, runs["flowers-0"].metrics["credits"])
    assert {**TULIP, "score": "0.9"} == runs["flowers-0"].items[0]
    assert 11.0 == runs["flowers-1"].metrics["credits"]
    assert (SkipReason.BUDGET, 19.0) == (runs["flowers-2"].skip_reason, account.used_credits)
    kept = await asyncio.to_thread(
        lambda: b"".join(file.read_bytes() for file in tmp_path.glob("agents.db*"))
    )
    assert KEY.encode() not in kept
    assert KEY not in caplog.text
    assert KEY not in repr(runs)


async def test_a_task_cannot_reach_the_models_server_itself(scheduler: App, model: LlmServer) -> None:
    """Its address is the operator's: no task may use it, as no task may use any private one."""
    task = new_task(
        check_task({**TASK, "id": "peek", "type": "http", "params": {"url": model.url}}),  # type: ignore[arg-type]  # it is one
        now=scheduler.now(),
        origin="",
    )
    due = task.model_copy(update={"next_occurrence": scheduler.now(), "next_run_at": scheduler.now()})
    await scheduler.store.write([ConditionalWrite(due, None)])

    report = await scheduler.tick(TimeBudget(None, None))

    assert 1 == report["failed"]
    assert [] == model.asked
