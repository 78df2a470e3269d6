"""What a task type is handed to do its work with. The types know these protocols, never a library."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Protocol, Self

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema, model_validator

from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import Model
from functions.http_client import BlockedRequestError
from functions.http_client.requests import check_headers, check_url
from functions.http_client.responses import Response
from functions.task_types.support.limits import redact_nothing


class HttpRequester(Protocol):
    """The guarded way to an address a user gave us."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_redirects: int = 3,
        max_body_bytes: int = 65_536,
        timeout_s: float,
    ) -> Response:
        """Return the answer, whatever its status; its body cut at *max_body_bytes*.

        Raises:
            FetchError: There was no answer: refused address, no connection, no end in time.
        """
        ...


class TaskReader(Protocol):
    """What a task type may know of the other tasks."""

    async def list_tasks(self) -> Sequence[Task]:
        """Return all tasks, in any order."""
        ...

    async def list_runs(self, since: datetime) -> Sequence[Run]:
        """Return the run records that finished at *since* or later, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A model's server, as the machine's owner set it up.

    Attributes:
        http: Reaches that server and no other; it may be a private one.
        url: Its address, version included, e.g. `https://api.openai.com/v1`.
        api_key: Empty when it asks for none.
        default_model: The model for tasks that name none; empty when they must.
    """

    http: HttpRequester
    url: str
    api_key: str = field(default="", repr=False)
    default_model: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything outside itself that a task type may use.

    Attributes:
        redact: Masks the secrets this job was given. A type that cuts a text masks it first.
        secrets: All secrets that tasks may refer to, by name; a type itself is handed none of them.
        allow_commands: Whether the machine's owner lets tasks run commands.
        command_environment: The variables a command starts with: never ours.
        python_tasks: Modules, packages and functions that tasks may call; empty means none.
        github_token: Used when a task brings none of its own; empty when there is none.
        github_api: Where GitHub, or an Enterprise server, is asked.
        model: The language model for agents; None when none is set up.
    """

    http: HttpRequester
    store: TaskReader
    redact: Callable[[str], str] = redact_nothing
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_commands: bool = False
    command_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    python_tasks: tuple[str, ...] = ()
    github_token: str = field(default="", repr=False)
    github_api: str = "https://api.github.com"
    model: LanguageModel | None = None


__all__ = ["HttpRequester", "LanguageModel", "Response", "TaskReader", "Tools"]


# The words that params of HTTP-speaking task types are made of: addresses, headers, expected codes.

MAX_HEADERS = 30
MAX_STATUSES = 20
MAX_HEADER_CHARS = 8192
_STATUS = re.compile(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?")


@dataclass(frozen=True, slots=True)
class StatusRanges:
    """The answer codes that mean success: ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        """Whether *status* is one of them."""
        for low, high in self.ranges:  # noqa: SIM110  # a generator costs as much again as the look
            if low <= status <= high:
                return True
        return False

    def __str__(self) -> str:
        """As a person would write them, e.g. `200-299 or 304`."""
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
        raise ValueError('must be a code such as 200, a range such as "200-299", or a list of these')
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


@lru_cache(4096)  # each run of a task checks its params again; 1,000 tasks of a tick share the seconds
def _validate_url(url: str) -> str:
    try:
        check_url(url)
    except BlockedRequestError as exc:
        raise ValueError(exc.reason) from None
    return url


ExpectedStatus = Annotated[
    StatusRanges,
    PlainValidator(_parse_statuses),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "array", "items": {}}]},
    ),
]
_HeaderValue = Annotated[str, StringConstraints(max_length=MAX_HEADER_CHARS)]
Headers = Annotated[dict[str, _HeaderValue], Field(max_length=MAX_HEADERS), AfterValidator(_validate_headers)]
WebUrl = Annotated[str, AfterValidator(_validate_url)]
Seconds = Annotated[float, Field(gt=0, le=300)]
ExpectedText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


# Proving to another side who asks: a bearer token or a password, both known by reference only.

ONLY_REFERENCES = ("auth.bearer", "auth.basic.password")
_Secret = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]


class BasicAuth(Model):
    """A user name and a reference to the password."""

    user: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    password: Annotated[str, Field(min_length=1, max_length=4096)]


class Auth(Model):
    """One way of proving who asks."""

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
