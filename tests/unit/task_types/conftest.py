"""Fakes that obey the task types' protocols: an HTTP side that plays back answers, records that are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.task import Job, Task
from functions.domain.types import Trigger
from functions.http_client.responses import Response
from functions.task_types.registry import Tools

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def answer(status: int = 200, body: bytes = b"", **changes: Any) -> Response:
    """An answer as the client gives it; a test names only what it is about."""
    given: dict[str, Any] = {
        "status": status,
        "headers": {},
        "body": body,
        "truncated": False,
        "url": "https://example.com/",
        "elapsed_ms": 84,
        "certificate_days_left": None,
    }
    return Response(**given | changes)


@dataclass(frozen=True, slots=True)
class Call:
    """One request a task type made."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    max_redirects: int
    max_body_bytes: int
    timeout_s: float


@dataclass(slots=True)
class FakeHttp:
    """Plays back answers in order; an exception among them is raised instead."""

    answers: list[Response | Exception] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

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
        self.calls.append(
            Call(method, url, dict(headers or {}), body, max_redirects, max_body_bytes, timeout_s)
        )
        reply = self.answers.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


@dataclass(slots=True)
class FakeRecords:
    """Gives what it was given; *fault* is raised instead when there is one."""

    all_tasks: Sequence[Task] = ()
    all_runs: Sequence[Run] = ()
    fault: BaseException | None = None
    asked_since: list[datetime] = field(default_factory=list)

    async def tasks(self) -> Sequence[Task]:
        if self.fault is not None:
            raise self.fault
        return self.all_tasks

    async def runs(self, since: datetime) -> Sequence[Run]:
        self.asked_since.append(since)
        return self.all_runs


def tools_with(*answers: Response | Exception, records: FakeRecords | None = None) -> Tools:
    return Tools(http=FakeHttp(list(answers)), records=records or FakeRecords())


def calls_of(tools: Tools) -> list[Call]:
    assert isinstance(tools.http, FakeHttp)
    return tools.http.calls


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
