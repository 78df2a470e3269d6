"""The commands about task files: `apply` and `plan`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from functions.applying import Change, apply
from functions.commands.costing import change_line, cost_data, planned_cost
from functions.commands.screen import Cell, Screen
from functions.commands.session import Session
from functions.commands.times import local
from functions.rules.task import TaskSpec
from functions.rules.words import instant_text
from functions.taskfiles import Fault, read_task_files

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
        changes = await apply(
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
    lines = list(_lines(session.screen, changes, zones, dry_run=dry_run))
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


def show(screen: Screen, changes: Sequence[Change], specs: Sequence[TaskSpec], *, dry_run: bool) -> None:
    """Tell what was changed, or would be."""
    data = {"applied": not dry_run, "changes": [_data(change) for change in changes]}
    zones = {spec.id: spec.timezone for spec in specs}
    screen.answer(data, list(_lines(screen, changes, zones, dry_run=dry_run)))


def _data(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "action": change.action,
        "fields": list(change.fields),
        "drifted": change.drifted,
        "nextRunAtBefore": instant_text(change.before) if change.before else None,
        "nextRunAt": instant_text(change.after) if change.after else None,
    }


def _lines(
    screen: Screen, changes: Sequence[Change], zones: dict[str, str], *, dry_run: bool
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


def _times(change: Change, zone: str) -> str:
    before, after = local(change.before, zone), local(change.after, zone)
    if change.action == "remove":
        return f"was {before}"
    if change.action == "create" or before == after:
        return after
    return f"{before} → {after}"
