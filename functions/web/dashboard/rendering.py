"""Pages: templates filled in, with the headers that keep everything else out of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from functions import __version__
from functions.domain.schedule.describe import Agenda, describe_trigger
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.web.dashboard.session import Session

# A moment typed into a form, on the clock of the task's zone.


def parse_local_instant(text: str, timezone: str) -> datetime | None:
    """The instant meant by *text*, such as 2026-12-01T09:00 from a browser's field; None for no text.

    Raises:
        InputError: It is no moment.
    """
    if not text.strip():
        return None
    try:
        typed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError("until: write it like 2026-12-01T09:00") from None
    return (typed if typed.tzinfo else typed.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)


# How values look on a page: times near and far, states, sparklines. Pure; the templates do the rest.

BAR_WIDTH = 5  # width of one bar of a sparkline, and the gap after it
BAR_GAP = 2
SPARKLINE_HEIGHT = 24
AGENDA_ROWS = 25  # hours a day touches
MIN_BAR_HEIGHT = 4  # even a run that took no time is seen
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
GOOD, BAD, QUIET = "good", "bad", "quiet"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a sparkline, in the units of its view box."""

    x: int
    y: int
    height: int
    severity: str
    title: str


def severity(outcome: str) -> str:
    """The tone an outcome is shown in; never the only sign of it."""
    match outcome:
        case OutcomeKind.SUCCEEDED:
            return GOOD
        case OutcomeKind.SKIPPED | OutcomeKind.CANCELLED:
            return QUIET
        case _:
            return BAD


def sparkline(recent: Sequence[str]) -> tuple[Bar, ...]:
    """Bars for outcomes as `Task.recent` keeps them, oldest first; the slowest run is the highest bar."""
    runs = [one.split(" ") for one in recent if one.count(" ") == 2]
    slowest = max((int(took) for _, took, _ in runs if took.isdecimal()), default=0)
    return tuple(
        _build_bar(number, outcome, int(took) if took.isdecimal() else 0, at, slowest)
        for number, (outcome, took, at) in enumerate(runs)
    )


def sparkline_width(bars: Sequence[Bar]) -> int:
    """The width of the view box."""
    return max(1, len(bars) * (BAR_WIDTH + BAR_GAP) - BAR_GAP)


def relative_time(at: datetime | None, now: datetime) -> str:
    """*at* as seen from *now*: `in 4 min`, `2 h ago`, `now`; a dash for never."""
    if at is None:
        return "–"
    away = at - now
    seconds = round(abs(away).total_seconds())
    if seconds < 5:
        return "now"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    span = f"{seconds // size} {unit}"
    return f"in {span}" if away > timedelta() else f"{span} ago"


def absolute_time(at: datetime | None, zone: str) -> str:
    """*at* on the clock of *zone*, with the zone's name; UTC when nobody knows the zone."""
    if at is None:
        return "–"
    try:
        local = at.astimezone(ZoneInfo(zone))
    except (KeyError, OSError, ValueError):
        local, zone = at, "UTC"
    return f"{local:%a %d %b %Y, %H:%M} {zone}"


def duration(milliseconds: int | None) -> str:
    """A duration for people."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def matches_search(task: Task, words: str) -> bool:
    """Whether *task* has all of the searched *words* in its id, title, description, tags or type."""
    text = " ".join((task.id, task.title, task.description, task.type, task.owner, *task.tags)).casefold()
    return all(word in text for word in words.casefold().split())


def _build_bar(number: int, outcome: str, milliseconds: int, at: str, slowest: int) -> Bar:
    height = (
        max(MIN_BAR_HEIGHT, round(SPARKLINE_HEIGHT * milliseconds / slowest)) if slowest else MIN_BAR_HEIGHT
    )
    title = f"{outcome}, {duration(milliseconds)}, {at}"
    return Bar(number * (BAR_WIDTH + BAR_GAP), SPARKLINE_HEIGHT - height, height, severity(outcome), title)


@dataclass(frozen=True, slots=True)
class Cell:
    """One minute of the agenda's picture; *heat* from 1 to 4."""

    row: int
    column: int
    heat: int
    title: str


def agenda_row_labels(agenda: Agenda, zone: str) -> tuple[str, ...]:
    """What the clock of *zone* shows at the beginning of each row."""
    first = _first_hour(agenda)
    return tuple(
        f"{(first + timedelta(hours=row)).astimezone(ZoneInfo(zone)):%H:%M}" for row in range(AGENDA_ROWS)
    )


def agenda_cells(agenda: Agenda) -> tuple[Cell, ...]:
    """The minutes with runs in them; the fullest of the day is the hottest, if it holds more than one."""
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


TEMPLATES = Path(__file__).parent / "templates"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ASSET_MAX_AGE_S = 86_400


@cache
def _template_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "absolute_time": absolute_time,
        "relative_time": relative_time,
        "duration": duration,
        "severity": severity,
        "sparkline": sparkline,
        "trigger": describe_trigger,
        "sparkline_width": sparkline_width,
    }
    environment.globals["version"] = __version__
    return environment


def render_page(
    name: str,
    *,
    now: datetime,
    session: Session | None,
    reads: Callable[[], int] = lambda: 0,
    status: int = 200,
    **values: Any,
) -> Response:
    """The page *name*, filled with *values*.

    Args:
        reads: How many documents were read for it so far; asked while the foot of the page is made.
    """
    html = render(f"{name}.html", now=now, session=session, reads=reads, **values)
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def render(template: str, **values: Any) -> str:
    """*template* filled with *values*; a value it names and does not get is an error."""
    return _template_environment().get_template(template).render(**values)


def redirect(address: str, *, message: str = "") -> Response:
    """Go on to *address*, which is one of ours, after a form was taken; *message* is shown there once."""
    from urllib.parse import quote

    mark = "&" if "?" in address else "?"
    target = f"{address}{mark}message={quote(message)}" if message else address
    return RedirectResponse(target, status_code=303, headers=HEADERS)


def flash_message(request: Request) -> str:
    """What the page before wanted said; at most one line of it."""
    return request.query_params.get("message", "")[:200]


def asset_response(name: str, media_type: str) -> Response:
    """One of the files beside the templates, which browsers may keep for a day."""
    content = (TEMPLATES / name).read_text(encoding="utf-8")
    headers = {"Cache-Control": f"public, max-age={ASSET_MAX_AGE_S}"}
    return Response(content, media_type=media_type, headers=headers)
