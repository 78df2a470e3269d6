"""What the steps of a tick do with tasks that are due; `functions.engine.tick` has their order."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions.domain.capacity.fair_slots import find_room, take_fairly
from functions.domain.capacity.time_budget import Deadline
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
from functions.domain.lifecycle.recover import pause_unreadable, skip_too_long, take_suspects
from functions.domain.storage import QueryResult, VersionedTask
from functions.domain.task import Task
from functions.engine.due_tasks import DueTasks
from functions.engine.executor import (
    OUT_OF_TIME,
    SHUT_DOWN,
    TOO_LITTLE_TIME,
    Executor,
    watch_cancellations,
)
from functions.engine.handoff import Handoff
from functions.engine.report import TickReport
from functions.engine.results import Results
from functions.engine.writer import PendingTransition, TickWriter
from functions.errors import InputError, StoreError
from functions.interfaces import GrantedAttempt, TickDependencies

if TYPE_CHECKING:
    from functions.engine.group_slots import GroupSlots

log = logging.getLogger(__name__)

BATCH_SIZE = 100  # tasks claimed at once
MISSED_AFTER = timedelta(seconds=5)  # no grace is worth a look at the history that is shorter than this
POLL_S = 0.25  # how often a waiting tick checks the time, and whether the process is to stop
PUBLISH_EVERY_S = 1.0  # while attempts run: programs follow what happens
NOTIFY_EVERY = timedelta(seconds=30)  # people have one message per channel, unless the tick takes longer
SHUTDOWN_GRACE_S = 7.0  # what running attempts get after SIGTERM, of the 10 s of Cloud Run


@dataclass(slots=True)
class _Batch:
    """Some tasks on their way through the steps of a tick.

    Attributes:
        starts: Tasks to claim, with the changes that claim them.
        transitions: What is written without an attempt.
        expired: Tasks whose claim has expired, by the id of the tick that held it.
    """

    starts: list[tuple[VersionedTask, Mapping[str, Any]]] = field(default_factory=list)
    transitions: list[PendingTransition] = field(default_factory=list)
    expired: dict[str, list[VersionedTask]] = field(default_factory=dict)


class Steps:
    """The steps of one tick; its caller takes them in their order.

    Args:
        first: The first window of due tasks.
        report: What the steps count.
    """

    def __init__(
        self, dependencies: TickDependencies, deadline: Deadline, first: QueryResult, report: TickReport
    ) -> None:
        self.report = report
        self.deadline = deadline
        self._respond_by = self.deadline.respond_by
        self._dependencies = dependencies
        self._clock = dependencies.clock
        self._writer = TickWriter(
            dependencies.store,
            tick_id=dependencies.new_tick_id(),
            clock=dependencies.clock,
            deadline=self._respond_by,
        )
        self._due = DueTasks(dependencies.store, self.report, first=first)
        self._results = Results(self._writer, self.report, dependencies)
        self._executor = Executor(
            dependencies.run_task,
            clock=dependencies.clock,
            slots=dependencies.slots,
            finished=self._results.collect,
        )
        self._handoff = None
        if dependencies.workers is not None:
            self._handoff = Handoff(dependencies.workers, clock=dependencies.clock)
        self._groups: GroupSlots | None = None  # from the first task of a group on
        self._postponed: set[str] = set()  # ids of due tasks that are left for the next tick
        self._backlog_until: datetime | None = None  # when no more of the backlog may start
        self._failure: StoreError | None = None
        self._notifying = asyncio.Lock()
        self._background = [
            asyncio.create_task(watch_cancellations(dependencies.store, self._executor)),
            asyncio.create_task(self._notify_meanwhile()),
        ]

    # -- the steps ----------------------------------------------------------------------------------------

    async def start_due_tasks(self) -> None:
        """Start all that is due. When the store fails, running attempts still end and are written."""
        try:
            while self._due.may_have_more and self._has_time_to_start():
                await self._due.fetch(now=self._clock())
                await self._process_on_time()
            await self._process_backlog()
        except StoreError as exc:
            self._failure = exc

    async def finish_attempts(self) -> None:
        """Let all attempts end and write them; start what that left due; hand off what does not fit."""
        await asyncio.gather(self._run_to_the_end(), self._hand_off())

    async def notify(self) -> None:
        """Deliver the notifications of what was written, then publish its events."""
        if self._results.tasks_to_notify or self._notifying.locked():  # what is being sent is not cut off
            await self._deliver_notifications()
        await self._publish()

    async def _deliver_notifications(self) -> None:
        from functions.engine.notify import deliver_notifications  # most ticks have none

        async with self._notifying:
            self.report.lost_notices += await deliver_notifications(
                await self._results.take_tasks_to_notify(),
                notify=self._dependencies.notify,
                routing=self._dependencies.routing,
                writer=self._writer,
                clock=self._clock,
                answer_by=self._respond_by,
            )

    async def _publish(self) -> None:
        if (events := self._results.event_buffer) is not None:
            self.report.publish_failures += await events.publish(answer_by=self._respond_by)

    async def _notify_meanwhile(self) -> None:
        """Publish and notify again and again: nobody waits for the longest attempt. Runs until cancelled."""
        notified_at = self._clock()
        while True:
            await asyncio.sleep(PUBLISH_EVERY_S)
            await self._publish()
            if self._clock() - notified_at >= NOTIFY_EVERY:
                notified_at = self._clock()
                try:
                    await self.notify()
                except StoreError as exc:  # what is left is due in a minute
                    log.warning("notices_wait", extra={"error": type(exc).__name__})

    async def shut_down(self) -> None:
        """Leave nothing running and nothing decided unwritten, whatever ended the tick."""
        try:
            if self._executor.running:
                await self._executor.cancel_all(SHUT_DOWN)
        finally:
            self._results.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        still_due = await self._results.flush()
        if self._groups is not None:
            self._postpone(self._groups.waiting)
        if self._writer.unanswered_claims:
            await self._writer.release_unanswered_claims()
        self.report.started = self._executor.started
        self._postpone([*self._due.waiting, *still_due])
        self.report.postponed = len(self._postponed | self._results.postponed)
        self.report.has_backlog = self._due.may_have_more or self._due.has_late

    def raise_failure(self) -> None:
        """Raise the store's failure that ended the start of due tasks, if there was one."""
        if self._failure is not None:
            raise self._failure

    # -- from the queue to the executor -------------------------------------------------------------------

    async def _process_on_time(self) -> None:
        """Start what is on time; what was missed goes into the backlog."""
        await self._process_queue(self._due.on_time, is_backlog=False)

    async def _process_queue(
        self, queue: deque[VersionedTask], *, is_backlog: bool, until: datetime | None = None
    ) -> None:
        """Start the tasks of *queue* as there is capacity, while there is time; leave the rest in it."""
        while queue and self._has_time_to_start(until=until):
            has_capacity = bool(self._executor.capacity)
            if not await self._process_some(queue, is_backlog=is_backlog) and has_capacity:
                return  # those that are left hang, or share a host with others that run
            wanted = min(len(queue), max(1, self._dependencies.slots.limit // 4))
            await self._executor.wait_for_capacity(wanted, within_s=POLL_S)

    async def _process_some(self, queue: deque[VersionedTask], *, is_backlog: bool) -> bool:
        """Start the tasks of *queue* for which there is capacity now; return whether there were any."""
        tasks = self._take(queue)
        batches = (tasks[start : start + BATCH_SIZE] for start in range(0, len(tasks), BATCH_SIZE))
        processed = (self._process_batch(batch, is_backlog=is_backlog) for batch in batches)
        for failure in await asyncio.gather(*processed, return_exceptions=True):
            if failure is not None:
                raise failure
        return bool(tasks)

    def _take(self, queue: deque[VersionedTask]) -> list[VersionedTask]:
        """Take as many tasks out of *queue* as may start now."""
        capacity = self._executor.capacity
        due = self._due
        if not due.slow and not due.crowds:
            return [queue.popleft() for _ in range(min(len(queue), capacity))]
        slots = self._dependencies.slots
        return take_fairly(
            queue,
            due.slow,
            capacity=capacity,
            slots=slots.limit,
            running_slow=slots.slow,
            others_wait=due.may_have_more,
            crowds=due.crowds,
            room_of_hosts=find_room(
                queue,
                due.crowds,
                running=self._executor.running_ids,
                time_left=self.deadline.time_to_start(self._clock()),
            ),
        )

    async def _process_backlog(self) -> None:
        """Start what was missed, after all that is on time; within its share of the tick."""
        if self._due.backlog and self._backlog_until is None:
            self._backlog_until = self.deadline.catch_up_deadline(self._clock())
        await self._process_queue(self._due.backlog, is_backlog=True, until=self._backlog_until)
        while (
            self._due.has_late
            and not self._due.backlog
            and self._has_time_to_start(until=self._backlog_until)
        ):
            await self._due.fetch_late(now=self._clock())
            await self._process_queue(self._due.backlog, is_backlog=True, until=self._backlog_until)

    async def _process_suspects(self) -> None:
        """Start some of those that may have killed their process, when nothing else runs."""
        if not self._executor.running and self._has_time_to_start():
            group = take_suspects(self._due.suspects)
            await self._process_batch(group, is_backlog=True, is_apart=True)

    async def _process_batch(
        self, tasks: Sequence[VersionedTask], *, is_backlog: bool, is_apart: bool = False
    ) -> None:
        """Take *tasks* through the steps from the decision to the start of their attempts."""
        latest = self._clock() - MISSED_AFTER
        if any(one.task.next_run_at and one.task.next_run_at < latest for one in tasks):
            await self._due.look_for_ticks(tasks, now=self._clock(), began_at=self.deadline.started_at)
        batch = self._decide_batch(tasks, is_backlog=is_backlog, is_apart=is_apart)
        await self._apply_transitions(batch)
        if self._groups is not None or any(stored.task.group for stored, _ in batch.starts):
            await self._start_in_groups(batch)
        else:
            await self._claim_and_start(batch)

    async def _claim_and_start(self, batch: _Batch) -> None:
        claimed = await self._claim(batch)
        granted = await self._reserve_credits(claimed)
        await self._start_attempts(granted)

    async def _start_in_groups(self, batch: _Batch) -> None:
        """Start those of *batch* whose groups have a slot for them; the others stay due."""
        if (groups := self._open_groups()) is None:
            await self._claim_and_start(batch)
            return
        batch.starts = await groups.admit(batch.starts, running=self._executor.running_tokens)
        try:
            await self._claim_and_start(batch)
        finally:
            groups.mark_unused(batch.starts, running=self._executor.running_tokens)

    def _open_groups(self) -> "GroupSlots | None":
        if self._groups is None and self._dependencies.flow_control is not None:
            from functions.engine.group_slots import GroupSlots  # few tasks have a group

            self._groups = GroupSlots(self._dependencies.flow_control(), clock=self._clock)
        return self._groups

    async def _serve_groups(self) -> None:
        """Free the slots of attempts that have ended, and start tasks that waited for them."""
        groups = self._groups
        if groups is None or not groups.has_free_slots(self._executor.running_tokens):
            return
        if groups.waiting and self._has_time_to_start():
            tasks = groups.take_waiting()
            for start in range(0, len(tasks), BATCH_SIZE):
                await self._process_batch(tasks[start : start + BATCH_SIZE], is_backlog=True)
        else:
            await groups.free_ended(running=self._executor.running_tokens)

    def _decide_batch(self, tasks: Sequence[VersionedTask], *, is_backlog: bool, is_apart: bool) -> _Batch:
        now = self._clock()
        batch = _Batch()
        for stored in tasks:
            match self._decide(stored, now=now):
                case StartAttempt(is_catch_up=True) if not is_backlog and stored.task.group is None:
                    self._due.backlog.append(stored)
                case StartAttempt() if stored.task.expired_claims and not is_apart:
                    self._due.suspects.append(stored)
                case StartAttempt() if self._is_for_workers(stored):
                    pass
                case StartAttempt() as start if self.deadline.must_not_try(stored.task):
                    longest = self._handoff.max_duration if self._handoff else self.deadline.max_duration
                    skip = skip_too_long(stored.task, start, max_duration=longest, now=now)
                    batch.transitions.append(PendingTransition(stored, skip))
                case StartAttempt() as start if self.deadline.fits_now(stored.task, now):
                    batch.starts.append((stored, start.changes))
                case StartAttempt():
                    self._postpone([stored])
                case ApplyTransition(transition):
                    batch.transitions.append(PendingTransition(stored, transition))
                case RecoverClaim(tick_id):
                    batch.expired.setdefault(tick_id, []).append(stored)
        return batch

    def _is_for_workers(self, stored: VersionedTask) -> bool:
        """Collect *stored* for workers if it is too long for any tick; return whether they accept it."""
        if self._handoff is None or self.deadline.fits_any_tick(stored.task):
            return False
        return self._handoff.accepts(stored)

    def _decide(self, stored: VersionedTask, *, now: datetime) -> Decision:
        try:
            return decide(
                stored.task,
                token=self._writer.new_claim_token(),
                now=now,
                ticks=self._due.ticks,
                defers=self._dependencies.defers_settlements,
            )
        except InputError as exc:  # a schedule that cannot be read got into the store
            log.warning("task_unreadable", extra={"task_id": stored.task.id, "reason": str(exc)})
            return ApplyTransition(pause_unreadable(stored.task, str(exc), now=now))

    async def _apply_transitions(self, batch: _Batch) -> None:
        recovered = await self._results.recover(batch.expired, now=self._clock()) if batch.expired else []
        if transitions := batch.transitions + recovered:
            self._due.on_time.extend(await self._results.apply(transitions))

    async def _claim(self, batch: _Batch) -> list[VersionedTask]:
        """Claim the tasks to start; return those whose claim is won."""
        if not batch.starts:
            return []
        claimed = await self._writer.claim(batch.starts)
        self.report.lost_claims += len(batch.starts) - len(claimed)
        self.report.unclaimed = len(self._writer.unclaimed)
        return claimed

    async def _reserve_credits(self, claimed: Sequence[VersionedTask]) -> Sequence[GrantedAttempt]:
        """Reserve what attempts may cost; return those that may run. The others are skipped or released."""
        if not claimed:
            return []
        reserved = await self._dependencies.credits.reserve(claimed)
        if reserved.postponed:
            await self._release_claims(reserved.postponed, reason="credits")
        if reserved.denied:
            self._due.on_time.extend(await self._results.skip(reserved.denied))
        return reserved.granted

    async def _start_attempts(self, granted: Sequence[GrantedAttempt]) -> None:
        late = []
        for attempt in granted:
            if self._may_begin(attempt.stored.task) and not self._dependencies.is_shutting_down():
                is_slow = attempt.stored.task.id in self._due.slow
                self._executor.start(attempt.stored, max_tokens=attempt.max_tokens, is_slow=is_slow)
            else:
                late.append(attempt.stored)
        if late:
            reason = "shutdown" if self._dependencies.is_shutting_down() else TOO_LITTLE_TIME
            await self._release_claims(late, reason=reason)

    def _may_begin(self, task: Task) -> bool:
        """Whether *task* has the time for its attempt now that its claim is won, which may have taken long.

        What the end of this tick would cut is made again; it is not begun where that is its only attempt.
        """
        now = self._clock()
        has_tick = task.delivery != "at_most_once" or self.deadline.fits_now(task, now)
        return has_tick and time_left(task, now=now) > timedelta()

    async def _release_claims(self, tasks: Sequence[VersionedTask], *, reason: str) -> None:
        """Release claims whose attempts do not start: their tasks need not wait for the claims to expire."""
        now = self._clock()
        log.info("attempts_postponed", extra={"tasks": [one.task.id for one in tasks], "reason": reason})
        self._postpone(tasks)
        await self._writer.apply(
            [PendingTransition(one, Transition(release_claim(one.task, now=now), ())) for one in tasks]
        )

    def _postpone(self, tasks: Iterable[VersionedTask]) -> None:
        """Count *tasks* as left for the next tick, each once."""
        self._postponed.update(stored.task.id for stored in tasks)

    def _has_time_to_start(self, *, until: datetime | None = None) -> bool:
        now = self._clock()
        is_open = self._failure is None and not self._dependencies.is_shutting_down()
        return is_open and self.deadline.can_start(now) and (until is None or now < until)

    # -- while attempts run -------------------------------------------------------------------------------

    async def _run_to_the_end(self) -> None:
        """Write what ends and start what that leaves due, until nothing runs and nothing was left due."""
        is_busy = True
        while is_busy:
            await self._start_behind_others()
            await self._wait_for_attempts()
            self._due.on_time.extend(await self._results.flush())
            await self._serve_groups()
            await self._process_on_time()
            await self._process_backlog()
            if self._due.suspects:
                await self._process_suspects()
            is_busy = bool(self._executor.running) or self._results.has_unwritten

    async def _start_behind_others(self) -> None:
        """Start tasks that wait for others of their host, as those end."""
        due = self._due
        while due.crowds and due.on_time and self._executor.running and self._has_time_to_start():
            await self._executor.wait_for_an_end(within_s=POLL_S)
            await self._serve_groups()
            await self._process_on_time()

    async def _wait_for_attempts(self) -> None:
        """Wait until nothing runs; end what still does when the tick must respond, or the process stop."""
        loop = asyncio.get_running_loop()
        stop_at: float | None = None
        while not await self._executor.wait_until_idle(within_s=POLL_S):
            await self._serve_groups()
            if self.deadline.must_wind_up(self._clock()):
                await self._executor.cancel_all(OUT_OF_TIME)
                return
            if self._dependencies.is_shutting_down():
                stop_at = stop_at or loop.time() + SHUTDOWN_GRACE_S
                if loop.time() >= stop_at:
                    await self._executor.cancel_all(SHUT_DOWN)
                    return

    async def _hand_off(self) -> None:
        """Give workers what this tick is too short for; it stays due until one of them claims it."""
        handoff = self._handoff
        if handoff is None or self._failure is not None or self._dependencies.is_shutting_down():
            return
        due = self._due
        unread = due.may_have_more or due.has_late
        waits_in_vain = any(stored.task.id not in due.crowds for stored in due.on_time)
        backlog = bool(unread or waits_in_vain or due.backlog or self._postponed)
        self._postponed |= handoff.pending
        self.report.handed_off = await handoff.submit(backlog=backlog, answer_by=self._respond_by)
