"""The order of one tick: find, judge, claim, perform, settle, tell, report."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.lifecycle.complete import Settlement
from functions.domain.lifecycle.decide import LookUp, Settle, Start, Verdict, judge, release, time_left
from functions.domain.lifecycle.recover import too_long, unreadable
from functions.domain.lifecycle.time_budget import Budget, Hours, ranked
from functions.domain.storage import Stored
from functions.engine.executor import OUT_OF_TIME, SHUT_DOWN, Attempts, heed
from functions.engine.handoff import Handing
from functions.engine.notify import deliver
from functions.engine.report import Report
from functions.engine.results import Results
from functions.engine.writer import Books, Decided
from functions.errors import InputError, StoreError
from functions.interfaces import Parts

log = logging.getLogger(__name__)

WINDOW = 1000  # due tasks read at once
WAVE = 100  # tasks claimed at once
POLL_S = 0.25  # how often a waiting tick looks at the time and at the wish to stop
STOP_GRACE_S = 4.0  # what running attempts get when the process is told to stop


async def tick(parts: Parts, budget: Budget) -> dict[str, Any]:
    """Run what is due, once, and return the report as JSON values.

    1. Find what is due.
    2. Judge each task: attempt it, settle it without an attempt, or look its dead tick up in the ledger.
    3. Claim a wave no larger than what can start at once; only what was won is attempted.
    4. Perform, each attempt under its own deadline.
    5. Settle results as they come, in batches, records first.
    6. Tell people, one message a channel.
    7. Report.

    Raises:
        StoreUnavailable: The store could not be reached; what was under way was settled where possible.
        StoreError: The store refused.
    """
    with parts.store.metered() as operations:
        one = _Tick(parts, budget)
        try:
            await one.run()
        finally:
            await one.wind_up()
        duration_ms = round((parts.clock() - one.hours.started_at).total_seconds() * 1000)
        report = one.report.as_json(duration_ms=duration_ms, operations=operations)
    log.info("tick_done", extra=report)
    return report


class _Tick:
    def __init__(self, parts: Parts, budget: Budget) -> None:
        self.parts = parts
        self.report = Report()
        self.hours = Hours(parts.clock(), budget)
        self._books = Books(parts.store, tick_id=parts.token(), clock=parts.clock, until=self.hours.answer_by)
        self._results = Results(self._books, self.report, parts)
        limit, done = parts.max_concurrency, self._results.take
        self._attempts = Attempts(parts.perform, clock=parts.clock, limit=limit, done=done)
        self._handing = Handing(parts.workers, clock=parts.clock)
        self._more = True
        self._line: deque[Stored] = deque()
        self._late: deque[Stored] = deque()
        self._late_until: datetime | None = None
        self._seen: set[str] = set()
        self._failure: StoreError | None = None

    async def run(self) -> None:
        watch = asyncio.create_task(heed(self.parts.store, self._attempts))
        try:
            await self._start_all()
            await asyncio.gather(self._finish_attempts(), self._hand_over())
        finally:
            watch.cancel()
        await deliver(
            list(self._results.to_tell.values()),
            tell=self.parts.tell,
            routes=self.parts.routes,
            books=self._books,
            clock=self.parts.clock,
            answer_by=self.hours.answer_by,
        )
        self.report.unpublished = await self._results.events.publish(answer_by=self.hours.answer_by)
        if self._failure is not None:
            raise self._failure

    async def _start_all(self) -> None:
        """Start all that is due. When the store fails, what runs already is still let come to its end."""
        try:
            while self._more and self._may_start():
                self._more = await self._find()
                await self._work_off(self._line)
            await self._catch_up()
        except StoreError as exc:
            self._failure = exc

    async def _hand_over(self) -> None:
        """Give workers what this tick is too short for; it stays due until one of them claims it."""
        if self._failure is None and not self.parts.stopping():
            backlog = bool(self._more or self._line or self._late or self.report.left)
            self.report.left += self._handing.waiting
            answer_by = self.hours.answer_by
            self.report.handed = await self._handing.over(backlog=backlog, answer_by=answer_by)

    async def wind_up(self) -> None:
        """Leave nothing running and nothing decided unwritten, whatever ended the tick."""
        if len(self._attempts):
            await self._attempts.end(SHUT_DOWN)
            self._line.extendleft(await self._release(self._attempts.given_back(everything=True)))
        self.report.started = self._attempts.begun
        await self._results.written()
        self.report.left += len(self._line) + len(self._late)

    async def _find(self) -> bool:
        """Put what is due, and was not seen before, in line; say whether there may be more."""
        now = self.parts.clock()
        found = await self.parts.store.due(now, limit=WINDOW)
        broken = [one for one in found.broken if one.id not in self._seen]
        for one in broken:
            log.warning("task_unreadable", extra={"task_id": one.id, "reason": one.reason})
        tasks = [stored for stored in found.tasks if stored.task.id not in self._seen]
        self._seen.update(one.id for one in broken)
        self._seen.update(stored.task.id for stored in tasks)
        self.report.due += len(tasks) + len(broken)
        self.report.broken += len(broken)
        self._line.extend(ranked(tasks, now=now))
        return len(tasks) > 0 and len(found.tasks) + len(found.broken) >= WINDOW

    async def _work_off(self, line: deque[Stored], *, until: datetime | None = None) -> None:
        """Start all of *line*, a wave at a time, while there is time; leave the rest in it."""
        while line and self._may_start() and not (until and self.parts.clock() >= until):
            await self._waves(line, self._attempts.share_of(len(line)), late=line is self._late)
            wanted = min(len(line), max(1, self.parts.max_concurrency // 4))
            await self._attempts.until(lambda: self._attempts.room >= wanted, within_s=POLL_S)  # noqa: B023
            line.extendleft(await self._release(self._attempts.given_back()))

    async def _catch_up(self) -> None:
        """Start what was missed, once all that is on time was started; within its share of the tick."""
        if self._late and self._late_until is None:
            self._late_until = self.hours.catch_up_until(self.parts.clock())
        await self._work_off(self._late, until=self._late_until)

    async def _finish_attempts(self) -> None:
        """Let what runs come to its end, write it down, and start what that left due."""
        while len(self._attempts) or self._results.waiting:
            await self._until_nothing_runs()
            self._line.extend(await self._results.written())
            await self._work_off(self._line)
            await self._catch_up()

    async def _until_nothing_runs(self) -> None:
        loop = asyncio.get_running_loop()
        stop_by: float | None = None
        while not await self._attempts.until(lambda: not len(self._attempts), within_s=POLL_S):
            over, stopping = self.hours.over(self.parts.clock()), self.parts.stopping()
            waiting = self._attempts.given_back(everything=over or stopping)
            self._line.extendleft(await self._release(waiting))
            if over:
                await self._attempts.end(OUT_OF_TIME)
                return
            if stopping:
                stop_by = stop_by or loop.time() + STOP_GRACE_S
                if loop.time() >= stop_by:
                    await self._attempts.end(SHUT_DOWN)
                    return

    async def _waves(self, line: deque[Stored], size: int, *, late: bool) -> None:
        """Do *size* tasks of *line* in several waves: while the store takes one, the next is judged."""
        waves = (self._wave(line, min(WAVE, size - begun), late=late) for begun in range(0, size, WAVE))
        for failure in await asyncio.gather(*waves, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _wave(self, line: deque[Stored], size: int, *, late: bool) -> None:
        """Judge the next *size* tasks of *line* and do what each needs."""
        now = self.parts.clock()
        starts: list[tuple[Stored, Mapping[str, Any]]] = []
        settles: list[Decided] = []
        expired: dict[str, list[Stored]] = {}
        for _ in range(size):
            stored = line.popleft()
            match self._judged(stored, now=now):
                case Start() as start if start.late and not late:
                    self._late.append(stored)
                case Start() as start if not self.hours.ever_fits(stored.task.timeout_seconds):
                    if self._handing.takes(stored):
                        continue
                    longest = self._handing.longest or self.hours.longest
                    settlement = too_long(stored.task, start, longest=longest, now=now)
                    settles.append(Decided(stored, settlement))
                case Start() as start if self.hours.fits(stored.task.timeout_seconds, now):
                    starts.append((stored, start.changes))
                case Start():
                    self.report.left += 1
                case Settle(settlement):
                    settles.append(Decided(stored, settlement))
                case LookUp(tick_id):
                    expired.setdefault(tick_id, []).append(stored)
        settles += await self._results.recovered(expired, now=now)
        if settles:
            self._line.extend(await self._results.settle(settles))
        if starts:
            await self._start(starts)

    def _judged(self, stored: Stored, *, now: datetime) -> Verdict:
        try:
            return judge(stored.task, token=self._books.next_token(), now=now)
        except InputError as exc:  # a schedule nobody can read got into the store
            log.warning("task_unreadable", extra={"task_id": stored.task.id, "reason": str(exc)})
            return Settle(unreadable(stored.task, str(exc), now=now))

    async def _start(self, starts: Sequence[tuple[Stored, Mapping[str, Any]]]) -> None:
        won = await self._books.claim(starts)
        self.report.taken += len(starts) - len(won)
        reserved = await self.parts.credits.reserve(won)
        idle = list(reserved.later)
        for one in reserved.granted:
            # A claim that was long in coming has no time left: better no attempt than one cut short at once.
            if self.parts.stopping() or time_left(one.stored.task, now=self.parts.clock()) <= timedelta():
                idle.append(one.stored)
                continue
            self._attempts.start(one.stored, max_tokens=one.max_tokens)
        self.report.left += len(idle)
        await self._release(idle)
        self._line.extend(await self._results.skip(reserved.denied))

    async def _release(self, idle: Sequence[Stored]) -> list[Stored]:
        """Give back claims whose attempts were not begun, and return them; nobody waits for their expiry."""
        now = self.parts.clock()
        decided = [Decided(one, Settlement(release(one.task, now=now), ())) for one in idle]
        return [stored for stored in await self._books.settle(decided) if stored is not None]

    def _may_start(self) -> bool:
        in_order = self._failure is None and not self.parts.stopping()
        return in_order and self.hours.may_start(self.parts.clock())
