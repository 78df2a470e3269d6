"""Ticks that are killed at every single point lose no alert, and repeat only the one they were sending."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult
from functions.domain.task import Job
from functions.notifications.channel import SendResult
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.notifications.engine import MINUTE, Engine, Listener

HOUR = timedelta(hours=1)
POINTS = 45  # more than there are


class Killed(BaseException):
    """Nothing in the process runs any more."""


class Life:
    """Counts what leaves a process, and ends it at the point it was told."""

    def __init__(self, *, ends_at: int) -> None:
        self.points = 0
        self.ends_at = ends_at

    def point(self) -> None:
        """One place to die at: everything after it never happens."""
        self.points += 1
        if self.points >= self.ends_at:
            raise Killed


class MortalStore:
    """The store as a process sees it that may die before a write, or after it without hearing of it."""

    def __init__(self, store: SqliteStore, life: Life) -> None:
        self._store = store
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        return await self.write_with_runs(None, writes)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        self._life.point()
        written = await self._store.write_with_runs(batch, writes)
        self._life.point()
        return written


class MortalListener(Listener):
    """A channel at which a process may die just before, or just after the message arrived."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("chat", clock)
        self.life = Life(ends_at=10**9)

    async def send(self, notifications: Sequence[Notification], now: Any) -> SendResult:
        self.life.point()
        sent = await super().send(notifications, now)
        self.life.point()
        return sent


def breaks_at_noon(job: Job) -> Outcome:
    return failed("Answered 503") if job.scheduled_at < NOON + 3 * HOUR else succeeded("Answered 200")


async def lived(ends_at: int, **spec: Any) -> tuple[MortalListener, int]:
    """Let a task fail for three hours, each of its processes but the first unharmed."""
    clock = Clock()
    clock.move(minutes=-1)
    chat = MortalListener(clock)
    engine = Engine({"chat": chat}, clock, work=breaks_at_noon)
    await engine.put({"title": "Shop", "schedule": "*/30 * * * *"} | spec)
    life = Life(ends_at=ends_at)
    chat.life, engine.engine_store = life, MortalStore(engine.store, life)
    try:
        await engine.live(NOON + 4 * HOUR)
    except Killed:
        chat.life, engine.engine_store = Life(ends_at=10**9), engine.store
        engine.restart()
        await engine.live(NOON + 4 * HOUR)
    await engine.store.close()
    return chat, life.points


@pytest.mark.slow
@pytest.mark.parametrize("point", range(1, POINTS))
async def test_wherever_a_tick_is_killed_each_alert_arrives_and_at_most_one_twice(point: int) -> None:
    chat, _ = await lived(point)

    ids = [notice.id for _, sent in chat.messages for notice in sent]
    kinds = [id_.rpartition("#")[2] for id_ in dict.fromkeys(ids)]
    assert ["failure", "reminder", "recovery"] == kinds
    assert len(ids) <= len(set(ids)) + 1
    assert all(at - notice.at <= 2 * MINUTE for at, sent in chat.messages for notice in sent)


async def test_the_points_are_all_there_are() -> None:
    """A list of points that stops short would prove nothing of those behind it."""
    _, points = await lived(10**9)

    assert points < POINTS
