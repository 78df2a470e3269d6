"""What the due query finds for a worker: the tasks of its shards, and of no others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.sharding import SHARDS
from functions.domain.storage import DuePosition
from functions.domain.task import Task
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import create, ids
from tests.contract.places import Place

MakeTask = Callable[..., Task]
MICROSECOND = timedelta(microseconds=1)


async def one_in_each_shard(store: Store, make_task: MakeTask) -> None:
    """The higher the shard, the earlier it is due."""
    tasks = [
        make_task(f"t{shard:02}", shard=shard, next_run_at=NOON - shard * MICROSECOND)
        for shard in range(SHARDS)
    ]
    await create(store, *tasks)


@pytest.mark.parametrize("shards", [(0, 0), (0, 15), (17, 40), (40, 63), (63, 63), (0, 63), (1, 62)])
async def test_a_worker_finds_its_shards_and_the_earliest_first(
    store: Store, make_task: MakeTask, shards: tuple[int, int]
) -> None:
    await one_in_each_shard(store, make_task)

    found = await store.fetch_due(NOON, limit=100, shards=shards)

    first, last = shards
    assert [f"t{shard:02}" for shard in range(last, first - 1, -1)] == ids(found)


async def test_the_shares_of_all_workers_are_everything(store: Store, make_task: MakeTask) -> None:
    await one_in_each_shard(store, make_task)

    found = [
        await store.fetch_due(NOON, limit=100, shards=(first, first + 15)) for first in range(0, SHARDS, 16)
    ]

    assert sorted(ids(await store.fetch_due(NOON, limit=100))) == sorted(
        each for some in found for each in ids(some)
    )


async def test_the_limit_leaves_out_the_latest_of_many_shards(store: Store, make_task: MakeTask) -> None:
    """More shards than one query may name are asked for one after the other."""
    await one_in_each_shard(store, make_task)

    found = await store.fetch_due(NOON, limit=3, shards=(10, 60))

    assert ["t60", "t59", "t58"] == ids(found)


async def test_what_is_not_due_is_not_found_by_shard_either(store: Store, make_task: MakeTask) -> None:
    await create(
        store,
        make_task("late", shard=5, next_run_at=NOON + MICROSECOND),
        make_task("never", shard=5, next_run_at=None),
    )

    assert [] == ids(await store.fetch_due(NOON, limit=10, shards=(0, 63)))


@pytest.mark.parametrize("raw", [b"no JSON at all", {"shard": "seven"}])
async def test_a_document_nobody_can_read_hides_nothing_from_a_worker(
    store: Store, place: Place, make_task: MakeTask, raw: Any
) -> None:
    await place.plant("broken", raw, at=NOON)
    await create(store, make_task("fine", shard=7))

    assert ["fine"] == ids(await store.fetch_due(NOON, limit=10, shards=(7, 7)))


async def test_reading_by_shard_goes_on_behind_a_position(store: Store, make_task: MakeTask) -> None:
    await create(store, *(make_task(f"t{n}", next_run_at=NOON, shard=n * 10) for n in range(6)))

    found = await store.fetch_due(NOON, limit=9, shards=(10, 60), after=DuePosition(NOON, "t2"))

    assert ["t3", "t4", "t5"] == ids(found)
