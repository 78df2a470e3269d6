"""Functions that the settings name, called around the runs of a scheduler."""

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions import Scheduler, Task
from functions.domain.task import TaskSpec

HOOKS = """
import time
from asyncio import CancelledError
from json import dumps

told = []


def before(job):
    told.append(f"before {job.task_id}")


async def after(event):
    told.append(f"{event.type} {event.subject} {event.data['outcome']}")


def block(job):
    told.append("block")
    time.sleep(0.6)


async def cancel(given):
    raise CancelledError


def leave(given):
    raise SystemExit("secret-of-somebody")
"""
HELLO = Task(id="hello", title="Hello", type="daily_briefing", timeout_seconds=20)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the hooks of the module `hooks_of_mine` were called with."""
    (tmp_path / "hooks_of_mine.py").write_text(HOOKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("hooks_of_mine").told
    del sys.modules["hooks_of_mine"]


async def outcome_with(folder: Path, task: TaskSpec = HELLO, /, **hooks: str) -> str:
    settings = {"PYTHON_TASKS": "hooks_of_mine", **hooks}
    async with Scheduler(f"sqlite:///{folder}/tasks.db", settings=settings) as scheduler:
        run = await scheduler.run_once(task)
        assert run is not None
        return str(run.outcome)


async def test_both_are_called_with_what_they_are_about(tmp_path: Path, told: list[str]) -> None:
    hooks = {"BEFORE_TASK": "hooks_of_mine:before", "AFTER_TASK": "hooks_of_mine:after"}

    assert "succeeded" == await outcome_with(tmp_path, **hooks)
    assert ["before hello", "cronfire.run.finished hello succeeded"] == told


async def test_one_that_blocks_its_thread_is_left(
    tmp_path: Path, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    quick = HELLO.model_copy(update={"timeout_seconds": 0.8})  # a quarter of it for the hook

    assert "succeeded" == await outcome_with(tmp_path, quick, BEFORE_TASK="hooks_of_mine:block")
    assert ["block"] == told
    assert [("hooks_of_mine:block", "TimeoutError")] == problems(caplog)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("leave", "SystemExit"),
        ("cancel", "CancelledError"),
        ("missing", "The module hooks_of_mine has no function missing"),
        ("dumps", "hooks_of_mine:dumps is defined in json, which PYTHON_TASKS does not list"),
    ],
)
async def test_what_goes_wrong_is_told_and_stops_no_run(
    tmp_path: Path, told: list[str], caplog: pytest.LogCaptureFixture, function: str, error: str
) -> None:
    name = f"hooks_of_mine:{function}"

    assert "succeeded" == await outcome_with(tmp_path, BEFORE_TASK=name, AFTER_TASK=name)
    assert [(name, error), (name, error)] == problems(caplog)
    assert "secret-of-somebody" not in caplog.text


def problems(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    records = [record for record in caplog.records if record.getMessage() == "hook_failed"]
    assert {logging.WARNING} == {record.levelno for record in records}
    return [(vars(record)["hook"], vars(record)["error"]) for record in records]
