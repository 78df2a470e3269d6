"""Budgets: how long a request may work, by what is known of who waits for the answer."""

from collections.abc import Mapping
from datetime import timedelta

from functions.rules.hours import Budget
from functions.web.callers import Caller, GoogleCaller

FINISHING = timedelta(seconds=6)  # between the last start and the answer
WORKER_FINISHING = timedelta(seconds=10)
SCHEDULER_BUDGET = Budget(stop_starting=timedelta(seconds=45), answer_by=timedelta(seconds=52))


def budget_for(caller: Caller, headers: Mapping[str, str], *, answer_by: timedelta) -> Budget:
    """Return the time a tick has. Cloud Scheduler waits a minute; nobody else is known to wait over 30 s.

    Args:
        caller: Only a caller with an ID token is believed to be Cloud Scheduler.
        headers: Of the request, by lower-case names.
        answer_by: What everybody else gets, at least half of it for starting work.
    """
    if isinstance(caller, GoogleCaller) and headers.get("x-cloudscheduler", "").lower() == "true":
        return SCHEDULER_BUDGET
    return Budget(stop_starting=max(answer_by - FINISHING, answer_by / 2), answer_by=answer_by)


def shortened(budget: Budget, *, by: timedelta) -> Budget:
    """Return what is left of *budget* when *by* has passed; never less than nothing."""

    def left(limit: timedelta | None) -> timedelta | None:
        return None if limit is None else max(limit - by, timedelta())

    return Budget(stop_starting=left(budget.stop_starting), answer_by=left(budget.answer_by))


def worker_budget(answer_by: timedelta) -> Budget:
    """Return the time a worker has."""
    return Budget(stop_starting=answer_by - WORKER_FINISHING, answer_by=answer_by)
