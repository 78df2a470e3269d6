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
from functions.domain.lifecycle.time_budget import Budget
from functions.domain.sharding import Share, read_share
from functions.errors import InputError, SchedulerError, StoreError, StoreUnavailableError
from functions.web import responses
from functions.web.auth import Caller, Gate, GoogleCaller, IdTokens, Refusal, SharedSecrets
from functions.web.google_keys import Certificates

if TYPE_CHECKING:
    from functions.web.api.dependencies import ApiParts


# Budgets: how long a request may work, by what is known of who waits for the answer.

FINISHING = timedelta(seconds=6)  # between the last start and the answer
WORKER_FINISHING = timedelta(seconds=10)
SCHEDULER_BUDGET = Budget(stop_starting=timedelta(seconds=45), answer_by=timedelta(seconds=52))


def budget_for(caller: Caller, headers: Mapping[str, str], *, answer_by: timedelta) -> Budget:
    """Return the time a tick has. Cloud Scheduler waits a minute; nobody else is known to wait over 30 s.

    Args:
        caller: Only a caller with an ID token is believed to be Cloud Scheduler.
        headers: Of the request, by lower-case names.
        answer_by: What everybody else gets, at least half of it for starting work.
    """
    if isinstance(caller, GoogleCaller) and headers.get("x-cloudscheduler", "").lower() == "true":
        return SCHEDULER_BUDGET
    return Budget(stop_starting=max(answer_by - FINISHING, answer_by / 2), answer_by=answer_by)


def shortened(budget: Budget, *, by: timedelta) -> Budget:
    """Return what is left of *budget* when *by* has passed; never less than nothing."""

    def left(limit: timedelta | None) -> timedelta | None:
        return None if limit is None else max(limit - by, timedelta())

    return Budget(stop_starting=left(budget.stop_starting), answer_by=left(budget.answer_by))


def worker_budget(answer_by: timedelta) -> Budget:
    """Return the time a worker has."""
    return Budget(stop_starting=answer_by - WORKER_FINISHING, answer_by=answer_by)


MAX_BODY_BYTES = 65_536  # more is somebody's mistake
OVERTIME = timedelta(seconds=3)  # after which a tick that should have answered is cut off
STATUS_WITHIN = timedelta(seconds=10)
REST = ("/api/", "/openapi.json", "/docs", "/dashboard", "/badge/", "/public/")  # not the door's own

log = logging.getLogger(__name__)


class Wired(Protocol):
    """What the door needs of the rest: both answers are small JSON objects.

    Raises, from either:
        StoreUnavailable: The store could not be reached in time.
        StoreError: The store refused.
    """

    async def tick(self, budget: Budget) -> Mapping[str, object]: ...

    async def run_worker(self, assignment: Share, budget: Budget) -> Mapping[str, object]: ...

    async def status(self) -> Mapping[str, object]: ...

    async def metrics(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Degraded:
    """The work could not be done.

    Attributes:
        reason: One neutral sentence for the caller; what happened is in the log.
    """

    reason: str


Respond = Callable[[Request], Awaitable[ASGIApp]]
Work = Callable[[Wired], Awaitable[Mapping[str, object]]]
TimedWork = Callable[[Wired, Budget], Awaitable[Mapping[str, object]]]


class Door:
    """Answers `/tick`, `/work`, `/status` and `/healthz`, and hands on what is not its own.

    Args:
        gate: Who may come in.
        wire: Builds the parts. Called in the first request that needs them, inside the loop that serves:
            clients made before the server forks, or for another loop, do not work.
        answer_by: How long a tick may take when its pinger is not known to wait longer.
        work_by: How long a worker may take.
        rest: What answers the addresses of `REST`, over the same parts: an ASGI application.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        wire: Callable[[], Wired],
        answer_by: timedelta,
        work_by: timedelta = timedelta(seconds=280),
        rest: Callable[[Wired], ASGIApp] | None = None,
    ) -> None:
        self._gate = gate
        self._wire = wire
        self._answer_by = answer_by
        self._work_by = work_by
        self._rest = rest
        self._wired: tuple[asyncio.AbstractEventLoop, Wired] | None = None
        self._routes: Mapping[str, Mapping[str, Respond]] = {
            "/": {"POST": self._tick},
            "/tick": {"POST": self._tick},
            "/work": {"POST": self._share},
            "/status": {"GET": self._status},
            "/metrics": {"GET": self._metrics},
            "/healthz": {"GET": _healthz},
        }

    async def __call__(self, request: Request) -> ASGIApp:
        """Return the answer to *request*; no exception of the work passes."""
        routes = self._routes.get(request.scope["path"].rstrip("/") or "/")
        if routes is None:
            return self._other(request.scope["path"])
        respond = routes.get("GET" if request.method == "HEAD" else request.method)
        if respond is None:
            return responses.not_allowed([*routes, "HEAD"] if "GET" in routes else routes)
        if _announced_bytes(request) > MAX_BODY_BYTES:
            return responses.too_large(MAX_BODY_BYTES)
        return await respond(request)

    def _other(self, path: str) -> ASGIApp:
        """What people use, loaded when it is first asked for; strangers' guesses load nothing."""
        if self._rest is None or not path.startswith(REST):
            return responses.not_found()
        try:
            return self._rest(self._parts())
        except SchedulerError as exc:
            log.error("rest_degraded", extra={"error": str(exc)})  # noqa: TRY400  # known, and no secret in it
            return responses.degraded(_reason(exc), status=503)

    async def _tick(self, request: Request) -> Response:
        arrived = asyncio.get_running_loop().time()
        caller = await self._admitted(request)
        if isinstance(caller, Refusal):
            return responses.refused(caller)
        budget = budget_for(caller, request.headers, answer_by=self._answer_by)
        done = await self._timed("tick_degraded", lambda wired, left: wired.tick(left), budget, arrived)
        if isinstance(done, Degraded):
            # cron-job.org switches a job off after repeated HTTP errors; Google's callers report them
            return responses.degraded(done.reason, status=503 if isinstance(caller, GoogleCaller) else 200)
        return responses.answer(done)

    async def _share(self, request: Request) -> Response:
        """A worker's share. Whoever sent it tries again after any answer but 2xx."""
        arrived = asyncio.get_running_loop().time()
        caller = await self._admitted(request)
        if isinstance(caller, Refusal):
            return responses.refused(caller)
        try:
            body = await _body(request)
            share = read_share(body) if body is not None else None
        except InputError as exc:
            return responses.invalid(str(exc))
        if share is None:
            return responses.too_large(MAX_BODY_BYTES)
        budget = worker_budget(self._work_by)
        done = await self._timed(
            "work_degraded", lambda wired, left: wired.run_worker(share, left), budget, arrived
        )
        return (
            responses.degraded(done.reason, status=503)
            if isinstance(done, Degraded)
            else responses.answer(done)
        )

    async def _timed(
        self, event: str, work: TimedWork, budget: Budget, arrived: float
    ) -> Mapping[str, object] | Degraded:
        """Do *work* in what is left of *budget*, which began when the request arrived."""

        def begin(wired: Wired) -> Awaitable[Mapping[str, object]]:
            spent = asyncio.get_running_loop().time() - arrived  # checking a token and wiring take time, too
            return work(wired, shortened(budget, by=timedelta(seconds=spent)))

        assert budget.answer_by is not None
        return await self._attempt(
            event, begin, until=arrived + (budget.answer_by + OVERTIME).total_seconds()
        )

    async def _status(self, request: Request) -> Response:
        until = asyncio.get_running_loop().time() + STATUS_WITHIN.total_seconds()
        caller = await self._admitted(request)
        if isinstance(caller, Refusal):
            return responses.refused(caller)
        done = await self._attempt("status_degraded", lambda wired: wired.status(), until=until)
        return (
            responses.degraded(done.reason, status=503)
            if isinstance(done, Degraded)
            else responses.answer(done)
        )

    async def _metrics(self, request: Request) -> ASGIApp:
        """Figures for Prometheus. Who has no shared secret may have a key, which others know how to check."""
        caller = await self._gate.admit(request.headers.getlist("authorization"))
        if not isinstance(caller, Refusal):
            return PlainTextResponse(await self._parts().metrics(), headers={"Cache-Control": "no-store"})
        if self._rest is None or not caller.token_given:
            return responses.refused(caller)
        return self._rest(self._parts())

    async def _admitted(self, request: Request) -> Caller | Refusal:
        caller = await self._gate.admit(request.headers.getlist("authorization"))
        if isinstance(caller, Refusal):
            log.warning("caller_refused", extra={"status": caller.status, "reason": caller.reason})
        return caller

    async def _attempt(self, event: str, work: Work, *, until: float) -> Mapping[str, object] | Degraded:
        """Do *work*, until the loop's clock shows *until* at the latest; a failure is logged as *event*."""
        failure: Exception
        bound = asyncio.timeout_at(until)
        try:
            async with bound:
                return await work(self._parts())
        except Exception as exc:  # noqa: BLE001  # a caller gets an answer, never a traceback
            failure = exc
        reason = "It took too long" if bound.expired() else _reason(failure)
        ours = isinstance(failure, SchedulerError) or bound.expired()
        log.error(
            event,
            extra={"reason": reason, "error": (ours and str(failure)) or type(failure).__name__},
            exc_info=None if ours else failure,
        )
        return Degraded(reason)

    def _parts(self) -> Wired:
        loop = asyncio.get_running_loop()
        if self._wired is None or self._wired[0] is not loop:
            self._wired = (loop, self._wire())
        return self._wired[1]


def _reason(failure: Exception) -> str:
    match failure:
        case StoreUnavailableError():
            return "The store could not be reached in time"
        case StoreError():
            return "The store refused the work"
        case _:
            return "The scheduler failed; its log says how"


async def _body(request: Request) -> bytes | None:
    """What was sent; None when it is more than `MAX_BODY_BYTES`, announced or not."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _announced_bytes(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0  # the server refuses other lengths


async def _healthz(_: Request) -> Response:
    return responses.answer({"status": "ok"})


# Requests: the only room that knows headers and status codes.


def open_door(settings: Settings, wire: Callable[[], Wired]) -> Door:
    """Return the door that *settings* ask for. Nothing is connected, and *wire* not called, before a request.

    Raises:
        ValueError: There is no shared secret; such settings are for the command line.
    """
    if settings.cron_secret is None:
        raise ValueError("a door without CRON_SECRET would be open to nobody")
    previous = settings.cron_secret_previous
    secrets = SharedSecrets(
        settings.cron_secret.get_secret_value(), previous.get_secret_value() if previous else None
    )
    id_tokens = IdTokens(
        audiences=settings.oidc_audience,
        accounts=settings.oidc_service_accounts,
        certificates=Certificates(),
    )
    google = id_tokens if settings.oidc_audience else None
    return Door(
        gate=Gate(secrets, google),
        wire=wire,
        answer_by=timedelta(seconds=settings.tick_budget_seconds),
        work_by=timedelta(seconds=settings.worker_budget_seconds),
        rest=_Rest(settings, google),
    )


class _Rest:
    """The application that people use. FastAPI takes 250 ms to import, and no tick needs it."""

    def __init__(self, settings: Settings, google: IdTokens | None) -> None:
        self._settings = settings
        self._google = google
        self._built: tuple[Wired, ASGIApp] | None = None

    def __call__(self, wired: Wired) -> ASGIApp:
        if self._built is None or self._built[0] is not wired:
            from functions.web.api_app import build_rest

            self._built = (wired, build_rest(self._settings, cast("ApiParts", wired), self._google))
        return self._built[1]
