"""Rendering: templates, their filters, and the security headers of pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from functions import __version__
from functions.domain.schedule.describe import Agenda, describe_trigger
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, check_instant, timezone_or_utc, to_local
from functions.errors import InputError
from functions.web.dashboard.session import Session

# An instant from a form, in the task's zone.


def parse_local_instant(text: str, timezone: str) -> datetime | None:
    """Return the instant in *text*, such as 2026-12-01T09:00 from a browser's field; None for no text.

    Raises:
        InputError: It is no instant, or is out of range.
    """
    if not text.strip():
        return None
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError("until: write it like 2026-12-01T09:00") from None
    try:
        return check_instant(parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone_or_utc(timezone)))
    except ValueError as exc:
        raise InputError(f"until: {exc}") from None


# Presentation of values: times, states, sparklines. Pure; used as filters in templates.

BAR_WIDTH = 5  # width of one bar of a sparkline, and the gap after it
BAR_GAP = 2
SPARKLINE_HEIGHT = 24
AGENDA_ROWS = 25  # 24 hours from now touch 25 clock hours
MIN_BAR_HEIGHT = 4  # so that a run of 0 ms is visible
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
GOOD, BAD, QUIET = "good", "bad", "quiet"


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a sparkline, in the units of its view box."""

    x: int
    y: int
    height: int
    severity: str
    title: str


def severity(outcome: str) -> str:
    """Return the colour class of an outcome; the page also names the outcome."""
    match outcome:
        case OutcomeKind.SUCCEEDED:
            return GOOD
        case OutcomeKind.SKIPPED | OutcomeKind.CANCELLED:
            return QUIET
        case _:
            return BAD


def sparkline(recent: Sequence[str]) -> tuple[Bar, ...]:
    """Return a bar for each outcome in `Task.recent`, oldest first; the slowest run has the highest bar.

    A line of *recent* is `succeeded 120 2026-11-20T12:00:00Z`: outcome, milliseconds, instant.
    """
    runs = [one.split(" ") for one in recent if one.count(" ") == 2]
    slowest = max((int(took) for _, took, _ in runs if took.isdecimal()), default=0)
    return tuple(
        _build_bar(number, outcome, int(took) if took.isdecimal() else 0, at, slowest)
        for number, (outcome, took, at) in enumerate(runs)
    )


def sparkline_width(bars: Sequence[Bar]) -> int:
    """Return the width of the view box."""
    return max(1, len(bars) * (BAR_WIDTH + BAR_GAP) - BAR_GAP)


def relative_time(at: datetime | None, now: datetime) -> str:
    """Return *at* relative to *now*: `in 4 min`, `2 h ago`, `now`; a dash for never."""
    if at is None:
        return "–"
    distance = at - now
    seconds = round(abs(distance).total_seconds())
    if seconds < 5:
        return "now"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    span = f"{seconds // size} {unit}"
    return f"in {span}" if distance > timedelta() else f"{span} ago"


def absolute_time(at: datetime | None, zone: str) -> str:
    """Return *at* in *zone*, with its name; in UTC when the zone is unknown."""
    if at is None:
        return "–"
    known = timezone_or_utc(zone)
    return f"{to_local(at, known):%a %d %b %Y, %H:%M} {known.key}"


def duration(milliseconds: int | None) -> str:
    """Return a duration as text: `120 ms`, `1.5 s`, `2 min 5 s`."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def matches_search(task: Task, words: str) -> bool:
    """Whether *task* has all *words* in its id, title, description, type, owner or tags."""
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


TEMPLATES = Path(__file__).parent / "templates"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends `Origin: null` with our own forms
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
    """Return the page *name*, rendered with *values*.

    Args:
        reads: Returns the number of documents read so far; called when the footer is rendered.
    """
    html = render(f"{name}.html", now=now, session=session, reads=reads, **values)
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def render(template: str, **values: Any) -> str:
    """Return *template* rendered with *values*; a missing value is an error."""
    return _template_environment().get_template(template).render(**values)


def redirect(address: str, *, message: str = "") -> Response:
    """Redirect to *address*, a page of the dashboard, which shows *message* once."""
    from urllib.parse import quote

    separator = "&" if "?" in address else "?"
    target = f"{address}{separator}message={quote(message)}" if message else address
    return RedirectResponse(target, status_code=303, headers=HEADERS)


def flash_message(request: Request) -> str:
    """Return the message of the previous page, truncated."""
    return request.query_params.get("message", "")[:200]


def asset_response(name: str, media_type: str) -> Response:
    """Return a file beside the templates, cacheable for a day."""
    content = (TEMPLATES / name).read_text(encoding="utf-8")
    headers = {"Cache-Control": f"public, max-age={ASSET_MAX_AGE_S}"}
    return Response(content, media_type=media_type, headers=headers)
