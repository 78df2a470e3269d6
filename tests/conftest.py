"""Fixtures for all rooms: a factory of tasks with defaults, so that a test names only what it is about."""

import gc
import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from functions.domain.task import Task, shard_of
from functions.services import compare_and_set

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TESTS = Path(__file__).parent
LONG = tuple(TESTS / folder for folder in ("integration", "e2e"))  # folders of tests that wait for processes


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the long files over a parallel run: each process gets neighbours, and one had them all."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    files = [list(of_file) for _, of_file in groupby(items, key=lambda item: item.path)]
    long = [file for file in files if any(file[0].path.is_relative_to(folder) for folder in LONG)]
    short = [item for file in files if file not in long for item in file]
    spread = []
    for number, file in enumerate(long):
        first, last = (len(short) * place // len(long) for place in (number, number + 1))
        spread += file + short[first:last]
    items[:] = spread or short


@pytest.fixture
def make_task() -> Callable[..., Task]:
    """Build a valid stored task; a test names only the fields it is about (Python names)."""

    def make(task_id: str = "water-plants", **changes: Any) -> Task:
        defaults: dict[str, Any] = {
            "id": task_id,
            "title": task_id.replace("-", " ").capitalize(),
            "type": "health_check_url",
            "params": {"url": "http://127.0.0.1:1/"},
            "schedule": "*/5 * * * *",
            "created_at": NOON,
            "updated_at": NOON,
            "shard": shard_of(task_id),
            "next_occurrence": NOON,
            "next_run_at": NOON,
        }
        return Task.model_validate(defaults | changes)

    return make


@pytest.fixture
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that was not applied is repeated without a wait."""
    monkeypatch.setattr(compare_and_set, "FIRST_WAIT_S", 0.0)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and collected tests stay until the end: collections of garbage need not search them."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Hypothesis, when the summary alone imports it, looks for its objects among those that are collected."""
    gc.unfreeze()
