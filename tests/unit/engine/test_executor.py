"""Attempts of one tick: slots, the claims made ahead of them, and what becomes of those no slot came for."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from functions.domain.lifecycle.decide import CLAIMED_AHEAD
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import Stored
from functions.domain.task import Claim, Job, Task
from functions.engine.executor import SHUT_DOWN, Attempted, Attempts
from tests.conftest import NOON

MakeTask = Callable[..., Task]


class World:
    """Attempts whose work ends when the test says so."""

    def __init__(self, make_task: MakeTask, *, limit: int) -> None:
        self.make_task = make_task
        self.done: list[Attempted] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.most = 0
        self.attempts = Attempts(self.perform, clock=self.clock, limit=limit, done=self.done.append)

    def clock(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time() % 1)

    async def perform(self, job: Job) -> Outcome:
        self.most = max(self.most, len(self.ends) + 1)
        self.ends[job.task_id] = asyncio.Event()
        try:
            await self.ends[job.task_id].wait()
        finally:
            del self.ends[job.task_id]
        return succeeded("Done")

    def start(self, *names: str, took_ms: int | None = None, timeout_s: float = 20.0) -> None:
        claim = Claim(token="a.1", until=NOON + timedelta(seconds=60), started_at=NOON)
        state = {"claim": claim, "occurrence": NOON, "attempt": 1, "status": "running"}
        for name in names:
            task = self.make_task(name, **state, last_duration_ms=took_ms, timeout_seconds=timeout_s)
            self.attempts.start(Stored(task, 1))

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
        await turn()

    async def until_over(self, many: int) -> list[str]:
        """What became of the first *many* that end, in their order."""
        await self.attempts.until(lambda: len(self.done) >= many, within_s=5)
        return [f"{one.stored.task.id}: {one.outcome.summary}" for one in self.done]

    @property
    def running(self) -> list[str]:
        return sorted(self.ends)


async def turn() -> None:
    """Let everything that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_run_at_once_than_the_limit(make_task: MakeTask) -> None:
    """The next begins as one ends."""
    world = World(make_task, limit=2)

    world.start("a", "b", "c", "d")
    await turn()
    first = world.running
    await world.end("a")
    second = world.running
    await world.end("b", "c")
    await world.end("d")

    assert (["a", "b"], ["b", "c"]) == (first, second)
    assert (2, 4, 4, 0) == (world.most, world.attempts.begun, len(world.done), len(world.attempts))


async def test_without_a_pace_there_is_room_for_what_is_free_and_no_more(make_task: MakeTask) -> None:
    """Nothing has ended yet: it may be long until something does."""
    world = World(make_task, limit=4)

    rooms = [world.attempts.room]
    world.start("a", "b", "c")
    rooms.append(world.attempts.room)
    world.start("d")
    await turn()
    rooms.append(world.attempts.room)

    assert [4, 1, 0] == rooms


async def test_room_is_made_ahead_at_the_pace_of_the_moment_up_to_half_the_slots(make_task: MakeTask) -> None:
    world = World(make_task, limit=4)
    world.start("a", "b", "c", "d", "e")
    await turn()

    await world.end("a")
    one_ended = world.attempts.room
    world.start("f", "g", "h")
    await turn()
    await world.end("b", "c", "d")
    all_ended = world.attempts.room

    assert 1 == one_ended  # four run, none waits, one ended just now
    assert ["e", "f", "g", "h"] == world.running
    assert 2 == all_ended


async def test_a_few_that_would_be_left_over_are_started_with_the_others(make_task: MakeTask) -> None:
    """Claimed alone they would come last, and everybody waits for them."""
    world = World(make_task, limit=4)
    world.start("a", "b", "c", "d")
    await turn()

    without_a_pace = [world.attempts.share_of(line) for line in (0, 1, 9)]
    await world.end("a", "b")

    assert [0, 0, 0] == without_a_pace
    assert 4 == world.attempts.room  # two are free, and two more will be
    assert [0, 3, 4, 5, 6, 4, 4] == [world.attempts.share_of(line) for line in (0, 3, 4, 5, 6, 7, 99)]
    await world.attempts.end(SHUT_DOWN)


async def test_room_is_made_for_what_ends_about_now_by_how_long_it_took_before(make_task: MakeTask) -> None:
    """The first wave has no pace yet, and would be over before the next is claimed."""
    world = World(make_task, limit=4)

    world.start("a", took_ms=60)
    world.start("b", took_ms=5_000)
    world.start("c", "d")
    one_is_quick = world.attempts.room
    world.start("e", took_ms=60)
    it_waits_for_a_slot = world.attempts.room

    assert (1, 0) == (one_is_quick, it_waits_for_a_slot)
    await world.attempts.end(SHUT_DOWN)


async def test_room_is_made_for_half_the_slots_at_most(make_task: MakeTask) -> None:
    world = World(make_task, limit=4)

    world.start("a", "b", "c", "d", took_ms=60)

    assert 2 == world.attempts.room
    await world.attempts.end(SHUT_DOWN)


async def test_an_old_pace_says_nothing(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(make_task, limit=2)
    world.start("a", "b", "c")
    await turn()
    await world.end("a")
    loop, now = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    before = world.attempts.room

    monkeypatch.setattr(loop, "time", lambda: now + 0.2)

    assert (1, 0) == (before, world.attempts.room)


async def test_what_waited_too_long_for_a_slot_is_given_back(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim was made for an attempt begun soon; begun late, it would lose time of its own."""
    world = World(make_task, limit=1)
    world.start("a", "b")
    await turn()
    soon = world.attempts.given_back()
    loop, now = asyncio.get_running_loop(), asyncio.get_running_loop().time()

    monkeypatch.setattr(loop, "time", lambda: now + CLAIMED_AHEAD.total_seconds() + 0.1)
    late = world.attempts.given_back()
    await world.end("a")

    assert ([], ["b"]) == (soon, [stored.task.id for stored in late])
    assert ([], 1) == (world.running, world.attempts.begun)


async def test_at_the_end_nothing_that_waits_is_begun(make_task: MakeTask) -> None:
    world = World(make_task, limit=1)
    world.start("a", "b")
    await turn()

    await asyncio.gather(world.attempts.end(SHUT_DOWN), turn())
    back = world.attempts.given_back(everything=True)

    assert ["b"] == [stored.task.id for stored in back]
    assert (["a"], 0) == ([one.stored.task.id for one in world.done], len(world.attempts))


async def test_each_ends_at_its_own_deadline_whatever_the_order_they_were_begun_in(
    make_task: MakeTask,
) -> None:
    world = World(make_task, limit=9)

    world.start("day")
    world.start("late", timeout_s=0.06)
    world.start("soon", timeout_s=0.02)
    world.start("later", timeout_s=0.1)
    over = await world.until_over(3)

    within = "No result within"
    assert [f"soon: {within} 0.02 s", f"late: {within} 0.06 s", f"later: {within} 0.1 s"] == over
    assert ["day"] == world.running
