"""Test doubles for authors of task types: a store in memory, a fixed clock, a mocked HTTP client.

A test of a type calls `run`, which does what an attempt does (checks the params, inserts secrets, turns
exceptions into outcomes, bounds the outcome) without a tick:

    http = mock_http(lambda request: httpx.Response(200, json={"pears": 3}))
    outcome = await run("shop_of_mine.count_stock", {"shop": "example.com"}, tools=make_tools(http))
    assert outcome.summary == "3 pears"

See `docs/how-to/testing.md`.
"""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from itertools import count
from types import TracebackType
from typing import Any, Self

from functions.domain.events import Event
from functions.domain.run import Outcome, Run
from functions.domain.storage import MAX_RUNS_READ, MAX_TASKS_READ, RunBatch
from functions.domain.task import Job, SkippedRange, Task, TaskSpec
from functions.domain.types import Trigger, occurrence_id
from functions.http_client import FetchError
from functions.http_client.client import HttpClient
from functions.http_client.errors import as_httpx_error
from functions.http_client.httpx import httpx
from functions.http_client.requests import ANY_PORT, checked_request
from functions.parsing.pool import parse_here
from functions.services.access.view import OwnerView
from functions.services.apply import apply_plan
from functions.stores.sqlite.store import SqliteStore
from functions.task_types import registry
from functions.task_types.support.context import LanguageModel, TaskReader, Tools

__all__ = [
    "FixedClock",
    "InMemoryStore",
    "httpx",
    "make_job",
    "make_tools",
    "mock_http",
    "run",
    "run_job",
]

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # of a clock that is given no other instant


class FixedClock:
    """A clock that stands still until it is advanced; call it for the time."""

    def __init__(self, at: datetime = START) -> None:
        if at.tzinfo is None:
            raise ValueError("at: give an instant with a time zone, such as datetime(..., tzinfo=UTC)")
        self._now = at.astimezone(UTC)

    def __call__(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move the clock on; return the new time."""
        self._now += by
        return self._now


def mock_http(handler: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    """Return a client whose responses come from *handler*, by `httpx.MockTransport`; it opens no connection.

    URLs and headers that the real client refuses are refused. Addresses are not looked up, and a redirect is
    a response like any other. An exception from *handler* takes the place of a response, for example
    `httpx.ConnectError("no route")`.
    """

    def respond(request: httpx.Request) -> httpx.Response:
        try:
            checked_request(request, request.content, ANY_PORT)
        except FetchError as exc:
            raise as_httpx_error(exc, request) from None
        response = handler(request)
        if response is None:  # a `return` that was forgotten: httpx says only that it cannot be awaited
            raise TypeError("mock_http: the handler returned None; return an httpx.Response")
        return response

    return HttpClient(httpx.MockTransport(respond))


class InMemoryStore(SqliteStore):
    """The embedded store without a file, empty at first; what a type reads of it: `make_tools(store=...)`.

    Use it as a context manager, or call `close`.
    """

    def __init__(self) -> None:
        super().__init__(":memory:", auto_prune=False)
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def add_tasks(self, *tasks: TaskSpec, now: datetime = START) -> None:
        """Store new tasks, as created at *now*.

        Raises:
            InputError: A task cannot be stored as it is; none was.
        """
        await apply_plan(self, tasks, origin="testing", now=now, new_id=self._new_id)

    async def add_runs(self, *runs: Run) -> None:
        """Store run records."""
        await self.write_with_runs(RunBatch(self._new_id(), max(run.finished_at for run in runs), runs), ())

    def reader(self) -> TaskReader:
        """Return what a type sees of this store: `Tools(store=...)`."""
        return OwnerView(self, "")

    def _new_id(self) -> str:
        return f"testing-{next(self._ids)}"


def _no_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("make_tools was given no HTTP client")


class _EmptyReader:
    async def list_tasks(self, *, limit: int = MAX_TASKS_READ) -> Sequence[Task]:
        return ()

    async def list_runs(self, since: datetime, *, limit: int = MAX_RUNS_READ) -> Sequence[Run]:
        return ()


def make_tools(
    http: httpx.AsyncClient | None = None,
    store: InMemoryStore | None = None,
    *,
    secrets: Mapping[str, str] | None = None,
    python_tasks: Sequence[str] = (),
    github_token: str = "",
    model: LanguageModel | None = None,
) -> Tools:
    """Return the tools of an attempt; see `Tools` for what each is.

    Args:
        http: None for a client without any connection.
        store: None for a store without tasks and runs.
        secrets: What `{{secret:NAME}}` in params stands for, by name.
    """
    return Tools(
        open_http=lambda: http or mock_http(_no_connection),
        open_store=partial(OwnerView, store) if store else lambda owner: _EmptyReader(),
        parse=parse_here,
        secrets=secrets or {},
        python_tasks=tuple(python_tasks),
        github_token=github_token,
        model=model,
    )


def make_job(
    type_name: str,
    params: Mapping[str, Any] | None = None,
    *,
    clock: FixedClock | None = None,
    task_id: str = "task-1",
    title: str = "Task 1",
    timezone: str = "UTC",
    scheduled_at: datetime | None = None,
    attempt: int = 1,
    trigger: Trigger = Trigger.SCHEDULE,
    missed: SkippedRange | None = None,
    memory: Mapping[str, Any] | None = None,
    timeout_s: float = 20.0,
    max_tokens: int | None = None,
    event: Event | None = None,
) -> Job:
    """Return one attempt, on time unless *scheduled_at* differs from the clock; see `Job` for each field.

    Args:
        clock: Gives `started_at`; None for noon on 20 November 2026, UTC.
    """
    started_at = (clock or FixedClock())()
    scheduled_at = scheduled_at or started_at
    return Job(
        task_id=task_id,
        title=title,
        type=type_name,
        params=params or {},
        timezone=timezone,
        idempotency_key=occurrence_id(task_id, scheduled_at),
        scheduled_at=scheduled_at,
        started_at=started_at,
        attempt=attempt,
        trigger=trigger,
        missed=missed,
        memory=memory or {},
        timeout_s=timeout_s,
        max_tokens=max_tokens,
        event=event,
    )


async def run_job(job: Job, tools: Tools) -> Outcome:
    """As `run`, for a job of `make_job`; the type is registered."""
    log = logging.getLogger(registry.__name__)
    log.addFilter(_print_traceback)
    try:
        return await registry.run_job(job, tools)
    finally:
        log.removeFilter(_print_traceback)


def _print_traceback(_: logging.LogRecord) -> bool:
    """Print the error that is being logged; the log itself has no message of it, which a test may show."""
    traceback.print_exc()
    return True


async def run(
    type_name: str,
    params: Mapping[str, Any] | None = None,
    *,
    tools: Tools | None = None,
    clock: FixedClock | None = None,
    attempt: int = 1,
    memory: Mapping[str, Any] | None = None,
) -> Outcome:
    """Make one attempt and return its outcome, whatever goes wrong in it; print the traceback of an error.

    For a job that differs in other fields: `await run_job(make_job(...), make_tools(...))`.

    Args:
        type_name: A type of this program, e.g. `http`, or a module of your own, e.g.
            `shop_of_mine.count_stock`, which is registered for the rest of the process.
        params: As in a task file, secrets by reference included.
        memory: What the run before returned as `outcome.memory`.

    Raises:
        InputError: The module is not a task type.
    """
    if "." in type_name or (type_name not in registry.type_names() and find_spec(type_name)):
        registry.register(type_name)
    job = make_job(type_name.rpartition(".")[2], params, clock=clock, attempt=attempt, memory=memory)
    return await run_job(job, tools or make_tools())
