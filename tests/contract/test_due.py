"""What the due query finds, and in which order."""

from collections.abc import Callable
from datetime import timedelta

from functions.domain.storage import DuePosition, WriteStatus
from functions.domain.task import Task
from functions.domain.types import FIRST_INSTANT, LAST_INSTANT
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids

MakeTask = Callable[..., Task]
MICROSECOND = timedelta(microseconds=1)


async def test_an_empty_store_has_nothing_due(store: Store) -> None:
    found = await store.fetch_due(NOON, limit=10)

    assert ((), ()) == (found.tasks, found.invalid)


async def test_a_task_is_due_from_the_very_microsecond_on(store: Store, make_task: MakeTask) -> None:
    at = NOON + 123_457 * MICROSECOND
    await create(store, make_task("ping", next_run_at=at))

    assert [] == ids(await store.fetch_due(at - MICROSECOND, limit=10))
    assert ["ping"] == ids(await store.fetch_due(at, limit=10))
    assert ["ping"] == ids(await store.fetch_due(at + timedelta(days=400), limit=10))


async def test_a_task_that_waits_for_nothing_is_never_due(store: Store, make_task: MakeTask) -> None:
    await create(store, make_task(next_run_at=None))

    assert [] == ids(await store.fetch_due(NOON + timedelta(days=9000), limit=10))


async def test_a_task_that_no_longer_waits_is_no_longer_due(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    await store.write([changing(stored, next_run_at=None)])

    assert [] == ids(await store.fetch_due(NOON, limit=10))


async def test_the_earliest_comes_first(store: Store, make_task: MakeTask) -> None:
    moments = {"a": 3, "b": 1, "c": -1, "d": 2, "e": 0}
    await create(
        store, *(make_task(task_id, next_run_at=NOON - at * MICROSECOND) for task_id, at in moments.items())
    )

    assert ["a", "d", "b", "e"] == ids(await store.fetch_due(NOON, limit=10))


async def test_the_limit_leaves_out_the_latest(store: Store, make_task: MakeTask) -> None:
    await create(
        store, *(make_task(f"t{number}", next_run_at=NOON + number * MICROSECOND) for number in range(5))
    )

    assert ["t0", "t1", "t2"] == ids(await store.fetch_due(NOON + timedelta(hours=1), limit=3))


async def test_reading_goes_on_behind_a_position(store: Store, make_task: MakeTask) -> None:
    later = NOON + MICROSECOND
    await create(store, *(make_task(name, next_run_at=NOON) for name in ("a", "b", "c")))
    await create(
        store, make_task("a0", next_run_at=later), make_task("future", next_run_at=NOON + timedelta(hours=1))
    )

    first = await store.fetch_due(later, limit=2)
    after = DuePosition.of(first.tasks[-1].task)
    rest = await store.fetch_due(later, limit=9, after=after)

    assert (["a", "b"], ["c", "a0"]) == (ids(first), ids(rest))
    assert ["a0"] == ids(await store.fetch_due(later, limit=9, after=DuePosition(later)))
    assert [] == ids(await store.fetch_due(later, limit=9, after=DuePosition(later, "a0")))


async def test_the_first_and_the_last_instant_are_kept(store: Store, make_task: MakeTask) -> None:
    early, late = FIRST_INSTANT, LAST_INSTANT
    await create(store, make_task("early", next_run_at=early), make_task("late", next_run_at=late))

    found = await store.fetch_due(late, limit=10)

    assert [early, late] == [stored.task.next_run_at for stored in found.tasks]


async def test_what_is_due_can_be_written_without_being_read_again(store: Store, make_task: MakeTask) -> None:
    await create(store, make_task("ping"))
    [found] = (await store.fetch_due(NOON, limit=10)).tasks

    [written] = await store.write([changing(found, next_run_at=NOON + timedelta(hours=1))])

    assert WriteStatus.APPLIED is written.status
    assert [] == ids(await store.fetch_due(NOON, limit=10))


async def test_who_only_looks_finds_the_same(store: Store, make_task: MakeTask) -> None:
    await create(store, *(make_task(name, next_run_at=NOON) for name in ("b", "a")))
    await create(store, make_task("future", next_run_at=NOON + timedelta(hours=1)))

    assert ["a", "b"] == ids(await store.list_due(NOON, limit=10))
    assert ["a"] == ids(await store.list_due(NOON, limit=1))
