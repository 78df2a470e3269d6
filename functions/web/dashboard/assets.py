"""The files that pages load: style sheet, icon, htmx, and our own script. The same for everybody."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(prefix="/dashboard", include_in_schema=False)

FOLDER = Path(__file__).parent
HTMX = FOLDER / "htmx"  # of the npm package htmx.org; scripts/vendor copies it
MAX_AGE_S = 86_400  # pages name the version behind a question mark
SCRIPT = "text/javascript"


@router.get("/style.css")
async def style() -> Response:
    """Return the style sheet."""
    return _asset(FOLDER / "templates" / "style.css", "text/css")


@router.get("/forms.css")
async def form_style() -> Response:
    """Return the style sheet of forms."""
    return _asset(FOLDER / "templates" / "forms.css", "text/css")


@router.get("/icon.svg")
async def icon() -> Response:
    """Return the icon of the pages."""
    return _asset(FOLDER / "templates" / "icon.svg", "image/svg+xml")


@router.get("/page.js")
async def script() -> Response:
    """Return the script of the pages."""
    return _asset(FOLDER / "templates" / "page.js", SCRIPT)


@router.get("/htmx.js")
async def htmx() -> Response:
    """Return htmx, with which a page refreshes a part of itself."""
    return _asset(HTMX / "htmx.min.js", SCRIPT)


def _asset(path: Path, media_type: str) -> Response:
    headers = {"Cache-Control": f"public, max-age={MAX_AGE_S}"}
    return Response(_read(path), media_type=media_type, headers=headers)


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()
