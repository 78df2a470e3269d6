"""What becomes of a task that cannot be attempted as it is written."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from functions.rules.alerts import paused_notice
from functions.rules.notice import Notice
from functions.rules.outcome import Run
from functions.rules.pending import appended
from functions.rules.records import skip_run
from functions.rules.settlement import Settlement, carrying, close, to_be_told
from functions.rules.task import SUMMARY_CHARS, Missed, Pause, Task
from functions.rules.verdict import Start
from functions.rules.words import SkipReason, Status


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
