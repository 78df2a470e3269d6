"""The HTTP application: routes requests, authenticates the callers of ticks, and limits time and size."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.domain.capacity.time_budget import CLOUD_SCHEDULER_BUDGET, TimeBudget
from functions.domain.sharding import WorkerAssignment, parse_assignment
from functions.errors import InputError, SchedulerError
from functions.observability.metrics import CONTENT_TYPE
from functions.web import responses
from functions.web.auth import (
    Authenticator,
    AuthFailure,
    Caller,
    GooglePrincipal,
)

# Time limits of a request. They depend on how long its caller is known to wait for the response.

RESPONSE_MARGIN = timedelta(seconds=6)  # between the last start and the response
WORKER_RESPONSE_MARGIN = timedelta(seconds=10)


def time_budget_for(caller: Caller, headers: Mapping[str, str], *, response_limit: timedelta) -> TimeBudget:
    """Return the time a tick has. Cloud Scheduler waits a minute; no other caller is known to wait over 30 s.

    Args:
        caller: Only a caller with an ID token can be Cloud Scheduler.
        headers: The request's headers, by lower-case names.
        response_limit: The limit for all other callers; at least half of it is for starting work.
    """
    if isinstance(caller, GooglePrincipal) and headers.get("x-cloudscheduler", "").lower() == "true":
        return CLOUD_SCHEDULER_BUDGET
    return TimeBudget(
        start_limit=max(response_limit - RESPONSE_MARGIN, response_limit / 2), response_limit=response_limit
    )


def remaining_budget(budget: TimeBudget, *, elapsed: timedelta) -> TimeBudget:
    """Return *budget* less *elapsed*; no limit is negative."""

    def remaining(limit: timedelta | None) -> timedelta | None:
        return None if limit is None else max(limit - elapsed, timedelta())

    return TimeBudget(
        start_limit=remaining(budget.start_limit),
        response_limit=remaining(budget.response_limit),
        usual_limit=budget.response_limit,
    )


def worker_time_budget(response_limit: timedelta) -> TimeBudget:
    """Return the time a worker has."""
    return TimeBudget(start_limit=response_limit - WORKER_RESPONSE_MARGIN, response_limit=response_limit)


MAX_BODY_BYTES = 65_536  # of any request
MAX_FORM_BYTES = 262_144  # of a task's form, which sends all of its texts, also those that a file brought
MAX_PING_BYTES = 1_048_576  # of a heartbeat's call, which keeps the end of a program's output
MAX_MESSAGE_BYTES = 1_048_576  # of an assistant's, which is read for its id alone when it is too large
LARGER_BODIES = {
    "/dashboard/new": MAX_FORM_BYTES,
    "/dashboard/tasks/": MAX_FORM_BYTES,
    "/ping/": MAX_PING_BYTES,
    "/mcp": MAX_MESSAGE_BYTES,
}
LARGE_BODY_BYTES = 4096  # one takes up to 0.1 s to check, during which nothing else runs
BODY_TIMEOUT = timedelta(seconds=10)  # from the first read of a body to its end
MAX_OVERRUN = timedelta(seconds=3)  # past its response limit, a tick is cancelled
STATUS_TIMEOUT = timedelta(seconds=10)
PUBLIC_PATHS = ("/badge/", "/public/", "/ping/")  # whose names are secrets
PAGES = ("/dashboard", "/docs", "/task-file.schema.json", *PUBLIC_PATHS)
API_PATHS = ("/api/", "/mcp", "/openapi.json", *PAGES)

log = logging.getLogger(__name__)


class SchedulerApp(Protocol):
    """The operations behind the scheduler's own routes. Reports are small JSON objects.

    Raises, from every method:
        StoreUnavailableError: The store could not be reached in time.
        StoreError: The store refused.
    """

    async def tick(self, budget: TimeBudget) -> Mapping[str, object]: ...

    async def run_worker(self, assignment: WorkerAssignment, budget: TimeBudget) -> Mapping[str, object]: ...

    async def status(self) -> Mapping[str, object]: ...

    async def metrics(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Degraded:
    """The operation failed.

    Attributes:
        reason: One neutral sentence for the caller; the log has the details.
    """

    reason: str


Handler = Callable[[Request], Awaitable[ASGIApp]]
Result = TypeVar("Result", Mapping[str, object], str)
TimedSchedulerCall = Callable[[SchedulerApp, TimeBudget], Awaitable[Mapping[str, object]]]


class TriggerApp:
    """Answers `/tick`, `/work`, `/status`, `/metrics` and `/healthz`; passes `API_PATHS` on to the API.

    Args:
        authenticator: Identifies the caller of a route that needs one.
        build_app: Builds the scheduler. Called in the first request that needs it, in the loop that serves:
            clients made before the server forks, or for another loop, do not work.
        response_limit: How long a tick may take when its caller is not known to wait longer.
        worker_limit: How long a worker may take.
        build_api: Builds the application for `API_PATHS` over the same scheduler, in the first such request.
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._app: SchedulerApp | None = None
        self._api: ASGIApp | None = None
        self._routes: Mapping[str, Mapping[str, Handler]] = {
            "/": {"POST": self._tick},
            "/tick": {"POST": self._tick},
            "/work": {"POST": self._worker},
            "/status": {"GET": self._status},
            "/metrics": {"GET": self._metrics},
            "/healthz": {"GET": _healthz},
        }

    async def __call__(self, request: Request) -> ASGIApp:
        """Return the response to *request*; errors become responses."""
        routes = self._routes.get(request.scope["path"].rstrip("/") or "/")
        if routes is None:
            return self._respond_from_api(request.scope["path"])
        respond = routes.get("GET" if request.method == "HEAD" else request.method)
        if respond is None and self._build_api is not None and _is_browser_at_root(request):
            return responses.to_dashboard()
        if respond is None:
            return responses.not_allowed([*routes, "HEAD"] if "GET" in routes else routes)
        if _content_length(request) > MAX_BODY_BYTES:
            return responses.too_large(MAX_BODY_BYTES)
        if request.scope["query_string"] and respond is not _healthz:  # probes add the time, to pass caches
            return responses.unknown_parameter(next(iter(request.query_params), ""))
        return await respond(request)

    def _respond_from_api(self, path: str) -> ASGIApp:
        """Return the API for one of its paths; any other path is a 404 and loads nothing."""
        if self._build_api is None or not path.startswith(API_PATHS):
            return responses.not_found()
        return self._get_api(self._build_api)

    async def _tick(self, request: Request) -> Response:
        arrived = asyncio.get_running_loop().time()
        caller = await self._authenticate(request)
        if isinstance(caller, AuthFailure):
            return responses.auth_failure_response(caller)
        budget = time_budget_for(caller, request.headers, response_limit=self._response_limit)
        report = await self._run_within_budget(
            "tick_degraded", lambda app, remaining: app.tick(remaining), budget, arrived
        )
        # cron-job.org switches a job off after repeated HTTP errors; Google's callers report them
        return _report_response(report, degraded_status=503 if isinstance(caller, GooglePrincipal) else 200)

    async def _worker(self, request: Request) -> Response:
        """Run a worker's assignment. Its sender retries after any status but 2xx."""
        arrived = asyncio.get_running_loop().time()
        caller = await self._authenticate(request)
        if isinstance(caller, AuthFailure):
            return responses.auth_failure_response(caller)
        try:
            async with asyncio.timeout(BODY_TIMEOUT.total_seconds()):
                body = await _read_body(request)
            assignment = parse_assignment(body) if body is not None else None
        except TimeoutError:
            return responses.too_slow(BODY_TIMEOUT)
        except InputError as exc:
            return responses.invalid(str(exc))
        if assignment is None:
            return responses.too_large(MAX_BODY_BYTES)
        budget = worker_time_budget(self._worker_limit)
        report = await self._run_within_budget(
            "work_degraded", lambda app, remaining: app.run_worker(assignment, remaining), budget, arrived
        )
        return _report_response(report)

    async def _run_within_budget(
        self, event: str, call: TimedSchedulerCall, budget: TimeBudget, arrived_at: float
    ) -> Mapping[str, object] | Degraded:
        """Run *call* in what remains of *budget*, which began when the request arrived."""

        def begin(app: SchedulerApp) -> Awaitable[Mapping[str, object]]:
            # authenticating the caller and building the scheduler took part of the budget
            elapsed = asyncio.get_running_loop().time() - arrived_at
            return call(app, remaining_budget(budget, elapsed=timedelta(seconds=elapsed)))

        assert budget.response_limit is not None
        return await self._run_until(
            event, begin, deadline=arrived_at + (budget.response_limit + MAX_OVERRUN).total_seconds()
        )

    async def _status(self, request: Request) -> ASGIApp:
        """Return how it is. A bearer token that is no shared secret may be an API key."""
        deadline = asyncio.get_running_loop().time() + STATUS_TIMEOUT.total_seconds()
        caller = await self._authenticator.authenticate(request.headers.getlist("authorization"))
        if isinstance(caller, AuthFailure):
            return self._let_api_decide(caller)
        return _report_response(
            await self._run_until("status_degraded", lambda app: app.status(), deadline=deadline)
        )

    async def _metrics(self, request: Request) -> ASGIApp:
        """Return figures for Prometheus. A bearer token that is no shared secret may be an API key."""
        deadline = asyncio.get_running_loop().time() + STATUS_TIMEOUT.total_seconds()
        caller = await self._authenticator.authenticate(request.headers.getlist("authorization"))
        if isinstance(caller, AuthFailure):
            return self._let_api_decide(caller)
        figures = await self._run_until("metrics_degraded", lambda app: app.metrics(), deadline=deadline)
        if isinstance(figures, Degraded):
            return responses.degraded_response(figures.reason, status=503)
        return PlainTextResponse(figures, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    def _let_api_decide(self, failure: AuthFailure) -> ASGIApp:
        """Return the API for a token that it may know as a key; else the response to *failure*."""
        if self._build_api is None or not failure.has_token:
            log.warning("caller_refused", extra={"status": failure.status, "reason": failure.reason})
            return responses.auth_failure_response(failure)
        return self._get_api(self._build_api)

    async def _authenticate(self, request: Request) -> Caller | AuthFailure:
        caller = await self._authenticator.authenticate(request.headers.getlist("authorization"))
        if isinstance(caller, AuthFailure):
            log.warning("caller_refused", extra={"status": caller.status, "reason": caller.reason})
        return caller

    async def _run_until(
        self, event: str, call: Callable[[SchedulerApp], Awaitable[Result]], *, deadline: float
    ) -> Result | Degraded:
        """Run *call*, cancelled at *deadline* in the loop's time; a failure is logged as *event*."""
        failure: Exception
        timeout = asyncio.timeout_at(deadline)
        try:
            async with timeout:
                return await call(self._get_app())
        except Exception as exc:  # noqa: BLE001  # the caller gets a response, never a traceback
            failure = exc
        reason = "It took too long" if timeout.expired() else responses.failure_reason(failure)
        is_expected = isinstance(failure, SchedulerError) or timeout.expired()
        log.error(
            event,
            extra={"reason": reason, "error": (is_expected and str(failure)) or type(failure).__name__},
            exc_info=None if is_expected else failure,
        )
        return Degraded(reason)

    def _get_app(self) -> SchedulerApp:
        loop = asyncio.get_running_loop()
        if self._app is None or self._loop is not loop:
            self._loop, self._app, self._api = loop, self._build_app(), None
        return self._app

    def _get_api(self, build_api: Callable[[SchedulerApp], ASGIApp]) -> ASGIApp:
        try:
            app = self._get_app()
            if self._api is None:
                self._api = build_api(app)
        except SchedulerError as exc:
            log.error("rest_degraded", extra={"error": str(exc)})  # noqa: TRY400  # known, and no secret in it
            return responses.degraded_response(responses.failure_reason(exc), status=503)
        return self._api


def _report_response(report: Mapping[str, object] | Degraded, *, degraded_status: int = 503) -> Response:
    if isinstance(report, Degraded):
        return responses.degraded_response(report.reason, status=degraded_status)
    return JSONResponse(report, headers=responses.COMMON_HEADERS)


async def _read_body(request: Request) -> bytes | None:
    """Return the body; None when it is larger than `MAX_BODY_BYTES`, whatever Content-Length says."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _is_browser_at_root(request: Request) -> bool:
    """Whether a browser wants a page at the bare address; no pinger asks for HTML."""
    return (
        request.scope["path"] == "/"
        and request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("accept", "")
    )


def _content_length(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0  # the server refuses other lengths


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers=responses.COMMON_HEADERS)


# Wrappers around the API: what its addresses, bodies and responses may be.


def with_text_addresses(app: ASGIApp) -> ASGIApp:
    """Return *app*, which gets no address whose path or query is no text that every store can hold.

    Servers replace what is no UTF-8 by other letters, so a request would be about something that the caller
    did not write.
    """
    from functions.web.api.errors import problem_response

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or _is_text(scope.get("raw_path") or b"", scope["query_string"]):
            return app(scope, receive, send)
        response = problem_response(400, "The address holds a NUL or what is no UTF-8")
        return response(scope, receive, send)

    return answer


def _is_text(*parts: bytes) -> bool:
    if not any(b"%" in part or not part.isascii() for part in parts):  # true of nearly all
        return True
    try:
        return not any("\0" in unquote_to_bytes(part).decode() for part in parts)
    except UnicodeDecodeError:
        return False


def with_failures(app: ASGIApp) -> ASGIApp:
    """Return *app*, of which an error that nobody foresaw is one record of the log.

    Starlette passes such an error on after its response, and the server then prints it once more and breaks
    off the connection.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception:
            log.exception("request_failed")  # without the path, which may be a secret

    return answer


def with_head(app: ASGIApp) -> ASGIApp:
    """Return *app* answering HEAD as it answers GET, without the body (RFC 9110, section 9.3.2)."""

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return app(scope, receive, send)

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        return app({**scope, "method": "GET"}, receive, send_without_body)

    return answer


def with_limits(app: ASGIApp) -> ASGIApp:
    """Return *app* with limits on request bodies, in bytes and time, and safe headers on its responses.

    A route may override the headers.
    """
    turn = asyncio.Lock()

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        path = scope["path"].removeprefix(scope.get("root_path", ""))  # below which it may be mounted
        return app(scope, _LimitedBody(path, receive, turn).receive, send_with_headers)

    return answer


class _LimitedBody:
    """The body of one request to *path*, received within its limits.

    The bytes received are counted, because a body may come without a Content-Length.

    Args:
        turn: Of large bodies that arrive together one is passed on in each round of the loop.
    """

    def __init__(self, path: str, receive: Receive, turn: asyncio.Lock) -> None:
        larger = (size for prefix, size in LARGER_BODIES.items() if path.startswith(prefix))
        self._limit = next(larger, MAX_BODY_BYTES)
        self._receive = receive
        self._turn = turn
        self._received_bytes = 0
        self._is_whole = False
        self._deadline: float | None = None  # on the loop's clock

    async def receive(self) -> Message:
        """Return the next message of the request.

        Raises:
            HTTPException: The body is too large, or took too long.
        """
        if self._is_whole:
            return await self._receive()  # the end of the connection, for which a response may wait
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + BODY_TIMEOUT.total_seconds()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408, f"Send the body within {BODY_TIMEOUT.seconds} s", headers={"Connection": "close"}
            ) from None
        self._is_whole = not message.get("more_body", False)
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._limit:
            raise HTTPException(413, f"Send at most {self._limit // 1024} KB")
        if self._is_whole and self._received_bytes > LARGE_BODY_BYTES:
            await self._turn.acquire()
            loop.call_soon(self._turn.release)  # after what the application does at once
        return message
