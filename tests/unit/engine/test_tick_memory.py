"""A tick's memory does not grow with what its attempts bring: an outcome is let go when it is written."""

import asyncio
import random
import weakref
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import ConditionalWrite, QueryResult
from functions.domain.task import Job, Task
from functions.engine.results import FLUSH_AT
from functions.engine.tick import tick
from functions.interfaces import AttemptSlots, RunTask, TickDependencies
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

AT_ONCE = 20
DUE = 900


class Counted(str):
    """A text that knows how many of its kind are alive."""

    __slots__ = ()
    alive = 0
    most = 0

    def __new__(cls, text: str) -> "Counted":
        cls.alive += 1
        cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, text)

    def __del__(self) -> None:
        type(self).alive -= 1


def dependencies(store: SqliteStore, perform: RunTask) -> TickDependencies:
    async def notify(notifications: Sequence[Notification], *, within: timedelta) -> list[tuple[str, ...]]:
        return [()] * len(notifications)

    return TickDependencies(
        store=store,
        run_task=perform,
        notify=notify,
        clock=lambda: NOON,
        new_tick_id=lambda: "tick",
        random=random.Random(1).random,
        slots=AttemptSlots(AT_ONCE),
    )


@pytest.mark.slow
async def test_outcomes_are_let_go_as_they_are_written(
    tmp_path: Path, make_task: Callable[..., Task]
) -> None:
    store = SqliteStore(str(tmp_path / "tick.db"))
    await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(DUE)])

    async def perform(job: Job) -> Outcome:
        await asyncio.sleep(0)
        return succeeded("Done", metrics={"snippet": Counted(job.task_id)})

    report = (await tick(dependencies(store, perform), TimeBudget(None, None))).as_json()
    await store.close()

    assert DUE == report["succeeded"]
    # One flush being gathered, one being written, what runs, and some room; not all that was due.
    assert 2 * FLUSH_AT + 2 * AT_ONCE + 50 >= Counted.most
    assert FLUSH_AT <= Counted.most


@pytest.mark.slow
async def test_tasks_are_let_go_as_they_are_claimed(tmp_path: Path, make_task: Callable[..., Task]) -> None:
    """What was read of them is of no use any more: a thousand take 3 MB."""
    store = SqliteStore(str(tmp_path / "tick.db"))
    await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(5 * AT_ONCE)])
    read: list[weakref.ref[Task]] = []

    class Watched(SqliteStore):
        async def fetch_due(self, *args: Any, **named: Any) -> QueryResult:
            result = await super().fetch_due(*args, **named)
            read.extend(weakref.ref(stored.task) for stored in result.tasks)
            return result

    alive: list[int] = []

    async def perform(job: Job) -> Outcome:
        alive.append(sum(task() is not None for task in read))
        return succeeded("Done")

    watched = Watched(str(tmp_path / "tick.db"))
    await tick(dependencies(watched, perform), TimeBudget(None, None))
    await watched.close()
    await store.close()

    assert 5 * AT_ONCE == len(alive) == max(alive)
    assert AT_ONCE >= alive[-1]  # those of the batch that has just been claimed
