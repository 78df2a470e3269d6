"""The dashboard: pages people look at, rendered here, without a line of script."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from functions.errors import SchedulerError
from functions.web.api.dependencies import ApiParts
from functions.web.api.errors import TITLES, ProblemError, status_of
from functions.web.dashboard import public, tasks, views
from functions.web.dashboard.context import NotOurForm, SignInFirst, not_our_form, sign_in_first
from functions.web.dashboard.rendering import page
from functions.web.dashboard.session import Sessions

OUR_FAULT = 500


def add_dashboard(app: FastAPI, parts: ApiParts) -> None:
    """Give *app*, which has the API already, the pages under `/dashboard`."""
    app.state.sessions = Sessions(parts, app.state.identity)
    app.state.public = public.Public(parts, app.state.sessions.secret)
    for room in (views, public, tasks):
        app.include_router(room.router)
    app.add_exception_handler(SignInFirst, sign_in_first)
    app.add_exception_handler(NotOurForm, not_our_form)
    for error in (SchedulerError, ProblemError):
        app.add_exception_handler(error, _on_a_page(parts, app.exception_handlers[error]))


def _on_a_page(parts: ApiParts, as_problem: Any) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Show what went wrong on a page as a page. The API's answer stays what it is, and gets logged."""

    async def answer(request: Request, fault: Exception) -> Response:
        problem: Response = await as_problem(request, fault)
        if not request.url.path.startswith("/dashboard"):
            return problem
        status = status_of(fault) if isinstance(fault, SchedulerError) else problem.status_code
        text = str(fault) if status < OUR_FAULT else "Try again in some seconds"
        return page("problem", now=parts.now(), session=None, status=status, title=TITLES[status], text=text)

    return answer
