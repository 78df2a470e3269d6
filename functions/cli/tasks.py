"""The commands about tasks, runs, schedules and ticks, those that change tasks included."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.cli.arguments.filters import MAX_SEARCHED_RUNS, TaskQuery
from functions.cli.arguments.moments import Moment, resolve_end, resolve_span
from functions.cli.console import Cell, Screen, replace_unprintable
from functions.cli.options import format_duration, format_local, relative_time
from functions.cli.session import CliContext, ending_in_order
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.executions import Execution
from functions.domain.lifecycle.upcoming import describe_trigger, next_run
from functions.domain.run import Run
from functions.domain.schedule.describe import (
    CLOCK_CHANGE_HORIZON,
    UNBOUNDED,
    PreviewBounds,
)
from functions.domain.schedule.parse import Schedule, parse_schedule
from functions.domain.storage import TaskFilter
from functions.domain.task import Group, Task
from functions.domain.types import OutcomeKind, Status, format_instant
from functions.errors import InputError, NotFoundError
from functions.services import task_commands
from functions.services.calendars.preview import read_days
from functions.task_types.registry import example_params, type_names
from functions.taskfiles.schema import params_schema_of, render_schema, task_file_schema

ANY = TaskQuery()
NO_TASKS = "There are no tasks yet: scheduler create makes one, scheduler apply samples/online.yaml some"
NO_MATCH = "No task matches"
NO_OTHER = "There is no other task"  # than those that cannot be read
PAGE_SIZE = 500  # documents read for those that are no valid tasks
STATUS_COLOURS = {
    Status.RUNNING: "green",
    Status.RETRYING: "yellow",
    Status.PAUSED: "yellow",
    Status.QUARANTINED: "red",
}
OUTCOME_COLOURS = {OutcomeKind.SUCCEEDED: "green", OutcomeKind.SKIPPED: "dim", OutcomeKind.CANCELLED: "dim"}


async def list_tasks(context: CliContext, *, query: TaskQuery = ANY) -> int:
    """Show the tasks that match *query*, by id."""
    now = context.now()
    page = await context.store.list_tasks(TaskFilter(), limit=PAGE_SIZE)
    tasks = await query.find_tasks(
        context.store, since=query.resolve_since(now, context.settings.default_timezone)
    )
    rows = [
        (
            task.id,
            Cell(task.status, STATUS_COLOURS.get(task.status, "")),
            format_local(next_run(task, now=now), task.timezone),
            _last_outcome_cell(task),
            task.schedule or describe_trigger(task),
            task.title,
        )
        for task in tasks
    ]
    lines = context.screen.format_table(("TASK", "STATUS", "NEXT RUN", "LAST", "SCHEDULE", "TITLE"), rows)
    for invalid in page.invalid:
        context.screen.warn(f"{invalid.id} cannot be read: {invalid.reason}")
    for line in [] if tasks else await query.explain_nothing(context.store):
        context.screen.note(line)
    context.screen.show(
        [task_to_json(task) | {"nextRun": _format_optional(next_run(task, now=now))} for task in tasks],
        lines if tasks else [NO_MATCH if query else NO_OTHER if page.invalid else NO_TASKS],
    )
    context.show_store()
    return 0


async def show_task(context: CliContext, *, task_id: str) -> int:
    """Show one task with all its fields."""
    task = await context.get_task(task_id)
    waiting = await context.find_wait_reason(task)
    data = task_to_json(task) | ({"waiting": waiting} if waiting else {})
    lines = [*_task_lines(context.screen, task, now=context.now()), *([waiting] if waiting else [])]
    context.screen.show(data, lines)
    return 0


async def show_runs(context: CliContext, *, task_id: str | None, limit: int, query: TaskQuery = ANY) -> int:
    """Show the newest runs that match, of one task or of all; those of a removed task as well."""
    since = query.resolve_since(context.now(), context.settings.default_timezone)
    runs, is_cut = await query.find_runs(context.store, task_id=task_id, since=since, limit=limit)
    current = [] if query else await _find_current(context, task_id, has_runs=bool(runs))
    none = "No run matches" if query else "There are no runs yet"
    for line in [] if runs else await query.explain_nothing(context.store):
        context.screen.note(line)
    context.screen.show(
        [execution_to_json(one) for one in current] + [run_to_json(run) for run in runs],
        format_runs(context.screen, runs, current=current, now=context.now()) if runs or current else [none],
    )
    if is_cut:
        context.screen.warn(f"only the newest {MAX_SEARCHED_RUNS} runs were searched; narrow it with --since")
    context.show_store()
    return 0


async def _find_current(context: CliContext, task_id: str | None, *, has_runs: bool) -> list[Execution]:
    """Return what has not finished; nothing of a task that was removed and has runs."""
    try:
        return await context.executions(task_id or "")
    except NotFoundError:
        if has_runs or task_id is None:
            return []
        await context.get_task(task_id)
        raise


async def show_status(context: CliContext) -> int:
    """Show the figures of `GET /status`."""
    return show_figures(context, await context.app.status())


def show_figures(context: CliContext, figures: Mapping[str, Any]) -> int:
    """Show *figures*; return the exit code."""
    names = {
        "status": "status",
        "scheduledTasks": "tasks scheduled",
        "tasksCurrentlyDue": "due now",
        "lastTickAt": "last tick",
        "timestamp": "now",
        "problem": "problem",
    }
    lines = [
        f"{name:<16} {'never' if figures[key] is None else figures[key]}"
        for key, name in names.items()
        if key != "problem" or key in figures
    ]
    context.screen.show(figures, lines)
    context.show_store()
    return 0


async def list_types(context: CliContext, *, type_name: str) -> int:
    """Show the task types, each with an example of its params; of one type all its params."""
    context.load_task_types()
    types = {name: example_params(name) for name in ([type_name] if type_name else type_names())}
    rows = [(name, json.dumps(params, ensure_ascii=False)) for name, params in types.items()]
    lines = context.screen.format_table(("TYPE", "EXAMPLE OF PARAMS"), rows)
    if type_name:
        fields = params_schema_of(type_name).get("properties", {})
        about = [(name, field.get("description", "")) for name, field in fields.items()]
        lines += ["", *context.screen.format_table(("PARAM", "DESCRIPTION"), about)] if about else []
    context.screen.show([{"type": name, "params": params} for name, params in types.items()], lines)
    return 0


async def show_schema(context: CliContext, *, type_name: str) -> int:
    """Print the JSON Schema of task files, or of the params of one type."""
    context.load_task_types()
    schema = params_schema_of(type_name) if type_name else task_file_schema()
    context.screen.write_line(render_schema(schema).rstrip())
    return 0


def format_runs(
    screen: Screen, runs: Sequence[Run], *, current: Sequence[Execution] = (), now: datetime | None = None
) -> list[str]:
    """Return *runs* as lines of a table, in UTC because the tasks are in many zones.

    Args:
        current: What has not finished, to show first.
        now: For what runs; needed with *current*.
    """
    rows = [_execution_cells(one, now) for one in current if now is not None]
    rows += [
        (
            format_local(run.finished_at.replace(microsecond=0), "UTC"),
            run.task_id,
            Cell(_outcome_text(run), OUTCOME_COLOURS.get(run.outcome, "red" if run.final else "yellow")),
            f"{run.duration_ms} ms" if run.attempt else "",
            run.summary,
        )
        for run in runs
    ]
    return screen.format_table(("FINISHED", "TASK", "OUTCOME", "TOOK", "SUMMARY"), rows)


EXECUTION_COLOURS = {"running": "green", "retrying": "yellow", "queued": "dim"}


def _execution_cells(one: Execution, now: datetime) -> tuple[str, str, Cell, str, str]:
    took = format_duration(now - one.started_at) if one.started_at else ""
    match one.state:
        case "running":
            note = f"attempt {one.attempt}"
        case "retrying":
            note = f"attempt {one.attempt} at {format_local(one.next_attempt_at, 'UTC')}"
        case _:
            note = f"{one.trigger}, waits for a tick"
    return "-", one.task_id, Cell(one.state, EXECUTION_COLOURS[one.state]), took, note


def execution_to_json(one: Execution) -> dict[str, Any]:
    """Return *one* as JSON values, with the names that runs have; it has no outcome yet."""
    return {**one.model_dump(mode="json", by_alias=True), "outcome": None, "finishedAt": None}


def task_to_json(task: Task) -> dict[str, Any]:
    """Return *task* as JSON values, with the names of task files; last outcomes are a list, as in the API."""
    whole = task.model_dump(mode="json", by_alias=True, exclude={"recent"})
    return whole | {"recent": task.recent.splitlines()}


def _format_optional(at: datetime | None) -> str | None:
    return format_instant(at) if at else None


def run_to_json(run: Run) -> dict[str, Any]:
    """Return *run* as JSON values."""
    return {**run.model_dump(mode="json", by_alias=True), "state": "finished"}


def _outcome_text(run: Run) -> str:
    if run.outcome is OutcomeKind.SKIPPED:
        many = f" x{run.count}" if run.count > 1 else ""
        return f"skipped ({run.skip_reason}){many}"
    return str(run.outcome) if run.final else f"{run.outcome}, retrying"


def _last_outcome_cell(task: Task) -> Cell:
    if task.last_outcome is None:
        return Cell("-", "")
    return Cell(str(task.last_outcome), OUTCOME_COLOURS.get(task.last_outcome, "red"))


def _task_lines(screen: Screen, task: Task, *, now: datetime) -> Iterator[str]:
    yield f"{task.id}  {replace_unprintable(task.title)}"
    rows = [(name, text) for name, text in _task_rows(task, now=now) if text]
    yield from (
        f"  {screen.paint(f'{name:<12}', 'dim')} {' '.join(replace_unprintable(text).split())}"
        for name, text in rows
    )


def _group_text(group: Group) -> str:
    running = f"{group.max_concurrent} at once" if group.max_concurrent else ""
    starting = f"{group.per_minute} a minute" if group.per_minute else ""
    return f"{group.name}: {', '.join(filter(None, (running, starting)))}"


def _task_rows(task: Task, *, now: datetime) -> Iterable[tuple[str, str]]:
    upcoming = next_run(task, now=now)
    yield "about", task.description
    yield "type", task.type
    yield "params", json.dumps(task.params, ensure_ascii=False) if task.params else ""
    yield "schedule", f"{task.schedule} ({task.timezone})" if task.schedule else ""
    has_days = task.excluded or task.on_excluded != "skip"
    yield "starts", describe_trigger(task) if task.has_event_triggers or has_days else ""
    yield "then", ", ".join(f"{one.task} ({one.on})" for one in task.dependents)
    yield "status", task.status
    yield "group", _group_text(task.group) if task.group else ""
    if task.pause is not None:
        until = f" until {format_local(task.pause.until, task.timezone)}" if task.pause.until else ""
        yield "pause", f"by {task.pause.by or 'unknown'}{until}: {task.pause.note or 'no note'}"
    if task.retry_at is not None:
        tried = f"attempt {task.attempt} of {task.retry.max_attempts} failed"
        yield "next try", f"{_when(task.retry_at, task, now=now)}; {tried}"
    yield "next run", _when(upcoming, task, now=now)
    if task.last_run_at is not None:
        took = "" if task.last_duration_ms is None else f", {task.last_duration_ms} ms"
        yield "last run", f"{format_local(task.last_run_at, task.timezone)}: {task.last_outcome}{took}"
    yield "result", task.last_result_summary
    yield "error", task.last_error if task.is_failing else ""
    bound = "" if task.max_runs is None else f" of {task.max_runs}"
    yield "runs", f"{task.run_count}{bound} by its schedule, {task.consecutive_failures} failed in a row"
    yield "waiting", ", ".join(format_local(extra.at, task.timezone) for extra in task.backlog)
    yield "priority", task.priority
    yield "tags", ", ".join(task.tags)
    yield "from", task.origin


def _when(at: datetime | None, task: Task, *, now: datetime) -> str:
    return f"{format_local(at, task.timezone)} ({relative_time(at, now)})" if at else "-"


# The command `next`: the occurrences of a schedule. It needs no store.

MAX_OCCURRENCES = 10_000


async def show_next(
    context: CliContext,
    *,
    expression: str,
    timezone: str | None,
    after: Moment | None,
    count: int,
    anchor: Moment | None,
    start: Moment | None = None,
    end: Moment | None = None,
    max_runs: int | None = None,
    task_id: str,
    excluded: Sequence[str] = (),
    on_excluded: str = "skip",
) -> int:
    """Show the *count* occurrences strictly later than *after*, within the bounds of a task.

    Args:
        timezone: None means `DEFAULT_TIMEZONE`.
        after: None means now.
        anchor: What an interval without *start* counts from; None means *after*.
        start: `startAt` of a task: no occurrence before it, and intervals count from it.
        end: `endAt`: no occurrence after it.
        max_runs: How many runs are left; None means no limit.
        task_id: `H` is derived from it; empty when the expression has none.
        excluded: `except` of a task; the store is read where it names calendars.

    Raises:
        InputError: The expression, the zone or the count cannot be used.
    """
    if not 1 <= count <= MAX_OCCURRENCES:
        raise InputError(f"--count: must be from 1 to {MAX_OCCURRENCES}")
    zone = timezone or context.settings.default_timezone
    now = context.now().replace(microsecond=0)
    since = after.resolve(now, zone) if after else now
    begin, end_at, counted = (one.resolve(now, zone) if one else None for one in (start, end, anchor))
    bounds = PreviewBounds(begin, end_at, counted, max_runs).check()
    schedule = parse_schedule(
        expression,
        timezone=zone,
        task_id=task_id,
        anchor=begin or counted or since,
        days=(await read_days(lambda: context.store, excluded, on_excluded)).rule,
    )
    found = list(bounds.occurrences(schedule, since, count))
    context.screen.show(
        [format_instant(at) for at in found],
        _occurrence_lines(context, schedule, found, start=since, zone=zone, bounds=bounds),
    )
    return 0


def _occurrence_lines(
    context: CliContext,
    schedule: Schedule,
    found: list[datetime],
    *,
    start: datetime,
    zone: str,
    bounds: PreviewBounds,
) -> Iterator[str]:
    if not found:
        within = " within its bounds" if bounds != UNBOUNDED else ""
        yield f"There is no occurrence after {format_instant(start)}{within}"
        return
    columns = 1 if zone.upper() == "UTC" else 2
    rows = [(format_local(at, zone), format_instant(at))[:columns] for at in found]
    yield from context.screen.format_table((zone.upper(), "UTC")[:columns], rows)
    for change in schedule.clock_changes(start, max(found[-1], start + CLOCK_CHANGE_HORIZON)):
        yield context.screen.paint(f"{format_local(change.instant, zone)}: {change.text}", "yellow")


# The command `tick`: one tick in this process, with its runs and its report.

NO_LIMIT = TimeBudget(start_limit=None, response_limit=None)  # no HTTP client waits for the response
MAX_RUNS = 200
REPORT_LABELS = {
    "due": "due",
    "started": "started",
    "succeeded": "succeeded",
    "failed": "failed",
    "retrying": "retrying",
    "skipped": "skipped",
    "postponed": "postponed",
    "lostClaims": "claimed by another tick",
    "unclaimed": "that the store let nobody claim",
    "unwritten": "whose result the store did not take",
    "unreadable": "unreadable",
    "lostNotices": "notices that reached nobody",
}
FAILURE_FIELDS = ("failed", "retrying", "unreadable", "unwritten", "unclaimed", "lostNotices")


async def run_tick(context: CliContext) -> int:
    """Run what is due, once; 1 when one failed, a task could not be read, or a notice reached nobody."""
    started_at = context.now()
    with ending_in_order(), context.screen.show_progress("Running due tasks"):
        report = await context.app.tick(NO_LIMIT)
    return await show_report(context, report, since=started_at)


async def show_report(context: CliContext, report: Mapping[str, Any], *, since: datetime) -> int:
    """Show the *report* of a tick that began at *since*, with its runs; return the exit code."""
    runs = await context.store.runs(since=since, limit=MAX_RUNS)
    context.screen.show(report, _report_lines(context.screen, report, list(reversed(runs))))
    return 1 if any(report.get(name) for name in FAILURE_FIELDS) else 0


def format_report(report: Mapping[str, Any]) -> str:
    """Return a tick's report in one line, without its zeros but for `due`.

    Example: `3 due, 2 started, 2 succeeded, 1 claimed by another tick; 0.41 s`.
    """
    counts = {**report, "lostClaims": report.get("lostClaims", 0) - report.get("unclaimed", 0)}
    figures = [
        f"{counts[name]} {label}"
        for name, label in REPORT_LABELS.items()
        if counts.get(name) or name == "due"
    ]
    return f"{', '.join(figures)}; {report.get('durationMs', 0) / 1000:.2f} s"


def _report_lines(screen: Screen, report: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    if runs:
        yield from format_runs(screen, runs)
        yield ""
    yield f"Tick: {format_report(report)}"


# The commands that control tasks: `pause`, `resume`, `cancel` and `backfill`; `run` is in `cli.run`.

PRINCIPAL_NAME = "command line"


async def pause_task(context: CliContext, *, task_id: str, note: str, until: Moment | None) -> int:
    """Pause a task until *until*, a time on the clock of the task, or until it is resumed."""
    zone = (await context.get_task(task_id)).timezone if until else "UTC"
    task = await task_commands.pause_task(
        context.store,
        task_id,
        note=note,
        until=resolve_end(until, context.now(), zone),
        by=PRINCIPAL_NAME,
        now=context.now(),
        new_id=context.new_id,
    )
    return show_task_result(context, task, paused_text(task))


async def resume_task(context: CliContext, *, task_id: str, catch_up: bool) -> int:
    """End a pause or a quarantine."""
    task = await task_commands.resume_task(
        context.store, task_id, catch_up=catch_up, now=context.now(), new_id=context.new_id
    )
    return show_task_result(context, task, resumed_text(task, now=context.now()))


async def cancel_task(context: CliContext, *, task_id: str) -> int:
    """Cancel the current occurrence."""
    task = await task_commands.cancel_task(context.store, task_id, now=context.now(), new_id=context.new_id)
    return show_task_result(context, task, cancelled_text(task))


def cancelled_text(task: Task) -> str:
    """Return what became of `cancel`."""
    return f"{task.id} " + ("stops within seconds" if task.cancel_requested else "is cancelled")


async def backfill_task(
    context: CliContext, *, task_id: str, first: Moment, until: Moment, dry_run: bool
) -> int:
    """Request runs of past occurrences that have not succeeded."""
    zone, now = (await context.get_task(task_id)).timezone, context.now()
    start, end = resolve_span(first, until, now, zone)
    occurrences = await task_commands.backfill_task(
        context.store,
        task_id,
        first=start,
        until=end,
        now=now,
        new_id=context.new_id,
        dry_run=dry_run,
    )
    return show_backfill(context, task_id, [format_instant(at) for at in occurrences], dry_run=dry_run)


def show_backfill(context: CliContext, task_id: str, instants: Sequence[str], *, dry_run: bool) -> int:
    """Show which occurrences `backfill` runs; return the exit code."""
    done = "would run" if dry_run else "run at the next ticks"
    noun = "occurrence" if len(instants) == 1 else "occurrences"
    lines = [f"{len(instants)} {noun} of {task_id} {done}", *(f"  {at}" for at in instants)]
    context.screen.show(instants, lines)
    return 0


def paused_text(task: Task) -> str:
    """Return what became of `pause`."""
    until = task.pause.until if task.pause else None
    end = f"until {format_local(until, task.timezone)}" if until else "until it is resumed"
    return f"{task.id} is paused {end}"


def resumed_text(task: Task, *, now: datetime) -> str:
    """Return what became of `resume`."""
    return f"{task.id} is resumed; next run {format_local(next_run(task, now=now), task.timezone)}"


def show_task_result(context: CliContext, task: Task, text: str) -> int:
    """Show *task* or *text*; return the exit code."""
    context.screen.show(task_to_json(task), [text])
    return 0
