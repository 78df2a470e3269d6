"""Pages: templates filled in, with the headers that keep everything else out of them."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from functions import __version__
from functions.rules.starting import starts
from functions.web.dashboard import looks
from functions.web.dashboard.session import Session

TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
KEPT_S = 86_400


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "far": looks.far,
        "near": looks.near,
        "took": looks.took,
        "tone": looks.tone_of,
        "sparkline": looks.sparkline,
        "starts": starts,
        "sparkline_width": looks.sparkline_width,
    }
    environment.globals["version"] = __version__
    return environment


def page(
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
    html = rendered(f"{name}.html", now=now, session=session, reads=reads, **values)
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def rendered(template: str, **values: Any) -> str:
    """*template* filled with *values*; a value it names and does not get is an error."""
    return _environment().get_template(template).render(**values)


def away(address: str, *, said: str = "") -> Response:
    """Go on to *address*, which is one of ours, after a form was taken; *said* is shown there once."""
    from urllib.parse import quote

    mark = "&" if "?" in address else "?"
    target = f"{address}{mark}said={quote(said)}" if said else address
    return RedirectResponse(target, status_code=303, headers=HEADERS)


def said_in(request: Request) -> str:
    """What the page before wanted said; at most one line of it."""
    return request.query_params.get("said", "")[:200]


def picture(name: str, media_type: str) -> Response:
    """One of the files beside the templates, which browsers may keep for a day."""
    content = (TEMPLATES / name).read_text(encoding="utf-8")
    headers = {"Cache-Control": f"public, max-age={KEPT_S}"}
    return Response(content, media_type=media_type, headers=headers)
