"""Fixtures for all rooms: a factory of tasks with defaults, so that a test names only what it is about."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.domain.sharding import shard_of
from functions.domain.task import Task
from functions.services import compare_and_set

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

pytest_plugins = ["tests.support.processes"]


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


def pytest_configure() -> None:
    """Give random tests no deadline for a case: one holds on an idle machine only."""
    from hypothesis import settings  # programs that import this module draw nothing

    settings.register_profile("tests", deadline=None)
    settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Nearly nothing of what collecting makes is garbage; to search for it is a third of the time."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and collected tests stay until the end: collections of garbage need not search them.

    What tests make is searched seldom: whoever reads many sources waited a tenth of the time for it.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Hypothesis, when the summary alone imports it, looks for its objects among those that are collected."""
    gc.unfreeze()
