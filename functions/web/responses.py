"""Error responses of the scheduler's own routes, with the headers that all of its responses carry."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from starlette.responses import JSONResponse, RedirectResponse, Response

from functions.web.auth import AuthFailure

REALM = 'Bearer realm="cronfire"'
RETRY_AFTER_S = 30
COMMON_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def to_dashboard() -> Response:
    """Return a 302 to the dashboard, for somebody who opens the bare address in a browser."""
    return RedirectResponse("/dashboard", status_code=302, headers=COMMON_HEADERS | {"Vary": "Accept"})


def not_found() -> Response:
    """Return a 404: no route has this path."""
    return _error_response(404, "not_found", "There is nothing at this address")


def not_allowed(methods: Iterable[str]) -> Response:
    """Return a 405: the route accepts only *methods*."""
    allowed = ", ".join(methods)
    return _error_response(
        405, "method_not_allowed", f"This address answers to {allowed}", {"Allow": allowed}
    )


def too_large(limit_bytes: int) -> Response:
    """Return a 413: the body exceeds *limit_bytes*."""
    return _error_response(
        413, "too_large", f"Send at most {limit_bytes // 1024} KB", {"Connection": "close"}
    )


def too_slow(limit: timedelta) -> Response:
    """Return a 408: the body did not arrive within *limit*."""
    return _error_response(
        408, "too_slow", f"Send the body within {limit.seconds} s", {"Connection": "close"}
    )


def invalid(reason: str) -> Response:
    """Return a 422: the request is invalid; *reason* names the field."""
    return _error_response(422, "invalid", reason)


def unknown_parameter(name: str) -> Response:
    """Return a 422: the address has a query, with the parameter *name*, and takes none."""
    return invalid(f"{name}: unknown parameter; this address takes none")


def auth_failure_response(failure: AuthFailure) -> Response:
    """Return a 401, 403 or 503. Its text does not say what was wrong, so that guessing gains nothing."""
    if failure.status == 503:
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        return _error_response(503, "unavailable", "The caller cannot be verified now; try again", wait)
    if failure.status == 403:
        headers = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"'}
        return _error_response(403, "forbidden", "This caller may not do this", headers)
    challenge = f'{REALM}, error="invalid_token"' if failure.has_token else REALM
    return _error_response(
        401, "unauthorized", "A valid bearer token is required", {"WWW-Authenticate": challenge}
    )


def degraded_response(reason: str, *, status: int) -> Response:
    """Return a response for a failed operation; *reason* is one neutral sentence."""
    return JSONResponse({"status": "degraded", "reason": reason}, status_code=status, headers=COMMON_HEADERS)


def _error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse(
        {"error": code, "message": message},
        status_code=status,
        headers=COMMON_HEADERS | dict(headers or {}),
    )
