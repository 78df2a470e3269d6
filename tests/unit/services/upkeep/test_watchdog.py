"""The scheduler's own lateness: noticed for nothing, told once, and never in the way of a tick."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.run import Run
from functions.domain.storage import Document, RunBatch
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Trigger
from functions.errors import StoreUnavailableError
from functions.services.upkeep.watchdog import Watchdog, describe_clock_ahead, describe_silence
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.contract.documents import create

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)


class Told:
    """A channel that remembers."""

    def __init__(self) -> None:
        self.notices: list[Notification] = []

    async def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self.notices += notifications
        return [() for _ in notifications]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    one = SqliteStore(str(tmp_path / "late.db"))
    yield one
    await one.close()


@pytest.fixture
def told() -> Told:
    return Told()


async def judge(
    store: SqliteStore,
    told: Told,
    oldest: datetime | None,
    *,
    now: datetime = NOON,
    last_tick: datetime | None = None,
    after: timedelta = 5 * MINUTE,
    without_room: int = 0,
) -> None:
    lateness = Watchdog(store, told, clock=lambda: now, late_after=after)
    await lateness.check(oldest, found_at=now, last_tick=last_tick, within=MINUTE, without_room=without_room)


async def test_silence_is_told_with_its_length_and_what_to_look_at(store: SqliteStore, told: Told) -> None:
    await judge(store, told, NOON - 12 * MINUTE)

    [notice] = told.notices
    assert ("late", "The scheduler") == (notice.kind, notice.title)
    assert "2026-11-20T11:48:00Z was found 12 minutes later. No tick was requested" in notice.summary


async def test_a_store_that_was_away_looks_the_same_and_is_named_as_well(
    store: SqliteStore, told: Told
) -> None:
    """Pingers that called each minute were said to be silent, after an outage of the store."""
    await judge(store, told, NOON - 12 * MINUTE)

    assert "or none reached the store" in told.notices[0].summary
    assert "tick_degraded in the log" in told.notices[0].summary


async def test_want_of_room_is_told_without_a_limit_of_waiting_and_waiting_is_not(
    store: SqliteStore, told: Told
) -> None:
    await judge(store, told, NOON - 60 * MINUTE, after=timedelta())
    await judge(store, told, NOON - 60 * MINUTE, after=timedelta(), without_room=7)

    assert 1 == len(told.notices)
    assert "7" in told.notices[0].summary


@pytest.mark.parametrize(
    ("due_since", "wrote", "said"),
    [
        (20, 21, "a tick last wrote 21 min ago, and a task has been due for 20 min"),
        (20, None, "no tick has written anything yet, and a task has been due for 20 min"),
        (1, 600, ""),  # nothing was due in between, and what finds nothing writes nothing
        (1, None, ""),
    ],
)
async def test_ticks_that_do_not_come_are_told_from_ticks_that_find_nothing(
    store: SqliteStore, make_task: MakeTask, due_since: int, wrote: int | None, said: str
) -> None:
    await create(store, make_task("ping", next_run_at=NOON - due_since * MINUTE))
    last = None if wrote is None else NOON - wrote * MINUTE

    assert said == await describe_silence(store, 1, last, now=NOON, after=5 * MINUTE)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"token": "t.1"}, ""),  # ticks come and have no time for it: the log says so
        ({"trigger": Trigger.PING}, "no tick has written anything for 5 min"),
        ({"token": "t.1", "trigger": Trigger.MANUAL}, "no tick has written anything for 5 min"),
    ],
)
async def test_what_programs_and_users_write_is_no_sign_of_a_tick(
    store: SqliteStore, make_task: MakeTask, facts: dict[str, Any], said: str
) -> None:
    """A heartbeat that was called hid for ever that the pinger was off, and so that others were missed."""
    await create(store, make_task("ping", next_run_at=NOON - 20 * MINUTE))
    at = NOON - MINUTE
    run = Run(
        task_id="backup",
        occurrence=at,
        attempt=1,
        outcome=OutcomeKind.SUCCEEDED,
        started_at=at,
        finished_at=at,
        **facts,
    )
    await store.write_with_runs(RunBatch("b.1", at, (run,)), [])
    last = (await store.stats(NOON)).last_tick_at

    found = await describe_silence(store, 1, last, now=NOON, after=5 * MINUTE)

    assert said == found.partition(",")[0]


async def test_a_document_that_nobody_can_read_is_no_silence(
    store: SqliteStore, make_task: MakeTask, tmp_path: Path
) -> None:
    """It is due for ever, and no tick writes anything of it."""
    await create(store, make_task("ping", next_run_at=NOON - 20 * MINUTE))
    with closing(sqlite3.connect(tmp_path / "late.db")) as connection, connection:
        connection.execute("UPDATE tasks SET doc = json_set(doc, '$.title', 5)")

    assert "" == await describe_silence(store, 1, None, now=NOON, after=5 * MINUTE)


async def test_too_much_work_is_told_apart_from_silence(store: SqliteStore, told: Told) -> None:
    await judge(store, told, NOON - 12 * MINUTE, last_tick=NOON - MINUTE)

    assert "no time for all that is due" in told.notices[0].summary


@pytest.mark.parametrize("oldest", [None, NOON, NOON - 5 * MINUTE])
async def test_what_is_in_time_costs_nothing(store: SqliteStore, told: Told, oldest: datetime | None) -> None:
    with store.count_operations() as operations:
        await judge(store, told, oldest)

    assert ([], 0, 0) == (told.notices, operations.reads, operations.writes)


async def test_several_ticks_that_find_it_late_tell_it_once(store: SqliteStore, told: Told) -> None:
    await judge(store, told, NOON - 12 * MINUTE)
    await judge(store, told, NOON - 11 * MINUTE, now=NOON + MINUTE)

    assert 1 == len(told.notices)


async def test_the_next_silence_is_told_again(store: SqliteStore, told: Told) -> None:
    await judge(store, told, NOON - 12 * MINUTE)
    await judge(store, told, NOON + 60 * MINUTE, now=NOON + 80 * MINUTE)

    assert 2 == len(told.notices)


async def test_of_two_ticks_at_the_same_time_one_tells(
    store: SqliteStore, told: Told, tmp_path: Path
) -> None:
    class Overtaken(SqliteStore):
        async def get_documents(self, kind: object, ids: Sequence[str]) -> list[Document]:
            await judge(store, told, NOON - 12 * MINUTE)  # the other one is faster
            return []

    slower = Overtaken(str(tmp_path / "late.db"))

    await judge(slower, told, NOON - 12 * MINUTE)

    assert 1 == len(told.notices)
    await slower.close()


async def test_a_store_that_is_down_again_fails_no_tick(
    store: SqliteStore, told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Down(SqliteStore):
        async def get_documents(self, *_: object) -> list[Document]:
            raise StoreUnavailableError("down")

    down = Down(str(tmp_path / "late.db"))

    await judge(down, told, NOON - 12 * MINUTE)

    assert [] == told.notices
    assert ["scheduler_late", "scheduler_late_not_sent"] == [one.getMessage() for one in caplog.records]
    await down.close()


def test_a_last_tick_in_the_future_is_told_with_both_times() -> None:
    told = describe_clock_ahead(NOON + timedelta(days=30), NOON)

    assert "2026-12-20T12:00:00Z" in told
    assert "2026-11-20T12:00:00Z" in told
    assert "" == describe_clock_ahead(NOON + timedelta(minutes=5), NOON) == describe_clock_ahead(None, NOON)


async def test_ticks_without_room_are_told_once_in_six_hours(store: SqliteStore, told: Told) -> None:
    for minutes in (0, 1, 2, 361):
        await judge(store, told, None, now=NOON + minutes * MINUTE, without_room=400)

    assert 2 == len(told.notices)
    assert "400 occurrences were skipped" in told.notices[0].summary
    assert "WORKER_QUEUE" in told.notices[0].summary
