"""Rendering: templates with the filters of a language, and the security headers of pages."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from functions import __version__
from functions.domain.lifecycle.upcoming import describe_trigger, next_run
from functions.domain.task import Task
from functions.domain.types import check_instant, timezone_or_utc
from functions.errors import InputError
from functions.web.dashboard.presentation import charts, formatting
from functions.web.dashboard.presentation.phrases import phrasebook
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


# Pages.

TEMPLATES = Path(__file__).parent / "templates"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends `Origin: null` with our own forms
}


@cache
def _template_environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=formatting.without_turns,  # inputs keep what was typed: `as_typed` makes it markup
    )
    translate = phrasebook(language)
    environment.filters |= {
        "absolute_time": partial(formatting.absolute_time, weekdays=translate.weekdays),
        "day_and_time": partial(formatting.day_and_time, weekdays=translate.weekdays),
        "day": partial(formatting.day, weekdays=translate.weekdays),
        "hour_of_day": partial(formatting.hour_of_day, weekdays=translate.weekdays),
        "said": translate.sentence,
        "clock_time": formatting.clock_time,
        "clock_seconds": formatting.clock_seconds,
        "relative_time": partial(formatting.relative_time, translate=translate),
        "span": partial(formatting.span, translate=translate),
        "duration": partial(formatting.duration, translate=translate),
        "severity": formatting.severity,
        "task_state": formatting.task_state,
        "sparkline": charts.sparkline,
        "sparkline_width": charts.sparkline_width,
        "trigger": partial(describe_trigger, words=translate.schedule),
        "next_run": _next_run,
        "local": formatting.local_time,
        "json": formatting.json_text,
        "as_typed": environment.filters["escape"],
    }
    environment.globals |= {"version": __version__, "_": translate}
    return environment


def _next_run(task: Task, now: datetime) -> datetime | None:
    return next_run(task, now=now)


def render_page(
    name: str,
    *,
    now: datetime,
    session: Session | None,
    language: str = "",
    reads: Callable[[], int] = lambda: 0,
    status: int = 200,
    **values: Any,
) -> Response:
    """Return the page *name*, rendered with *values*.

    Args:
        language: A tag such as `zh-CN`; English for any that there are no phrases of.
        reads: Returns the number of documents read so far; called when the footer is rendered.
    """
    shown = {"here": "", "pages": pages_of(session)} | values
    html = render(f"{name}.html", language, now=now, session=session, reads=reads, **shown)
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def pages_of(session: Session | None) -> list[tuple[str, str]]:
    """Return the address and the name of each page that *session* may see, for the navigation."""
    if session is None:
        return []
    pages = [
        ("/dashboard", "Overview"),
        ("/dashboard/runs", "Runs"),
        ("/dashboard/incidents", "Incidents"),
        ("/dashboard/agenda", "Agenda"),
        ("/dashboard/calendars", "Calendars"),
    ]
    if session.principal.has_scope("admin"):
        if not session.principal.owner:
            pages += [
                ("/dashboard/channels", "Channels"),
                ("/dashboard/owners", "Owners"),
                ("/dashboard/audit", "Changes"),
            ]
        pages.append(("/dashboard/keys", "Keys"))
    return pages


def render(template: str, language: str = "", **values: Any) -> str:
    """Return *template* rendered with *values*; a missing value is an error."""
    return _template_environment(phrasebook(language).language).get_template(template).render(**values)


def redirect(address: str, *, message: str = "") -> Response:
    """Redirect to *address*, a page of the dashboard, which shows *message* once."""
    separator = "&" if "?" in address else "?"
    target = f"{address}{separator}message={quote(message)}" if message else address
    return RedirectResponse(target, status_code=303, headers=HEADERS)
