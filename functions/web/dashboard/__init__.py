"""The dashboard: HTML pages rendered on the server, which work without scripts."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from functions.errors import SchedulerError
from functions.web.api.dependencies import RateLimiter, add_routes
from functions.web.api.errors import ProblemError, http_status_of
from functions.web.api.scheduler import ApiDependencies
from functions.web.dashboard import (
    agenda,
    assets,
    bulk,
    editing,
    history,
    incidents,
    overview,
    public,
    task_page,
    tasks,
    views,
)
from functions.web.dashboard.admin import audit, calendars, channels, keys, owners, removed
from functions.web.dashboard.context import CsrfError, LoginRequiredError
from functions.web.dashboard.rendering import redirect, render_page
from functions.web.dashboard.session import Sessions
from functions.web.responses import TITLES

NOT_FOUND, NOT_ALLOWED, SERVER_ERROR = 404, 405, 500
PASSING = (429, 503)  # another try may succeed: what was typed is kept for it
TRIALS_PER_MINUTE, TRIAL_BURST = 6, 6  # requests that a key makes to test them


def add_dashboard(app: FastAPI, dependencies: ApiDependencies) -> None:
    """Add the pages under `/dashboard` to *app*, which has the API already."""
    app.state.sessions = Sessions(dependencies, app.state.auth)
    app.state.trials = RateLimiter(
        clock=lambda: dependencies.now().timestamp(), per_minute=TRIALS_PER_MINUTE, burst_size=TRIAL_BURST
    )
    app.state.public_links = public.PublicLinks(dependencies)
    for module in (
        assets,
        views,
        overview,
        agenda,
        history,
        incidents,
        public,
        bulk,
        editing,
        tasks,
        task_page,
        keys,
        channels,
        owners,
        removed,
        calendars,
        audit,
    ):
        add_routes(app, module.router)
    app.add_exception_handler(LoginRequiredError, views.ask_to_sign_in)
    app.add_exception_handler(CsrfError, views.refuse_form)
    for error in (SchedulerError, ProblemError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(error, _as_page(dependencies, app.exception_handlers[error]))


PAGES = ("/dashboard", "/public/")  # addresses that browsers open
KEPT_HEADERS = ("Allow", "Retry-After")  # of a problem that is shown as a page


def _as_page(
    dependencies: ApiDependencies, problem_handler: Any
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return a handler that shows an error of one of our pages as a page; other errors stay problems."""

    async def handle(request: Request, error: Exception) -> Response:
        problem: Response = await problem_handler(request, error)
        path: str = request.scope["path"]  # not quoted yet
        if not path.startswith(PAGES):
            return problem
        status = http_status_of(error) if isinstance(error, SchedulerError) else problem.status_code
        if status == NOT_FOUND and request.method == "GET" and path.endswith("/"):
            return redirect(quote(path.rstrip("/")))  # as people type addresses
        is_of_address = isinstance(error, HTTPException) and status in (NOT_FOUND, NOT_ALLOWED)
        said = (
            "" if is_of_address else json.loads(bytes(problem.body))["detail"]
        )  # which is for programs there
        text = said if status < SERVER_ERROR else "Try again in some seconds"
        page = render_page(
            "problem",
            now=dependencies.now(),
            session=None,
            language=dependencies.language,
            here=path,
            status=status,
            title=TITLES[status],
            text=text,
            typed=await views.typed_again(request) if status in PASSING else {},
        )
        page.headers.update({name: problem.headers[name] for name in KEPT_HEADERS if name in problem.headers})
        return page

    return handle
