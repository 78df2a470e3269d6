"""What follows when a claim has expired: the process that held it died, or overslept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.decide import paused_notice
from functions.domain.alerts.model import Notice
from functions.domain.alerts.outbox import appended
from functions.domain.alerts.overdue import undelivered_at
from functions.domain.lifecycle.complete import Settlement, carrying, close, spent_with, to_be_told
from functions.domain.lifecycle.decide import Start
from functions.domain.lifecycle.run_records import skip_run
from functions.domain.run import Run
from functions.domain.task import SUMMARY_CHARS, Missed, Pause, Task
from functions.domain.types import OutcomeKind, SkipReason, Status

CRASH_LIMIT = 3  # claims in a row that expired without a result; then a person must look


def recover(task: Task, recorded: Run | None, *, now: datetime) -> Settlement:
    """Settle a claim that expired: from its record when there is one, as abandoned when there is none.

    An abandoned occurrence is tried again at once, for the work may not have happened; unless the task
    asks for at most one try, somebody cancelled it, or it took the process with it too often.
    """
    idle = task.model_copy(update={"claim": None})  # nothing ran since: what came meanwhile did not overlap
    if recorded is not None:
        if recorded.final:
            return close(idle, recorded, now=now)
        again = _again(task, recorded, now=now, crashes=0)
        return Settlement(again | spent_with(task, recorded), ())
    run = _abandoned(task, now=now)
    crashes = task.crashes + 1
    if crashes >= CRASH_LIMIT:
        return _quarantine(idle, run, now=now)
    if task.delivery == "at_most_once" or task.cancel_requested:
        return close(idle, run, now=now)
    run = run.model_copy(update={"final": False})
    return Settlement(_again(task, run, now=now, crashes=crashes), (run,))


def _again(task: Task, run: Run, *, now: datetime, crashes: int) -> dict[str, Any]:
    return {
        "last_outcome": run.outcome,
        "last_error": run.summary,
        "status": Status.RETRYING,
        "retry_at": now,
        "next_run_at": now,
        "claim": None,
        "crashes": crashes,
    }


def _abandoned(task: Task, *, now: datetime) -> Run:
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
    )


def _quarantine(task: Task, run: Run, *, now: datetime) -> Settlement:
    settlement = close(task, run, now=now)
    note = f"Stopped: {CRASH_LIMIT} attempts in a row ended with the process that ran them"
    alert = appended(settlement.changes["alert"], paused_notice(task, note, now=now))
    changes = dict(settlement.changes) | {
        "status": Status.QUARANTINED,
        "last_error": note,
        "crashes": CRASH_LIMIT,
        "alert": to_be_told(alert, now=now),
    }
    changes["next_run_at"] = undelivered_at(task.model_copy(update=changes))
    return Settlement(changes, settlement.runs)


# What becomes of a task that cannot be attempted as it is written.


def too_long(task: Task, start: Start, *, longest: timedelta | None, now: datetime) -> Settlement:
    """Skip the occurrence *start* would attempt: no tick is long enough for it."""
    room_s = longest.total_seconds() if longest else 0
    summary = (
        f"timeoutSeconds is {task.timeout_seconds:g}, but a tick here has room for "
        f"{room_s:g} s; shorten it, raise TICK_BUDGET_SECONDS or set WORKER_QUEUE"
    )
    claimed = task.model_copy(update=dict(start.changes))
    assert claimed.occurrence is not None  # a start always has one in hand
    which = Missed(count=1, first=claimed.occurrence, last=claimed.occurrence)
    run = skip_run(task, which, SkipReason.BUDGET, summary, now=now)
    return close(claimed, run, now=now)


def over_budget(task: Task, reason: str, *, now: datetime, notices: Sequence[Notice] = ()) -> Settlement:
    """Skip the occurrence that *task* was claimed for: there are no credits for it.

    Args:
        reason: One sentence that says whose credits are used up, and until when.
        notices: What people are to be told besides.
    """
    assert task.occurrence is not None  # a claimed task has one in hand
    which = Missed(count=1, first=task.occurrence, last=task.occurrence)
    run = skip_run(task, which, SkipReason.BUDGET, reason, now=now)
    return close(carrying(task, notices, now=now), run, now=now)


def unreadable(task: Task, reason: str, *, now: datetime) -> Settlement:
    """Pause a task whose schedule cannot be read (edited by hand, or by an older version), and tell.

    Nothing that needs the schedule is asked here. Saving the task again with a good one resumes it.
    """
    note = f"schedule: {reason}"[:SUMMARY_CHARS]
    runs: tuple[Run, ...] = ()
    if task.upcoming is not None and task.upcoming <= now:
        which = Missed(count=1, first=task.upcoming, last=task.upcoming)
        runs = (skip_run(task, which, SkipReason.CONFIG, note, now=now),)
    alert = appended(task.alert, paused_notice(task, note, now=now))
    alert = to_be_told(alert, now=now)
    changes = {
        "status": Status.PAUSED,
        "pause": Pause(note=note, by="scheduler", at=now),
        "last_error": note,
        "claim": None,
        "occurrence": None,
        "attempt": 0,
        "retry_at": None,
        "alert": alert,
        "next_run_at": alert.retry_at,
    }
    return Settlement(changes, runs)
