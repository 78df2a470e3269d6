"""Test doubles for authors of task types: a store in memory, a fixed clock, a scripted HTTP client.

A test of a type calls `run`, which does what an attempt does (checks the params, inserts secrets, turns
exceptions into outcomes, bounds the outcome) without a tick:

    http = ScriptedHttp()
    http.respond("https://example.com/stock", body='{"pears": 3}')
    outcome = await run("shop_of_mine.count_stock", {"shop": "example.com"}, tools=make_tools(http))
    assert outcome.summary == "3 pears"
    assert http.requests[0].method == "GET"

See `docs/how-to/testing.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Any, Self

from functions.domain.events import Event
from functions.domain.run import Outcome, Run
from functions.domain.storage import RunBatch, TaskFilter
from functions.domain.task import Job, SkippedRange, Task, TaskSpec
from functions.domain.types import Trigger, occurrence_id
from functions.http_client import FetchError
from functions.http_client.requests import check_headers, check_url
from functions.http_client.responses import Response
from functions.services.apply import apply_plan
from functions.services.paging import all_tasks, iter_runs
from functions.stores.sqlite.store import SqliteStore
from functions.task_types.registry import register, run_job
from functions.task_types.support.context import HttpRequester, LanguageModel, TaskReader, Tools

__all__ = [
    "FixedClock",
    "InMemoryStore",
    "ScriptedHttp",
    "SentRequest",
    "make_job",
    "make_tools",
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


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request that a task type made, as it made it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float
    max_redirects: int
    max_body_bytes: int


class ScriptedHttp:
    """An HTTP client that answers from a script, by URL, and opens no connection.

    Several responses for one URL are given one after the other; the last one is given from then on. URLs
    and headers that the real client refuses are refused; addresses are not looked up, and a redirect is a
    response like any other.

    Attributes:
        requests: Every request, in order, those without a response included.
    """

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []
        self._script: dict[str, list[Response | FetchError]] = {}

    def respond(
        self,
        url: str,
        *,
        status: int = 200,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        elapsed_ms: int = 1,
        certificate_days_left: int | None = None,
    ) -> None:
        """Add a response for *url*; a text is sent as UTF-8."""
        response = Response(
            status=status,
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body.encode() if isinstance(body, str) else body,
            truncated=False,
            url=url,
            elapsed_ms=elapsed_ms,
            certificate_days_left=certificate_days_left,
        )
        self._script.setdefault(url, []).append(response)

    def fail(self, url: str, reason: str = "No connection", *, permanent: bool = False) -> None:
        """Add a failure for *url*: the request gets no response."""
        self._script.setdefault(url, []).append(FetchError(reason, permanent=permanent))

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
        """Return the next response for *url*, its body cut at *max_body_bytes*.

        Raises:
            FetchError: The script says so, has nothing for this URL, or the real client would refuse it.
        """
        self.requests.append(
            SentRequest(method, url, dict(headers or {}), body, timeout_s, max_redirects, max_body_bytes)
        )
        check_url(url)
        check_headers(headers or {})
        script = self._script.get(url)
        if not script:
            raise FetchError(f"ScriptedHttp has no response for {method} {url}", permanent=True)
        reply = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(reply, FetchError):
            raise reply
        return _truncate_body(reply, max_body_bytes)


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
        return _StoreReader(self)

    def _new_id(self) -> str:
        return f"testing-{next(self._ids)}"


class _StoreReader:
    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    async def list_tasks(self) -> Sequence[Task]:
        return [stored.task for stored in await all_tasks(self._store, TaskFilter())]

    async def list_runs(self, since: datetime) -> Sequence[Run]:
        return [run async for run in iter_runs(self._store, since=since)]


class _EmptyReader:
    async def list_tasks(self) -> Sequence[Task]:
        return ()

    async def list_runs(self, since: datetime) -> Sequence[Run]:
        return ()


def make_tools(
    http: HttpRequester | None = None,
    store: InMemoryStore | None = None,
    *,
    secrets: Mapping[str, str] | None = None,
    python_tasks: Sequence[str] = (),
    github_token: str = "",
    model: LanguageModel | None = None,
) -> Tools:
    """Return the tools of an attempt; see `Tools` for what each is.

    Args:
        http: None for a client without any response.
        store: None for a store without tasks and runs.
        secrets: What `{{secret:NAME}}` in params stands for, by name.
    """
    return Tools(
        http=http or ScriptedHttp(),
        store=store.reader() if store else _EmptyReader(),
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


async def run(
    type_name: str,
    params: Mapping[str, Any] | None = None,
    *,
    tools: Tools | None = None,
    clock: FixedClock | None = None,
    attempt: int = 1,
    memory: Mapping[str, Any] | None = None,
) -> Outcome:
    """Make one attempt and return its outcome, whatever goes wrong in it.

    For a job that differs in other fields: `await run_job(make_job(...), make_tools(...))`.

    Args:
        type_name: A type of this program, e.g. `http`, or a module of your own, e.g.
            `shop_of_mine.count_stock`, which is registered for the rest of the process.
        params: As in a task file, secrets by reference included.
        memory: What the run before returned as `outcome.memory`.

    Raises:
        InputError: The module is not a task type.
    """
    if "." in type_name:
        register(type_name)
    job = make_job(type_name.rpartition(".")[2], params, clock=clock, attempt=attempt, memory=memory)
    return await run_job(job, tools or make_tools())


def _truncate_body(response: Response, max_bytes: int) -> Response:
    """Return *response* as a client with this limit gives it."""
    if len(response.body) <= max_bytes:
        return response
    return replace(response, body=response.body[:max_bytes], truncated=True)
