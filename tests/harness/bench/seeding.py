"""Tasks to be measured with: as they stand in a store after some weeks of work, due now or not for long."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from functions.domain.sharding import SHARDS, shard_of
from functions.domain.storage import ConditionalWrite
from functions.domain.task import MAX_RECENT_OUTCOMES, Task
from functions.domain.types import OutcomeKind, format_instant
from functions.interfaces import Store
from functions.stores import create_store

T = TypeVar("T")

AT_ONCE = 500
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Riga", "America/New_York", "Asia/Shanghai", "Australia/Sydney")


def fill(url: str, server_url: str, *, count: int) -> None:
    """Put *count* tasks that are not due for a month into the empty store at *url*.

    Args:
        server_url: The address every task calls, without a path.
    """
    _with(url, lambda store: _write(store, [task(number, server_url, due=False) for number in range(count)]))


def make_due(
    url: str,
    server_url: str,
    *,
    count: int,
    shards: Container[int] = range(SHARDS),
    emulator: str | None = None,
) -> datetime:
    """Make the first *count* tasks due now, and make them altogether if need be; return the moment before.

    Args:
        shards: Tasks of others are left out.
        emulator: The host of the store's emulator, where it is not that of the environment.
    """
    before = datetime.now(UTC)
    all_tasks = (task(number, server_url, due=True) for number in range(count))
    tasks = [one for one in all_tasks if one.shard in shards]
    _with(url, lambda store: _write(store, tasks), emulator=emulator)
    return before


def succeeded_since(url: str, since: datetime, *, at_most: int) -> int:
    """How many runs the store's ledger holds that succeeded after *since*."""
    runs = _with(url, lambda store: store.runs(since=since, limit=at_most))
    return sum(run.outcome is OutcomeKind.SUCCEEDED for run in runs)


def task(number: int, server_url: str, *, due: bool) -> Task:
    """The task of this *number*: half are health checks, half HTTP calls, and each has a history."""
    now = datetime.now(UTC).replace(microsecond=0)
    at = now if due else now + timedelta(days=30 + number % 300)
    name = f"check-{number:06d}"
    zone = ZONES[number % len(ZONES)]
    hour = (now.astimezone(ZoneInfo(zone)).hour + 2 + number % 20) % 24  # none comes again within the hour
    ran_at = [now - timedelta(days=passed) for passed in range(MAX_RECENT_OUTCOMES, 0, -1)]
    return Task(
        id=name,
        title=f"Check number {number} answers",
        tags=("shop", "front"),
        type=("health_check_url", "http")[number % 2],
        params={"url": f"{server_url}/{number}"},
        schedule=f"{number % 60} {hour} * * *",
        timezone=zone,
        timeout_seconds=10.0,  # with the usual 20 s a tick of 24 s starts nothing after its first 2.5
        created_at=CREATED,
        updated_at=CREATED,
        shard=shard_of(name),
        next_occurrence=at,
        next_run_at=at,
        last_run_at=ran_at[-1],
        last_outcome=OutcomeKind.SUCCEEDED,
        last_result_summary="Answered 200 in 51 ms",
        last_duration_ms=53,
        run_count=MAX_RECENT_OUTCOMES,
        recent="\n".join(f"succeeded 53 {format_instant(at)}" for at in ran_at),
    )


def _with(url: str, work: Callable[[Store], Awaitable[T]], *, emulator: str | None = None) -> T:
    async def do() -> T:
        store: Store = create_store(url, emulator=emulator or os.environ.get("FIRESTORE_EMULATOR_HOST"))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(do())


async def _write(store: Store, tasks: Sequence[Task]) -> None:
    for some in _slices(tasks):
        found = await store.get_tasks([one.id for one in some])
        revisions = {one.task.id: one.revision for one in found.tasks}
        await store.write([ConditionalWrite(one, revisions.get(one.id)) for one in some])


def _slices(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    for start in range(0, len(tasks), AT_ONCE):
        yield tasks[start : start + AT_ONCE]
