"""The commands about task files: `apply`, `plan` and `cost`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.cli.console import Cell, Screen
from functions.cli.options import format_count, format_local
from functions.cli.rehearsals import rehearse_changes, summaries_of
from functions.cli.session import CliContext
from functions.domain.costs.pricing import (
    ASSUMPTIONS,
    FIXED_COSTS,
    CostEstimate,
    CostItem,
    FixedCost,
    estimate_change,
    estimate_costs,
)
from functions.domain.lifecycle.edit import new_task
from functions.domain.schedule.days.entries import calendar_names
from functions.domain.storage import TaskFilter
from functions.domain.task import Task, TaskCalendar
from functions.domain.types import format_instant
from functions.domain.validation import FileProblem
from functions.errors import InputError
from functions.services.apply import FILE_ORIGIN, PlannedChange, TaskSource, apply_plan
from functions.services.calendars.book import resolve_calendars
from functions.services.calendars.files import calendars_for
from functions.services.paging import all_tasks
from functions.taskfiles.loader import STANDARD_INPUT, LoadResult, read_task_files

# The command `cost`, and the line about cost in `plan`: the price of tasks on Google Cloud.


async def show_cost(context: CliContext, *, paths: Sequence[Path]) -> int:
    """Show what the tasks of the files cost, or those of the store when none are given."""
    now = context.now()
    if paths:
        loaded = read_task_files(paths, default_timezone=context.settings.default_timezone)
        if loaded.problems:
            context.screen.show({"problems": [asdict(problem) for problem in loaded.problems]}, ())
            context.screen.warn("\n".join(str(problem) for problem in loaded.problems))
            return 2
        tasks = await _to_new_tasks(context, loaded, now=now)
    else:
        tasks = await _stored_tasks(context)
    at_once, deferred = estimate_costs(tasks, now=now)
    cost = deferred if context.settings.settlements == "deferred" else at_once
    context.screen.show(
        {
            "tasks": len(tasks),
            **cost_to_json(cost),
            "deferred": cost_to_json(deferred),
            "fixed": [_fixed_to_json(item) for item in FIXED_COSTS],
            "assumptions": list(ASSUMPTIONS),
        },
        _cost_lines(context.screen, len(tasks), cost, deferred),
    )
    return 0


async def plan_costs(
    context: CliContext, loaded: LoadResult, changes: Sequence[PlannedChange]
) -> tuple[CostEstimate, CostEstimate]:
    """Return the cost of the stored tasks, and of those after *changes* made them match the files."""
    now = context.now()
    before = await _stored_tasks(context)
    replaced = {change.id for change in changes if change.action == "remove"} | set(loaded.paths)
    new = await _to_new_tasks(context, loaded, now=now)
    after = [task for task in before if task.id not in replaced] + new
    defers = context.settings.settlements == "deferred"
    return estimate_change(before, after, now=now, defers=defers)


def cost_change_line(before: CostEstimate, after: CostEstimate) -> str:
    """Return both in one line: runs, the most used part of the free tier, and the price."""
    fullest = max(after.items, key=lambda item: item.fraction_of_free)
    [earlier] = [item for item in before.items if item.name == fullest.name]
    return "cost: " + ", ".join(
        (
            f"{_format_number(before.runs_per_day)} → {_format_number(after.runs_per_day)} runs a day",
            f"{earlier.fraction_of_free:.1%} → {fullest.fraction_of_free:.1%} of the free {fullest.name}",
            f"{before.usd_per_month:.2f} → {after.usd_per_month:.2f} USD a month",
        )
    )


def cost_to_json(cost: CostEstimate) -> dict[str, Any]:
    """Return *cost* as JSON values."""
    return {
        "runsADay": round(cost.runs_per_day, 2),
        "usdAMonth": round(cost.usd_per_month, 2),
        "items": [_item_to_json(item) for item in cost.items],
    }


def _item_to_json(item: CostItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "aDay": round(item.per_day, 2),
        "aMonth": round(item.per_month, 2),
        "freeADay": round(item.free_per_day, 2),
        "shareOfFree": round(item.fraction_of_free, 4),
        "usdPerMillion": item.usd_per_million,
        "usdAMonth": round(item.usd_per_month, 2),
    }


def _fixed_to_json(item: FixedCost) -> dict[str, Any]:
    return {
        "name": item.name,
        "amount": item.amount,
        "free": item.free,
        "usdEach": item.usd_each,
        "usdAMonth": round(item.usd_per_month, 2),
    }


def _deferral_line(cost: CostEstimate, deferred: CostEstimate) -> str:
    """Return what the other setting would save; empty where it saves nothing."""
    [now, then] = [
        next(item for item in one.items if item.name == "Firestore writes") for one in (cost, deferred)
    ]
    if then.per_day >= now.per_day:
        return ""
    return (
        f"with SETTLEMENTS=deferred: {_format_number(then.per_day)} writes a day, "
        f"{then.fraction_of_free:.1%} of the free tier, {deferred.usd_per_month:.2f} USD a month"
    )


def _cost_lines(screen: Screen, tasks: int, cost: CostEstimate, deferred: CostEstimate) -> Iterator[str]:
    many, runs = format_count(tasks, "task"), _format_number(cost.runs_per_day)
    yield f"{many}, {runs} runs a day: {cost.usd_per_month:.2f} USD a month"
    rows = [
        (
            item.name,
            _format_number(item.per_day),
            _format_number(item.per_month),
            f"{item.fraction_of_free:.1%}" if item.free_per_day else "none is free",
            f"{item.usd_per_million:.2f}",
            f"{item.usd_per_month:.2f}",
        )
        for item in cost.items
    ]
    head = ("WHAT", "A DAY", "A MONTH", "OF FREE TIER", "USD A MILLION ABOVE", "USD A MONTH")
    yield from screen.format_table(head, rows)
    if line := _deferral_line(cost, deferred):
        yield line
    yield "beside them, whether tasks run or not, in USD a month:"
    for fixed in FIXED_COSTS:
        yield f"  {fixed.usd_per_month:.2f} for {fixed.amount:g} {fixed.name}; {fixed.free:g} are free"
    yield "assuming:"
    yield from (f"  {assumption}" for assumption in ASSUMPTIONS)


async def _stored_tasks(context: CliContext) -> list[Task]:
    return [stored.task for stored in await all_tasks(context.store, TaskFilter())]


async def _to_new_tasks(context: CliContext, loaded: LoadResult, *, now: datetime) -> list[Task]:
    """Return the tasks that files would become, without those that have no run left and cost nothing."""
    given = calendars_for(loaded.specs, loaded.calendars)
    days: Mapping[str, Sequence[TaskCalendar]] = {}
    if any(calendar_names(spec.excluded) for spec in loaded.specs):
        days = await resolve_calendars(context.store, loaded.specs, given=given)
    tasks = []
    for spec in loaded.specs:
        try:
            tasks.append(new_task(spec, now=now, origin="", calendars=days.get(spec.id, ())))
        except InputError:
            continue
    return tasks


def _format_number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or amount == int(amount) else f"{amount:,.1f}"


ACTION_SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "remove": ("-", "red"),
    "orphaned": ("!", "magenta"),
}
ACTION_RESULTS = {"create": "created", "update": "updated", "remove": "removed", "unchanged": "unchanged"}


def sources_of(loaded: LoadResult, paths: Sequence[Path], name: str) -> dict[str, TaskSource]:
    """Return the source of each task, by id; those of paths without tasks by names that are no ids.

        tasks/             tasks
        shop/tasks.yaml    shop/tasks.yaml, with the name of its folder: many files are called tasks.yaml
        -                  none: what is read once has no name by which its tasks could be known to be gone

    Args:
        name: What all of them are to be known by; empty for the names of *paths*.
    """
    if name:
        return {task_id: TaskSource.named(name) for task_id in ("/", *loaded.paths)}
    sources = {path: _source_of(path) for path in paths}
    used = set(loaded.paths.values())
    empty = {f"/{path}": sources[path] for path in paths if path not in used}
    return empty | {task_id: sources[path] for task_id, path in loaded.paths.items()}


def _source_of(path: Path) -> TaskSource:
    if path == STANDARD_INPUT:
        return TaskSource("")
    whole = path.resolve()
    if path.is_dir():
        return TaskSource.named(whole.name, folders=[folder.name for folder in whole.parents])
    return TaskSource.named(
        "/".join(whole.parts[-2:]).lstrip("/"), folders=[folder.name for folder in whole.parents]
    )


async def apply_files(
    context: CliContext, *, paths: Sequence[Path], prune: bool, dry_run: bool, source: str = ""
) -> int:
    """Make the store match the files, or with *dry_run* show what that would change.

    An error in any file means that nothing is changed.
    """
    loaded = read_task_files(paths, default_timezone=context.settings.default_timezone)
    if loaded.problems:
        return report_problems(context.screen, loaded.problems)
    with context.screen.show_progress(f"{format_count(len(loaded.specs), 'task')}: comparing with the store"):
        changes = await apply_plan(
            context.store,
            loaded.specs,
            sources=sources_of(loaded, paths, source),
            now=context.now(),
            new_id=context.new_id,
            prune=prune,
            dry_run=dry_run,
            limits=context.app.owner_limits,
            calendars=loaded.calendars,
        )
    data: dict[str, Any] = {
        "applied": not dry_run,
        "changes": [_change_to_json(change) for change in changes],
    }
    warnings = [f"{spec.id}: {text}" for spec in loaded.specs for text in context.app.task_warnings(spec)]
    if warnings:
        data["warnings"] = warnings
        context.screen.warn("\n".join(f"warning: {text}" for text in warnings))
    lines = list(_plan_lines(context.screen, changes, dry_run=dry_run))
    if dry_run:
        before, after = await plan_costs(context, loaded, changes)
        data["cost"] = {"before": cost_to_json(before), "after": cost_to_json(after)}
        lines.append(cost_change_line(before, after))
        rehearsed = await rehearse_changes(context, changes, loaded.specs)
        data["rehearsals"] = rehearsed
        lines += summaries_of(rehearsed)
    context.screen.show(data, lines)
    return 0


def report_problems(screen: Screen, problems: Sequence[FileProblem]) -> int:
    """Show all *problems*; return the exit code."""
    screen.show({"applied": False, "problems": [asdict(problem) for problem in problems]}, ())
    screen.warn("\n".join(str(problem) for problem in problems))
    count = "is 1 error" if len(problems) == 1 else f"are {len(problems)} errors"
    screen.error(f"there {count} in the files: fix all of them first; nothing was changed")
    return 2


def show_changes(
    screen: Screen,
    changes: Sequence[PlannedChange],
    *,
    dry_run: bool,
    rehearsals: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Show what was changed, or would be, and what the new alert rules would have sent."""
    data: dict[str, Any] = {
        "applied": not dry_run,
        "changes": [_change_to_json(change) for change in changes],
    }
    lines = list(_plan_lines(screen, changes, dry_run=dry_run))
    if rehearsals is not None:
        data["rehearsals"] = rehearsals
        lines += summaries_of(rehearsals)
    screen.show(data, lines)


def _change_to_json(change: PlannedChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "action": change.action,
        "fields": list(change.fields),
        "drifted": change.drifted,
        "movedFrom": change.moved_from.removeprefix(FILE_ORIGIN),
        "nextRunAtBefore": format_instant(change.before) if change.before else None,
        "nextRunAt": format_instant(change.after) if change.after else None,
    }


def _plan_lines(screen: Screen, changes: Sequence[PlannedChange], *, dry_run: bool) -> Iterator[str]:
    rows = []
    for change in changes:
        if change.action != "unchanged":
            sign, colour = ACTION_SIGNS[change.action]
            what = _next_run_text(change, change.timezone)
            changed = _what_changes(change)
            changed += " (changed elsewhere since the last apply)" if change.drifted else ""
            rows.append((Cell(sign, colour), change.id, changed, what))
    if rows:
        yield from screen.format_table(("", "TASK", "WHAT", "NEXT RUN"), rows)
    counts = [
        f"{sum(change.action == action for change in changes)} {'to ' + action if to_do else done}"
        for action, done in ACTION_RESULTS.items()
        for to_do in [dry_run and action != "unchanged"]
    ]
    yield ", ".join(counts)
    left = [change for change in changes if change.action == "orphaned"]
    for origin in sorted({change.moved_from for change in left}):
        names = ", ".join(change.id for change in left if change.moved_from == origin)
        yield (
            f"{_source_name(origin)} lost tasks to another file; these are in none that was applied, "
            f"and go on: {names}. Apply the file that has them, or remove them one by one"
        )


def _what_changes(change: PlannedChange) -> str:
    moved = f"from {_source_name(change.moved_from)}" if change.moved_from else ""
    if change.action == "orphaned":
        return f"left of {_source_name(change.moved_from)}"
    return ", ".join([*change.fields, *([moved] if moved else [])]) or change.action


def _source_name(origin: str) -> str:
    return origin.removeprefix(FILE_ORIGIN)


def _next_run_text(change: PlannedChange, zone: str) -> str:
    before, after = format_local(change.before, zone), format_local(change.after, zone)
    if change.action == "remove":
        return f"was {before}"
    if change.action == "create" or before == after:
        return after
    return f"{before} → {after}"
