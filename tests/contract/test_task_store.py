"""What people ask of a store: lists of tasks, history, the figures of the status page."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, OrderPosition, RunBatch, StoreStats, TaskFilter, TaskOrder
from functions.domain.task import Pause, Task
from functions.domain.types import Status
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids

MakeTask = Callable[..., Task]
MakeRun = Callable[..., Run]
SECOND = timedelta(seconds=1)


async def keep(store: Store, *runs: Run, entry_id: str = "ab.1", at: datetime = NOON) -> None:
    await store.write_with_runs(RunBatch(entry_id, at, runs), [])


# -- pages of tasks --------------------------------------------------------------------------------------


async def test_a_page_is_in_the_order_of_ids(store: Store, make_task: MakeTask) -> None:
    await create(store, *(make_task(task_id) for task_id in ["b", "a.b", "a", "a-b", "c", "10", "9", "a_b"]))

    assert ["10", "9", "a", "a-b", "a.b", "a_b", "b", "c"] == ids(await store.list_tasks(TaskFilter()))


async def test_a_page_begins_after_the_id_given(store: Store, make_task: MakeTask) -> None:
    await create(store, *(make_task(task_id) for task_id in "abcde"))

    assert ["c", "d"] == ids(await store.list_tasks(TaskFilter(), after="b", limit=2))
    assert ["c", "d", "e"] == ids(await store.list_tasks(TaskFilter(), after="bb"))
    assert [] == ids(await store.list_tasks(TaskFilter(), after="e"))


async def test_a_short_page_is_the_last_one(store: Store, make_task: MakeTask) -> None:
    await create(store, *(make_task(f"t{number:03}", origin="file") for number in range(7)))

    for which in (TaskFilter(), TaskFilter(origin="file")):
        pages = [
            len((await store.list_tasks(which, after=after, limit=3)).tasks) for after in ("", "t002", "t005")
        ]

        assert [3, 3, 1] == pages


@pytest.mark.slow
async def test_pages_add_up_to_everything(store: Store, make_task: MakeTask) -> None:
    tasks = [make_task(f"t{number:03}") for number in range(301)]
    await create(store, *tasks)
    walked: list[str] = []

    while page := ids(await store.list_tasks(TaskFilter(), after=walked[-1] if walked else "", limit=100)):
        walked += page

    assert [task.id for task in tasks] == walked


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_pages_in_an_order_add_up_to_everything(store: Store, make_task: MakeTask, size: int) -> None:
    """Titles by code point, the next run first to last and then those that have none."""
    rows = [("d", "Zebra", 3), ("a", "zebra", None), ("b", "Äpfel", 1), ("e", "Zebra", 3), ("c", "10", None)]
    await create(
        store,
        *(
            make_task(name, title=title, next_run_at=None if hour is None else NOON + hour * 3600 * SECOND)
            for name, title, hour in rows
        ),
    )

    assert ["c", "d", "e", "a", "b"] == await walk(store, "title", size)
    assert ["b", "d", "e", "a", "c"] == await walk(store, "nextRunAt", size)


async def walk(store: Store, order: TaskOrder, size: int) -> list[str]:
    found: list[str] = []
    page = await store.list_ordered(order, limit=size)
    for _ in range(20):
        assert len(page.tasks) <= size
        found += [stored.task.id for stored in page.tasks]
        if page.following is None:
            break
        page = await store.list_ordered(order, after=page.following, limit=size)
    return found


async def test_a_page_in_an_order_begins_where_a_task_was_that_has_moved(
    store: Store, make_task: MakeTask
) -> None:
    await create(store, *(make_task(name, title=name.upper()) for name in "acd"))

    page = await store.list_ordered("title", after=OrderPosition("B", "b"), limit=1)

    assert ["c"] == [stored.task.id for stored in page.tasks]
    assert OrderPosition("C", "c") == page.following


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (TaskFilter(), ["feed", "news", "shop"]),
        (TaskFilter(status="", type="", owner="", tag="", origin=""), ["feed", "news", "shop"]),
        (TaskFilter(status="paused"), ["news"]),
        (TaskFilter(type="http"), ["shop"]),
        (TaskFilter(owner="alice"), ["feed", "shop"]),
        (TaskFilter(tag="morning"), ["feed", "news"]),
        (TaskFilter(tag="morn"), []),
        (TaskFilter(tag='"'), ["shop"]),
        (TaskFilter(origin="file"), ["feed"]),
        (TaskFilter(ids=frozenset({"shop", "feed", "nobody"})), ["feed", "shop"]),
        (TaskFilter(owner="alice", tag="morning"), ["feed"]),
        (TaskFilter(ids=frozenset({"shop", "feed"}), origin="file", status="scheduled"), ["feed"]),
        (TaskFilter(owner="alice", status="paused"), []),
    ],
)
async def test_a_page_holds_what_matches_all_that_is_asked(
    store: Store, make_task: MakeTask, which: TaskFilter, expected: list[str]
) -> None:
    await create(
        store,
        make_task("feed", owner="alice", type="rss_watch", tags=["morning", "news"], origin="file"),
        make_task("shop", owner="alice", type="http", tags=["evening", '"']),
        make_task("news", owner="bob", type="rss_watch", tags=["morning"], status="paused"),
    )

    assert expected == ids(await store.list_tasks(which))


@pytest.mark.parametrize("asked", ["\udcff", "a\ud800", "é" * 800, "x" * 1501, "..", "a/b", "__x__"])
async def test_what_no_store_can_hold_is_not_there(
    store: Store, make_task: MakeTask, make_run: MakeRun, asked: str
) -> None:
    """A caller may ask for any text; that none has it is the answer, not an error of the store."""
    await create(store, make_task("ping", owner="?", tags=["?", "a?"]))
    await keep(store, make_run("ping"), entry_id="?.1")

    assert ["ping"] == ids(await store.get_tasks([asked, "ping"]))
    for which in (
        TaskFilter(tag=asked),
        TaskFilter(owner=asked),
        TaskFilter(type=asked, tag=asked),
        TaskFilter(ids=frozenset({asked})),
    ):
        assert [] == ids(await store.list_tasks(which))
        assert 0 == await store.count_tasks(which)
    assert [] == await store.runs(task_id=asked)
    assert [] == await store.runs_of_tick(asked)
    assert [] == await store.get_documents("calendars", [asked])


async def test_tasks_are_found_and_counted_by_what_they_last_came_to(
    store: Store, make_task: MakeTask
) -> None:
    await create(
        store,
        make_task("bad", owner="alice", last_outcome="failed", tags=["shop"]),
        make_task("good", owner="alice", last_outcome="succeeded"),
        make_task("new", owner="alice"),
        make_task("slow", owner="bob", last_outcome="timed_out", status="paused"),
    )
    bad = frozenset({"failed", "timed_out"})

    assert ["bad", "slow"] == ids(await store.list_tasks(TaskFilter(outcomes=bad)))
    assert ["slow"] == ids(await store.list_tasks(TaskFilter(outcomes=bad), after="bad"))
    assert ["bad"] == ids(await store.list_tasks(TaskFilter(outcomes=bad, owner="alice")))
    counted = [
        await store.count_tasks(which)
        for which in (
            TaskFilter(),
            TaskFilter(owner="alice"),
            TaskFilter(outcomes=bad),
            TaskFilter(outcomes=bad, status="paused"),
            TaskFilter(outcomes=bad, tag="shop"),
            TaskFilter(ids=frozenset({"bad", "new", "nobody"})),
        )
    ]
    assert [4, 3, 2, 1, 1, 2] == counted


async def test_a_filter_sees_what_was_last_written(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping", tags=["old"], owner="alice"))

    await store.write([changing(stored, status=Status.PAUSED, tags=("new",), owner="bob")])

    assert ["ping"] == ids(await store.list_tasks(TaskFilter(status="paused", tag="new", owner="bob")))
    assert [] == ids(await store.list_tasks(TaskFilter(tag="old")))


async def test_filtered_pages_add_up_past_what_does_not_match(store: Store, make_task: MakeTask) -> None:
    """A filter must not end the list early because a stretch of tasks happens not to match."""
    await create(
        store,
        *(
            make_task(f"t{number:03}", owner="alice", tags=["rare"] if number % 50 == 49 else [])
            for number in range(150)
        ),
    )
    which = TaskFilter(owner="alice", tag="rare")

    assert ["t049", "t099"] == ids(await store.list_tasks(which, limit=2))
    assert ["t149"] == ids(await store.list_tasks(which, after="t099", limit=2))


# -- history ---------------------------------------------------------------------------------------------


async def test_history_is_newest_first_whatever_order_it_was_kept_in(store: Store, make_run: MakeRun) -> None:
    runs = [make_run(f"t{n}", finished_at=NOON + n * timedelta(microseconds=1)) for n in range(6)]
    await keep(store, runs[1], runs[5], entry_id="ab.1", at=NOON + SECOND)
    await keep(store, runs[4], runs[0], entry_id="ab.2", at=NOON - SECOND)
    await keep(store, runs[2], runs[3], entry_id="cd.1")

    assert runs[::-1] == await store.runs()
    assert runs[:2:-1] == await store.runs(limit=3)
    assert [] == await store.runs(limit=0)


async def test_history_is_from_since_and_before_before(store: Store, make_run: MakeRun) -> None:
    runs = [make_run(f"t{n}", finished_at=NOON + n * SECOND) for n in range(5)]
    await keep(store, *runs)

    found = await store.runs(since=NOON + SECOND, before=NOON + 3 * SECOND)

    assert [runs[2], runs[1]] == found
    assert runs[:2:-1] == await store.runs(since=NOON + 3 * SECOND)
    assert runs[1::-1] == await store.runs(before=NOON + 2 * SECOND)


async def test_history_of_one_task_is_of_that_task(store: Store, make_run: MakeRun) -> None:
    mine = [make_run("ping", finished_at=NOON + n * SECOND, token=f"ab.{n}") for n in range(3)]
    others = [make_run("pin", finished_at=NOON), make_run("ping-2", finished_at=NOON)]
    await keep(store, others[0], *mine, others[1])

    assert mine[::-1] == await store.runs(task_id="ping")
    assert [mine[2]] == await store.runs(task_id="ping", limit=1)
    assert [mine[1]] == await store.runs(task_id="ping", since=NOON + SECOND, before=NOON + 2 * SECOND)
    assert [] == await store.runs(task_id="nobody")


async def test_history_can_be_walked_to_its_beginning(store: Store, make_run: MakeRun) -> None:
    runs = [make_run("ping", finished_at=NOON + n * SECOND, token=f"ab.{n}") for n in range(25)]
    for start in range(0, 25, 5):
        await keep(store, *runs[start : start + 5], entry_id=f"ab.{start}")
    walked: list[Run] = []
    before = None

    while page := await store.runs(before=before, limit=10):
        walked += page
        before = page[-1].finished_at

    assert runs[::-1] == walked


async def test_history_outlives_its_task(store: Store, make_run: MakeRun) -> None:
    await keep(store, make_run("deleted-long-ago"))

    assert [make_run("deleted-long-ago")] == await store.runs(task_id="deleted-long-ago")


# -- figures ---------------------------------------------------------------------------------------------


async def test_an_empty_store_counts_nothing(store: Store) -> None:
    assert StoreStats(scheduled=0, due=0, last_tick_at=None) == await store.stats(NOON)


async def test_counts_say_what_waits_and_what_is_due(store: Store, make_task: MakeTask) -> None:
    later = NOON + timedelta(microseconds=1)
    await create(
        store,
        make_task("due", status="scheduled"),
        make_task("later", status="scheduled", next_run_at=later),
        make_task("running", status="running", next_run_at=later),
        make_task("retrying", status="retrying"),
        make_task("paused", status="paused", pause=Pause(until=NOON), next_run_at=NOON),
        make_task("ended", status="ended", next_run_at=None),
        make_task("quarantined", status="quarantined", next_run_at=None),
    )

    counts = await store.stats(NOON)

    assert (4, 3) == (counts.scheduled, counts.due)


async def test_the_last_tick_is_the_one_that_wrote_last(store: Store, make_run: MakeRun) -> None:
    late = NOON + timedelta(hours=1, microseconds=7)
    await keep(store, make_run(), entry_id="b.1", at=late)
    await keep(store, make_run("other"), entry_id="a.1", at=NOON)

    assert late == (await store.stats(NOON)).last_tick_at


async def test_pruning_keeps_what_is_young_enough(store: Store, make_run: MakeRun) -> None:
    """A store may forget by itself when the time has come; none may forget sooner."""
    await keep(store, make_run())

    assert 0 == await store.prune(NOON + RUN_RETENTION)
    assert [make_run()] == await store.runs()
    assert [make_run()] == await store.runs_of_tick("ab")
