"""Attempts of one tick: slots, deadlines, cancellation."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from functions.domain.run import Outcome, succeeded
from functions.domain.storage import VersionedTask
from functions.domain.task import Claim, Job, Task
from functions.engine import executor
from functions.engine.executor import NO_SLOT, SHUT_DOWN, TOO_LITTLE_TIME, Executor, FinishedAttempt
from functions.interfaces import AttemptSlots
from tests.conftest import NOON

MakeTask = Callable[..., Task]


class World:
    """Attempts whose work ends when the test says so."""

    def __init__(self, make_task: MakeTask, *, limit: int) -> None:
        self.make_task = make_task
        self.slept = timedelta()
        self.finished: asyncio.Queue[FinishedAttempt] = asyncio.Queue()
        self._done: list[FinishedAttempt] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.slots = AttemptSlots(limit)
        self.attempts = self.executor()

    def executor(self) -> Executor:
        """That of a tick; all have the same slots."""
        return Executor(self.perform, clock=self.clock, slots=self.slots, finished=self.finished.put_nowait)

    @property
    def done(self) -> list[FinishedAttempt]:
        while not self.finished.empty():
            self._done.append(self.finished.get_nowait())
        return self._done

    def clock(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time() % 1) + self.slept

    async def perform(self, job: Job) -> Outcome:
        self.ends[job.task_id] = asyncio.Event()
        try:
            await self.ends[job.task_id].wait()
        finally:
            del self.ends[job.task_id]
        return succeeded("Done")

    def start(self, *names: str, timeout_s: float = 20.0, **given: object) -> None:
        claim = Claim(token="a.1", until=NOON + timedelta(seconds=60), started_at=NOON)
        state = {"claim": claim, "occurrence": NOON, "attempt": 1, "status": "running"}
        for name in names:
            task = self.make_task(name, **state, timeout_seconds=timeout_s, **given)
            self.attempts.start(VersionedTask(task, 1))

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
        await turn()

    async def until_over(self, many: int) -> list[str]:
        """What became of the first *many* that end, in their order."""
        async with asyncio.timeout(5):
            while len(self._done) < many:
                self._done.append(await self.finished.get())
        return [f"{one.stored.task.id}: {one.outcome and one.outcome.summary}" for one in self.done]

    @property
    def running(self) -> list[str]:
        return sorted(self.ends)


async def turn() -> None:
    """Let everything that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_capacity_is_what_the_limit_leaves_until_an_attempt_has_ended(make_task: MakeTask) -> None:
    world = World(make_task, limit=4)

    capacity = [world.attempts.capacity]
    world.start("a", "b", "c")
    await turn()
    capacity.append(world.attempts.capacity)

    assert ([4, 1], 3) == (capacity, world.attempts.started)
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_ticks_at_the_same_time_share_the_slots(make_task: MakeTask) -> None:
    world = World(make_task, limit=4)
    other = world.executor()

    world.start("a", "b", "c")
    await turn()
    beside = other.capacity
    await world.end("a")

    assert (1, 2, 0) == (beside, other.capacity, other.running)
    await world.attempts.cancel_all(SHUT_DOWN)
    assert 4 == other.capacity


async def test_some_may_wait_for_a_slot_once_attempts_have_ended(make_task: MakeTask) -> None:
    """As many as have ended, at most half as many as there are slots."""
    world = World(make_task, limit=4)
    world.start("a", "b", "c", "d")
    await turn()

    capacity = []
    for name in ("a", "b", "c"):
        await world.end(name)
        capacity.append(world.attempts.capacity)

    assert [1 + 1, 2 + 2, 3 + 2] == capacity
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_those_that_wait_begin_in_turn_as_slots_get_free(make_task: MakeTask) -> None:
    world = World(make_task, limit=2)
    world.start("a", "b", "c", "d")
    await turn()

    running = [world.running]
    await world.end("b")
    running.append(world.running)
    await world.end("a")
    running.append(world.running)

    assert [["a", "b"], ["a", "c"], ["c", "d"]] == running
    assert 4 == world.attempts.started
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_one_that_waits_in_vain_is_given_back_and_none_waits_after_it(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "MAX_SLOT_WAIT_S", 0.02)
    world = World(make_task, limit=2)
    world.start("a", "b")
    await turn()
    await world.end("a")
    world.start("c", "d")

    over = await world.until_over(2)

    assert ["a: Done", "d: None"] == over
    assert (["b", "c"], 3, 0) == (world.running, world.attempts.started, world.attempts.capacity)
    assert NO_SLOT == world.done[1].postponed
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_one_that_has_begun_after_a_wait_is_not_given_back(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "MAX_SLOT_WAIT_S", 0.02)
    world = World(make_task, limit=1)
    world.start("a", "b")
    await turn()
    await world.end("a")
    world.start("c")

    over = await world.until_over(2)  # the wait of c ends after that of b would have

    assert (["a: Done", "c: None"], ["b"]) == (over, world.running)
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_one_whose_claim_expires_while_it_waits_is_given_back(make_task: MakeTask) -> None:
    world = World(make_task, limit=1)
    world.start("a", "b")
    await turn()

    world.slept = timedelta(seconds=50)  # the claim lasts for 60 s, 15 of them to write the result
    await world.end("a")

    assert ["a: Done", "b: None"] == await world.until_over(2)
    assert (1, TOO_LITTLE_TIME) == (world.attempts.started, world.done[1].postponed)


async def test_one_that_has_waited_begins_if_what_it_is_expected_to_take_is_left(make_task: MakeTask) -> None:
    """It used to be begun with whatever was left, and was cut."""
    world = World(make_task, limit=1)
    world.start("a")
    world.start("slow", recent=("succeeded 9000 2026-11-20T11:59:00Z",))  # 14.5 s, by its record
    world.start("fast", recent=("succeeded 40 2026-11-20T11:59:00Z",))
    await turn()

    world.slept = timedelta(seconds=33)  # 11 to 12 s are left of the claims
    await world.end("a")

    assert ["a: Done", "slow: None"] == await world.until_over(2)
    assert (["fast"], 2) == (world.running, world.attempts.started)
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_one_that_is_not_made_again_has_its_whole_timeout_or_does_not_begin(
    make_task: MakeTask,
) -> None:
    """It used to be cut when its claim had come late, which was its end."""
    world = World(make_task, limit=3)
    world.slept = timedelta(seconds=30)  # the claim lasts for 60 s: 15 s are left of the timeout of 20

    world.start("once", delivery="at_most_once")
    world.start("short", delivery="at_most_once", timeout_s=10)
    world.start("again")
    await turn()

    assert ["once: None"] == await world.until_over(1)
    assert ["again", "short"] == world.running
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_cancelling_all_gives_back_those_that_wait(make_task: MakeTask) -> None:
    world = World(make_task, limit=1)
    world.start("a", "b")
    await turn()

    await world.attempts.cancel_all(SHUT_DOWN)

    assert {"a": SHUT_DOWN, "b": None} == {one.stored.task.id: one.outcome for one in world.done}
    assert 1 == world.attempts.started


async def test_one_that_waits_has_not_run_for_long(make_task: MakeTask) -> None:
    world = World(make_task, limit=1)
    world.start("a", "b")
    await turn()

    long = world.attempts.running_longer_than(timedelta(seconds=-1))

    assert ["a"] == [stored.task.id for stored in long]
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_waiting_for_capacity_ends_with_the_attempt_that_makes_enough_of_it(
    make_task: MakeTask,
) -> None:
    world = World(make_task, limit=6)
    world.start("a", "b", "c", "d", "e", "f")
    await turn()

    waiting = asyncio.create_task(world.attempts.wait_for_capacity(4, within_s=5))
    await world.end("a")
    after_one = waiting.done()
    await world.end("b")

    assert (False, True) == (after_one, await waiting)
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_waiting_for_capacity_ends_when_its_time_is_up(make_task: MakeTask) -> None:
    world = World(make_task, limit=1)
    world.start("a")
    await turn()

    assert not await world.attempts.wait_for_capacity(1, within_s=0.01)
    await world.attempts.cancel_all(SHUT_DOWN)


async def test_waiting_for_more_than_the_limit_is_waiting_for_the_limit(make_task: MakeTask) -> None:
    world = World(make_task, limit=2)

    assert await world.attempts.wait_for_capacity(9, within_s=0.01)


async def test_cancelling_all_ends_each_attempt_with_the_outcome_given(make_task: MakeTask) -> None:
    world = World(make_task, limit=2)
    world.start("a", "b")
    await turn()

    await world.attempts.cancel_all(SHUT_DOWN)

    assert ["a", "b"] == sorted(one.stored.task.id for one in world.done)
    assert [SHUT_DOWN] * 2 == [one.outcome for one in world.done]
    assert 0 == world.attempts.running


async def test_one_that_ignores_its_end_is_not_waited_for_and_keeps_its_slot(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "CANCEL_TIMEOUT_S", 0.02)
    world = World(make_task, limit=3)
    released = asyncio.Event()

    async def never_mind(job: Job) -> Outcome:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        return succeeded("At last")

    world.attempts = Executor(
        never_mind, clock=world.clock, slots=world.slots, finished=world.finished.put_nowait
    )
    world.start("stubborn")
    await turn()

    await world.attempts.cancel_all(SHUT_DOWN)
    left = (world.attempts.running, world.slots.claimed, world.slots.free)
    released.set()
    await turn()

    assert (0, 1, 2) == left
    assert (0, 3) == (world.slots.claimed, world.slots.free)
    assert [] == world.done  # its claim expires: nobody writes what comes so late


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
