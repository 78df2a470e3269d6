"""The order of one tick: find, judge, claim, perform, settle, tell, report."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.decide import (
    ApplyTransition,
    Decision,
    RecoverClaim,
    StartAttempt,
    decide,
    release_claim,
    time_left,
)
from functions.domain.lifecycle.recover import pause_unreadable, skip_too_long
from functions.domain.lifecycle.time_budget import Deadline, TimeBudget, by_priority
from functions.domain.storage import VersionedTask
from functions.engine.executor import OUT_OF_TIME, SHUT_DOWN, Executor, watch_cancellations
from functions.engine.handoff import Handoff
from functions.engine.notify import deliver_notifications
from functions.engine.report import TickReport
from functions.engine.results import Results
from functions.engine.writer import PendingTransition, TickWriter
from functions.errors import InputError, StoreError
from functions.interfaces import TickDependencies

log = logging.getLogger(__name__)

QUERY_LIMIT = 1000  # due tasks read at once
BATCH_SIZE = 100  # tasks claimed at once
POLL_S = 0.25  # how often a waiting tick looks at the time and at the wish to stop
SHUTDOWN_GRACE_S = 4.0  # what running attempts get when the process is told to stop


async def tick(dependencies: TickDependencies, budget: TimeBudget) -> dict[str, Any]:
    """Run what is due, once, and return the report as JSON values.

    1. Find what is due.
    2. Judge each task: attempt it, settle it without an attempt, or look its dead tick up in the ledger.
    3. Claim a wave no larger than what can start at once; only what was won is attempted.
    4. Perform, each attempt under its own deadline.
    5. Settle results as they come, in batches, records first.
    6. Tell people, one message a channel.
    7. Report.

    Raises:
        StoreUnavailableError: The store could not be reached; what was under way was settled where possible.
        StoreError: The store refused.
    """
    with dependencies.store.count_operations() as operations:
        one = _Tick(dependencies, budget)
        try:
            await one.run()
        finally:
            await one.shut_down()
        duration_ms = round((dependencies.clock() - one.deadline.started_at).total_seconds() * 1000)
        report = one.report.as_json(duration_ms=duration_ms, operations=operations)
    log.info("tick_done", extra=report)
    return report


class _Tick:
    def __init__(self, dependencies: TickDependencies, budget: TimeBudget) -> None:
        self.dependencies = dependencies
        self.report = TickReport()
        self.deadline = Deadline(dependencies.clock(), budget)
        self._writer = TickWriter(
            dependencies.store,
            tick_id=dependencies.new_tick_id(),
            clock=dependencies.clock,
            deadline=self.deadline.respond_by,
        )
        self._results = Results(self._writer, self.report, dependencies)
        limit, done = dependencies.max_concurrency, self._results.add
        self._executor = Executor(
            dependencies.run_task, clock=dependencies.clock, limit=limit, on_finished=done
        )
        self._handoff = Handoff(dependencies.workers, clock=dependencies.clock)
        self._has_more = True
        self._queue: deque[VersionedTask] = deque()
        self._backlog: deque[VersionedTask] = deque()
        self._backlog_until: datetime | None = None
        self._seen_ids: set[str] = set()
        self._failure: StoreError | None = None

    async def run(self) -> None:
        watch = asyncio.create_task(watch_cancellations(self.dependencies.store, self._executor))
        try:
            await self._start_due_tasks()
            await asyncio.gather(self._finish_attempts(), self._hand_off())
        finally:
            watch.cancel()
        await deliver_notifications(
            list(self._results.tasks_to_notify.values()),
            notify=self.dependencies.notify,
            routing=self.dependencies.routing,
            writer=self._writer,
            clock=self.dependencies.clock,
            answer_by=self.deadline.respond_by,
        )
        self.report.publish_failures = await self._results.event_buffer.publish(
            answer_by=self.deadline.respond_by
        )
        if self._failure is not None:
            raise self._failure

    async def _start_due_tasks(self) -> None:
        """Start all that is due. When the store fails, what runs already is still let come to its end."""
        try:
            while self._has_more and self._has_time_to_start():
                self._has_more = await self._fetch_due()
                await self._process_queue(self._queue)
            await self._process_backlog()
        except StoreError as exc:
            self._failure = exc

    async def _hand_off(self) -> None:
        """Give workers what this tick is too short for; it stays due until one of them claims it."""
        if self._failure is None and not self.dependencies.is_shutting_down():
            backlog = bool(self._has_more or self._queue or self._backlog or self.report.postponed)
            self.report.postponed += self._handoff.pending
            answer_by = self.deadline.respond_by
            self.report.handed_off = await self._handoff.submit(backlog=backlog, answer_by=answer_by)

    async def shut_down(self) -> None:
        """Leave nothing running and nothing decided unwritten, whatever ended the tick."""
        if len(self._executor):
            await self._executor.cancel_all(SHUT_DOWN)
            self._queue.extendleft(await self._release_claims(self._executor.take_expired(include_all=True)))
        self.report.started = self._executor.started
        await self._results.flush()
        self.report.postponed += len(self._queue) + len(self._backlog)

    async def _fetch_due(self) -> bool:
        """Put what is due, and was not seen before, in line; say whether there may be more."""
        now = self.dependencies.clock()
        found = await self.dependencies.store.fetch_due(now, limit=QUERY_LIMIT)
        broken = [one for one in found.invalid if one.id not in self._seen_ids]
        for one in broken:
            log.warning("task_unreadable", extra={"task_id": one.id, "reason": one.reason})
        tasks = [stored for stored in found.tasks if stored.task.id not in self._seen_ids]
        self._seen_ids.update(one.id for one in broken)
        self._seen_ids.update(stored.task.id for stored in tasks)
        self.report.due += len(tasks) + len(broken)
        self.report.unreadable += len(broken)
        self._queue.extend(by_priority(tasks, now=now))
        return len(tasks) > 0 and len(found.tasks) + len(found.invalid) >= QUERY_LIMIT

    async def _process_queue(self, queue: deque[VersionedTask], *, until: datetime | None = None) -> None:
        """Start all of *line*, a wave at a time, while there is time; leave the rest in it."""
        while queue and self._has_time_to_start() and not (until and self.dependencies.clock() >= until):
            await self._process_batches(
                queue, self._executor.batch_size(len(queue)), is_backlog=queue is self._backlog
            )
            wanted = min(len(queue), max(1, self.dependencies.max_concurrency // 4))
            await self._executor.wait_until(lambda: self._executor.capacity >= wanted, within_s=POLL_S)  # noqa: B023
            queue.extendleft(await self._release_claims(self._executor.take_expired()))

    async def _process_backlog(self) -> None:
        """Start what was missed, once all that is on time was started; within its share of the tick."""
        if self._backlog and self._backlog_until is None:
            self._backlog_until = self.deadline.catch_up_deadline(self.dependencies.clock())
        await self._process_queue(self._backlog, until=self._backlog_until)

    async def _finish_attempts(self) -> None:
        """Let what runs come to its end, write it down, and start what that left due."""
        while len(self._executor) or self._results.has_unwritten:
            await self._drain()
            self._queue.extend(await self._results.flush())
            await self._process_queue(self._queue)
            await self._process_backlog()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        stop_by: float | None = None
        while not await self._executor.wait_until(lambda: not len(self._executor), within_s=POLL_S):
            over, stopping = (
                self.deadline.must_wind_up(self.dependencies.clock()),
                self.dependencies.is_shutting_down(),
            )
            waiting = self._executor.take_expired(include_all=over or stopping)
            self._queue.extendleft(await self._release_claims(waiting))
            if over:
                await self._executor.cancel_all(OUT_OF_TIME)
                return
            if stopping:
                stop_by = stop_by or loop.time() + SHUTDOWN_GRACE_S
                if loop.time() >= stop_by:
                    await self._executor.cancel_all(SHUT_DOWN)
                    return

    async def _process_batches(self, queue: deque[VersionedTask], size: int, *, is_backlog: bool) -> None:
        """Do *size* tasks of *line* in several waves: while the store takes one, the next is judged."""
        waves = (
            self._process_batch(queue, min(BATCH_SIZE, size - begun), is_backlog=is_backlog)
            for begun in range(0, size, BATCH_SIZE)
        )
        for failure in await asyncio.gather(*waves, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _process_batch(self, queue: deque[VersionedTask], size: int, *, is_backlog: bool) -> None:
        """Judge the next *size* tasks of *line* and do what each needs."""
        now = self.dependencies.clock()
        starts: list[tuple[VersionedTask, Mapping[str, Any]]] = []
        settles: list[PendingTransition] = []
        expired: dict[str, list[VersionedTask]] = {}
        for _ in range(size):
            stored = queue.popleft()
            match self._decide(stored, now=now):
                case StartAttempt() as start if start.is_catch_up and not is_backlog:
                    self._backlog.append(stored)
                case StartAttempt() as start if not self.deadline.fits_any_tick(stored.task.timeout_seconds):
                    if self._handoff.accepts(stored):
                        continue
                    longest = self._handoff.max_duration or self.deadline.max_duration
                    settlement = skip_too_long(stored.task, start, max_duration=longest, now=now)
                    settles.append(PendingTransition(stored, settlement))
                case StartAttempt() as start if self.deadline.fits_now(stored.task.timeout_seconds, now):
                    starts.append((stored, start.changes))
                case StartAttempt():
                    self.report.postponed += 1
                case ApplyTransition(settlement):
                    settles.append(PendingTransition(stored, settlement))
                case RecoverClaim(tick_id):
                    expired.setdefault(tick_id, []).append(stored)
        settles += await self._results.recover(expired, now=now)
        if settles:
            self._queue.extend(await self._results.apply(settles))
        if starts:
            await self._start_attempts(starts)

    def _decide(self, stored: VersionedTask, *, now: datetime) -> Decision:
        try:
            return decide(stored.task, token=self._writer.new_claim_token(), now=now)
        except InputError as exc:  # a schedule nobody can read got into the store
            log.warning("task_unreadable", extra={"task_id": stored.task.id, "reason": str(exc)})
            return ApplyTransition(pause_unreadable(stored.task, str(exc), now=now))

    async def _start_attempts(self, starts: Sequence[tuple[VersionedTask, Mapping[str, Any]]]) -> None:
        won = await self._writer.claim(starts)
        self.report.lost_claims += len(starts) - len(won)
        reserved = await self.dependencies.credits.reserve(won)
        idle = list(reserved.postponed)
        for one in reserved.granted:
            # A claim that was long in coming has no time left: better no attempt than one cut short at once.
            if (
                self.dependencies.is_shutting_down()
                or time_left(one.stored.task, now=self.dependencies.clock()) <= timedelta()
            ):
                idle.append(one.stored)
                continue
            self._executor.start(one.stored, max_tokens=one.max_tokens)
        self.report.postponed += len(idle)
        await self._release_claims(idle)
        self._queue.extend(await self._results.skip(reserved.denied))

    async def _release_claims(self, idle: Sequence[VersionedTask]) -> list[VersionedTask]:
        """Give back claims whose attempts were not begun, and return them; nobody waits for their expiry."""
        now = self.dependencies.clock()
        decided = [PendingTransition(one, Transition(release_claim(one.task, now=now), ())) for one in idle]
        return [stored for stored in await self._writer.apply(decided) if stored is not None]

    def _has_time_to_start(self) -> bool:
        in_order = self._failure is None and not self.dependencies.is_shutting_down()
        return in_order and self.deadline.can_start(self.dependencies.clock())
