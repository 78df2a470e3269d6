"""The runs that transitions record: of an attempt, of skipped occurrences, of a dropped retry."""

from datetime import datetime

from functions.domain.run import Outcome, Run
from functions.domain.task import MAX_SUMMARY_CHARS, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason


def run_of_attempt(task: Task, outcome: Outcome, *, started_at: datetime, now: datetime, final: bool) -> Run:
    """The record of the current attempt, which ended with *outcome*.

    Args:
        final: Whether no further attempt at the same occurrence will follow.
    """
    assert task.occurrence is not None  # an attempted task has one
    return Run(
        task_id=task.id,
        occurrence=task.occurrence,
        trigger=task.trigger,
        attempt=task.attempt,
        token=task.claim.token if task.claim else "",
        outcome=outcome.kind,
        final=final,
        summary=outcome.summary[:MAX_SUMMARY_CHARS],
        started_at=started_at,
        finished_at=max(now, started_at),
        metrics=dict(outcome.metrics),
        items=tuple(dict(item) for item in outcome.items),
        has_news=outcome.has_news,
        cause=cause(task),
        events=outcome.events,
        task_created_at=task.created_at,
    )


def cause(task: Task) -> str:
    """The event that caused the current occurrence, in words; empty without one."""
    if task.event is None:
        return ""
    return f"{task.event.type} from {task.event.source or 'nowhere'}"


def run_of_skipped_range(
    task: Task, skipped: SkippedRange, *, now: datetime, has_later_run: bool = True
) -> Run:
    """The record of occurrences that were not started in time; a later run may stand in for them."""
    what = "1 occurrence" if skipped.count == 1 else f"{skipped.count} occurrences"
    reason, why = SkipReason.MISFIRE, f"No tick came in time for {what}"
    if skipped.tick_came:
        reason, why = SkipReason.CAPACITY, f"Ticks came, but had no room for {what}"
    fate = "it is not run" if skipped.count == 1 else "they are not run"
    summary = f"{why}; " + ("a later run stands in" if has_later_run else fate)
    return skipped_run(task, skipped, reason, summary, now=now)


def skipped_run(task: Task, skipped: SkippedRange, reason: SkipReason, summary: str, *, now: datetime) -> Run:
    """One record for the occurrences *skipped*, none of which was attempted."""
    return Run(
        task_id=task.id,
        occurrence=skipped.first,
        last=skipped.last if skipped.count > 1 else None,
        count=skipped.count,
        outcome=OutcomeKind.SKIPPED,
        skip_reason=reason,
        summary=summary[:MAX_SUMMARY_CHARS],
        started_at=now,
        finished_at=now,
        task_created_at=task.created_at,
    )


def run_of_dropped_retry(task: Task, outcome: OutcomeKind, why: str, *, now: datetime) -> Run:
    """The last record of an occurrence that waited for a retry which will not be made."""
    return Run(
        task_id=task.id,
        occurrence=task.occurrence or now,  # a row that was changed by hand may have none
        trigger=task.trigger,
        attempt=task.attempt,
        outcome=outcome,
        summary=f"{why}; {task.last_error}"[:MAX_SUMMARY_CHARS],
        started_at=now,
        finished_at=now,
        task_created_at=task.created_at,
    )
