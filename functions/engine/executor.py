"""Runs the attempts of one tick: each under its own deadline, all under one limit of concurrency."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.domain.lifecycle.decide import build_job, time_left
from functions.domain.run import Outcome
from functions.domain.storage import VersionedTask
from functions.domain.types import OutcomeKind
from functions.errors import StoreError
from functions.interfaces import RunTask, TickStore

log = logging.getLogger(__name__)

CANCEL_TIMEOUT_S = 1.0  # how long a cancelled attempt may take to end
CANCELLATION_POLL = timedelta(
    seconds=3
)  # how often the document of a long attempt is read for a request to cancel

CANCELLED = Outcome(OutcomeKind.CANCELLED, "It was cancelled on request")
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


@dataclass(slots=True)
class _Running:
    stored: VersionedTask
    started_at: datetime
    max_tokens: int | None
    cancel_outcome: Outcome | None = None  # why it was cancelled, when it was
    asyncio_task: asyncio.Task[None] | None = field(default=None, repr=False)


class Executor:
    """The attempts of one tick.

    Args:
        limit: Attempts that may run at once.
        finished: Receives each attempt that is over.

    Attributes:
        started: How many attempts have started.
    """

    def __init__(
        self,
        run_task: RunTask,
        *,
        clock: Callable[[], datetime],
        limit: int,
        finished: asyncio.Queue[FinishedAttempt],
    ) -> None:
        self._run_task = run_task
        self._clock = clock
        self._limit = limit
        self._finished = finished
        self._running: dict[str, _Running] = {}
        self._attempt_ended = asyncio.Event()
        self.started = 0

    @property
    def running(self) -> int:
        """How many attempts run now."""
        return len(self._running)

    @property
    def free_slots(self) -> int:
        """How many more attempts may start now."""
        return self._limit - len(self._running)

    def start(self, stored: VersionedTask, *, max_tokens: int | None = None) -> None:
        """Start the attempt that *stored* was claimed for. The caller keeps to `free_slots`.

        Args:
            max_tokens: See `Job`.
        """
        attempt = _Running(stored, self._clock(), max_tokens)
        self._running[stored.task.id] = attempt
        self.started += 1
        attempt.asyncio_task = asyncio.create_task(self._run_attempt(attempt))

    async def wait_for_slots(self, count: int, *, within_s: float | None) -> bool:
        """Wait until *count* slots are free, at most the limit; return False when the time is up first."""
        try:
            async with asyncio.timeout(within_s):
                while self.free_slots < min(count, self._limit):
                    self._attempt_ended.clear()
                    await self._attempt_ended.wait()
        except TimeoutError:
            return False
        return True

    async def wait_until_idle(self, *, within_s: float | None) -> bool:
        """Wait until nothing runs; return False when the time is up first."""
        return await self.wait_for_slots(self._limit, within_s=within_s)

    def running_longer_than(self, duration: timedelta) -> list[VersionedTask]:
        """Return the tasks whose attempts have run for more than *duration*."""
        since = self._clock() - duration
        return [attempt.stored for attempt in self._running.values() if attempt.started_at < since]

    def cancel(self, task_id: str, outcome: Outcome) -> None:
        """End an attempt early, with *outcome*. Nothing happens when it does not run, or ends already."""
        attempt = self._running.get(task_id)
        if attempt is not None and attempt.cancel_outcome is None and attempt.asyncio_task is not None:
            attempt.cancel_outcome = outcome
            attempt.asyncio_task.cancel()

    async def cancel_all(self, outcome: Outcome) -> None:
        """End all attempts, with *outcome*. One that ignores its cancellation is left: its claim expires."""
        for task_id in list(self._running):
            self.cancel(task_id, outcome)
        if not await self.wait_until_idle(within_s=CANCEL_TIMEOUT_S):
            log.error("attempts_stuck", extra={"tasks": sorted(self._running)})

    async def _run_attempt(self, attempt: _Running) -> None:
        try:
            outcome = await self._run_with_timeout(attempt)
            self._finished.put_nowait(
                FinishedAttempt(attempt.stored, outcome, attempt.started_at, self._clock())
            )
        finally:
            del self._running[attempt.stored.task.id]
            self._attempt_ended.set()

    async def _run_with_timeout(self, attempt: _Running) -> Outcome:
        task = attempt.stored.task
        left_s = time_left(task, now=attempt.started_at).total_seconds()
        timeout_s = min(task.timeout_seconds, left_s)
        if timeout_s <= 0:
            return CLAIM_EXPIRED
        job = build_job(
            task, started_at=attempt.started_at, timeout_s=timeout_s, max_tokens=attempt.max_tokens
        )
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                return await self._run_task(job)
        except asyncio.CancelledError:
            if attempt.cancel_outcome is None:
                raise
            return attempt.cancel_outcome
        except TimeoutError:
            if not timeout.expired():
                raise
            return Outcome(OutcomeKind.TIMED_OUT, f"No result within {timeout_s:g} s")


async def watch_cancellations(store: TickStore, executor: Executor) -> None:
    """Cancel long attempts whose documents ask for it. Runs until it is cancelled itself."""
    while True:
        await asyncio.sleep(CANCELLATION_POLL.total_seconds())
        long = executor.running_longer_than(CANCELLATION_POLL)
        try:
            result = await store.get_tasks([stored.task.id for stored in long]) if long else None
        except StoreError:
            continue  # the request is still there at the next reading
        for stored in result.tasks if result else ():
            if stored.task.cancel_requested:
                executor.cancel(stored.task.id, CANCELLED)
