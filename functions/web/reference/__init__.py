"""The page `/docs`: the API's description for people, by Swagger UI, which is served from here."""

from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(prefix="/docs", include_in_schema=False)

FOLDER = Path(__file__).parent
SWAGGER_UI = FOLDER / "swagger_ui"  # of the npm package swagger-ui-dist; scripts/vendor copies it
MAX_AGE_S = 86_400
# As that of the dashboard, with scripts and requests to this site. Swagger UI's style sheet has data: icons.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@router.get("")
async def show_page() -> Response:
    """Return the page."""
    return Response((FOLDER / "page.html").read_bytes(), media_type="text/html", headers=HEADERS)


@router.get("/start.js")
async def start() -> Response:
    """Return the script that starts Swagger UI."""
    return Response((FOLDER / "start.js").read_bytes(), media_type="text/javascript", headers=HEADERS)


@router.get("/{name}")
async def asset(name: Literal["swagger-ui-bundle.js", "swagger-ui.css"]) -> Response:
    """Return a file of Swagger UI, cacheable for a day."""
    media_type = "text/css" if name.endswith(".css") else "text/javascript"
    headers = HEADERS | {"Cache-Control": f"public, max-age={MAX_AGE_S}"}
    return Response((SWAGGER_UI / name).read_bytes(), media_type=media_type, headers=headers)
