"""The agenda: when tasks will run in the next 24 hours."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from functions.domain.schedule.describe import Agenda, build_agenda
from functions.domain.types import timezone_or_utc, to_local
from functions.web.dashboard.context import CurrentPage

router = APIRouter(prefix="/dashboard", include_in_schema=False)

MAX_TASKS = 2000  # that the page is about; each is a read
AGENDA_ROWS = 25  # 24 hours from now touch 25 clock hours


@router.get("/agenda")
async def show_agenda(context: CurrentPage) -> Response:
    """Show the runs of the next 24 hours by the minute. Reads one document per task, at most MAX_TASKS."""
    tasks = await context.service.view.list_tasks(limit=MAX_TASKS)
    agenda = build_agenda(tasks, now=context.dependencies.now())
    zone = context.dependencies.default_timezone
    return context.render(
        "agenda",
        agenda=agenda,
        max_tasks=MAX_TASKS if len(tasks) == MAX_TASKS else None,
        zone=zone,
        rows=agenda_row_labels(agenda, zone),
        cells=agenda_cells(agenda),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One minute of the agenda; *heat* is from 1 to 4."""

    row: int
    column: int
    heat: int
    title: str


def agenda_row_labels(agenda: Agenda, zone: str) -> tuple[str, ...]:
    """Return the local time in *zone* at the start of each row."""
    first = _first_hour(agenda)
    return tuple(
        f"{to_local(first + timedelta(hours=row), timezone_or_utc(zone)):%H:%M}" for row in range(AGENDA_ROWS)
    )


def agenda_cells(agenda: Agenda) -> tuple[Cell, ...]:
    """Return the minutes with runs; the fullest minute has heat 4, a single run heat 1."""
    first = _first_hour(agenda)
    fullest = max((minute.count for minute in agenda.minutes), default=1)
    cells = []
    for minute in agenda.minutes:
        row, column = divmod(round((minute.at - first).total_seconds() / 60), 60)
        heat = 1 if minute.count == 1 else 1 + -(-3 * minute.count // max(fullest, 4))
        more = (
            f" and {minute.count - len(minute.task_ids)} more" if minute.count > len(minute.task_ids) else ""
        )
        cells.append(Cell(row, column, heat, f"{minute.at:%H:%M} UTC: {', '.join(minute.task_ids)}{more}"))
    return tuple(cells)


def _first_hour(agenda: Agenda) -> datetime:
    return agenda.first.replace(minute=0)
