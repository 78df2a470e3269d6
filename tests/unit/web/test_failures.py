"""Errors that nobody foresaw: a response of ours, one record of the log, nothing for the server to report."""

from typing import Any, NoReturn

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from functions.services.tasks import TaskService
from functions.web.app import with_failures
from functions.web.dashboard.session import Sessions
from tests.unit.web.api.conftest import Call, api, clock, wired
from tests.unit.web.asgi import call

__all__ = ["api", "clock", "wired"]

CANARY = "canary-a-text-nobody-may-see"


async def fail(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(CANARY)


async def test_a_program_gets_a_problem_and_a_browser_a_page(
    api: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(TaskService, "list_tasks", fail)
    monkeypatch.setattr(Sessions, "current", fail)

    problem, page = await api("GET", "/api/tasks"), await api("GET", "/dashboard")

    assert (500, "The scheduler's log has the details") == (problem.status, problem.json["detail"])
    assert "application/problem+json" == problem.headers["content-type"]
    assert (500, "text/html; charset=utf-8") == (page.status, page.headers["content-type"])
    assert CANARY.encode() not in problem.body + page.body
    assert ["request_failed"] * 2 == [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert all(one.exc_info for one in caplog.records if one.levelname == "ERROR")


async def test_a_caller_who_has_left_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    with pytest.raises(IndexError):  # there is no response to read
        await call(with_failures(leave), "POST", "/api/tasks")

    assert [] == caplog.records
