"""The words that params of HTTP-speaking task types are made of: addresses, headers, expected codes."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

from functions.actions.net.errors import RefusedError
from functions.actions.net.headers import check_headers
from functions.actions.net.urls import check_url

HEADERS = 30
STATUSES = 20
HEADER_CHARS = 8192
_STATUS = re.compile(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?")


@dataclass(frozen=True, slots=True)
class Statuses:
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


def _statuses(given: Any) -> Statuses:
    if isinstance(given, Statuses):
        return given
    codes = given if isinstance(given, (list, tuple)) else [given]
    if not 1 <= len(codes) <= STATUSES:
        raise ValueError(f"must name 1 to {STATUSES} codes or ranges")
    return Statuses(tuple(_range(one) for one in codes))


def _range(given: Any) -> tuple[int, int]:
    match = _STATUS.fullmatch(str(given).strip())
    if match is None:
        raise ValueError('must be a code such as 200, a range such as "200-299", or a list of these')
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise ValueError("a range must begin with its lower code")
    return low, high


def _headers(headers: dict[str, str]) -> dict[str, str]:
    try:
        check_headers(headers)
    except RefusedError as exc:
        raise ValueError(exc.reason) from None  # the cause would show the values
    return headers


@lru_cache(4096)  # each run of a task checks its params again; 1,000 tasks of a tick share the seconds
def _url(url: str) -> str:
    try:
        check_url(url)
    except RefusedError as exc:
        raise ValueError(exc.reason) from None
    return url


ExpectedStatus = Annotated[
    Statuses,
    PlainValidator(_statuses),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "array", "items": {}}]},
    ),
]
_HeaderValue = Annotated[str, StringConstraints(max_length=HEADER_CHARS)]
Headers = Annotated[dict[str, _HeaderValue], Field(max_length=HEADERS), AfterValidator(_headers)]
WebUrl = Annotated[str, AfterValidator(_url)]
Seconds = Annotated[float, Field(gt=0, le=300)]
Wanted = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
