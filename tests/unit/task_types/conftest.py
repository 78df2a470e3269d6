"""Fakes that obey the task types' protocols: an HTTP side that plays back answers, records that are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.storage import MAX_RUNS_READ, MAX_TASKS_READ
from functions.domain.task import Job, Task
from functions.domain.types import Trigger
from functions.http_client.client import HttpClient
from functions.http_client.httpx import httpx
from functions.parsing.pool import parse_here
from functions.task_types.registry import Tools

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


# What httpx writes into a request by itself.
AUTOMATIC_HEADERS = {"accept", "content-length", "host", "user-agent"}


def answer(
    status: int = 200,
    body: bytes = b"",
    *,
    headers: Mapping[str, str] | None = None,
    truncated: bool = False,
    certificate_ends_at: datetime | None = None,
) -> httpx.Response:
    """An answer as the client gives it; a test names only what it is about."""
    extensions: dict[str, Any] = {"elapsed_ms": 84, "truncated": truncated}
    if certificate_ends_at is not None:
        extensions["certificate_ends_at"] = certificate_ends_at
    named = httpx.Headers(headers, encoding="utf-8")
    return httpx.Response(status, headers=named, content=body, extensions=extensions)


class FakeHttp(HttpClient):
    """Plays back answers in order; an exception among them is raised instead."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        super().__init__(httpx.MockTransport(self._play))
        self.answers = list(answers)
        self.calls: list[httpx.Request] = []

    def _play(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        reply = self.answers.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def given_headers(call: httpx.Request) -> dict[str, str]:
    """The headers that the task type gave; names in lower case."""
    return {name: value for name, value in call.headers.items() if name not in AUTOMATIC_HEADERS}


@dataclass(slots=True)
class FakeRecords:
    """Gives what it was given; *fault* is raised instead when there is one."""

    all_tasks: Sequence[Task] = ()
    all_runs: Sequence[Run] = ()
    fault: BaseException | None = None
    asked_since: list[datetime] = field(default_factory=list)

    async def list_tasks(self, *, limit: int = MAX_TASKS_READ) -> Sequence[Task]:
        if self.fault is not None:
            raise self.fault
        return self.all_tasks[:limit]

    async def list_runs(self, since: datetime, *, limit: int = MAX_RUNS_READ) -> Sequence[Run]:
        self.asked_since.append(since)
        return self.all_runs[:limit]


def tools_with(*answers: httpx.Response | Exception, records: FakeRecords | None = None) -> Tools:
    http = FakeHttp(*answers)
    return Tools(open_http=lambda: http, open_store=lambda owner: records or FakeRecords(), parse=parse_here)


def calls_of(tools: Tools) -> list[httpx.Request]:
    http = tools.http
    assert isinstance(http, FakeHttp)
    return http.calls


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """Build a job of a type; a test names only what it is about."""

    def make(type_name: str, params: Mapping[str, Any] | None = None, **changes: Any) -> Job:
        given: dict[str, Any] = {
            "task_id": "water-plants",
            "title": "Water plants",
            "type": type_name,
            "params": params or {},
            "timezone": "UTC",
            "idempotency_key": "water-plants@2026-11-20T12:00:00Z",
            "scheduled_at": NOON,
            "started_at": NOON,
            "attempt": 1,
            "trigger": Trigger.SCHEDULE,
            "missed": None,
            "memory": {},
            "timeout_s": 20.0,
        }
        return Job(**given | changes)

    return make
