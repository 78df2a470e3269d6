"""The dashboard: pages people look at, rendered here, without a line of script."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from functions.errors import SchedulerError
from functions.web.api.dependencies import ApiDependencies
from functions.web.api.errors import TITLES, ProblemError, http_status_of
from functions.web.dashboard import public, tasks, views
from functions.web.dashboard.context import CsrfError, LoginRequiredError, redirect_to_login, show_csrf_error
from functions.web.dashboard.rendering import render_page
from functions.web.dashboard.session import Sessions

SERVER_ERROR = 500


def add_dashboard(app: FastAPI, dependencies: ApiDependencies) -> None:
    """Give *app*, which has the API already, the pages under `/dashboard`."""
    app.state.sessions = Sessions(dependencies, app.state.auth)
    app.state.public_links = public.PublicLinks(dependencies, app.state.sessions.secret)
    for room in (views, public, tasks):
        app.include_router(room.router)
    app.add_exception_handler(LoginRequiredError, redirect_to_login)
    app.add_exception_handler(CsrfError, show_csrf_error)
    for error in (SchedulerError, ProblemError):
        app.add_exception_handler(error, _as_page(dependencies, app.exception_handlers[error]))


def _as_page(
    dependencies: ApiDependencies, problem_handler: Any
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Show what went wrong on a page as a page. The API's answer stays what it is, and gets logged."""

    async def answer(request: Request, fault: Exception) -> Response:
        problem: Response = await problem_handler(request, fault)
        if not request.url.path.startswith("/dashboard"):
            return problem
        status = http_status_of(fault) if isinstance(fault, SchedulerError) else problem.status_code
        text = str(fault) if status < SERVER_ERROR else "Try again in some seconds"
        return render_page(
            "problem", now=dependencies.now(), session=None, status=status, title=TITLES[status], text=text
        )

    return answer
