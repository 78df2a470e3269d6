"""Answers: every response the door gives by itself, with the headers all of them carry."""

from collections.abc import Iterable, Mapping

from starlette.responses import JSONResponse, Response

from functions.web.auth import AuthFailure

REALM = 'Bearer realm="cronfire"'
RETRY_AFTER_S = 30
_COMMON_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_response(
    body: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return *body* as JSON."""
    return JSONResponse(body, status_code=status, headers=_COMMON_HEADERS | dict(headers or {}))


def not_found() -> Response:
    """Nothing lives at this address."""
    return _error_response(404, "not_found", "There is nothing at this address")


def not_allowed(methods: Iterable[str]) -> Response:
    """The address exists, for other methods."""
    allowed = ", ".join(methods)
    return _error_response(
        405, "method_not_allowed", f"This address answers to {allowed}", {"Allow": allowed}
    )


def too_large(limit_bytes: int) -> Response:
    """The request has a body nobody asked for."""
    return _error_response(
        413, "too_large", f"Send at most {limit_bytes // 1024} KB", {"Connection": "close"}
    )


def invalid(reason: str) -> Response:
    """What was sent cannot be used; *reason* names the field."""
    return _error_response(422, "invalid", reason)


def auth_failure_response(failure: AuthFailure) -> Response:
    """Say no. What exactly was wrong is for the log, so that guessing is not helped."""
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
    """The scheduler is up, and could not do its work; *reason* is one neutral sentence."""
    return json_response({"status": "degraded", "reason": reason}, status=status)


def _error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response({"error": code, "message": message}, status=status, headers=headers)
