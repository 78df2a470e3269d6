"""What alert rules would have sent: a task's recorded outcomes, folded through the rules of the engine.

    runs         ok  ok  failed  failed  ok          the records, oldest first
    rules        failure, recovery; after: 2
    messages                     failure  recovery   at 12:10 and 12:15, to slack

Nothing is decided here. What follows an outcome is `complete_occurrence`, what is due without one
`with_due_notifications`, where it goes `route`, and what is left `after_delivery`, as in a tick. Ticks are
taken to have come each minute, and every message to have been accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.domain.alerts.model import AlertState, Notification
from functions.domain.alerts.outbox import DeliveryAttempt
from functions.domain.alerts.overdue import next_notification_at, with_late_start_notification
from functions.domain.alerts.routing import Route, RoutingTable, drop_superseded, route
from functions.domain.events import Outbox
from functions.domain.lifecycle.after_delivery import after_delivery, claim_delivery
from functions.domain.lifecycle.complete import (
    NO_CURRENT_OCCURRENCE,
    REQUESTED_TRIGGERS,
    attempt_facts,
    complete_occurrence,
    end_pause,
    schedule_delivery,
)
from functions.domain.run import Run
from functions.domain.schedule.occurrences import next_occurrence
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger
from functions.errors import InputError

MINUTE = timedelta(minutes=1)
MAX_CHANNELS = 30  # that one tick sends to
MAX_WAKES = 5000  # deliveries and reminders between two records; a month of reminders each hour has 720
_SKIPS_WITHOUT_TICK = frozenset({SkipReason.MISFIRE})
_NOT_AN_END = frozenset({SkipReason.OVERLAP, SkipReason.MISFIRE, SkipReason.CAPACITY, SkipReason.ENDED})


@dataclass(frozen=True, slots=True)
class RehearsedMessage:
    """One message to one channel.

    Attributes:
        notifications: What it says, in the order in which it was decided.
    """

    at: datetime
    channel: str
    notifications: tuple[Notification, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would have been sent.

    Attributes:
        messages: Oldest first.
        held: What still waited at the end, such as for the end of quiet hours.
        pauses: How often the task would have been paused because it failed too often.
    """

    messages: tuple[RehearsedMessage, ...]
    held: tuple[Notification, ...]
    pauses: int


def rehearse(
    task: Task, runs: Sequence[Run], table: RoutingTable, *, since: datetime, now: datetime
) -> Rehearsal:
    """Return what the rules of *task* would have sent from *since* to *now*.

    Args:
        task: With the rules to rehearse; its own state does not count.
        runs: Its records of that time, in any order.
        table: The channels, with their quiet hours and maintenance.
    """
    stage = _Stage(_at_rest(task, since=since), table)
    ordered = sorted(runs, key=lambda run: (run.finished_at, run.outcome is OutcomeKind.SKIPPED, run.attempt))
    missed = _missed_before(ordered)
    for run in ordered:
        first = missed.get(run.key)
        silent_since = first or (run.occurrence if run.skip_reason in _SKIPS_WITHOUT_TICK else run.started_at)
        stage.pass_time(until=min(_tick_of(run.started_at), silent_since))
        stage.play(run, missed=first)
    stage.pass_time(until=now)
    return Rehearsal(tuple(stage.messages), stage.task.alert.pending, stage.pauses)


def _at_rest(task: Task, *, since: datetime) -> Task:
    """Return *task* as one that has no history yet."""
    fresh: dict[str, Any] = {
        "alert": AlertState(awaiting_since=since if task.expect_seconds else None),
        "status": Status.SCHEDULED,
        "enabled": True,
        "pause": None,
        "consecutive_failures": 0,
        "expired_claims": 0,
        "run_count": 0,
        "max_runs": None,
        "recent": "",
        "tally": "",
        "incidents": (),
        "last_run_at": None,
        "last_outcome": None,
        "last_error": "",
        "memory": {},
        "heartbeat": None,
        "dependents": (),
        "outbox": Outbox(),
        "budget": None,
        "next_occurrence": _following(task, since),
        "next_run_at": None,
    }
    return task.model_copy(update=fresh | _BETWEEN)


_BETWEEN = NO_CURRENT_OCCURRENCE | {"event": None, "backlog": ()}


class _Stage:
    """The task as it would have been at each moment, and what it would have sent by then."""

    def __init__(self, task: Task, table: RoutingTable) -> None:
        self.task = task
        self.messages: list[RehearsedMessage] = []
        self.pauses = 0
        self._table = table
        self._now = datetime.min.replace(tzinfo=UTC)  # of what happened last

    def pass_time(self, *, until: datetime) -> None:
        """Make the ticks before *until* in which something other than a run was due."""
        for _ in range(MAX_WAKES):
            at = next_notification_at(self.task)
            if at is None or (tick := max(_next_tick(at), self._now)) >= until:
                return
            before = self.task.alert
            self._change(claim_delivery(self.task, now=tick).changes)
            self._deliver(now=tick)
            if self.task.alert == before:
                return

    def play(self, run: Run, *, missed: datetime | None) -> None:
        """Let *run* happen: an attempt, or a skip.

        Args:
            missed: The first of the occurrences that were skipped for it, for want of a tick.
        """
        self._now = max(self._now, run.finished_at)
        if run.events:  # other tasks are not part of this
            run = run.model_copy(update={"events": ()})
        goes_on = run.attempt > 0 and run.trigger not in REQUESTED_TRIGGERS
        if run.skip_reason is SkipReason.PAUSED or (self.task.pause is not None and goes_on):
            self._resume(now=run.started_at)
        if run.skip_reason is SkipReason.PAUSED:
            return
        if run.attempt == 1 and run.trigger in (Trigger.SCHEDULE, Trigger.CATCH_UP):
            self._note_lateness(missed or run.occurrence, now=run.started_at)
        elif run.skip_reason in _SKIPS_WITHOUT_TICK and missed is None:
            self._note_lateness(run.occurrence, now=run.started_at)
        if run.skip_reason not in _NOT_AN_END:
            self._take_result(run)
        elif missed is None and self.task.alert.pending:  # with their delivery the tick is over
            self._now += MINUTE
        self._deliver(now=run.finished_at)

    def _take_result(self, run: Run) -> None:
        """Start the occurrence of *run*, and complete it, or wait for its next attempt."""
        self._change(
            {
                "status": Status.RUNNING,
                "occurrence": run.occurrence,
                "trigger": run.trigger,
                "attempt": run.attempt,
                "next_occurrence": _following(self.task, max(run.occurrence, run.started_at)),
            }
        )
        if not run.final:
            self._change(attempt_facts(self.task, run) | {"status": Status.RETRYING})
            return
        was_paused = self.task.pause is not None
        self._change(complete_occurrence(self.task, run, now=run.finished_at).changes)
        self.pauses += self.task.pause is not None and not was_paused

    def _note_lateness(self, occurrence: datetime, *, now: datetime) -> None:
        due = self.task.model_copy(update={"next_occurrence": occurrence, "next_run_at": occurrence})
        alert = with_late_start_notification(due, now=now)
        if alert is not due.alert:
            self._change({"alert": schedule_delivery(alert, now=now)})

    def _resume(self, *, now: datetime) -> None:
        """End a pause, which the records show by what follows it."""
        self._change({"next_occurrence": None})  # what was missed in it has a record of its own
        self._change(end_pause(self.task, now=now).changes)
        self._change({"next_occurrence": _following(self.task, now)})

    def _deliver(self, *, now: datetime) -> None:
        """Send what is pending to the channels that are open to it."""
        pending = self.task.alert.pending
        if not pending:
            return
        routes = [route(notice, self._table, now=now) for notice in pending]
        if any(one.hold for one in routes):
            routes = drop_superseded(pending, routes, notified=self.task.alert.notified_channels)
        for channel in dict.fromkeys(name for one in routes for name in one.send_now):
            sent = tuple(
                notice for notice, one in zip(pending, routes, strict=True) if channel in one.send_now
            )
            self._send(channel, sent, now=now)
        attempts = {
            notice.id: _to_delivery_attempt(one, self._table)
            for notice, one in zip(pending, routes, strict=True)
        }
        changes, _ = after_delivery(self.task, attempts, now=now)
        self._change(changes)

    def _send(self, channel: str, sent: tuple[Notification, ...], *, now: datetime) -> None:
        """Add a message, or what it says to that of the same tick."""
        for number, other in enumerate(
            self.messages[-MAX_CHANNELS:], max(len(self.messages) - MAX_CHANNELS, 0)
        ):
            if (other.at, other.channel) == (now, channel):
                self.messages[number] = RehearsedMessage(now, channel, (*other.notifications, *sent))
                return
        self.messages.append(RehearsedMessage(now, channel, sent))

    def _change(self, changes: Mapping[str, Any]) -> None:
        self.task = self.task.model_copy(update=dict(changes))


def _to_delivery_attempt(one: Route, table: RoutingTable) -> DeliveryAttempt:
    return DeliveryAttempt(
        held_until=one.hold, accepted=one.send_now, lost=one.lost, open_channels=table.open_channels
    )


def _missed_before(ordered: Sequence[Run]) -> dict[str, datetime]:
    """Return, by the key of an attempt, the first occurrence that was skipped for it, for want of a tick.

    Such a skip is written with the last record of the occurrence that stands in for it; its own key counts as
    well: people learn of it with that attempt.
    """
    found: dict[str, datetime] = {}
    firsts: dict[datetime, Run] = {}
    for run in ordered:
        if run.attempt == 1:
            firsts[run.occurrence] = run
    ends = {run.finished_at: run for run in ordered if run.attempt and run.final}
    for skip in ordered:
        end = ends.get(skip.finished_at) if skip.skip_reason in _SKIPS_WITHOUT_TICK else None
        if end is not None and skip.occurrence < end.occurrence:
            found[skip.key] = skip.occurrence
            if first := firsts.get(end.occurrence):
                found[first.key] = skip.occurrence
    return found


def _following(task: Task, after: datetime) -> datetime | None:
    try:
        return next_occurrence(task, after=after)
    except InputError:  # a schedule that no longer reads
        return None


def _tick_of(started_at: datetime) -> datetime:
    """Return the beginning of the minute in which the tick came that started an attempt."""
    return started_at.replace(second=0, microsecond=0)


def _next_tick(at: datetime) -> datetime:
    whole = _tick_of(at)
    return whole if whole == at else whole + MINUTE
