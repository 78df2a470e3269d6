"""The commands about calendars: `calendars list`, `show`, `set` and `remove`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import ADMINISTRATOR
from functions.domain.types import format_instant
from functions.services.calendars.book import Calendar
from functions.services.calendars.service import CalendarService, CalendarUpdate

NONE = "There are no calendars yet: scheduler calendars set NAME DAY... makes one"


async def list_calendars(context: CliContext) -> int:
    """Show all calendars, by owner and name."""
    return show_calendars(context, [calendar_to_json(one) for one in await _service(context).list_all()])


async def show_calendar(context: CliContext, *, name: str, owner: str) -> int:
    """Show one calendar, an entry a line."""
    return show_entries(context, calendar_to_json(await _service(context).get(name, owner=owner)))


async def set_calendar(context: CliContext, *, name: str, days: Sequence[str], owner: str) -> int:
    """Create or replace a calendar, and copy its days into all tasks that use it."""
    service = _service(context)
    updates = [await service.save(name, split_days(days), owner=owner)]
    while not updates[-1].is_complete:
        updates.append(await service.refresh(name, owner=owner))
    return show_results(context, [update_to_json(one) for one in updates])


async def remove_calendar(context: CliContext, *, name: str, owner: str) -> int:
    """Remove a calendar that no task uses."""
    await _service(context).remove(name, owner=owner)
    return show_removed(context, name)


def split_days(days: Sequence[str]) -> list[str]:
    """Return *days*, of which one text may hold several, with commas between them."""
    return [part for one in days for part in one.split(",") if part.strip()]


def calendar_to_json(calendar: Calendar) -> dict[str, Any]:
    """Return *calendar* as the API does."""
    return {
        "name": calendar.name,
        "owner": calendar.owner,
        "entries": list(calendar.entries),
        "updatedAt": format_instant(calendar.updated_at) if calendar.updated_at else None,
        "updatedBy": calendar.updated_by,
        "complete": calendar.behind is None,
    }


def update_to_json(update: CalendarUpdate) -> dict[str, Any]:
    """Return *update* as the API does."""
    failed = [{"id": task_id, "reason": reason} for task_id, reason in update.failed]
    return {"calendar": calendar_to_json(update.calendar), "updated": update.updated, "failed": failed}


def show_calendars(context: CliContext, found: Sequence[Mapping[str, Any]]) -> int:
    """Show calendars, as JSON values; return the exit code."""
    rows = [(one["name"], one["owner"] or "-", _entries_text(one["entries"])) for one in found]
    lines = context.screen.format_table(("CALENDAR", "OWNER", "DAYS"), rows) if rows else [NONE]
    context.screen.show(list(found), lines)
    context.show_store()
    return 0


def show_entries(context: CliContext, calendar: Mapping[str, Any]) -> int:
    """Show one calendar, as JSON values; return the exit code."""
    context.screen.show(calendar, calendar["entries"])
    if not calendar["complete"]:
        context.screen.warn(
            f"tasks may still have its former days: scheduler calendars set {calendar['name']} again goes on"
        )
    return 0


def show_results(context: CliContext, results: Sequence[Mapping[str, Any]]) -> int:
    """Show what became of a calendar and its tasks, step by step; 1 when a task keeps its former days."""
    calendar = results[-1]["calendar"]
    updated = sum(one["updated"] for one in results)
    failed = [problem for one in results for problem in one["failed"]]
    tasks = "1 task has" if updated == 1 else f"{updated} tasks have"
    context.screen.show(
        {"calendar": calendar, "updated": updated, "failed": failed},
        [f"{calendar['name']} is set: {_entries_text(calendar['entries'])}; {tasks} new days"],
    )
    for problem in failed:
        context.screen.warn(f"{problem['id']} keeps the former days: {problem['reason']}")
    return 1 if failed else 0


def show_removed(context: CliContext, name: str) -> int:
    """Show that a calendar is removed; return the exit code."""
    context.screen.show({"removed": name}, [f"{name} is removed"])
    return 0


def _entries_text(entries: Sequence[str]) -> str:
    return f"{', '.join(entries[:6])} and {len(entries) - 6} more" if len(entries) > 6 else ", ".join(entries)


def _service(context: CliContext) -> CalendarService:
    principal = replace(ADMINISTRATOR, name=PRINCIPAL_NAME)
    return CalendarService(context.store, principal, clock=context.now, new_id=context.new_id)
