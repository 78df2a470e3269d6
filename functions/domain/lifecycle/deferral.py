"""Deferred settlements: what follows from a claim and the record of its run need not be written at once.

A task that runs every few minutes and succeeds as it did before is written once a run, not twice:

    12:00:00  claimed; looked at again when its next occurrence is due
    12:00:01  the run is recorded, and the task's document stays as it was claimed
    12:01:00  found due: settled by that record, and claimed; both are one write

In between, readers of the record beside the document see the task settled. A process that dies between record
and settlement leaves the same state, so that code which knows nothing of deferral recovers it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.overdue import next_notification_at
from functions.domain.lifecycle.complete import Transition, complete_occurrence
from functions.domain.run import Run
from functions.domain.schedule.occurrences import earliest_start
from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status, Trigger
from functions.errors import InputError

MAX_DEFERRAL = timedelta(minutes=5)  # after a death the attempt is made again as late as this


def with_later_look(task: Task, changes: Mapping[str, Any], *, now: datetime) -> Mapping[str, Any]:
    """*changes*, which claim *task*, with a look at its next occurrence where its settlement may wait for it.

    It may where nothing is new when the attempt succeeds: it did the last time, nobody has to be notified,
    and nothing waits behind it. Where a second attempt would come too late, or never, the claim's end counts.
    """
    following, until = changes["next_occurrence"], changes["claim"].until
    if (
        following is None
        or changes["trigger"] is not Trigger.SCHEDULE
        or changes["backlog"]
        or changes["missed"]
        or task.delivery == "at_most_once"
        or task.last_outcome is not OutcomeKind.SUCCEEDED
        or task.consecutive_failures
        or task.expired_claims
    ):
        return changes
    at = earliest_start(task, following)
    notify_at = next_notification_at(task)
    if not until < at <= now + MAX_DEFERRAL or (notify_at is not None and notify_at < at):
        return changes
    return {**changes, "next_run_at": at}


def can_defer(task: Task, transition: Transition) -> bool:
    """Whether *transition*, of the attempt that *task* was claimed for, may be written with the next claim.

    That is so if the record says all that it changes, nobody waits for it, and the task is looked at again
    when it would be.
    """
    claim, changes = task.claim, transition.changes
    return (
        claim is not None
        and task.next_run_at is not None
        and claim.until < task.next_run_at == changes["next_run_at"]
        and changes["status"] is Status.SCHEDULED
        and [run.outcome for run in transition.runs] == [OutcomeKind.SUCCEEDED]
        and not changes["alert"].pending
        and not changes.get("outbox", task.outbox).events
        and changes.get("memory", task.memory) == task.memory
    )


def mark_deferred(transition: Transition) -> Transition:
    """*transition* with the remark in its record that the task's document follows later."""
    runs = tuple(run.model_copy(update={"deferred": True}) for run in transition.runs)
    return Transition(transition.changes, runs)


def deferred_transition(task: Task, run: Run | None) -> Transition | None:
    """The transition of *task* that its tick deferred when it recorded *run*; None when it did not.

    The same, whenever it is decided, for it counts from the end of the attempt; what users changed meanwhile
    is kept. Where such a change makes a record necessary it is no longer this one: see `recover`.
    """
    if run is None or not run.deferred or task.claim is None or task.claim.token != run.token:
        return None
    try:
        found = complete_occurrence(task, run, now=run.finished_at)
    except InputError:  # the schedule was made unreadable meanwhile
        return None
    return Transition(found.changes, ()) if found.runs == (run,) else None


def claiming_ticks(tasks: Iterable[VersionedTask]) -> list[str]:
    """The ids of the ticks that have claimed those of *tasks* that run, or seem to."""
    claims = (stored.task.claim for stored in tasks if stored.task.status is Status.RUNNING)
    return list(dict.fromkeys(claim.token.rpartition(".")[0] for claim in claims if claim is not None))


def settle_by_records(tasks: Sequence[VersionedTask], runs: Iterable[Run]) -> list[VersionedTask]:
    """*tasks*, those settled whose settlement was deferred; *runs* are what their ticks have recorded."""
    recorded = {(run.task_id, run.token): run for run in runs if run.deferred}
    return [_settle(stored, recorded) for stored in tasks] if recorded else list(tasks)


def _settle(stored: VersionedTask, recorded: Mapping[tuple[str, str], Run]) -> VersionedTask:
    task = stored.task
    if task.status is not Status.RUNNING or task.claim is None:
        return stored
    found = deferred_transition(task, recorded.get((task.id, task.claim.token)))
    if found is None:
        return stored
    settled = task.model_copy(update=found.changes)
    return VersionedTask(settled, stored.revision, frozenset(found.changes))
