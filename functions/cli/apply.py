"""The commands about task files: `apply` and `plan`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.cli.console import Cell, Screen
from functions.cli.options import local
from functions.cli.session import Session
from functions.domain.lifecycle.edit import first_look
from functions.domain.pricing import ASSUMPTIONS, Cost, Item, cost_of
from functions.domain.storage import Filter
from functions.domain.task import Task, TaskSpec
from functions.domain.types import instant_text
from functions.errors import InputError
from functions.services.apply import PlannedChange, all_tasks, apply_plan
from functions.taskfiles import Fault, read_task_files

# The command `cost`, and the line about cost in `plan`: what tasks come to on Google's bill.


async def show_cost(session: Session, *, paths: Sequence[Path]) -> int:
    """Show what the tasks of the files cost, or those of the store when none are given."""
    now = session.now()
    if paths:
        loaded = read_task_files(paths, default_timezone=session.settings.default_timezone)
        if loaded.faults:
            session.screen.answer({"faults": [asdict(fault) for fault in loaded.faults]}, ())
            session.screen.warn("\n".join(str(fault) for fault in loaded.faults))
            return 2
        tasks = _as_created(loaded.specs, now=now)
    else:
        tasks = await _stored(session)
    cost = cost_of(tasks, now=now)
    session.screen.answer(
        {"tasks": len(tasks), **cost_data(cost), "assumptions": list(ASSUMPTIONS)},
        _cost_lines(session.screen, len(tasks), cost),
    )
    return 0


async def planned_cost(
    session: Session, specs: Sequence[TaskSpec], changes: Sequence[PlannedChange]
) -> tuple[Cost, Cost]:
    """The cost of what is stored, and of what would be stored after *changes* made it match *specs*."""
    now = session.now()
    before = await _stored(session)
    gone = {change.id for change in changes if change.action == "remove"} | {spec.id for spec in specs}
    after = [task for task in before if task.id not in gone] + _as_created(specs, now=now)
    return cost_of(before, now=now), cost_of(after, now=now)


def change_line(before: Cost, after: Cost) -> str:
    """One line about both: runs, the fullest part of the free tier, and the price."""
    fullest = max(after.items, key=lambda item: item.share_of_free)
    [was] = [item for item in before.items if item.name == fullest.name]
    return "cost: " + ", ".join(
        (
            f"{_number(before.runs_a_day)} → {_number(after.runs_a_day)} runs a day",
            f"{was.share_of_free:.1%} → {fullest.share_of_free:.1%} of the free {fullest.name}",
            f"{before.usd_a_month:.2f} → {after.usd_a_month:.2f} USD a month",
        )
    )


def cost_data(cost: Cost) -> dict[str, Any]:
    """*cost* as JSON values."""
    return {
        "runsADay": round(cost.runs_a_day, 2),
        "usdAMonth": round(cost.usd_a_month, 2),
        "items": [_item_data(item) for item in cost.items],
    }


def _item_data(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "aDay": round(item.a_day, 2),
        "aMonth": round(item.a_month, 2),
        "freeADay": round(item.free_a_day, 2),
        "shareOfFree": round(item.share_of_free, 4),
        "usdPerMillion": item.usd_per_million,
        "usdAMonth": round(item.usd_a_month, 2),
    }


def _cost_lines(screen: Screen, tasks: int, cost: Cost) -> Iterator[str]:
    many = "1 task" if tasks == 1 else f"{tasks:,} tasks"
    yield f"{many}, {_number(cost.runs_a_day)} runs a day: {cost.usd_a_month:.2f} USD a month"
    rows = [
        (
            item.name,
            _number(item.a_day),
            _number(item.a_month),
            f"{item.share_of_free:.1%}",
            f"{item.usd_per_million:.2f}",
            f"{item.usd_a_month:.2f}",
        )
        for item in cost.items
    ]
    head = ("WHAT", "A DAY", "A MONTH", "OF FREE TIER", "USD A MILLION ABOVE", "USD A MONTH")
    yield from screen.table(head, rows)
    yield "assuming:"
    yield from (f"  {assumption}" for assumption in ASSUMPTIONS)


async def _stored(session: Session) -> list[Task]:
    return [stored.task for stored in await all_tasks(session.store, Filter())]


def _as_created(specs: Sequence[TaskSpec], *, now: datetime) -> list[Task]:
    """*specs* as the tasks they would be. One whose schedule is over runs no more, so it costs nothing."""
    tasks = []
    for spec in specs:
        try:
            tasks.append(first_look(spec, now=now, origin=""))
        except InputError:
            continue
    return tasks


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or amount == int(amount) else f"{amount:,.1f}"


ORIGIN = "file"  # of tasks that come from files: only these are ever removed
SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "remove": ("-", "red")}
DONE = {"create": "created", "update": "updated", "remove": "removed", "unchanged": "unchanged"}


async def apply_files(session: Session, *, paths: Sequence[Path], prune: bool, dry_run: bool) -> int:
    """Make the store match the files, or with *dry_run* say what that would change.

    Nothing at all is changed when there is a fault in any of the files.
    """
    loaded = read_task_files(paths, default_timezone=session.settings.default_timezone)
    if loaded.faults:
        return refuse(session.screen, loaded.faults)
    with session.screen.working(f"{len(loaded.specs)} tasks are compared with the store"):
        changes = await apply_plan(
            session.store,
            loaded.specs,
            origin=ORIGIN,
            now=session.now(),
            new_id=session.new_id,
            prune=prune,
            dry_run=dry_run,
        )
    data: dict[str, Any] = {"applied": not dry_run, "changes": [_data(change) for change in changes]}
    zones = {spec.id: spec.timezone for spec in loaded.specs}
    lines = list(_plan_lines(session.screen, changes, zones, dry_run=dry_run))
    if dry_run:
        before, after = await planned_cost(session, loaded.specs, changes)
        data["cost"] = {"before": cost_data(before), "after": cost_data(after)}
        lines.append(change_line(before, after))
    session.screen.answer(data, lines)
    return 0


def refuse(screen: Screen, faults: Sequence[Fault]) -> int:
    """Tell of all *faults*; return the exit code."""
    screen.answer({"applied": False, "faults": [asdict(fault) for fault in faults]}, ())
    screen.warn("\n".join(str(fault) for fault in faults))
    many = "is 1 fault" if len(faults) == 1 else f"are {len(faults)} faults"
    screen.complain(f"there {many} in the files: mend all of them first; nothing was changed")
    return 2


def show(
    screen: Screen, changes: Sequence[PlannedChange], specs: Sequence[TaskSpec], *, dry_run: bool
) -> None:
    """Tell what was changed, or would be."""
    data = {"applied": not dry_run, "changes": [_data(change) for change in changes]}
    zones = {spec.id: spec.timezone for spec in specs}
    screen.answer(data, list(_plan_lines(screen, changes, zones, dry_run=dry_run)))


def _data(change: PlannedChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "action": change.action,
        "fields": list(change.fields),
        "drifted": change.drifted,
        "nextRunAtBefore": instant_text(change.before) if change.before else None,
        "nextRunAt": instant_text(change.after) if change.after else None,
    }


def _plan_lines(
    screen: Screen, changes: Sequence[PlannedChange], zones: dict[str, str], *, dry_run: bool
) -> Iterator[str]:
    rows = []
    for change in changes:
        if change.action != "unchanged":
            sign, colour = SIGNS[change.action]
            what = _times(change, zones.get(change.id, "UTC"))
            changed = ", ".join(change.fields) or change.action
            changed += " (changed elsewhere since the last apply)" if change.drifted else ""
            rows.append((Cell(sign, colour), change.id, changed, what))
    if rows:
        yield from screen.table(("", "TASK", "WHAT", "NEXT RUN"), rows)
    counts = [
        f"{sum(change.action == action for change in changes)} {'to ' + action if to_do else done}"
        for action, done in DONE.items()
        for to_do in [dry_run and action != "unchanged"]
    ]
    yield ", ".join(counts)


def _times(change: PlannedChange, zone: str) -> str:
    before, after = local(change.before, zone), local(change.after, zone)
    if change.action == "remove":
        return f"was {before}"
    if change.action == "create" or before == after:
        return after
    return f"{before} → {after}"
