"""Runs the attempts of one tick: each under its own deadline, all under one limit of concurrency."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from functions.domain.lifecycle.decide import build_job, time_left
from functions.domain.run import Outcome, failed
from functions.domain.storage import VersionedTask
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import PostponedError, StoreError
from functions.interfaces import AttemptSlots, RunTask, TickStore

log = logging.getLogger(__name__)

MAX_SLOT_WAIT_S = 1.0  # how long a claimed task waits for a slot
CANCEL_TIMEOUT_S = 1.0  # how long a cancelled attempt may take to end
CANCELLATION_POLL = timedelta(
    seconds=3
)  # how often the document of a long attempt is read for a request to cancel

CANCELLED = Outcome(OutcomeKind.CANCELLED, "It was cancelled on request")
OUT_OF_TIME = Outcome(OutcomeKind.ABANDONED, "The tick's time was up while it ran")
SHUT_DOWN = Outcome(OutcomeKind.ABANDONED, "The process was stopped while it ran")
NO_SLOT = "no slot became free in time"
POSTPONED_FOR = timedelta(seconds=15)  # what was missing will hardly be there at once
TOO_LITTLE_TIME = "less of its claim was left than it is expected to take"


@dataclass(frozen=True, slots=True)
class FinishedAttempt:
    """One attempt that is over.

    Attributes:
        outcome: None when it never began: its claim is to be released.
        postponed: Why it did not begin; empty when it was not to begin any more.
        wait: How long it is left for, where it cannot begin at once; None where it can.
    """

    stored: VersionedTask
    outcome: Outcome | None
    started_at: datetime
    finished_at: datetime
    postponed: str = ""
    wait: timedelta | None = None


@dataclass(slots=True)
class _Attempt:
    stored: VersionedTask
    started_at: datetime
    max_tokens: int | None
    is_slow: bool = False
    is_late: bool = False  # whether its time was up
    is_over: bool = False
    is_left: bool = False  # it did not end when it was cancelled, and nobody waits for its result
    cancel_outcome: Outcome | None = None  # why it was cancelled, when it was
    asyncio_task: asyncio.Task[None] | None = field(default=None, repr=False)  # once it has a slot
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)  # ends the wait, then the attempt

    def end_late(self) -> None:
        """End it, for its time is up."""
        assert self.asyncio_task is not None  # it runs
        self.is_late = True
        self.asyncio_task.cancel()


class Executor:
    """The attempts of one tick, in the slots of its process.

    A few more tasks than there are slots may be claimed, and wait for a slot: otherwise slots would be empty
    while a batch is claimed, which costs a tick of a thousand short tasks a sixth of its time. How many more
    follows from what this tick has seen, so that slow attempts are not waited for: no more than attempts have
    ended, at most half as many as there are slots, and none any more after one has waited in vain.

    Args:
        slots: Shared with other ticks of this process.
        finished: Receives each attempt that is over.

    Attributes:
        started: How many attempts have begun.
    """

    def __init__(
        self,
        run_task: RunTask,
        *,
        clock: Callable[[], datetime],
        slots: AttemptSlots,
        finished: Callable[[FinishedAttempt], None],
    ) -> None:
        self._run_task = run_task
        self._clock = clock
        self._slots = slots
        self._finished = finished
        self._attempts: dict[str, _Attempt] = {}
        self._attempt_ended = asyncio.Event()
        self._ended = 0
        self._waits_in_vain = False
        self.started = 0

    @property
    def running(self) -> int:
        """How many attempts run now, or wait for a slot."""
        return len(self._attempts)

    @property
    def running_ids(self) -> Collection[str]:
        """The ids of all tasks whose attempts run, or wait for a slot."""
        return self._attempts.keys()

    @property
    def running_tokens(self) -> set[str]:
        """The tokens of the claims of all attempts that run, or wait for a slot."""
        claims = (one.stored.task.claim for one in self._attempts.values())
        return {claim.token for claim in claims if claim is not None}

    @property
    def capacity(self) -> int:
        """How many more tasks may be claimed and started now."""
        limit = self._slots.limit
        ahead = 0 if self._waits_in_vain else min(limit // 2, self._ended)
        return max(0, limit + ahead - self._slots.claimed)

    def start(self, stored: VersionedTask, *, max_tokens: int | None = None, is_slow: bool = False) -> None:
        """Start the attempt that *stored* was claimed for. The caller keeps to `capacity`.

        Args:
            max_tokens: See `Job`.
            is_slow: Whether it is likely to hang: see `find_slow`.
        """
        attempt = _Attempt(stored, self._clock(), max_tokens, is_slow)
        self._attempts[stored.task.id] = attempt
        self._slots.claimed += 1
        self._slots.slow += is_slow
        self._slots.waiting.append(partial(self._begin, attempt))
        self._fill_slots()
        if attempt.asyncio_task is None and not attempt.is_over:
            attempt.timer = asyncio.get_running_loop().call_later(MAX_SLOT_WAIT_S, self._give_up, attempt)

    async def wait_for_capacity(self, count: int, *, within_s: float) -> bool:
        """Wait for capacity for *count* tasks, at most the limit; return False when the time is up first."""
        return await self._wait_until(lambda: self.capacity >= min(count, self._slots.limit), within_s)

    async def wait_for_an_end(self, *, within_s: float) -> bool:
        """Wait until an attempt ends; return False when the time is up first."""
        ended = self._ended
        return await self._wait_until(lambda: self._ended > ended, within_s)

    async def wait_until_idle(self, *, within_s: float) -> bool:
        """Wait until nothing runs; return False when the time is up first."""
        return await self._wait_until(lambda: not self._attempts, within_s)

    async def _wait_until(self, is_true: Callable[[], bool], within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while not is_true():
                    self._attempt_ended.clear()
                    await self._attempt_ended.wait()
        except TimeoutError:
            return False
        return True

    def running_longer_than(self, duration: timedelta) -> list[VersionedTask]:
        """Return the tasks whose attempts have run for more than *duration*."""
        since = self._clock() - duration
        running = (one for one in self._attempts.values() if one.asyncio_task is not None)
        return [one.stored for one in running if one.started_at < since]

    def cancel(self, task_id: str, outcome: Outcome) -> None:
        """End an attempt early, with *outcome*. Nothing happens when it does not run, or ends already."""
        attempt = self._attempts.get(task_id)
        if attempt is None or attempt.cancel_outcome is not None:
            return
        attempt.cancel_outcome = outcome
        if attempt.asyncio_task is None:
            self._end(attempt, None)
        else:
            attempt.asyncio_task.cancel()

    async def cancel_all(self, outcome: Outcome) -> None:
        """End all attempts, with *outcome*.

        One that ignores its cancellation is left, so that its tick ends in time: it keeps its slot, and its
        claim expires.
        """
        for task_id in list(self._attempts):
            self.cancel(task_id, outcome)
        if not await self.wait_until_idle(within_s=CANCEL_TIMEOUT_S):
            log.error("attempts_stuck", extra={"tasks": sorted(self._attempts)})
            for attempt in self._attempts.values():
                attempt.is_left = True
            self._attempts.clear()

    def _fill_slots(self) -> None:
        """Begin what waits longest, in this tick or another, as far as slots are free."""
        slots = self._slots
        while slots.free > 0 and slots.waiting:
            begin = slots.waiting.popleft()
            if begin():
                slots.free -= 1

    def _begin(self, attempt: _Attempt) -> bool:
        """Run *attempt* in the slot that is free; return False when it does not need the slot any more."""
        if attempt.is_over:
            return False
        if attempt.timer is not None:
            attempt.timer.cancel()
        task, attempt.started_at = attempt.stored.task, self._clock()
        left_s = time_left(task, now=attempt.started_at).total_seconds()
        if left_s <= 0:
            self._ended += 1
            self._end(attempt, None, postponed=TOO_LITTLE_TIME)
            return False
        job = build_job(
            task,
            started_at=attempt.started_at,
            timeout_s=min(task.timeout_seconds, left_s),
            max_tokens=attempt.max_tokens,
        )
        self.started += 1
        attempt.asyncio_task = asyncio.create_task(self._run(attempt, job))
        # Cancelled by a timer of its own: `asyncio.timeout` takes four times as many steps.
        attempt.timer = asyncio.get_running_loop().call_later(job.timeout_s, attempt.end_late)
        return True

    def _give_up(self, attempt: _Attempt) -> None:
        """End the wait of *attempt* for a slot."""
        self._waits_in_vain = True
        self._end(attempt, None, postponed=NO_SLOT)

    async def _run(self, attempt: _Attempt, job: Job) -> None:
        outcome, postponed, wait = None, "", None
        try:
            outcome = await self._run_task(job)
        except PostponedError as exc:
            self.started -= 1
            postponed, wait = exc.why, POSTPONED_FOR
        except BaseException as exc:  # noqa: BLE001  # an attempt without an outcome would look like a death
            outcome = attempt.cancel_outcome or _outcome_of(exc, attempt, job)
        self._ended += 1
        try:
            self._end(attempt, outcome, postponed=postponed, wait=wait)
        finally:
            self._slots.free += 1
            self._fill_slots()

    def _end(
        self,
        attempt: _Attempt,
        outcome: Outcome | None,
        *,
        postponed: str = "",
        wait: timedelta | None = None,
    ) -> None:
        attempt.is_over = True
        if attempt.timer is not None:
            attempt.timer.cancel()
        try:
            if not attempt.is_left:
                now = self._clock()
                self._finished(
                    FinishedAttempt(attempt.stored, outcome, attempt.started_at, now, postponed, wait)
                )
        finally:
            if not attempt.is_left:
                del self._attempts[attempt.stored.task.id]
            self._slots.claimed -= 1
            self._slots.slow -= attempt.is_slow
            self._attempt_ended.set()


def _outcome_of(exc: BaseException, attempt: _Attempt, job: Job) -> Outcome:
    """Return the outcome of an attempt that ended by *exc*, and that nobody cancelled."""
    if attempt.is_late and job.timeout_s < attempt.stored.task.timeout_seconds:
        return Outcome(OutcomeKind.ABANDONED, f"Its claim was late and left it {job.timeout_s:.1f} s")
    if attempt.is_late:
        return Outcome(OutcomeKind.TIMED_OUT, f"No result within {job.timeout_s:g} s")
    if isinstance(exc, asyncio.CancelledError):
        return failed("The task cancelled itself")
    return failed(f"It ended with {type(exc).__name__}")


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
