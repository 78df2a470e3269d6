"""What each route is handed: the caller's desk, and task bodies read with the project's own care."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from functions.domain.access import Principal
from functions.domain.events import Event
from functions.domain.lifecycle.time_budget import TimeBudget
from functions.domain.schedule.describe import describe_trigger
from functions.domain.storage import VersionedTask
from functions.domain.task import TaskSpec
from functions.interfaces import Store
from functions.services.channels import ChannelService
from functions.services.credits import AccountStore
from functions.services.events import PublishResult
from functions.services.tasks import TaskService
from functions.taskfiles.validation import check_task
from functions.web.api.errors import FieldProblem, ProblemError
from functions.web.api.schemas import TaskOut

# What the API needs of the rest of the program.


class SendResult(Protocol):
    """What a vendor said of a test message."""

    @property
    def ok(self) -> bool: ...

    @property
    def permanent(self) -> bool: ...

    @property
    def detail(self) -> str: ...


class ChannelTester(Protocol):
    """Sends test messages."""

    async def test(self, name: str, *, within: timedelta) -> SendResult:
        """Say on the channel *name* that it works."""
        ...


class ApiDependencies(Protocol):
    """The wired program, as far as requests of people go.

    Raises, from every method:
        StoreUnavailableError: The store could not be reached in time.
        StoreError: The store refused.
    """

    @property
    def store(self) -> Store: ...

    @property
    def channels(self) -> ChannelService:
        """The channels that are set up, and their settings."""
        ...

    @property
    def accounts(self) -> AccountStore:
        """The owners' accounts."""
        ...

    @property
    def dispatcher(self) -> "ChannelTester":
        """What can send a test message."""
        ...

    @property
    def default_timezone(self) -> str:
        """The zone of a task that names none."""
        ...

    def now(self) -> datetime:
        """The present moment."""
        ...

    def new_id(self) -> str:
        """A fresh name: 64 random bits, lower-case letters and digits."""
        ...

    def new_secret(self) -> str:
        """256 random bits as text that a header can carry."""
        ...

    async def run_tasks(self, ids: Collection[str], budget: TimeBudget) -> Mapping[str, object]:
        """Run those of the tasks that are due, now."""
        ...

    async def publish_event(self, event: Event, *, forward: bool = True) -> PublishResult:
        """Let tasks hear *event* and, with *forward*, the topic for programs outside."""
        ...

    async def metrics(self) -> str:
        """The figures of `GET /metrics`, as text."""
        ...

    async def status(self) -> Mapping[str, object]:
        """The figures of `GET /status`."""
        ...


MAX_BODY_BYTES = 65_536


async def get_principal(request: Request) -> Principal:
    """Who calls."""
    found: Principal = await request.app.state.auth.from_headers(request.headers.getlist("authorization"))
    return found


def get_dependencies(request: Request) -> ApiDependencies:
    """The wired program."""
    found: ApiDependencies = request.app.state.dependencies
    return found


Dependencies = Annotated[ApiDependencies, Depends(get_dependencies)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


def get_task_service(principal: CurrentPrincipal, dependencies: Dependencies) -> TaskService:
    """The caller's desk."""
    return TaskService(dependencies.store, principal, clock=dependencies.now, new_id=dependencies.new_id)


TaskServiceDep = Annotated[TaskService, Depends(get_task_service)]


async def parse_task_body(request: Request) -> dict[str, Any]:
    """The task in a request's body, as plain values.

    Raises:
        ProblemError: It is too large, or no JSON object.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(415, "Send the task as application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ProblemError(413, f"Send at most {MAX_BODY_BYTES // 1024} KB")
    try:
        given = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body is not JSON") from None
    if not isinstance(given, dict):
        raise ProblemError(422, "The body must be a JSON object: one task")
    return given


TaskBody = Annotated[dict[str, Any], Depends(parse_task_body)]


def to_spec(fields: dict[str, Any], *, default_timezone: str) -> TaskSpec:
    """The task that *fields* describes.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    spec = check_task(fields, default_timezone=default_timezone)
    if isinstance(spec, TaskSpec):
        return spec
    errors = [FieldProblem(field=one.field, reason=one.reason) for one in spec]
    raise ProblemError(422, _summarize_errors(errors), errors=errors)


def to_task_out(stored: VersionedTask) -> TaskOut:
    """A task in the API's shape."""
    task = stored.task
    given = {name: getattr(task, name) for name in type(task).model_fields}
    return TaskOut.model_construct(**given, etag=str(stored.revision), schedule_text=describe_trigger(task))


def _summarize_errors(errors: Sequence[FieldProblem]) -> str:
    first = errors[0]
    text = f"{first.field}: {first.reason}" if first.field else first.reason
    return text if len(errors) == 1 else f"{text} (and {len(errors) - 1} more)"
