"""What follows when a claim has expired: the process that held it died, or overslept."""

from datetime import datetime
from typing import Any

from functions.rules.alerts import paused_notice
from functions.rules.outcome import Run
from functions.rules.pending import appended
from functions.rules.settlement import Settlement, close, spent_with, to_be_told
from functions.rules.task import Task
from functions.rules.watch import undelivered_at
from functions.rules.words import OutcomeKind, Status

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
