"""The command `cost`, and the line about cost in `plan`: what tasks come to on Google's bill."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.applying import Change, everything
from functions.commands.screen import Screen
from functions.commands.session import Session
from functions.errors import InputError
from functions.rules.cost import ASSUMPTIONS, Cost, Item, cost_of
from functions.rules.lifecycle import first_look
from functions.rules.storage import Filter
from functions.rules.task import Task, TaskSpec
from functions.taskfiles import read_task_files


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
        _lines(session.screen, len(tasks), cost),
    )
    return 0


async def planned_cost(
    session: Session, specs: Sequence[TaskSpec], changes: Sequence[Change]
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


def _lines(screen: Screen, tasks: int, cost: Cost) -> Iterator[str]:
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
    return [stored.task for stored in await everything(session.store, Filter())]


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
