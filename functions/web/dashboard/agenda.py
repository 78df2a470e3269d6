"""The agenda: how many runs each part of the next 24 hours holds, in the user's zone."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from functions.domain.schedule.describe import Agenda, AgendaMinute, build_agenda
from functions.domain.types import timezone_or_utc, to_local
from functions.services.calendars.loading import load_holidays_for
from functions.web.dashboard.context import CurrentPage

router = APIRouter(prefix="/dashboard", include_in_schema=False)

MAX_TASKS = 2000  # that the page is about; each is a read
PART = timedelta(minutes=10)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Part:
    """Ten minutes with runs; *heat* is from 1 to 4, 0 without any."""

    at: datetime
    count: int
    heat: int
    key: str


@dataclass(frozen=True, slots=True)
class Row:
    """An hour, and its six parts; *at* is its beginning on the user's clock."""

    at: datetime
    parts: tuple[Part, ...]


@router.get("/agenda")
async def show_agenda(context: CurrentPage, at: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Show the runs of the next 24 hours. Reads one document per task, at most MAX_TASKS."""
    tasks = await context.service.view.list_tasks(limit=MAX_TASKS)
    await load_holidays_for(tasks)
    agenda = build_agenda(tasks, now=context.dependencies.now())
    rows = agenda_rows(agenda, context.zone)
    chosen = next((part for row in rows for part in row.parts if part.key == at and part.count), None)
    return context.render(
        "agenda",
        agenda=agenda,
        max_tasks=MAX_TASKS if len(tasks) == MAX_TASKS else None,
        rows=rows,
        chosen=chosen,
        minutes=minutes_of(agenda, chosen) if chosen else [],
    )


def agenda_rows(agenda: Agenda, zone: str) -> tuple[Row, ...]:
    """Return the hours from now on, by the clock of *zone*.

    More runs than twice the usual are heat 4, a single one is heat 1.
    An hour begins where the clock of the zone says so, which in some zones is at half past in UTC.
    """
    known = timezone_or_utc(zone)
    local = to_local(agenda.first, known)
    first = agenda.first - timedelta(minutes=local.minute, seconds=local.second)
    counts: Counter[int] = Counter()
    for minute in agenda.minutes:
        counts[(minute.at - first) // PART] += minute.count
    usual = median(counts.values()) if counts else 1
    rows = []
    for hour in range(25):
        parts = tuple(
            _build_part(first + number * PART, counts[number], usual)
            for number in range(hour * 6, hour * 6 + 6)
        )
        rows.append(Row(to_local(first + hour * HOUR, known), parts))
    return tuple(rows)


def minutes_of(agenda: Agenda, part: Part) -> list[AgendaMinute]:
    """Return the minutes with runs within *part*."""
    return [minute for minute in agenda.minutes if part.at <= minute.at < part.at + PART]


def _build_part(at: datetime, count: int, usual: float) -> Part:
    """Return a part; what is crowded stands out, and a day that is full everywhere is not hot everywhere."""
    heat = 0 if not count else 1 if count == 1 or count < usual else 2 if count <= 1.25 * usual else 3
    return Part(at, count, 4 if heat == 3 and count > 2 * usual else heat, f"{at:%Y%m%dT%H%M}")
