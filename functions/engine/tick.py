"""The order of one tick: fetch, decide, claim, run, write, notify, report."""

import asyncio
import logging

from functions.domain.capacity.time_budget import Deadline, TimeBudget
from functions.domain.storage import QUERY_LIMIT
from functions.engine.report import TickReport
from functions.interfaces import TickDependencies

log = logging.getLogger(__name__)


async def tick(dependencies: TickDependencies, budget: TimeBudget) -> TickReport:
    """Run what is due, once, and return the report.

    1. Fetch the tasks that are due, the most urgent first.
    2. Decide for each: an attempt, a transition without one, or the recovery of an expired claim.
    3. Claim no more than can start at once, or very soon; only a task whose claim is won runs.
    4. Run, each attempt under its own deadline.
    5. Write results in batches as they arrive, run records first.
    6. Notify: one message per channel, and others while attempts run for long.
    7. Report.

    Steps 1 to 5 overlap: while attempts run, results are written and further tasks are claimed.

    Raises:
        StoreUnavailableError: The store could not be reached; what was running was written where possible.
        StoreError: The store refused.
    """
    report = TickReport()
    deadline = Deadline(dependencies.clock(), budget)
    with dependencies.store.count_operations() as operations:
        first = await dependencies.store.fetch_due(deadline.started_at, limit=QUERY_LIMIT)
        if first.tasks or first.invalid:
            from functions.engine.steps import Steps  # 40 ms of a cold start, and most ticks find nothing

            steps = Steps(dependencies, deadline, first, report)
            del first  # its tasks are replaced as they are claimed: kept, a thousand take 3 MB more
            try:
                await steps.start_due_tasks()
                await steps.finish_attempts()
                await steps.notify()
            finally:
                # A task of its own: in one that is cancelled, timeouts raise no TimeoutError on Python 3.11.
                await asyncio.create_task(steps.shut_down())
            steps.raise_failure()
    report.operations = operations
    report.duration_ms = round(deadline.elapsed(dependencies.clock()).total_seconds() * 1000)
    log.info("tick_done", extra=report.as_json())
    return report
