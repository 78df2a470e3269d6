"""The door: which address does what, for whom, and within what time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from functions.errors import InputError, SchedulerError, StoreError, StoreUnavailable
from functions.rules.hours import Budget
from functions.rules.shares import Share, read_share
from functions.web import answers
from functions.web.budgets import budget_for, shortened, worker_budget
from functions.web.callers import Caller, GoogleCaller, Refusal
from functions.web.gate import Gate

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

    async def work(self, share: Share, budget: Budget) -> Mapping[str, object]: ...

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
            return answers.not_allowed([*routes, "HEAD"] if "GET" in routes else routes)
        if _announced_bytes(request) > MAX_BODY_BYTES:
            return answers.too_large(MAX_BODY_BYTES)
        return await respond(request)

    def _other(self, path: str) -> ASGIApp:
        """What people use, loaded when it is first asked for; strangers' guesses load nothing."""
        if self._rest is None or not path.startswith(REST):
            return answers.not_found()
        try:
            return self._rest(self._parts())
        except SchedulerError as exc:
            log.error("rest_degraded", extra={"error": str(exc)})  # noqa: TRY400  # known, and no secret in it
            return answers.degraded(_reason(exc), status=503)

    async def _tick(self, request: Request) -> Response:
        arrived = asyncio.get_running_loop().time()
        caller = await self._admitted(request)
        if isinstance(caller, Refusal):
            return answers.refused(caller)
        budget = budget_for(caller, request.headers, answer_by=self._answer_by)
        done = await self._timed("tick_degraded", lambda wired, left: wired.tick(left), budget, arrived)
        if isinstance(done, Degraded):
            # cron-job.org switches a job off after repeated HTTP errors; Google's callers report them
            return answers.degraded(done.reason, status=503 if isinstance(caller, GoogleCaller) else 200)
        return answers.answer(done)

    async def _share(self, request: Request) -> Response:
        """A worker's share. Whoever sent it tries again after any answer but 2xx."""
        arrived = asyncio.get_running_loop().time()
        caller = await self._admitted(request)
        if isinstance(caller, Refusal):
            return answers.refused(caller)
        try:
            body = await _body(request)
            share = read_share(body) if body is not None else None
        except InputError as exc:
            return answers.invalid(str(exc))
        if share is None:
            return answers.too_large(MAX_BODY_BYTES)
        budget = worker_budget(self._work_by)
        done = await self._timed(
            "work_degraded", lambda wired, left: wired.work(share, left), budget, arrived
        )
        return (
            answers.degraded(done.reason, status=503) if isinstance(done, Degraded) else answers.answer(done)
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
            return answers.refused(caller)
        done = await self._attempt("status_degraded", lambda wired: wired.status(), until=until)
        return (
            answers.degraded(done.reason, status=503) if isinstance(done, Degraded) else answers.answer(done)
        )

    async def _metrics(self, request: Request) -> ASGIApp:
        """Figures for Prometheus. Who has no shared secret may have a key, which others know how to check."""
        caller = await self._gate.admit(request.headers.getlist("authorization"))
        if not isinstance(caller, Refusal):
            return PlainTextResponse(await self._parts().metrics(), headers={"Cache-Control": "no-store"})
        if self._rest is None or not caller.token_given:
            return answers.refused(caller)
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
        case StoreUnavailable():
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
    return answers.answer({"status": "ok"})
