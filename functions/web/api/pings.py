"""The addresses that programs elsewhere call: `/ping/NAME`, with or without what became of a run.

As at healthchecks.io: GET, HEAD and POST alike; `/start`, `/fail`, `/log` or an exit code behind the
name; the body as output; `rid` to pair the calls of one run. A call is not refused for its body.
"""

import math
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from functions.domain.heartbeat.model import MAX_OUTPUT_CHARS, HeartbeatState, OpenRun, Ping, PingKind, RunId
from functions.domain.schedule.occurrences import earliest_start
from functions.domain.task import Task
from functions.domain.types import Instant, Status
from functions.errors import NotFoundError
from functions.services.heartbeats import NOTHING_THERE, is_ping_name, ping_name, record_ping
from functions.task_types.support.limits import REDACTION_MARGIN
from functions.web.api.addresses import base_url
from functions.web.api.dependencies import ApiRoute, Dependencies, RateLimiter, TaskServiceDep
from functions.web.api.errors import ProblemError, error_responses
from functions.web.api.scheduler import ApiDependencies
from functions.web.api.schemas import Schema

router = APIRouter(prefix="/ping", include_in_schema=False)
task_router = APIRouter(prefix="/api/tasks", tags=["tasks"], route_class=ApiRoute)

PINGS_PER_MINUTE, PING_BURST = 12, 30  # of one heartbeat: each costs a write
MIN_EXIT_CODE, MAX_EXIT_CODE = -(2**31), 2**32 - 1  # of Windows, which has 32 bits, with or without a sign
KINDS: dict[str, PingKind] = {"start": "start", "fail": "failure", "log": "log"}

TaskId = Annotated[str, Path(alias="id", min_length=1, max_length=100, examples=["nightly-backup"])]


class HeartbeatOut(Schema):
    """The address that the program of a heartbeat calls, and what it last said.

    Attributes:
        address: Anyone who has it can report for the program; see POST /api/tasks/{id}/heartbeat.
        expected_at: When the next call is expected; null when none is.
        missing_at: When it will be missing.
        last_at: When the last one came; null before the first.
    """

    address: str
    expected_at: Instant | None = None
    missing_at: Instant | None = None
    last_at: Instant | None = None
    open_runs: list[OpenRun] = Field(default_factory=list)


PingName = Annotated[str, Path(max_length=200)]


def build_rate_limiter(clock: Callable[[], float]) -> RateLimiter:
    """Return the limit of calls, by the name in the address."""
    return RateLimiter(clock=clock, per_minute=PINGS_PER_MINUTE, burst_size=PING_BURST)


@router.get("/{name}")
@router.get("/{name}/")  # people and programs add a slash, and few programs follow a redirect
@router.post("/{name}")
@router.post("/{name}/")
async def receive_success(
    request: Request, dependencies: Dependencies, name: PingName, rid: Annotated[RunId, Query()] = ""
) -> PlainTextResponse:
    """Receive the call of a program that has done its work."""
    return await _receive(request, dependencies, name, Ping("success", run_id=rid))


@router.get("/{name}/{what}")
@router.get("/{name}/{what}/")
@router.post("/{name}/{what}")
@router.post("/{name}/{what}/")
async def receive_report(
    request: Request,
    dependencies: Dependencies,
    name: PingName,
    what: Annotated[str, Path(max_length=11)],
    rid: Annotated[RunId, Query()] = "",
) -> PlainTextResponse:
    """Receive the call of a program that starts, failed, says something, or ended with an exit code."""
    digits = what.removeprefix("-")
    if digits.isascii() and digits.isdigit() and MIN_EXIT_CODE <= (code := int(what)) <= MAX_EXIT_CODE:
        return await _receive(
            request, dependencies, name, Ping("failure" if code else "success", exit_code=code, run_id=rid)
        )
    kind = KINDS.get(what)
    if kind is None:
        raise NotFoundError(f"{NOTHING_THERE}: behind the name may be start, fail, log, or an exit code")
    return await _receive(request, dependencies, name, Ping(kind, run_id=rid))


async def _receive(request: Request, dependencies: Dependencies, name: str, ping: Ping) -> PlainTextResponse:
    if not await is_ping_name(dependencies.signer, name):
        raise NotFoundError(NOTHING_THERE)
    limiter: RateLimiter = request.app.state.pings
    if wait_s := limiter.retry_after(name):
        raise ProblemError(
            429, "This heartbeat is called too often", headers={"Retry-After": str(math.ceil(wait_s))}
        )
    text = (await _read_end_of_body(request)).decode("utf-8", "replace").replace("\0", "").strip()
    output = dependencies.redact(text[-MAX_OUTPUT_CHARS - REDACTION_MARGIN :])[-MAX_OUTPUT_CHARS:]
    task = await record_ping(
        dependencies.store,
        dependencies.signer,
        name,
        Ping(ping.kind, ping.exit_code, output, ping.run_id),
        now=dependencies.now(),
        new_id=dependencies.new_id,
    )
    is_watched = task.status in (Status.SCHEDULED, Status.ENDED)
    return PlainTextResponse("OK\n" if is_watched else f"OK, but {task.id} is {task.status}\n")


async def _read_end_of_body(request: Request) -> bytes:
    """Return the last part of the body; what came of it where it is too long, too slow, or cut off."""
    keep = 4 * (MAX_OUTPUT_CHARS + REDACTION_MARGIN)  # bytes, at most four a character
    body = b""
    try:
        async for chunk in request.stream():
            body = (body + chunk)[-keep:]
    except (HTTPException, ClientDisconnect):
        pass
    return body


@task_router.get(
    "/{id}/heartbeat", responses=error_responses(404, 409), summary="Where a heartbeat is called"
)
async def read_heartbeat(
    request: Request, service: TaskServiceDep, dependencies: Dependencies, task_id: TaskId
) -> HeartbeatOut:
    """Return the address that the program calls. Needs the scope run: with it calls can be made up."""
    service.principal.require_scope("run")
    return await _to_out(request, dependencies, (await service.get_task(task_id)).task)


@task_router.post(
    "/{id}/heartbeat", responses=error_responses(404, 409), summary="Give a heartbeat another address"
)
async def renew_heartbeat(
    request: Request, service: TaskServiceDep, dependencies: Dependencies, task_id: TaskId
) -> HeartbeatOut:
    """Revoke the address that is in use, and return the next one."""
    return await _to_out(request, dependencies, (await service.revoke_address(task_id)).task)


async def _to_out(request: Request, dependencies: ApiDependencies, task: Task) -> HeartbeatOut:
    name = await ping_name(dependencies.signer, task)
    state = task.heartbeat or HeartbeatState()
    expected = task.next_occurrence
    return HeartbeatOut(
        address=f"{base_url(request)}/ping/{name}",
        expected_at=expected,
        missing_at=earliest_start(task, expected) if expected else None,
        last_at=state.last_at,
        open_runs=list(state.open_runs),
    )
