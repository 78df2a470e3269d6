"""In what order due tasks are started when a tick cannot start them all at once."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from functions.rules.storage import Stored
from functions.rules.words import Priority

# How much lateness a priority is worth. Lateness grows and this does not, so nothing starves: a low task
# ten minutes late goes before an urgent one that is due now.
HEAD_START = {
    Priority.URGENT: timedelta(minutes=10),
    Priority.HIGH: timedelta(minutes=5),
    Priority.MEDIUM: timedelta(minutes=2),
    Priority.LOW: timedelta(0),
}


def ranked(tasks: Iterable[Stored], *, now: datetime) -> list[Stored]:
    """*tasks*, the one to be started first in front."""

    def standing(stored: Stored) -> tuple[timedelta, str]:
        task = stored.task
        lateness = now - task.next_run_at if task.next_run_at else timedelta(0)
        return -(lateness + HEAD_START[task.priority]), task.id

    return sorted(tasks, key=standing)
