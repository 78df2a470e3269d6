"""A deployed function's API, and what looks at tasks and runs over it as if it were a store."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from functions.domain.run import Run
from functions.domain.storage import InvalidDocument, QueryResult, TaskFilter, VersionedTask
from functions.domain.task import Task
from functions.domain.types import format_instant
from functions.errors import (
    InputError,
    NotAllowedError,
    NotFoundError,
    SchedulerError,
    SettingsError,
    StoreUnavailableError,
)

REQUEST_TIMEOUT_S = 60.0  # for one question, its answer included


class ApiClient:
    """A deployed function's API.

    Every call raises InputError with the API's own sentence when it refuses, and StoreUnavailableError when
    there is no answer.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer as JSON values; None where there is none."""
        asked = {name: str(value) for name, value in query.items() if value not in (None, "")}
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                aiohttp.ClientSession(headers=self._headers) as session,
                session.request(
                    method, f"{self._url}{path}", json=body, params=asked, allow_redirects=False
                ) as response,
            ):
                given = await response.json(content_type=None) if response.status != 204 else None
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            why = "it took too long" if isinstance(exc, TimeoutError) else type(exc).__name__
            raise StoreUnavailableError(f"SCHEDULER_URL: no answer of Cronfire's came ({why})") from None
        if status < 300:
            return given
        detail = given.get("detail") if isinstance(given, dict) else None
        raise _to_error(status, str(detail or f"the function answered {status}"))


class RemoteStore:
    """What looks at tasks and runs, over the API."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """As in `Catalogue`; by status, type, owner and tag."""
        wanted = {"status": which.status, "type": which.type, "owner": which.owner, "tag": which.tag}
        given = await self._client.request("GET", "/api/tasks", cursor=after, limit=limit, **wanted)
        broken = tuple(InvalidDocument(one, "it cannot be read") for one in given.get("unreadable", ()))
        return QueryResult(tuple(_parse_stored_task(one) for one in given["tasks"]), broken)

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """As in `Catalogue`."""
        found = []
        for task_id in ids:
            try:
                found.append(_parse_stored_task(await self._client.request("GET", f"/api/tasks/{task_id}")))
            except NotFoundError:
                continue
        return QueryResult(tuple(found))

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """As in `Catalogue`."""
        span = {"since": since and format_instant(since), "before": before and format_instant(before)}
        given = await self._client.request("GET", "/api/runs", task=task_id, limit=limit, **span)
        return [Run.model_validate(_known_fields(one, Run)) for one in given["runs"]]

    async def close(self) -> None:
        """Nothing is kept open."""


def create_api_client(environment: Mapping[str, str]) -> ApiClient | None:
    """The API that SCHEDULER_URL names; None when it is not set.

    Raises:
        SettingsError: The key is missing, or the address is none.
    """
    url = environment.get("SCHEDULER_URL", "").strip()
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        raise SettingsError("SCHEDULER_URL: must begin with https://")
    key, file = environment.get("SCHEDULER_KEY", "").strip(), environment.get("SCHEDULER_KEY_FILE", "")
    if not key and file:
        try:
            key = Path(file).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise SettingsError(f"SCHEDULER_KEY_FILE: cannot be read ({exc.strerror})") from None
    if not key:
        raise SettingsError("SCHEDULER_KEY is missing: a key of the API, see scheduler keys create")
    return ApiClient(url, key)


def parse_task(given: Mapping[str, Any]) -> Task:
    """The task in an answer of the API's."""
    return Task.model_validate(_known_fields(given, Task))


def _parse_stored_task(given: Mapping[str, Any]) -> VersionedTask:
    return VersionedTask(parse_task(given), given.get("etag"))


def _known_fields(given: Mapping[str, Any], model: type[Task] | type[Run]) -> dict[str, Any]:
    """*given* without what the API adds."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return {name: value for name, value in given.items() if name in known}


def _to_error(status: int, detail: str) -> SchedulerError:
    if status == 404:
        return NotFoundError(detail)
    if status in (401, 403):
        return NotAllowedError(f"SCHEDULER_KEY: {detail}")
    return StoreUnavailableError(detail) if status >= 500 else InputError(detail)
