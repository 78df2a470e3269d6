"""Answers: every response the door gives by itself, with the headers all of them carry."""

from collections.abc import Iterable, Mapping

from starlette.responses import JSONResponse, Response

from functions.web.auth import Refusal

REALM = 'Bearer realm="cronfire"'
RETRY_AFTER_S = 30
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def answer(
    body: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return *body* as JSON."""
    return JSONResponse(body, status_code=status, headers=_ALWAYS | dict(headers or {}))


def not_found() -> Response:
    """Nothing lives at this address."""
    return _error(404, "not_found", "There is nothing at this address")


def not_allowed(methods: Iterable[str]) -> Response:
    """The address exists, for other methods."""
    allowed = ", ".join(methods)
    return _error(405, "method_not_allowed", f"This address answers to {allowed}", {"Allow": allowed})


def too_large(limit_bytes: int) -> Response:
    """The request has a body nobody asked for."""
    return _error(413, "too_large", f"Send at most {limit_bytes // 1024} KB", {"Connection": "close"})


def invalid(reason: str) -> Response:
    """What was sent cannot be used; *reason* names the field."""
    return _error(422, "invalid", reason)


def refused(refusal: Refusal) -> Response:
    """Say no. What exactly was wrong is for the log, so that guessing is not helped."""
    if refusal.status == 503:
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        return _error(503, "unavailable", "The caller cannot be verified now; try again", wait)
    if refusal.status == 403:
        headers = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"'}
        return _error(403, "forbidden", "This caller may not do this", headers)
    challenge = f'{REALM}, error="invalid_token"' if refusal.token_given else REALM
    return _error(401, "unauthorized", "A valid bearer token is required", {"WWW-Authenticate": challenge})


def degraded(reason: str, *, status: int) -> Response:
    """The scheduler is up, and could not do its work; *reason* is one neutral sentence."""
    return answer({"status": "degraded", "reason": reason}, status=status)


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return answer({"error": code, "message": message}, status=status, headers=headers)
