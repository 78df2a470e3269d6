"""Errors of the API as problem details (RFC 9457)."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from functions.domain.validation import problems_from
from functions.errors import (
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    SchedulerError,
    StateError,
    StoreError,
    StoreUnavailableError,
)
from functions.web.api.addresses import mount_path
from functions.web.responses import MEDIA_TYPE, TITLES, nothing_here

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


class FieldProblem(BaseModel):
    """One invalid field of a request."""

    field: str = Field(
        description="e.g. `params.url`; empty when it is the whole request", examples=["schedule"]
    )
    reason: str = Field(examples=["31 2 never comes; February has 29 days at most"])


class ProblemDetails(BaseModel):
    """Why a request failed (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["The request is invalid"])
    status: int = Field(examples=[422])
    detail: str = Field(description="one sentence with the reason and the remedy")
    errors: list[FieldProblem] = Field(default_factory=list)


class ProblemError(Exception):
    """A problem with a status and text of its own; raised by routes."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def problem_response(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return a response with a problem."""
    title = TITLES.get(status, "The request failed")
    body = ProblemDetails(title=title, status=status, detail=detail, errors=list(errors))
    content = body.model_dump(exclude_defaults=True) | {"type": body.type, "title": title, "status": status}
    return JSONResponse(content, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for the errors that all routes share, and for *statuses*."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({400, 401, 403, 408, 413, 415, 422, 429, 500, 503, *statuses})
    }


def add_error_handlers(app: FastAPI) -> None:
    """Add handlers to *app* that answer every error with a problem, never with a traceback."""
    app.add_exception_handler(ProblemError, _handle_problem)
    app.add_exception_handler(SchedulerError, _handle_scheduler_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(Exception, _handle_unexpected_error)


def http_status_of(error: SchedulerError) -> int:
    """Return the HTTP status of *error*."""
    match error:
        case NotFoundError():
            return 404
        case NotAllowedError():
            return 403
        case ConflictError() | StateError():
            return 409
        case InputError():
            return 422
        case StoreUnavailableError():
            return 503
        case _:
            return 500


async def _handle_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return problem_response(error.status, error.detail, errors=error.errors, headers=error.headers)


async def _handle_scheduler_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SchedulerError)
    status = http_status_of(error)
    if status == 500 or isinstance(error, StoreError):
        log.error("api_failed", extra={"status": status, "error": str(error)})
        headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
        detail = "Try again in some seconds" if status == 503 else "The scheduler's log has the details"
        return problem_response(status, detail, headers=headers)
    field, colon, reason = str(error).partition(": ")
    named = bool(colon) and " " not in field
    errors = [FieldProblem(field=field, reason=reason)] if named and status == 422 else []
    return problem_response(status, str(error), errors=errors)


async def _handle_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = error.errors()
    inside = [{**one, "loc": one["loc"][1:]} for one in details]  # without `body` or `query`
    problems = problems_from(inside, model=_body_model(request))
    errors = [FieldProblem(field=problem.field, reason=problem.reason) for problem in problems]
    texts = [f"{one.field}: {one.reason}" if one.field else f"The body {one.reason}" for one in errors]
    return problem_response(422, "; ".join(texts), errors=errors)


def _body_model(request: Request) -> type[BaseModel] | None:
    """Return the model of the body, whose fields are suggested in place of unknown ones; None for no body."""
    field = getattr(request.scope.get("route"), "body_field", None)
    kind = None if field is None else field.field_info.annotation
    models = (one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel))
    return next(models, None)


async def _handle_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    title = TITLES.get(error.status_code, "The request failed")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_allowed_methods(request))
        return problem_response(405, f"This address answers to {allowed}", headers={"Allow": allowed})
    is_default = error.detail == HTTPStatus(error.status_code).phrase
    detail = title if is_default else error.detail
    if is_default and error.status_code == HTTPStatus.NOT_FOUND:
        ends_in_slash = request.scope["path"].endswith("/")
        detail = nothing_here(mount_path(request)) + (", without a slash at the end" if ends_in_slash else "")
    return problem_response(error.status_code, detail, headers=error.headers)


async def _handle_unexpected_error(_: Request, __: Exception) -> JSONResponse:
    return problem_response(500, "The scheduler's log has the details")  # which `with_failures` writes


def _allowed_methods(request: Request) -> list[str]:
    """All methods of the address of *request*; Starlette names those of the first of its routes."""
    app: FastAPI = request.app
    routes = [
        route
        for route in app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE
    ]
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
