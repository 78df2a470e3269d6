"""A claim whose attempt never began: its task is where it was before, and first."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Job, Task
from functions.domain.types import Status
from functions.engine.tick import tick
from functions.interfaces import AttemptSlots, Store, TickDependencies
from tests.conftest import NOON
from tests.contract.documents import create, ids, read

MakeTask = Callable[..., Task]
SECOND = timedelta(seconds=1)


class _Slow:
    """A store that answers the first call to write when the attempt has less time than it needs."""

    def __init__(self, inner: Any, pass_time: Callable[[timedelta], None]) -> None:
        self._inner = inner
        self._pass_time = pass_time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, writes: Sequence[ConditionalWrite]) -> Any:
        written = await self._inner.write(writes)
        self._pass_time(26 * SECOND)  # of the 45 that the claim lasts, 15 for writing
        self._pass_time = lambda _: None
        return written


async def test_an_attempt_that_would_be_cut_is_released_and_made_first_in_the_next_tick(
    store: Store, make_task: MakeTask
) -> None:
    moment, made = [NOON + SECOND], list[tuple[str, int]]()

    def pass_time(duration: timedelta) -> None:
        moment[0] += duration

    async def run_task(job: Job) -> Outcome:
        made.append((job.task_id, job.attempt))
        return succeeded("Done")

    async def run_tick(over: Any) -> dict[str, Any]:
        parts = TickDependencies(
            store=over,
            run_task=run_task,
            notify=_tell_nobody,
            clock=lambda: moment[0],
            new_tick_id=lambda: f"tick{moment[0]:%H%M%S}",
            random=Random(1).random,
            is_shutting_down=lambda: False,
            slots=AttemptSlots(1),
        )
        return (await tick(parts, TimeBudget(None, None))).as_json()

    slow = {"recent": ("succeeded 5000 2026-11-20T11:55:00Z",), "timeout_seconds": 20, "priority": "low"}
    await create(store, make_task("slow", **slow))

    first = await run_tick(_Slow(store, pass_time))
    released = (await read(store, "slow")).task
    await create(store, make_task("urgent", priority="urgent", next_run_at=NOON + 9 * SECOND))
    order = ids(await store.fetch_due(moment[0], limit=9))
    second = await run_tick(store)

    assert (0, 1, 0) == (first["started"], first["postponed"], first["retrying"])
    assert (Status.RETRYING, 0, NOON, None) == _state(released)
    assert ["slow", "urgent"] == order
    assert ([("slow", 1), ("urgent", 1)], 2) == (made, second["succeeded"])


def _state(task: Task) -> tuple[Status, int, datetime | None, object]:
    return task.status, task.attempt, task.next_run_at, task.claim


async def _tell_nobody(notifications: Sequence[Any], *, within: timedelta) -> list[tuple[str, ...]]:
    return [() for _ in notifications]
