"""The records that go into the ledger: of an attempt, and of occurrences nobody attempted."""

from datetime import datetime

from functions.domain.run import Outcome, Run
from functions.domain.task import SUMMARY_CHARS, Missed, Task
from functions.domain.types import OutcomeKind, SkipReason


def attempt_run(task: Task, outcome: Outcome, *, started_at: datetime, now: datetime, final: bool) -> Run:
    """The record of the attempt in hand, which came to *outcome*.

    Args:
        final: Whether no further attempt at the same occurrence will follow.
    """
    assert task.occurrence is not None  # only a task with an occurrence in hand is settled
    return Run(
        task_id=task.id,
        occurrence=task.occurrence,
        trigger=task.trigger,
        attempt=task.attempt,
        token=task.claim.token if task.claim else "",
        outcome=outcome.kind,
        final=final,
        summary=outcome.summary[:SUMMARY_CHARS],
        started_at=started_at,
        finished_at=max(now, started_at),
        metrics=dict(outcome.metrics),
        items=tuple(dict(item) for item in outcome.items),
        news=outcome.news,
        cause=cause_of(task),
        events=outcome.events,
    )


def cause_of(task: Task) -> str:
    """What asked for the occurrence in hand, where an event did."""
    if task.event is None:
        return ""
    return f"{task.event.type} from {task.event.source or 'nowhere'}"


def missed_run(task: Task, missed: Missed, *, now: datetime) -> Run:
    """The record of occurrences that passed while nobody pinged."""
    what = "1 occurrence" if missed.count == 1 else f"{missed.count} occurrences"
    return skip_run(
        task,
        missed,
        SkipReason.MISFIRE,
        f"Nobody pinged the scheduler in time for {what}; a later run stands in",
        now=now,
    )


def skip_run(task: Task, which: Missed, reason: SkipReason, summary: str, *, now: datetime) -> Run:
    """One record for the occurrences of *which*, none of which was attempted."""
    return Run(
        task_id=task.id,
        occurrence=which.first,
        last=which.last if which.count > 1 else None,
        count=which.count,
        outcome=OutcomeKind.SKIPPED,
        skip_reason=reason,
        summary=summary[:SUMMARY_CHARS],
        started_at=now,
        finished_at=now,
    )


def given_up(task: Task, outcome: OutcomeKind, why: str, *, now: datetime) -> Run:
    """The last record of an occurrence that waited for a retry which will not be made."""
    assert task.occurrence is not None  # a retrying task has one in hand
    return Run(
        task_id=task.id,
        occurrence=task.occurrence,
        trigger=task.trigger,
        attempt=task.attempt,
        outcome=outcome,
        summary=f"{why}; {task.last_error}"[:SUMMARY_CHARS],
        started_at=now,
        finished_at=now,
    )
