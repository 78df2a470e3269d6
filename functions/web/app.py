"""The door: which address does what, for whom, and within what time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, cast

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from functions.config.settings import Settings
from functions.domain.lifecycle.time_budget import TimeBudget
from functions.domain.sharding import WorkerAssignment, parse_assignment
from functions.errors import InputError, SchedulerError, StoreError, StoreUnavailableError
from functions.web import responses
from functions.web.auth import (
    Authenticator,
    AuthFailure,
    Caller,
    GooglePrincipal,
    GoogleTokenVerifier,
    SharedSecrets,
)
from functions.web.google_keys import GoogleKeys

if TYPE_CHECKING:
    from functions.web.api.dependencies import ApiDependencies


# Budgets: how long a request may work, by what is known of who waits for the answer.

RESPONSE_MARGIN = timedelta(seconds=6)  # between the last start and the answer
WORKER_RESPONSE_MARGIN = timedelta(seconds=10)
CLOUD_SCHEDULER_BUDGET = TimeBudget(start_limit=timedelta(seconds=45), response_limit=timedelta(seconds=52))


def time_budget_for(caller: Caller, headers: Mapping[str, str], *, response_limit: timedelta) -> TimeBudget:
    """Return the time a tick has. Cloud Scheduler waits a minute; nobody else is known to wait over 30 s.

    Args:
        caller: Only a caller with an ID token is believed to be Cloud Scheduler.
        headers: Of the request, by lower-case names.
        response_limit: What everybody else gets, at least half of it for starting work.
    """
    if isinstance(caller, GooglePrincipal) and headers.get("x-cloudscheduler", "").lower() == "true":
        return CLOUD_SCHEDULER_BUDGET
    return TimeBudget(
        start_limit=max(response_limit - RESPONSE_MARGIN, response_limit / 2), response_limit=response_limit
    )


def remaining_budget(budget: TimeBudget, *, elapsed: timedelta) -> TimeBudget:
    """Return what is left of *budget* when *elapsed* has passed; never less than nothing."""

    def left(limit: timedelta | None) -> timedelta | None:
        return None if limit is None else max(limit - elapsed, timedelta())

    return TimeBudget(start_limit=left(budget.start_limit), response_limit=left(budget.response_limit))


def worker_time_budget(response_limit: timedelta) -> TimeBudget:
    """Return the time a worker has."""
    return TimeBudget(start_limit=response_limit - WORKER_RESPONSE_MARGIN, response_limit=response_limit)


MAX_BODY_BYTES = 65_536  # more is somebody's mistake
MAX_OVERRUN = timedelta(seconds=3)  # after which a tick that should have answered is cut off
STATUS_TIMEOUT = timedelta(seconds=10)
API_PATHS = ("/api/", "/openapi.json", "/docs", "/dashboard", "/badge/", "/public/")  # not the door's own

log = logging.getLogger(__name__)


class SchedulerApp(Protocol):
    """What the door needs of the rest: both answers are small JSON objects.

    Raises, from either:
        StoreUnavailableError: The store could not be reached in time.
        StoreError: The store refused.
    """

    async def tick(self, budget: TimeBudget) -> Mapping[str, object]: ...

    async def run_worker(self, assignment: WorkerAssignment, budget: TimeBudget) -> Mapping[str, object]: ...

    async def status(self) -> Mapping[str, object]: ...

    async def metrics(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Degraded:
    """The work could not be done.

    Attributes:
        reason: One neutral sentence for the caller; what happened is in the log.
    """

    reason: str


Handler = Callable[[Request], Awaitable[ASGIApp]]
SchedulerCall = Callable[[SchedulerApp], Awaitable[Mapping[str, object]]]
TimedSchedulerCall = Callable[[SchedulerApp, TimeBudget], Awaitable[Mapping[str, object]]]


class TriggerApp:
    """Answers `/tick`, `/work`, `/status` and `/healthz`, and hands on what is not its own.

    Args:
        authenticator: Who may come in.
        build_app: Builds the parts. Called in the first request that needs them, inside the loop that serves:
            clients made before the server forks, or for another loop, do not work.
        response_limit: How long a tick may take when its pinger is not known to wait longer.
        worker_limit: How long a worker may take.
        build_api: What answers the addresses of `API_PATHS`, over the same parts: an ASGI application.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        build_app: Callable[[], SchedulerApp],
        response_limit: timedelta,
        worker_limit: timedelta = timedelta(seconds=280),
        build_api: Callable[[SchedulerApp], ASGIApp] | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._build_app = build_app
        self._response_limit = response_limit
        self._worker_limit = worker_limit
        self._build_api = build_api
        self._app: tuple[asyncio.AbstractEventLoop, SchedulerApp] | None = None
        self._routes: Mapping[str, Mapping[str, Handler]] = {
            "/": {"POST": self._tick},
            "/tick": {"POST": self._tick},
            "/work": {"POST": self._worker},
            "/status": {"GET": self._status},
            "/metrics": {"GET": self._metrics},
            "/healthz": {"GET": _healthz},
        }

    async def __call__(self, request: Request) -> ASGIApp:
        """Return the answer to *request*; no exception of the work passes."""
        routes = self._routes.get(request.scope["path"].rstrip("/") or "/")
        if routes is None:
            return self._route(request.scope["path"])
        respond = routes.get("GET" if request.method == "HEAD" else request.method)
        if respond is None:
            return responses.not_allowed([*routes, "HEAD"] if "GET" in routes else routes)
        if _content_length(request) > MAX_BODY_BYTES:
            return responses.too_large(MAX_BODY_BYTES)
        return await respond(request)

    def _route(self, path: str) -> ASGIApp:
        """What people use, loaded when it is first asked for; strangers' guesses load nothing."""
        if self._build_api is None or not path.startswith(API_PATHS):
            return responses.not_found()
        try:
            return self._build_api(self._get_app())
        except SchedulerError as exc:
            log.error("rest_degraded", extra={"error": str(exc)})  # noqa: TRY400  # known, and no secret in it
            return responses.degraded_response(_failure_reason(exc), status=503)

    async def _tick(self, request: Request) -> Response:
        arrived = asyncio.get_running_loop().time()
        caller = await self._authenticate(request)
        if isinstance(caller, AuthFailure):
            return responses.auth_failure_response(caller)
        budget = time_budget_for(caller, request.headers, response_limit=self._response_limit)
        done = await self._with_deadline(
            "tick_degraded", lambda wired, left: wired.tick(left), budget, arrived
        )
        if isinstance(done, Degraded):
            # cron-job.org switches a job off after repeated HTTP errors; Google's callers report them
            return responses.degraded_response(
                done.reason, status=503 if isinstance(caller, GooglePrincipal) else 200
            )
        return responses.json_response(done)

    async def _worker(self, request: Request) -> Response:
        """A worker's share. Whoever sent it tries again after any answer but 2xx."""
        arrived = asyncio.get_running_loop().time()
        caller = await self._authenticate(request)
        if isinstance(caller, AuthFailure):
            return responses.auth_failure_response(caller)
        try:
            body = await _read_body(request)
            share = parse_assignment(body) if body is not None else None
        except InputError as exc:
            return responses.invalid(str(exc))
        if share is None:
            return responses.too_large(MAX_BODY_BYTES)
        budget = worker_time_budget(self._worker_limit)
        done = await self._with_deadline(
            "work_degraded", lambda wired, left: wired.run_worker(share, left), budget, arrived
        )
        return (
            responses.degraded_response(done.reason, status=503)
            if isinstance(done, Degraded)
            else responses.json_response(done)
        )

    async def _with_deadline(
        self, event: str, call: TimedSchedulerCall, budget: TimeBudget, arrived_at: float
    ) -> Mapping[str, object] | Degraded:
        """Do *call* in what is left of *budget*, which began when the request arrived."""

        def begin(wired: SchedulerApp) -> Awaitable[Mapping[str, object]]:
            spent = (
                asyncio.get_running_loop().time() - arrived_at
            )  # checking a token and wiring take time, too
            return call(wired, remaining_budget(budget, elapsed=timedelta(seconds=spent)))

        assert budget.response_limit is not None
        return await self._run_until(
            event, begin, deadline=arrived_at + (budget.response_limit + MAX_OVERRUN).total_seconds()
        )

    async def _status(self, request: Request) -> Response:
        until = asyncio.get_running_loop().time() + STATUS_TIMEOUT.total_seconds()
        caller = await self._authenticate(request)
        if isinstance(caller, AuthFailure):
            return responses.auth_failure_response(caller)
        done = await self._run_until("status_degraded", lambda wired: wired.status(), deadline=until)
        return (
            responses.degraded_response(done.reason, status=503)
            if isinstance(done, Degraded)
            else responses.json_response(done)
        )

    async def _metrics(self, request: Request) -> ASGIApp:
        """Figures for Prometheus. Who has no shared secret may have a key, which others know how to check."""
        caller = await self._authenticator.authenticate(request.headers.getlist("authorization"))
        if not isinstance(caller, AuthFailure):
            return PlainTextResponse(await self._get_app().metrics(), headers={"Cache-Control": "no-store"})
        if self._build_api is None or not caller.has_token:
            return responses.auth_failure_response(caller)
        return self._build_api(self._get_app())

    async def _authenticate(self, request: Request) -> Caller | AuthFailure:
        caller = await self._authenticator.authenticate(request.headers.getlist("authorization"))
        if isinstance(caller, AuthFailure):
            log.warning("caller_refused", extra={"status": caller.status, "reason": caller.reason})
        return caller

    async def _run_until(
        self, event: str, call: SchedulerCall, *, deadline: float
    ) -> Mapping[str, object] | Degraded:
        """Do *call* until *deadline*, in the loop's time, at the latest; a failure is logged as *event*."""
        failure: Exception
        bound = asyncio.timeout_at(deadline)
        try:
            async with bound:
                return await call(self._get_app())
        except Exception as exc:  # noqa: BLE001  # a caller gets an answer, never a traceback
            failure = exc
        reason = "It took too long" if bound.expired() else _failure_reason(failure)
        ours = isinstance(failure, SchedulerError) or bound.expired()
        log.error(
            event,
            extra={"reason": reason, "error": (ours and str(failure)) or type(failure).__name__},
            exc_info=None if ours else failure,
        )
        return Degraded(reason)

    def _get_app(self) -> SchedulerApp:
        loop = asyncio.get_running_loop()
        if self._app is None or self._app[0] is not loop:
            self._app = (loop, self._build_app())
        return self._app[1]


def _failure_reason(failure: Exception) -> str:
    match failure:
        case StoreUnavailableError():
            return "The store could not be reached in time"
        case StoreError():
            return "The store refused the work"
        case _:
            return "The scheduler failed; its log says how"


async def _read_body(request: Request) -> bytes | None:
    """What was sent; None when it is more than `MAX_BODY_BYTES`, announced or not."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _content_length(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0  # the server refuses other lengths


async def _healthz(_: Request) -> Response:
    return responses.json_response({"status": "ok"})


# Requests: the only room that knows headers and status codes.


def create_app(settings: Settings, build_app: Callable[[], SchedulerApp]) -> TriggerApp:
    """Return the application for *settings*. Nothing is connected, nor *build_app* called, before a request.

    Raises:
        ValueError: There is no shared secret; such settings are for the command line.
    """
    if settings.cron_secret is None:
        raise ValueError("a door without CRON_SECRET would be open to nobody")
    previous = settings.cron_secret_previous
    secrets = SharedSecrets(
        settings.cron_secret.get_secret_value(), previous.get_secret_value() if previous else None
    )
    id_tokens = GoogleTokenVerifier(
        audiences=settings.oidc_audience,
        accounts=settings.oidc_service_accounts,
        keys=GoogleKeys(),
    )
    google = id_tokens if settings.oidc_audience else None
    return TriggerApp(
        authenticator=Authenticator(secrets, google),
        build_app=build_app,
        response_limit=timedelta(seconds=settings.tick_budget_seconds),
        worker_limit=timedelta(seconds=settings.worker_budget_seconds),
        build_api=_LazyApiApp(settings, google),
    )


class _LazyApiApp:
    """The application that people use. FastAPI takes 250 ms to import, and no tick needs it."""

    def __init__(self, settings: Settings, token_verifier: GoogleTokenVerifier | None) -> None:
        self._settings = settings
        self._token_verifier = token_verifier
        self._built: tuple[SchedulerApp, ASGIApp] | None = None

    def __call__(self, wired: SchedulerApp) -> ASGIApp:
        if self._built is None or self._built[0] is not wired:
            from functions.web.api_app import build_api_app

            self._built = (
                wired,
                build_api_app(self._settings, cast("ApiDependencies", wired), self._token_verifier),
            )
        return self._built[1]
