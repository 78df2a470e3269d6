"""The tools of a task type, and the param types for addresses, headers, status codes and authentication."""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema

from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.run import Run
from functions.domain.storage import MAX_RUNS_READ, MAX_TASKS_READ
from functions.domain.task import Task
from functions.domain.types import Model, text_form
from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.requests import check_headers, check_url
from functions.parsing.pool import Parse
from functions.task_types.support.limits import redact_nothing
from functions.task_types.support.mcp_servers import McpServer

if TYPE_CHECKING:
    from functions.http_client.httpx import httpx
    from functions.http_client.name_servers import NameServers
    from functions.http_client.sockets import GuardedSockets
    from functions.task_types.support.expectations import (
        CommandExpectations,
        ResponseExpectations,
        ValueExpectations,
    )

OpenHttp = Callable[[], "httpx.AsyncClient"]  # returns one client; the first call imports and builds it


class TaskReader(Protocol):
    """What a task may read of other tasks: a view that is bound to its owner."""

    async def list_tasks(self, *, limit: int = MAX_TASKS_READ) -> Sequence[Task]:
        """Return the owner's tasks, by id, at most *limit*."""
        ...

    async def list_runs(self, since: datetime, *, limit: int = MAX_RUNS_READ) -> Sequence[Run]:
        """Return the run records of these tasks that finished at *since* or later, newest first.

        They are among the newest *limit* records of all tasks, which are read for them.
        """
        ...


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """The server of a language model, from the settings.

    Attributes:
        open_http: Returns the client that reaches that server and no other; it may be a private one.
        url: Its address, version included, e.g. `https://api.openai.com/v1`.
        api_key: Empty when it needs none.
        default_model: The model for tasks that name none; empty when every task must name one.
        provider: Whose protocol it speaks: `openai` for chat completions, else one that pydantic-ai knows.
    """

    open_http: OpenHttp
    url: str
    api_key: str = field(default="", repr=False)
    default_model: str = ""
    provider: str = "openai"

    @property
    def http(self) -> "httpx.AsyncClient":
        """The client of that server."""
        return self.open_http()


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything that a task type may use.

    Attributes:
        open_http: Returns the client behind `http`.
        open_store: Returns what the tasks of an owner may read, behind `store`.
        owner: The owner of the task that runs; empty for one of the operator's.
        open_sockets: Returns what connects without HTTP, behind `sockets`; None where there is none.
        open_name_servers: Returns what asks name servers, behind `name_servers`; None where there is none.
        parse: Calls a function on what strangers wrote, in a process that is killed when its time is up. No
            library parses it in this process, where one document could stop every task.
        redact: Masks this job's secrets and the operator's. A type masks a text before it cuts it.
        secrets: All secrets that tasks may refer to, by name; empty in the tools that a type receives.
        allow_commands: Whether tasks may run commands (ALLOW_COMMANDS).
        command_environment: The variables a command starts with; never those of this process.
        python_tasks: Modules, packages and functions that tasks may call (PYTHON_TASKS); empty means none.
        github_token: For tasks without a token of their own; may be empty.
        github_api: The base URL of GitHub's API, or of an Enterprise server's.
        model: The language model for agents; None when it is not set up.
        mcp_servers: The MCP servers that agents may use, by name (AGENT_MCP_SERVERS).
        capabilities: Returns what tasks of an owner may use; None when owners are not limited.
    """

    open_http: OpenHttp
    open_store: Callable[[str], TaskReader]
    parse: Parse
    owner: str = ""
    redact: Callable[[str], str] = redact_nothing
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_commands: bool = False
    command_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    python_tasks: tuple[str, ...] = ()
    github_token: str = field(default="", repr=False)
    github_api: str = "https://api.github.com"
    model: LanguageModel | None = None
    mcp_servers: Mapping[str, McpServer] = field(default_factory=dict)
    capabilities: Callable[[str], Awaitable[Capabilities]] | None = None
    open_sockets: "Callable[[], GuardedSockets] | None" = None
    open_name_servers: "Callable[[], NameServers] | None" = None

    @property
    def name_servers(self) -> "NameServers":
        """Questions to name servers."""
        if self.open_name_servers is None:
            raise FetchError("There are no name servers here")
        return self.open_name_servers()

    @property
    def sockets(self) -> "GuardedSockets":
        """Guarded connections without HTTP, to hosts that users give."""
        if self.open_sockets is None:
            raise FetchError("There are no connections without HTTP here")
        return self.open_sockets()

    @property
    def http(self) -> "httpx.AsyncClient":
        """The guarded HTTP client, for addresses that users give; what it adds to httpx is in `transport`."""
        return self.open_http()

    @property
    def store(self) -> TaskReader:
        """The other tasks of the same owner, and their runs; all tasks for one of the operator's."""
        return self.open_store(self.owner)


class Missing(NamedTuple):
    """Something that a task needs and that is not set up, and what sets it up."""

    what: str
    remedy: str


__all__ = ["LanguageModel", "Missing", "OpenHttp", "TaskReader", "Tools"]


SAVING = {"is_saving": True}  # the context of a validation whose params are stored if they are right

# Params of task types that make HTTP requests: addresses, headers, expected status codes.

MAX_HEADERS = 30
MAX_STATUSES = 20
MAX_HEADER_CHARS = 8192
_STATUS = re.compile(r"([1-9]\d\d)(?:\s*-\s*([1-9]\d\d))?|([1-9])[xX]{2}")  # LinkedIn answers 999


@dataclass(frozen=True, slots=True)
class StatusRanges:
    """The status codes that mean success: ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        """Whether *status* is one of them."""
        for low, high in self.ranges:  # noqa: SIM110  # a generator doubles the time
            if low <= status <= high:
                return True
        return False

    def __str__(self) -> str:
        """The ranges as a phrase, e.g. `200-299 or 304`."""
        return " or ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in self.ranges)


def _parse_statuses(given: Any) -> StatusRanges:
    if isinstance(given, StatusRanges):
        return given
    codes = given if isinstance(given, (list, tuple)) else [given]
    if not 1 <= len(codes) <= MAX_STATUSES:
        raise ValueError(f"must name 1 to {MAX_STATUSES} codes or ranges")
    return StatusRanges(tuple(_parse_range(one) for one in codes))


def _parse_range(given: Any) -> tuple[int, int]:
    match = _STATUS.fullmatch(str(given).strip())
    if match is None:
        raise ValueError('must be a code such as 200, a range such as "200-299" or "2xx", or a list of these')
    if match[3]:
        return int(match[3]) * 100, int(match[3]) * 100 + 99
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise ValueError("a range must begin with its lower code")
    return low, high


def _validate_headers(headers: dict[str, str]) -> dict[str, str]:
    try:
        check_headers(headers)
    except BlockedRequestError as exc:
        raise ValueError(exc.reason) from None  # the cause would show the values
    return headers


def with_own_headers(defaults: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request: a task's *own* replace *defaults* of the same name, in any case."""
    names = {name.lower() for name in own}
    return {name: value for name, value in defaults.items() if name.lower() not in names} | dict(own)


@lru_cache(4096)  # every attempt checks its params again
def _validate_url(url: str) -> str:
    try:
        check_url(url)
    except BlockedRequestError as exc:
        raise ValueError(exc.reason) from None
    return url


def _validate_host(host: str) -> str:
    from functions.http_client.sockets import check_host  # for checks without HTTP alone

    try:
        check_host(host, 443)
    except BlockedRequestError as exc:
        raise ValueError(exc.reason.replace("The URL's host", "It").replace("The URL", "It")) from None
    return host


_STATUS_SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 100, "maximum": 999},
    {"type": "string", "pattern": rf"^\s*(?:{_STATUS.pattern})\s*$"},
]
ExpectedStatus = Annotated[
    StatusRanges,
    PlainValidator(_parse_statuses),
    WithJsonSchema({"anyOf": [*_STATUS_SCHEMAS, {"type": "array", "items": {"anyOf": _STATUS_SCHEMAS}}]}),
]
_HeaderValue = Annotated[str, StringConstraints(max_length=MAX_HEADER_CHARS)]
Headers = Annotated[dict[str, _HeaderValue], Field(max_length=MAX_HEADERS), AfterValidator(_validate_headers)]
WebUrl = Annotated[str, AfterValidator(_validate_url)]
HostName = Annotated[str, StringConstraints(min_length=1, max_length=253), AfterValidator(_validate_host)]
PortNumber = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=300)]
ExpectedText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


# Authentication of a request: a bearer token or a password, both given by reference only.

ONLY_REFERENCES = ("auth.bearer", "auth.basic.password")
_Secret = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]


class BasicAuth(Model):
    """A user name and a reference to the password."""

    user: Annotated[
        str,
        Field(min_length=1, max_length=200),
        text_form(r"^[^:\x00-\x1f\x7f]+$", "must have no colon and no control character"),
    ]
    password: Annotated[str, Field(min_length=1, max_length=4096)]


class Auth(Model):
    """A bearer token, or a user name and a password."""

    bearer: _Secret | None = None
    basic: BasicAuth | None = None

    @model_validator(mode="after")
    def _check_exactly_one(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("give either bearer or basic")
        return self

    def header(self) -> str:
        """The value of the Authorization header."""
        if self.basic is None:
            return f"Bearer {self.bearer}"
        pair = f"{self.basic.user}:{self.basic.password}".encode("utf-8", "replace")
        return f"Basic {base64.b64encode(pair).decode()}"


# What an attempt must find: models that are imported when a task first has such a param. They cost 15 ms.


@dataclass(frozen=True, slots=True)
class _OnDemand:
    """The model *name* of `support.expectations`, for a param that few tasks have."""

    name: str

    def model(self) -> type[BaseModel]:
        """Import and return it."""
        module = import_module("functions.task_types.support.expectations")
        found: type[BaseModel] = getattr(module, self.name)
        return found

    def validate(self, value: Any, info: ValidationInfo) -> BaseModel:
        """Return *value* as the model; what is wrong within it keeps its place."""
        return self.model().model_validate(value, context=info.context)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        model = self.model()
        model.model_rebuild()  # it is built when it is first needed
        return handler(model.__pydantic_core_schema__)


if TYPE_CHECKING:
    ExpectedResponse = ResponseExpectations
    ExpectedEnd = CommandExpectations
    ExpectedValue = ValueExpectations
else:
    ExpectedResponse = Annotated[Any, _OnDemand("ResponseExpectations")]
    ExpectedEnd = Annotated[Any, _OnDemand("CommandExpectations")]
    ExpectedValue = Annotated[Any, _OnDemand("ValueExpectations")]
