"""Deliberate mistakes in the product, one at a time, that a checker worth its name must report."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.capacity import time_budget
from functions.domain.capacity.time_budget import FINISH_MARGIN, Deadline
from functions.domain.lifecycle import attempt, decide, recover
from functions.domain.run import Outcome, Run
from functions.domain.storage import ConditionalWrite, RunBatch, VersionedTask, WriteResult, WriteStatus
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.engine import due_tasks, executor, notify, results, steps, writer
from functions.engine.due_tasks import DueTasks
from functions.engine.group_slots import GroupSlots
from functions.engine.writer import PendingTransition, TickWriter
from functions.stores.sqlite import connection
from tests.harness.chaos.faults.points import Orders

Mutate = Callable[[Orders], None]


def apply(name: str, orders: Orders) -> None:
    """Make the mistake *name* in this process; none when it is empty."""
    if name:
        MUTANTS[name](orders)
        orders.say(event="mutant", name=name)


def _claim_without_precondition(_: Orders) -> None:
    """Whoever writes last has the task."""
    guarded = TickWriter.claim

    async def claim(
        self: TickWriter, wanted: Sequence[tuple[VersionedTask, Mapping[str, Any]]]
    ) -> list[VersionedTask]:
        found = await self._store.get_tasks([stored.task.id for stored, _ in wanted])
        fresh = {stored.task.id: stored.revision for stored in found.tasks}
        return await guarded(
            self, [(VersionedTask(one.task, fresh.get(one.task.id)), changes) for one, changes in wanted]
        )

    setattr(TickWriter, "claim", claim)  # noqa: B010  # mypy would not let a method be assigned


def _settle_without_fence(_: Orders) -> None:
    """A tick that overslept its claim writes its result all the same."""
    setattr(writer, "_claim_is_ours", lambda task, ours: task.occurrence is not None)  # noqa: B010


def _advance_before_run(_: Orders) -> None:
    """The claim itself moves the schedule on, as if a start were a result."""
    judged = getattr(steps, "decide")  # noqa: B009  # it is no export of its module

    def judge(task: Task, *, token: str, now: datetime, **known: Any) -> Any:
        found = judged(task, token=token, now=now, **known)
        if isinstance(found, decide.StartAttempt):
            after = task.model_copy(update=dict(found.changes))
            moved = {"status": "scheduled", "next_run_at": after.next_occurrence}
            return replace(found, changes={**found.changes, **moved})
        return found

    setattr(steps, "decide", judge)  # noqa: B010


def _ledger_after_settlement(_: Orders) -> None:
    """A crash between the two leaves a task that moved on and no record of why."""
    from tests.harness.chaos.faults.inside import ChaosStore  # it imports this module

    async def write_with_runs(
        self: Any, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        written: list[WriteResult] = await self._faulty(writes)
        if batch is not None:
            self._orders.reach("after_ledger")
            await self._inner.write_with_runs(batch, [])
        return written

    setattr(ChaosStore, "_write_in_steps", write_with_runs)  # noqa: B010


def _ignore_the_ledger(_: Orders) -> None:
    """An expired claim is run again, whatever the dead tick had recorded."""
    from tests.harness.chaos.faults.inside import ChaosStore  # it imports this module

    async def runs_of_tick(self: Any, tick_id: str) -> list[Run]:
        return []

    setattr(ChaosStore, "runs_of_tick", runs_of_tick)  # noqa: B010


def _unanswered_claims_are_won(_: Orders) -> None:
    """No answer is taken for a yes, without a look at the token."""

    async def claim(
        self: TickWriter, wanted: Sequence[tuple[VersionedTask, Mapping[str, Any]]]
    ) -> list[VersionedTask]:
        writes = [ConditionalWrite.for_changes(stored, changes) for stored, changes in wanted]
        answers = await self._send(None, writes)
        return [
            VersionedTask(write.task, written.revision or write.revision)
            for write, written in zip(writes, answers, strict=True)
            if written.status is not WriteStatus.CONFLICT
        ]

    setattr(TickWriter, "claim", claim)  # noqa: B010


def _unanswered_claims_are_lost(_: Orders) -> None:
    """No answer is taken for a no, without a look at the token."""

    async def claim(
        self: TickWriter, wanted: Sequence[tuple[VersionedTask, Mapping[str, Any]]]
    ) -> list[VersionedTask]:
        writes = [ConditionalWrite.for_changes(stored, changes) for stored, changes in wanted]
        answers = await self._send(None, writes)
        return [
            VersionedTask(write.task, written.revision)
            for write, written in zip(writes, answers, strict=True)
            if written.status is WriteStatus.APPLIED
        ]

    setattr(TickWriter, "claim", claim)  # noqa: B010


def _skips_without_record(_: Orders) -> None:
    """Only the attempt is recorded, not what was skipped with it."""
    settle = TickWriter.apply

    async def short(self: TickWriter, decided: Sequence[PendingTransition]) -> list[VersionedTask | None]:
        cut = [
            replace(one, transition=replace(one.transition, runs=one.transition.runs[:1])) for one in decided
        ]
        return await settle(self, cut)

    setattr(TickWriter, "apply", short)  # noqa: B010


def _told_before_it_is_said(_: Orders) -> None:
    """The duty to tell is struck off first, and then the message is sent."""
    deliver = notify.deliver_notifications

    async def struck(tasks: Any, *, notify: Any, writer: TickWriter, **how: Any) -> int:
        async def done(notifications: Sequence[Any], *, within: Any) -> list[tuple[str, ...]]:
            said.extend(notifications)
            return [() for _ in notifications]

        said: list[Any] = []
        lost = await deliver(tasks, notify=done, writer=writer, **how)
        if said:
            await notify(said, within=how["answer_by"] - how["clock"]())
        return lost

    setattr(notify, "deliver_notifications", struck)  # noqa: B010


def _at_most_once_forgotten(_: Orders) -> None:
    """An occurrence that may have run is run again, though the task asked that it should not."""
    recover = getattr(results, "recover")  # noqa: B009  # it is no export of its module

    def again(task: Task, recorded: Run | None, *, now: datetime) -> Any:
        return recover(task.model_copy(update={"delivery": "at_least_once"}), recorded, now=now)

    setattr(results, "recover", again)  # noqa: B010


def _claims_called_late(_: Orders) -> None:
    """An attempt is cut after a second, as if its claim had come late."""
    given = getattr(executor, "time_left")  # noqa: B009  # it is no export of its module
    setattr(executor, "time_left", lambda task, *, now: min(given(task, now=now), CUT_AFTER))  # noqa: B010


def _begun_to_be_cut(_: Orders) -> None:
    """An attempt has whatever its claim has left, and claims have no time to come late."""
    assert hasattr(decide, "CLAIM_LEAD_TIME")
    setattr(decide, "CLAIM_LEAD_TIME", timedelta(seconds=1))  # noqa: B010

    def left(task: Task, *, now: datetime) -> timedelta:
        assert task.claim is not None
        return task.claim.until - decide.CLAIM_MARGIN - now

    for module in (steps, executor):
        setattr(module, "time_left", left)  # noqa: B010


def _groups_without_slots(_: Orders) -> None:
    """Whoever is due has a slot of its group."""

    async def admit(self: GroupSlots, starts: Any, *, running: Any) -> Any:
        return starts

    setattr(GroupSlots, "admit", admit)  # noqa: B010


def _leaves_some_alone(_: Orders) -> None:
    """A tick does not see the last of those that are due, and says that all is well."""
    fetch = DueTasks.fetch

    async def short(self: DueTasks, *, now: datetime) -> None:
        await fetch(self, now=now)
        if len(self.on_time) > 1:
            self.on_time.pop()

    setattr(DueTasks, "fetch", short)  # noqa: B010


def _starts_by_whole_timeout(_: Orders) -> None:
    """An attempt is started only where its whole timeout fits into what is left of the tick."""

    def fits_now(self: Deadline, task: Task, now: datetime) -> bool:
        left = now + timedelta(seconds=task.timeout_seconds) + FINISH_MARGIN
        return self.respond_by is None or left <= self.respond_by

    setattr(Deadline, "fits_now", fits_now)  # noqa: B010


def _cut_is_final(_: Orders) -> None:
    """What the end of a tick has cut is over, as if it had failed."""
    assert hasattr(attempt, "INTERRUPTION_LIMIT")
    setattr(attempt, "INTERRUPTION_LIMIT", 1)  # noqa: B010


def _reads_no_further(_: Orders) -> None:
    """What is behind a full window is not read, and the report says that nothing is left."""
    fetch = DueTasks.fetch

    async def first(self: DueTasks, *, now: datetime) -> None:
        await fetch(self, now=now)
        self.may_have_more = self.has_late = False

    setattr(DueTasks, "fetch", first)  # noqa: B010


def _missed_first(_: Orders) -> None:
    """Missed work yields to nothing: the longer it is late, the earlier it begins."""
    judged = getattr(steps, "decide")  # noqa: B009  # it is no export of its module

    def judge(task: Task, *, token: str, now: datetime, **known: Any) -> Any:
        found = judged(task, token=token, now=now, **known)
        return replace(found, is_catch_up=False) if isinstance(found, decide.StartAttempt) else found

    setattr(steps, "decide", judge)  # noqa: B010


def _missed_without_bound(_: Orders) -> None:
    """Missed work may take all the time that a tick has."""
    setattr(time_budget, "CATCH_UP_FRACTION", 1.0)  # noqa: B010


def _no_fair_slots(_: Orders) -> None:
    """Tasks that time out take as many slots as they are."""
    setattr(due_tasks, "find_slow", lambda tasks: frozenset())  # noqa: B010


def _nobody_pinged(_: Orders) -> None:
    """Whatever was not started in time, nobody has pinged."""
    judged = getattr(steps, "decide")  # noqa: B009  # it is no export of its module

    def judge(task: Task, *, token: str, now: datetime, **_: Any) -> Any:
        return judged(task, token=token, now=now)

    setattr(steps, "decide", judge)  # noqa: B010


def _counts_before_the_write(_: Orders) -> None:
    """The report counts what was decided, whether the store has taken it or not."""

    class Nothing(set[str]):
        def __contains__(self, _: object) -> bool:
            return False

    begin = TickWriter.__init__

    def begun(self: TickWriter, *words: Any, **named: Any) -> None:
        begin(self, *words, **named)
        self.unwritten = Nothing()

    setattr(TickWriter, "__init__", begun)  # noqa: B010


def _killers_go_on(_: Orders) -> None:
    """A task that kills its process is tried again for ever."""
    setattr(recover, "EXPIRED_CLAIM_LIMIT", 1_000_000)  # noqa: B010


def _all_in_flight_are_guilty(_: Orders) -> None:
    """Whatever was in flight when a process died is quarantined for it."""
    setattr(recover, "EXPIRED_CLAIM_LIMIT", 1)  # noqa: B010


def _suspects_together(_: Orders) -> None:
    """What was in flight when a process died is tried again all at once, and again."""

    def take(suspects: deque[VersionedTask]) -> list[VersionedTask]:
        group = list(suspects)
        suspects.clear()
        return group

    setattr(steps, "take_suspects", take)  # noqa: B010


def _refusals_spread(_: Orders) -> None:
    """One document that the store never takes spoils the whole call."""

    async def send_halves(
        self: TickWriter, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        return [WriteResult(WriteStatus.INVALID)] * len(writes)

    setattr(TickWriter, "_send_halves", send_halves)  # noqa: B010


def _stopping_is_a_failure(_: Orders) -> None:
    """What a process cuts when it is to stop has failed, at once and by its own fault."""
    setattr(steps, "SHUT_DOWN", Outcome(OutcomeKind.FAILED, "Stopped"))  # noqa: B010
    setattr(steps, "SHUTDOWN_GRACE_S", 0.0)  # noqa: B010


def _refused_notices_are_delivered(_: Orders) -> None:
    """Whatever a channel answers, the message has arrived."""
    from tests.harness.chaos.faults.inside import ChaosTell  # it imports this module

    deliver = ChaosTell.__call__

    async def delivered(self: Any, notifications: Sequence[Any], *, within: timedelta) -> Any:
        await deliver(self, notifications, within=within)
        return [() for _ in notifications]

    setattr(ChaosTell, "__call__", delivered)  # noqa: B010


def _taken_notices_are_sent_again(_: Orders) -> None:
    """Whatever a channel answers, the message has not arrived."""
    from tests.harness.chaos.faults.inside import ChaosTell  # it imports this module

    deliver = ChaosTell.__call__

    async def failed(self: Any, notifications: Sequence[Any], *, within: timedelta) -> Any:
        await deliver(self, notifications, within=within)
        return [one.channels or ("webhook",) for one in notifications]

    setattr(ChaosTell, "__call__", failed)  # noqa: B010


def _deferred_without_record(_: Orders) -> None:
    """A settlement is left to its record, whether the store has taken that or not."""
    send = getattr(TickWriter, "_send_recorded")  # noqa: B009  # no part of what the class offers

    async def sent(self: TickWriter, *words: Any) -> tuple[list[WriteResult], bool]:
        return (await send(self, *words))[0], True

    setattr(TickWriter, "_send_recorded", sent)  # noqa: B010


def _defers_failures(_: Orders) -> None:
    """Whatever an attempt came to is left to its record."""
    setattr(results, "can_defer", lambda task, transition: task.next_run_at > task.claim.until)  # noqa: B010


def _deferred_is_forgotten(_: Orders) -> None:
    """What was left to its record is not looked for there."""
    setattr(due_tasks, "settle_by_records", lambda tasks, runs: list(tasks))  # noqa: B010
    recover = getattr(results, "recover")  # noqa: B009  # it is no export of its module
    setattr(results, "deferred_transition", lambda task, run: None)  # noqa: B010

    def without(task: Task, recorded: Run | None, *, now: datetime) -> Any:
        return recover(task, None if recorded is None or recorded.deferred else recorded, now=now)

    setattr(results, "recover", without)  # noqa: B010


def _replaced_unseen(_: Orders) -> None:
    """The file that was opened is worked on, whatever is in its place by now."""
    setattr(connection, "_identify", lambda path: (0, 0))  # noqa: B010


def _runs_early(orders: Orders) -> None:
    """The clock is not asked as it should be."""
    ahead = Orders.now

    def now(self: Orders) -> datetime:
        return ahead(self) + EARLY

    setattr(Orders, "now", now)  # noqa: B010


EARLY = timedelta(seconds=8)
CUT_AFTER = timedelta(seconds=1)

MUTANTS: dict[str, Mutate] = {
    "claim_without_precondition": _claim_without_precondition,
    "settle_without_fence": _settle_without_fence,
    "advance_before_run": _advance_before_run,
    "ledger_after_settlement": _ledger_after_settlement,
    "ignore_the_ledger": _ignore_the_ledger,
    "unanswered_claims_are_won": _unanswered_claims_are_won,
    "unanswered_claims_are_lost": _unanswered_claims_are_lost,
    "skips_without_record": _skips_without_record,
    "told_before_it_is_said": _told_before_it_is_said,
    "at_most_once_forgotten": _at_most_once_forgotten,
    "claims_called_late": _claims_called_late,
    "begun_to_be_cut": _begun_to_be_cut,
    "groups_without_slots": _groups_without_slots,
    "leaves_some_alone": _leaves_some_alone,
    "starts_by_whole_timeout": _starts_by_whole_timeout,
    "cut_is_final": _cut_is_final,
    "reads_no_further": _reads_no_further,
    "missed_first": _missed_first,
    "missed_without_bound": _missed_without_bound,
    "no_fair_slots": _no_fair_slots,
    "nobody_pinged": _nobody_pinged,
    "counts_before_the_write": _counts_before_the_write,
    "killers_go_on": _killers_go_on,
    "all_in_flight_are_guilty": _all_in_flight_are_guilty,
    "suspects_together": _suspects_together,
    "refusals_spread": _refusals_spread,
    "stopping_is_a_failure": _stopping_is_a_failure,
    "refused_notices_are_delivered": _refused_notices_are_delivered,
    "taken_notices_are_sent_again": _taken_notices_are_sent_again,
    "deferred_without_record": _deferred_without_record,
    "defers_failures": _defers_failures,
    "deferred_is_forgotten": _deferred_is_forgotten,
    "replaced_unseen": _replaced_unseen,
    "runs_early": _runs_early,
}
