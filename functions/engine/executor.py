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

from functions.domain.lifecycle.decide import CLAIMED_AHEAD, job_of, time_left
from functions.domain.run import Outcome
from functions.domain.storage import Stored
from functions.domain.types import OutcomeKind
from functions.errors import StoreError
from functions.interfaces import Perform, Store

log = logging.getLogger(__name__)

PACE_S = 0.1  # how far ahead slots are counted on, by the pace of as much of the past
STUCK_AFTER_S = 1.0  # how long a cancelled attempt may take to let go

CANCELLED = Outcome(OutcomeKind.CANCELLED, "Somebody cancelled it")
OUT_OF_TIME = Outcome(OutcomeKind.TIMED_OUT, "The tick's time was up")
SHUT_DOWN = Outcome(OutcomeKind.ABANDONED, "The process was told to stop while this ran")
OVERSLEPT = Outcome(OutcomeKind.ABANDONED, "The process slept until its claim had expired; nothing was done")


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt that is over."""

    stored: Stored
    outcome: Outcome
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class _Waiting:
    stored: Stored
    max_tokens: int | None
    since: float


@dataclass(slots=True)
class _Running:
    stored: Stored
    started_at: datetime
    max_tokens: int | None = None
    ends_about: float = math.inf  # in the loop's time, if it takes as long as the last time
    because: Outcome | None = None  # why it was cancelled, when it was
    work: asyncio.Task[None] | None = field(default=None, repr=False)


class Attempts:
    """The attempts of one tick.

    Args:
        done: Called with each attempt that is over, in the loop; it must not block.
        limit: Attempts under way at once.

    Attributes:
        begun: Attempts so far.
    """

    def __init__(
        self,
        perform: Perform,
        *,
        clock: Callable[[], datetime],
        limit: int,
        done: Callable[[Attempted], None],
    ) -> None:
        self._perform = perform
        self._clock = clock
        self._limit = limit
        self._done = done
        self._running: dict[str, _Running] = {}
        self._waiting: deque[_Waiting] = deque()
        self._ends: deque[float] = deque(maxlen=max(1, limit // 2))
        self._ended = False
        self.begun = 0
        self._changed = asyncio.Event()

    @property
    def room(self) -> int:
        """How many more may be started: what is free, and what will be about now."""
        return max(0, self._limit + self._soon - len(self))

    def share_of(self, line: int) -> int:
        """How many of *line* to start now: as many as there is room for.

        All of them, where the rest would be no more than what ends in as long again: a few that are
        left over cost a claim of their own, and hold up the end.
        """
        room = self.room
        return line if line <= room + self._soon else room

    @property
    def _soon(self) -> int:
        """How many attempts will end within `PACE_S`: as many as did in the last, or took no longer before.

        At most half the limit, for both are guesses.
        """
        now = asyncio.get_running_loop().time()
        ended = sum(at >= now - PACE_S for at in self._ends) if self._running else 0
        expected = sum(one.ends_about <= now + PACE_S for one in self._running.values())
        return min(max(ended, expected), self._limit // 2)

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    def start(self, stored: Stored, *, max_tokens: int | None = None) -> None:
        """Begin the attempt that *stored* was claimed for, as soon as a slot is free.

        Args:
            max_tokens: See `Job`.
        """
        self._waiting.append(_Waiting(stored, max_tokens, asyncio.get_running_loop().time()))
        self._fill()

    def given_back(self, *, everything: bool = False) -> list[Stored]:
        """Take out those that have waited for a slot for longer than a claim allows, or all that wait."""
        since = asyncio.get_running_loop().time() - CLAIMED_AHEAD.total_seconds()
        back = [one for one in self._waiting if everything or one.since < since]
        if back:
            self._waiting = deque(one for one in self._waiting if one not in back)
            self._changed.set()
        return [one.stored for one in back]

    async def until(self, condition: Callable[[], bool], *, within_s: float | None) -> bool:
        """Wait until *condition*, which only the end of an attempt can make true; False when time is up."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def longer_than(self, span: timedelta) -> list[Stored]:
        """The tasks whose attempts have been under way for more than *span*."""
        since = self._clock() - span
        return [running.stored for running in self._running.values() if running.started_at < since]

    def cancel(self, task_id: str, because: Outcome) -> None:
        """End an attempt early; it comes to the outcome *because*."""
        running = self._running.get(task_id)
        if running is not None and running.because is None and running.work is not None:
            running.because = because
            running.work.cancel()

    async def end(self, because: Outcome) -> None:
        """End all attempts now, and begin no other. One that does not let go is left: its claim expires."""
        self._ended = True
        for task_id in list(self._running):
            self.cancel(task_id, because)
        if not await self.until(lambda: not self._running, within_s=STUCK_AFTER_S):
            log.error("attempts_stuck", extra={"tasks": sorted(self._running)})

    def _fill(self) -> None:
        """Let those that wait begin, as far as there are slots."""
        while self._waiting and len(self._running) < self._limit and not self._ended:
            one = self._waiting.popleft()
            running = _Running(one.stored, self._clock(), one.max_tokens)
            if (took_ms := one.stored.task.last_duration_ms) is not None:
                running.ends_about = asyncio.get_running_loop().time() + took_ms / 1000
            self._running[one.stored.task.id] = running
            self.begun += 1
            running.work = asyncio.create_task(self._run(running))

    async def _run(self, running: _Running) -> None:
        task = running.stored.task
        try:
            outcome = await self._outcome(running)
            self._done(Attempted(running.stored, outcome, running.started_at, self._clock()))
        finally:
            del self._running[task.id]
            self._ends.append(asyncio.get_running_loop().time())
            self._fill()
            self._changed.set()

    async def _outcome(self, running: _Running) -> Outcome:
        task = running.stored.task
        left_s = time_left(task, now=running.started_at).total_seconds()
        timeout_s = min(task.timeout_seconds, left_s)
        if timeout_s <= 0:
            return OVERSLEPT
        job = job_of(task, started_at=running.started_at, timeout_s=timeout_s, max_tokens=running.max_tokens)
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                return await self._perform(job)
        except asyncio.CancelledError:
            if running.because is None:
                raise
            return running.because
        except TimeoutError:
            if not timeout.expired():
                raise
            return Outcome(OutcomeKind.TIMED_OUT, f"No result within {timeout_s:g} s")


# Wishes that come while attempts run: long ones are looked after, and cancelled when somebody wants it.

LOOK_AGAIN = timedelta(seconds=3)  # how often a long attempt's document is read for a wish to cancel


async def heed(store: Store, attempts: Attempts) -> None:
    """Cancel long attempts that somebody wants cancelled, until cancelled itself."""
    while True:
        await asyncio.sleep(LOOK_AGAIN.total_seconds())
        long = attempts.longer_than(LOOK_AGAIN)
        try:
            found = await store.read([stored.task.id for stored in long]) if long else None
        except StoreError:
            continue  # the wish is still there at the next look
        for stored in found.tasks if found else ():
            if stored.task.cancel_requested:
                attempts.cancel(stored.task.id, CANCELLED)
