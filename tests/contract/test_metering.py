"""The meter: a tick's report says what it will cost."""

import asyncio
from collections.abc import Callable

from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, OperationCounts, RunBatch, TaskFilter, VersionedTask
from functions.domain.task import Task
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import changing, create

MakeTask = Callable[..., Task]
MakeRun = Callable[..., Run]


async def test_an_idle_look_costs_one_read(store: Store) -> None:
    with store.count_operations() as operations:
        await store.fetch_due(NOON, limit=1000)

    assert OperationCounts(reads=1) == operations


async def test_a_look_costs_one_read_for_each_task_found(store: Store, make_task: MakeTask) -> None:
    await create(store, *(make_task(f"t{number}") for number in range(7)))

    with store.count_operations() as operations:
        await store.fetch_due(NOON, limit=5)

    assert OperationCounts(reads=5) == operations


async def test_a_run_costs_one_read_and_two_writes_and_its_share_of_an_entry(
    store: Store, make_task: MakeTask, make_run: MakeRun
) -> None:
    await create(store, *(make_task(f"t{number}") for number in range(10)))

    with store.count_operations() as operations:
        found = await store.fetch_due(NOON, limit=1000)
        claims = [changing(stored, attempt=1) for stored in found.tasks]
        claimed = [
            VersionedTask(claim.task, answer.revision)
            for claim, answer in zip(claims, await store.write(claims), strict=True)
        ]
        entry = RunBatch("ab.1", NOON, (make_run(),))
        await store.write_with_runs(entry, [changing(stored, run_count=1) for stored in claimed])

    assert OperationCounts(reads=10, writes=21) == operations


async def test_reading_costs_what_is_read(store: Store, make_task: MakeTask) -> None:
    await create(store, make_task("a"), make_task("b"), make_task("c"))

    with store.count_operations() as operations:
        await store.get_tasks(["a", "b"])
        await store.list_tasks(TaskFilter(), limit=10)
        await store.runs_of_tick("nobody")

    assert OperationCounts(reads=2 + 3 + 1) == operations


async def test_deletions_are_counted_apart(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    with store.count_operations() as operations:
        await store.write(
            [
                ConditionalWrite(stored.task, stored.revision, delete=True),
                ConditionalWrite(make_task("pong"), None),
            ]
        )

    assert OperationCounts(writes=1, deletes=1) == operations


async def test_what_costs_nothing_is_not_counted(store: Store) -> None:
    with store.count_operations() as operations:
        await store.write([])
        await store.write_with_runs(None, [])
        await store.get_tasks([])

    assert OperationCounts() == operations


async def test_a_block_counts_the_tasks_started_in_it_and_no_others(
    store: Store, make_task: MakeTask
) -> None:
    """Two ticks in one process, each with flushes of its own in the background."""
    both_inside = asyncio.Barrier(2)

    async def tick(name: str, writes: int) -> OperationCounts:
        with store.count_operations() as operations:
            await both_inside.wait()
            flush = asyncio.create_task(create(store, *(make_task(f"{name}{n}") for n in range(writes))))
            await store.fetch_due(NOON.replace(year=2000), limit=5)
            await flush
            await both_inside.wait()
        return operations

    one, other = await asyncio.gather(tick("a", 3), tick("b", 5))

    assert (OperationCounts(reads=1, writes=3), OperationCounts(reads=1, writes=5)) == (one, other)


async def test_an_outer_block_counts_what_an_inner_one_counts(store: Store) -> None:
    with store.count_operations() as outer:
        await store.fetch_due(NOON, limit=5)
        with store.count_operations() as inner:
            await store.fetch_due(NOON, limit=5)

    assert (OperationCounts(reads=2), OperationCounts(reads=1)) == (outer, inner)
