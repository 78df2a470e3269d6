"""The page of one task: how it does, when it runs, who is notified, and its history.

Reads: the task, up to `CHART_RUNS` runs for chart and history, 10 entries of the audit trail, and, with a
filter, up to `MAX_RUNS_READ` runs more. Uptime is in the task itself.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL, notify_rules
from functions.domain.heartbeat.model import HEARTBEAT
from functions.domain.history.tally import read_incidents, read_tally
from functions.domain.lifecycle.executions import Execution, executions_of, sort_executions
from functions.domain.lifecycle.upcoming import describe_trigger, preview_task
from functions.domain.run import Run
from functions.domain.schedule.describe import SchedulePreview
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Trigger
from functions.errors import InputError, NotFoundError
from functions.services.access.flow_control import find_wait_reason
from functions.services.access.public_links import task_subject
from functions.services.calendars.loading import load_holidays_for
from functions.services.heartbeats import ping_name
from functions.web.api.addresses import base_url
from functions.web.api.runs import encode_run_id, search_runs
from functions.web.dashboard.admin.removed import is_removed
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.presentation.charts import duration_chart, percent, uptime_bars
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

QueryText = Annotated[str, Query(max_length=100)]

CHART_RUNS = 100
PAGE_RUNS = 25
NEXT_RUNS = 5
PERIODS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@router.get("/tasks/{id}")
async def show_task(
    context: CurrentPage,
    task_id: Annotated[str, Path(alias="id", max_length=100)],
    outcome: QueryText = "",
    trigger: QueryText = "",
    period: QueryText = "",
    search: QueryText = "",
    cursor: QueryText = "",
) -> Response:
    """Show a task, and a page of its history; of one that was removed, the page of the removal."""
    try:
        task = (await context.service.get_task(task_id)).task
    except NotFoundError:
        if await is_removed(context, task_id):
            return redirect(f"/dashboard/removed/{task_id}")
        raise
    await load_holidays_for([task])
    chosen = {"outcome": outcome, "trigger": trigger, "period": period, "search": search}
    is_latest = not cursor and not any(chosen.values())
    latest = await context.service.list_runs(task_id, limit=CHART_RUNS)
    runs, following = latest[:PAGE_RUNS], ""
    if not is_latest or len(latest) > PAGE_RUNS:
        runs, following = await _search_history(context, task_id, chosen, cursor)
    return context.render(
        "task",
        task=task,
        words=describe_trigger(task, context.words.schedule),
        preview=_preview(context, task),
        **_uptime(context, task),
        chart=duration_chart(latest),
        incidents=read_incidents(task.incidents)[:3],
        rules=notify_rules(task),
        default_channel=DEFAULT_CHANNEL,
        open_channels=context.dependencies.channels.open_channels(),
        current=_list_current(context, task) if is_latest else [],
        runs=[(run, encode_run_id(run)) for run in runs],
        more=following,
        cursor=cursor,
        chosen=chosen,
        outcomes=list(OutcomeKind),
        triggers=list(Trigger),
        periods=list(PERIODS),
        trail=await context.service.audit_trail(task_id, limit=10),
        warnings=await context.dependencies.find_warnings(task),
        ping=await _ping_address(context, task),
        badge=await context.request.app.state.public_links.sign_name("badge", task_subject(task)),
        waiting=await find_wait_reason(context.dependencies.store, task, now=context.dependencies.now()),
    )


async def _search_history(
    context: PageContext, task_id: str, chosen: Mapping[str, str], cursor: str
) -> tuple[list[Run], str]:
    """Return a page of the runs that *chosen* describes, and the cursor of the next; empty on the last."""
    period = PERIODS.get(chosen["period"])
    runs, following = await search_runs(
        context.service,
        task_id,
        limit=PAGE_RUNS,
        span=(context.dependencies.now() - period if period else None, None),
        cursor=cursor or None,
        matches=run_filter(chosen["outcome"], chosen["trigger"], chosen["search"]),
    )
    return runs, following or ""


def _uptime(context: PageContext, task: Task) -> dict[str, Any]:
    """Return the shares of successful runs, and the bars of hours and days."""
    tally = read_tally(task.tally, now=context.dependencies.now())
    shares = (("24 h", tally.share_of_hours), *((f"{n} d", tally.share_of_days(n)) for n in (7, 30, 90)))
    return {
        "shares": [(name, percent(share)) for name, share in shares],
        "hours": uptime_bars(tally.hours),
        "days": uptime_bars(tally.days),
    }


async def _ping_address(context: PageContext, task: Task) -> str:
    """Return the address that a heartbeat's program calls; empty for others, and for who may not know."""
    if task.type != HEARTBEAT or not context.service.principal.has_scope("run"):
        return ""
    signer = context.dependencies.signer
    return f"{base_url(context.request)}/ping/{await ping_name(signer, task)}" if signer.is_ready else ""


def _list_current(context: PageContext, task: Task) -> list[Execution]:
    """Return what has not finished, for the top of the history."""
    return sort_executions(executions_of(task, now=context.dependencies.now()))


def run_filter(outcome: str, trigger: str, search: str) -> Callable[[Run], bool] | None:
    """Return whether a run has this outcome and trigger, and all words of *search* in its summary."""
    words = search.casefold().split()
    if not (outcome or trigger or words):
        return None

    def matches(run: Run) -> bool:
        summary = run.summary.casefold() if words else ""
        return (
            (not outcome or run.outcome == outcome)
            and (not trigger or run.trigger == trigger)
            and all(word in summary for word in words)
        )

    return matches


def _preview(context: PageContext, task: Task) -> SchedulePreview | str | None:
    if not task.schedule:
        return None
    try:
        return preview_task(
            task, now=context.dependencies.now(), count=NEXT_RUNS, words=context.words.schedule
        )
    except InputError as exc:
        return str(exc)
