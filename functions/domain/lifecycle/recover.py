"""What follows when a claim has expired: the process that held it died, or overslept."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.decide import notify_of_pause
from functions.domain.alerts.model import AlertState, Notification
from functions.domain.alerts.overdue import next_delivery_retry_at
from functions.domain.events import Outbox
from functions.domain.lifecycle.complete import (
    Transition,
    add_spending,
    complete_occurrence,
    schedule_delivery,
    with_notifications,
)
from functions.domain.lifecycle.decide import StartAttempt
from functions.domain.lifecycle.run_records import skipped_run
from functions.domain.run import Run
from functions.domain.storage import VersionedTask
from functions.domain.task import MAX_SUMMARY_CHARS, Pause, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason, Status

EXPIRED_CLAIM_LIMIT = 4  # claims in a row that expired without a result; then the task is quarantined
# When a process dies, one of what was in flight may have killed it, and the others are innocent. They are
# tried again apart from everything else, by how often that happened: 32 together, then 4, then each alone. So
# a task is quarantined only when a process died while nothing else ran; the others finish without a mark.
SUSPECTS_TOGETHER = (32, 4, 1)


def recover(task: Task, recorded: Run | None, *, now: datetime) -> Transition:
    """Decide what follows a claim that expired, by the run that its tick *recorded*, if any.

    recorded, final              complete the occurrence with that run
    recorded, a retry follows    retry now
    not recorded                 abandoned: retry now, for the work may not have happened
    - fourth time in a row       quarantine the task: it was alone the last time, see `take_suspects`
    - `at_most_once`, cancelled  complete the occurrence as abandoned
    """
    idle = task.model_copy(update={"claim": None})  # nothing ran since, so nothing overlapped
    if recorded is not None:
        if recorded.final:
            return complete_occurrence(idle, recorded, now=now)
        again = _retry_expired(task, recorded, now=now, expired_claims=0)
        return Transition(again | add_spending(task, recorded), ())
    run = _record_abandoned(task, now=now)
    expired = task.expired_claims + 1
    if expired >= EXPIRED_CLAIM_LIMIT:
        return _quarantine(idle, run, now=now)
    if task.delivery == "at_most_once" or task.cancel_requested:
        return complete_occurrence(idle, run, now=now)
    run = run.model_copy(update={"final": False})
    return Transition(_retry_expired(task, run, now=now, expired_claims=expired), (run,))


def take_suspects(suspects: deque[VersionedTask]) -> list[VersionedTask]:
    """Take out of *suspects* those to try next, together and apart from everything else.

    All of one group were in flight at as many deaths of a process; those that were at the fewest go first.
    """
    if not suspects:
        return []
    fewest = min(stored.task.expired_claims for stored in suspects)
    size = SUSPECTS_TOGETHER[min(fewest, len(SUSPECTS_TOGETHER)) - 1]
    group = [stored for stored in suspects if stored.task.expired_claims == fewest][:size]
    for stored in group:
        suspects.remove(stored)
    return group


def _retry_expired(task: Task, run: Run, *, now: datetime, expired_claims: int) -> dict[str, Any]:
    return {
        "last_outcome": run.outcome,
        "last_error": run.summary,
        "status": Status.RETRYING,
        "retry_at": now,
        "next_run_at": now,
        "claim": None,
        "expired_claims": expired_claims,
        "interruptions": task.interruptions + (run.outcome is OutcomeKind.ABANDONED),
    }


def _record_abandoned(task: Task, *, now: datetime) -> Run:
    assert task.claim is not None  # only an expired claim is abandoned
    assert task.occurrence is not None
    return Run(
        task_id=task.id,
        occurrence=task.occurrence,
        trigger=task.trigger,
        attempt=task.attempt,
        token=task.claim.token,
        outcome=OutcomeKind.ABANDONED,
        summary="The process that ran this stopped before it could report",
        started_at=task.claim.started_at,
        finished_at=max(now, task.claim.started_at),
        task_created_at=task.created_at,
    )


def _quarantine(task: Task, run: Run, *, now: datetime) -> Transition:
    completed = complete_occurrence(task, run, now=now)
    note = (
        f"Stopped: {EXPIRED_CLAIM_LIMIT} attempts in a row ended with the process that ran them, "
        "the last one while nothing else ran"
    )
    alert = notify_of_pause(task, completed.changes["alert"], note, now=now)
    changes = dict(completed.changes) | {
        "status": Status.QUARANTINED,
        "last_error": note,
        "expired_claims": EXPIRED_CLAIM_LIMIT,
        "alert": schedule_delivery(alert, now=now),
    }
    changes["next_run_at"] = next_delivery_retry_at(task.model_copy(update=changes))
    return Transition(changes, completed.runs)


# What the store will never take as it is: one such task must not keep the others from being written.

MAX_REFUSALS = 2
UNSTORABLE_NOTE = (
    "Stopped: the store does not take what this task holds, which may be too large; make it smaller, "
    "and resume it"
)


def make_storable(task: Task, transition: Transition, *, refusals: int, now: datetime) -> Transition | None:
    """Return what to write in place of *transition*, which the store has refused; None when nothing is left.

    first time     without the type's new memory: the next run finds once more what this one found
    second time    the task is quarantined with nothing that can be left out, and people are notified
    """
    changes = dict(transition.changes)
    if refusals == 1 and changes.pop("memory", None) is not None:
        return Transition(changes, transition.runs)
    if refusals > MAX_REFUSALS:
        return None
    bare = task.model_copy(update={"alert": AlertState(), "status": Status.QUARANTINED})
    alert = notify_of_pause(bare, AlertState(), UNSTORABLE_NOTE, now=now)
    changes |= {
        "status": Status.QUARANTINED,
        "claim": None,
        "occurrence": None,
        "retry_at": None,
        "event": None,
        "memory": {},
        "recent": "",
        "backlog": (),
        "seen_event_ids": (),
        "outbox": Outbox(),
        "last_result_summary": "",
        "last_error": UNSTORABLE_NOTE,
        "alert": schedule_delivery(alert, now=now),
    }
    changes["next_run_at"] = next_delivery_retry_at(task.model_copy(update=changes))
    plain = {"items": (), "metrics": {}, "events": (), "cause": "", "summary": UNSTORABLE_NOTE}
    return Transition(changes, tuple(run.model_copy(update=plain) for run in transition.runs))


def skip_too_long(
    task: Task, start: StartAttempt, *, max_duration: timedelta | None, now: datetime
) -> Transition:
    """Skip the occurrence *start* would attempt: no tick is long enough, and it must not be cut short."""
    limit_s = max_duration.total_seconds() if max_duration else 0
    summary = (
        f"timeoutSeconds is {task.timeout_seconds:g}, but a tick here has time for "
        f"{limit_s:g} s; shorten it, raise TICK_BUDGET_SECONDS or set WORKER_QUEUE"
    )
    claimed = task.model_copy(update=dict(start.changes))
    assert claimed.occurrence is not None  # a start always has one
    which = SkippedRange(count=1, first=claimed.occurrence, last=claimed.occurrence)
    run = skipped_run(task, which, SkipReason.BUDGET, summary, now=now)
    return complete_occurrence(claimed, run, now=now)


def skip_without_credits(
    task: Task, reason: str, *, now: datetime, notifications: Sequence[Notification] = ()
) -> Transition:
    """Skip the occurrence that *task* was claimed for: there are no credits for it.

    Args:
        reason: One sentence that says whose credits are used up, and until when.
        notifications: Others to be delivered with the task's own.
    """
    assert task.occurrence is not None  # a claimed task has one
    which = SkippedRange(count=1, first=task.occurrence, last=task.occurrence)
    run = skipped_run(task, which, SkipReason.BUDGET, reason, now=now)
    return complete_occurrence(with_notifications(task, notifications, now=now), run, now=now)


def pause_unreadable(task: Task, reason: str, *, now: datetime) -> Transition:
    """Pause a task whose schedule cannot be read (edited by hand, or by an older version), and notify.

    Saving the task again with a readable schedule resumes it.
    """
    note = f"schedule: {reason}"[:MAX_SUMMARY_CHARS]
    runs: tuple[Run, ...] = ()
    if task.next_occurrence is not None and task.next_occurrence <= now:
        which = SkippedRange(count=1, first=task.next_occurrence, last=task.next_occurrence)
        runs = (skipped_run(task, which, SkipReason.CONFIG, note, now=now),)
    alert = notify_of_pause(task, task.alert, note, now=now)
    alert = schedule_delivery(alert, now=now)
    changes = {
        "status": Status.PAUSED,
        "pause": Pause(note=note, by="scheduler", at=now),
        "last_error": note,
        "claim": None,
        "occurrence": None,
        "attempt": 0,
        "interruptions": 0,
        "retry_at": None,
        "alert": alert,
        "next_run_at": alert.retry_at,
    }
    return Transition(changes, runs)
