"""Attempts under way in one tick: each under its own total deadline, all under one limit of concurrency.

A few more than the limit may be handed over, as many as will end about now: they wait for a slot, and no slot
waits for the store. One that has waited too long is given back, not begun late.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.domain.lifecycle.decide import CLAIM_LEAD_TIME, build_job, time_left
from functions.domain.run import Outcome
from functions.domain.storage import VersionedTask
from functions.domain.types import OutcomeKind
from functions.errors import StoreError
from functions.interfaces import RunTask, TickStore

log = logging.getLogger(__name__)

LOOKAHEAD_S = 0.1  # how far ahead slots are counted on, by the pace of as much of the past
CANCEL_TIMEOUT_S = 1.0  # how long a cancelled attempt may take to let go

CANCELLED = Outcome(OutcomeKind.CANCELLED, "Somebody cancelled it")
OUT_OF_TIME = Outcome(OutcomeKind.TIMED_OUT, "The tick's time was up")
SHUT_DOWN = Outcome(OutcomeKind.ABANDONED, "The process was told to stop while this ran")
CLAIM_EXPIRED = Outcome(
    OutcomeKind.ABANDONED, "The process slept until its claim had expired; nothing was done"
)


@dataclass(frozen=True, slots=True)
class FinishedAttempt:
    """One attempt that is over."""

    stored: VersionedTask
    outcome: Outcome
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class _Queued:
    stored: VersionedTask
    max_tokens: int | None
    queued_at: float


@dataclass(slots=True)
class _Running:
    stored: VersionedTask
    started_at: datetime
    max_tokens: int | None = None
    expected_end: float = math.inf  # in the loop's time, if it takes as long as the last time
    cancel_outcome: Outcome | None = None  # why it was cancelled, when it was
    asyncio_task: asyncio.Task[None] | None = field(default=None, repr=False)


class Executor:
    """The attempts of one tick.

    Args:
        done: Called with each attempt that is over, in the loop; it must not block.
        limit: Attempts under way at once.

    Attributes:
        begun: Attempts so far.
    """

    def __init__(
        self,
        run_task: RunTask,
        *,
        clock: Callable[[], datetime],
        limit: int,
        on_finished: Callable[[FinishedAttempt], None],
    ) -> None:
        self._run_task = run_task
        self._clock = clock
        self._limit = limit
        self._on_finished = on_finished
        self._running: dict[str, _Running] = {}
        self._queue: deque[_Queued] = deque()
        self._recent_ends: deque[float] = deque(maxlen=max(1, limit // 2))
        self._is_closed = False
        self.started = 0
        self._state_changed = asyncio.Event()

    @property
    def capacity(self) -> int:
        """How many more may be started: what is free, and what will be about now."""
        return max(0, self._limit + self._expected_free_slots - len(self))

    def batch_size(self, queue_length: int) -> int:
        """How many of *line* to start now: as many as there is room for.

        All of them, where the rest would be no more than what ends in as long again: a few that are
        left over cost a claim of their own, and hold up the end.
        """
        room = self.capacity
        return queue_length if queue_length <= room + self._expected_free_slots else room

    @property
    def _expected_free_slots(self) -> int:
        """How many attempts will end within `PACE_S`: as many as did in the last, or took no longer before.

        At most half the limit, for both are guesses.
        """
        now = asyncio.get_running_loop().time()
        ended = sum(at >= now - LOOKAHEAD_S for at in self._recent_ends) if self._running else 0
        expected = sum(one.expected_end <= now + LOOKAHEAD_S for one in self._running.values())
        return min(max(ended, expected), self._limit // 2)

    def __len__(self) -> int:
        return len(self._running) + len(self._queue)

    def start(self, stored: VersionedTask, *, max_tokens: int | None = None) -> None:
        """Begin the attempt that *stored* was claimed for, as soon as a slot is free.

        Args:
            max_tokens: See `Job`.
        """
        self._queue.append(_Queued(stored, max_tokens, asyncio.get_running_loop().time()))
        self._start_waiting()

    def take_expired(self, *, include_all: bool = False) -> list[VersionedTask]:
        """Take out those that have waited for a slot for longer than a claim allows, or all that wait."""
        since = asyncio.get_running_loop().time() - CLAIM_LEAD_TIME.total_seconds()
        back = [one for one in self._queue if include_all or one.queued_at < since]
        if back:
            self._queue = deque(one for one in self._queue if one not in back)
            self._state_changed.set()
        return [one.stored for one in back]

    async def wait_until(self, condition: Callable[[], bool], *, within_s: float | None) -> bool:
        """Wait until *condition*, which only the end of an attempt can make true; False when time is up."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._state_changed.clear()
                    await self._state_changed.wait()
        except TimeoutError:
            return False
        return True

    def running_longer_than(self, duration: timedelta) -> list[VersionedTask]:
        """The tasks whose attempts have been under way for more than *span*."""
        since = self._clock() - duration
        return [running.stored for running in self._running.values() if running.started_at < since]

    def cancel(self, task_id: str, outcome: Outcome) -> None:
        """End an attempt early; it comes to the outcome *because*."""
        running = self._running.get(task_id)
        if running is not None and running.cancel_outcome is None and running.asyncio_task is not None:
            running.cancel_outcome = outcome
            running.asyncio_task.cancel()

    async def cancel_all(self, outcome: Outcome) -> None:
        """End all attempts now, and begin no other. One that does not let go is left: its claim expires."""
        self._is_closed = True
        for task_id in list(self._running):
            self.cancel(task_id, outcome)
        if not await self.wait_until(lambda: not self._running, within_s=CANCEL_TIMEOUT_S):
            log.error("attempts_stuck", extra={"tasks": sorted(self._running)})

    def _start_waiting(self) -> None:
        """Let those that wait begin, as far as there are slots."""
        while self._queue and len(self._running) < self._limit and not self._is_closed:
            one = self._queue.popleft()
            running = _Running(one.stored, self._clock(), one.max_tokens)
            if (took_ms := one.stored.task.last_duration_ms) is not None:
                running.expected_end = asyncio.get_running_loop().time() + took_ms / 1000
            self._running[one.stored.task.id] = running
            self.started += 1
            running.asyncio_task = asyncio.create_task(self._run_attempt(running))

    async def _run_attempt(self, running: _Running) -> None:
        task = running.stored.task
        try:
            outcome = await self._run_with_timeout(running)
            self._on_finished(FinishedAttempt(running.stored, outcome, running.started_at, self._clock()))
        finally:
            del self._running[task.id]
            self._recent_ends.append(asyncio.get_running_loop().time())
            self._start_waiting()
            self._state_changed.set()

    async def _run_with_timeout(self, running: _Running) -> Outcome:
        task = running.stored.task
        left_s = time_left(task, now=running.started_at).total_seconds()
        timeout_s = min(task.timeout_seconds, left_s)
        if timeout_s <= 0:
            return CLAIM_EXPIRED
        job = build_job(
            task, started_at=running.started_at, timeout_s=timeout_s, max_tokens=running.max_tokens
        )
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                return await self._run_task(job)
        except asyncio.CancelledError:
            if running.cancel_outcome is None:
                raise
            return running.cancel_outcome
        except TimeoutError:
            if not timeout.expired():
                raise
            return Outcome(OutcomeKind.TIMED_OUT, f"No result within {timeout_s:g} s")


# Wishes that come while attempts run: long ones are looked after, and cancelled when somebody wants it.

CANCELLATION_POLL = timedelta(seconds=3)  # how often a long attempt's document is read for a wish to cancel


async def watch_cancellations(store: TickStore, executor: Executor) -> None:
    """Cancel long attempts that somebody wants cancelled, until cancelled itself."""
    while True:
        await asyncio.sleep(CANCELLATION_POLL.total_seconds())
        long = executor.running_longer_than(CANCELLATION_POLL)
        try:
            found = await store.get_tasks([stored.task.id for stored in long]) if long else None
        except StoreError:
            continue  # the wish is still there at the next look
        for stored in found.tasks if found else ():
            if stored.task.cancel_requested:
                executor.cancel(stored.task.id, CANCELLED)
