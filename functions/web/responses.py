"""Error responses of the scheduler's own routes, with the headers that all of its responses carry.

Errors are problem details (RFC 9457) as those of the API, which takes type and titles from here: these routes
are answered without FastAPI.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from starlette.responses import JSONResponse, RedirectResponse, Response

from functions.errors import StoreError, StoreUnavailableError
from functions.web.auth import AuthFailure

REALM = 'Bearer realm="cronfire"'
RETRY_AFTER_S = 30
MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "The request cannot be read",
    401: "A valid key is required",
    403: "This key may not do this",
    404: "There is nothing at this address",
    405: "This address answers to other methods",
    408: "The request took too long",
    409: "The present state refuses it",
    412: "It has changed since",
    413: "The request is too large",
    415: "Send JSON",
    422: "The request is invalid",
    428: "If-Match is required",
    429: "Too many requests",
    500: "The scheduler failed",
    503: "The store could not be reached",
}
COMMON_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def to_dashboard() -> Response:
    """Return a 302 to the dashboard, for somebody who opens the bare address in a browser."""
    return RedirectResponse("/dashboard", status_code=302, headers=COMMON_HEADERS | {"Vary": "Accept"})


def not_found() -> Response:
    """Return a 404: no route has this path."""
    return _problem(404, nothing_here())


def nothing_here(mounted: str = "") -> str:
    """Return where to look, in the words of a 404; *mounted* is the path that all addresses begin with."""
    there = f"pages are at {mounted}/dashboard, the API's are at {mounted}/docs"
    return f"There is nothing at this address: {there}"


def not_allowed(methods: Iterable[str]) -> Response:
    """Return a 405: the route accepts only *methods*."""
    allowed = ", ".join(methods)
    return _problem(405, f"This address answers to {allowed}", {"Allow": allowed})


def too_large(limit_bytes: int) -> Response:
    """Return a 413: the body exceeds *limit_bytes*."""
    return _problem(413, f"Send at most {limit_bytes // 1024} KB", {"Connection": "close"})


def too_slow(limit: timedelta) -> Response:
    """Return a 408: the body did not arrive within *limit*."""
    return _problem(408, f"Send the body within {limit.seconds} s", {"Connection": "close"})


def invalid(reason: str) -> Response:
    """Return a 422: the request is invalid; *reason* names the field."""
    return _problem(422, reason)


def unknown_parameter(name: str) -> Response:
    """Return a 422: the address has a query, with the parameter *name*, and takes none."""
    return invalid(f"{name}: unknown parameter; this address takes none")


def auth_failure_response(failure: AuthFailure) -> Response:
    """Return a 401, 403 or 503. Its text does not say what was wrong, so that guessing gains nothing."""
    if failure.status == 503:
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        return _problem(503, "The caller cannot be verified now; try again", wait, title="Try again")
    if failure.status == 403:
        headers = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"'}
        return _problem(403, "This caller may not do this", headers)
    challenge = f'{REALM}, error="invalid_token"' if failure.has_token else REALM
    return _problem(401, "A valid bearer token is required", {"WWW-Authenticate": challenge})


def failure_reason(failure: Exception) -> str:
    """Return the neutral sentence of `degraded_response` for *failure*."""
    match failure:
        case StoreUnavailableError():
            return "The store could not be reached in time"
        case StoreError():
            return "The store refused the work"
        case _:
            return "The scheduler failed; its log has the details"


def degraded_response(reason: str, *, status: int) -> Response:
    """Return a response for a failed operation; *reason* is one neutral sentence."""
    return JSONResponse({"status": "degraded", "reason": reason}, status_code=status, headers=COMMON_HEADERS)


def _problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, *, title: str = ""
) -> Response:
    return JSONResponse(
        {"type": "about:blank", "title": title or TITLES[status], "status": status, "detail": detail},
        status_code=status,
        headers=COMMON_HEADERS | dict(headers or {}),
        media_type=MEDIA_TYPE,
    )
