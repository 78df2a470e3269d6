"""The client of a deployed function's API, and a read-only store on top of it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from functions.domain.lifecycle.executions import Execution
from functions.domain.run import Run
from functions.domain.storage import (
    Document,
    DocumentKind,
    InvalidDocument,
    QueryResult,
    TaskFilter,
    VersionedTask,
)
from functions.domain.task import Task
from functions.domain.types import format_instant
from functions.errors import (
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    SchedulerError,
    SettingsError,
    StoreUnavailableError,
)
from functions.http_client.trusted import HttpResponse, PostError, TrustedHttpClient
from functions.services.calendars.book import calendar_id

REQUEST_TIMEOUT_S = 60.0  # for one request, its response included
MAX_PAGE_SIZE = 500  # that the API allows
MAX_RESPONSE_BYTES = 64 << 20  # a page of the largest tasks is smaller


class ApiClient:
    """A deployed function's API.

    Every call raises InputError with the API's own message when the API refuses it, and
    StoreUnavailableError when there is no answer.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    def with_key(self, key: str) -> "ApiClient":
        """Return a client of the same function that presents *key*."""
        return ApiClient(self._url, key)

    async def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return the response's JSON object; None for a DELETE, whose response may have no body."""
        return await self._send(method, path, body, query)

    async def replace(self, path: str, body: Any, *, revision: str) -> Any:
        """Replace what is at *path* if it still has this revision; raises ConflictError otherwise."""
        return await self._send("PUT", path, body, {}, {"If-Match": f'"{revision}"'})

    async def _send(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, Any],
        more_headers: Mapping[str, str] | None = None,
    ) -> Any:
        parameters = {name: str(value) for name, value in query.items() if value not in (None, "")}
        headers = dict(self._headers) | dict(more_headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with TrustedHttpClient() as client:
                response = await client.request(
                    method,
                    f"{self._url}{path}{'?' + urlencode(parameters) if parameters else ''}",
                    headers=headers,
                    body=None if body is None else json.dumps(body).encode(),
                    timeout_s=REQUEST_TIMEOUT_S,
                    max_bytes=MAX_RESPONSE_BYTES,
                )
        except PostError as exc:
            raise StoreUnavailableError(f"SCHEDULER_URL: {exc}") from None
        if response.truncated:
            raise StoreUnavailableError("SCHEDULER_URL: the answer is too long; ask for fewer rows")
        value = None if response.status == 204 else _parse_json(response)
        if response.status >= 300:
            raise _refusal(response.status, value)
        if value is None and method != "DELETE":
            raise _foreign_answer(response.status)
        return value


class RemoteStore:
    """Tasks and runs of a deployed function, read over its API."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """As in `TaskStore`; by status, type, owner and tag."""
        filters = {"status": which.status, "type": which.type, "owner": which.owner, "tag": which.tag}
        page = await self._client.request("GET", "/api/tasks", cursor=after, limit=limit, **filters)
        unreadable = tuple(
            InvalidDocument(task_id, "it cannot be read") for task_id in page.get("unreadable", ())
        )
        return QueryResult(tuple(_parse_stored_task(one) for one in page["tasks"]), unreadable)

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """As in `TaskStore`."""
        tasks = []
        for task_id in ids:
            try:
                tasks.append(_parse_stored_task(await self._client.request("GET", f"/api/tasks/{task_id}")))
            except NotFoundError:
                continue
        return QueryResult(tuple(tasks))

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """As in `TaskStore`; in as many requests as it takes."""
        span = {"since": since and format_instant(since), "before": before and format_instant(before)}
        found: list[Run] = []
        cursor: str | None = None
        while len(found) < limit:
            size = min(limit - len(found), MAX_PAGE_SIZE)
            page = await self._client.request(
                "GET", "/api/runs", task=task_id, limit=size, cursor=cursor, **span
            )
            found += (Run.model_validate(_known_fields(one, Run)) for one in page["runs"])
            cursor = page.get("next")
            if cursor is None:
                break
        return found

    async def executions(self, task_id: str) -> list[Execution]:
        """As `services.executions.list_executions`."""
        page = await self._client.request("GET", "/api/runs", task=task_id, limit=1)
        return [Execution.model_validate(one) for one in page.get("current", ())]

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """As in `DocumentStore`, for calendars, which are all that commands read beside tasks."""
        assert kind == "calendars"
        return [one for one in await self.list_documents(kind) if one.id in ids]

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 1000
    ) -> list[Document]:
        """As in `DocumentStore`, for calendars: all of them are on the first page."""
        found = (await self._client.request("GET", "/api/calendars"))["calendars"] if not after else []
        return [Document(kind, calendar_id(one["owner"], one["name"]), one) for one in found]

    async def close(self) -> None:
        """Nothing to release: no connection stays open."""


def _parse_json(response: HttpResponse) -> Any:
    if not response.body.strip():
        return None
    try:
        value = json.loads(response.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _foreign_answer(response.status)
    return value


def _refusal(status: int, value: Any) -> SchedulerError:
    """Return the error of a response whose JSON is *value*; the API's own always has a title."""
    problem = value if isinstance(value, dict) and "title" in value else {}
    if not problem and 400 <= status < 500:
        return _foreign_answer(status)
    return _to_error(status, str(problem.get("detail") or f"the function answered {status}"))


def _foreign_answer(status: int) -> StoreUnavailableError:
    """Return what to do about an answer that another program than Cronfire gave."""
    if status in (401, 403):
        return StoreUnavailableError(
            f"SCHEDULER_URL: something before the function refuses callers ({status}), as Google's access "
            "control does: deploy with bearer_pingers=true, or use gcloud run services proxy"
        )
    return StoreUnavailableError(f"SCHEDULER_URL: the answer ({status}) is not Cronfire's; check the address")


def create_api_client(environment: Mapping[str, str]) -> ApiClient | None:
    """The API that SCHEDULER_URL names; None when it is not set.

    Raises:
        SettingsError: The key is missing or cannot be sent, or SCHEDULER_URL is not an address.
    """
    url = environment.get("SCHEDULER_URL", "").strip()
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        raise SettingsError("SCHEDULER_URL: must begin with https://, or http:// on a machine of yours")
    if "?" in url or "#" in url:
        raise SettingsError("SCHEDULER_URL: must be the address of the function alone, without ? and #")
    key, file = environment.get("SCHEDULER_KEY", "").strip(), environment.get("SCHEDULER_KEY_FILE", "")
    if not key and file:
        try:
            key = Path(file).read_text(encoding="utf-8-sig").strip()
        except OSError as exc:
            raise SettingsError(f"SCHEDULER_KEY_FILE: cannot be read ({exc.strerror})") from None
        except UnicodeDecodeError:
            raise SettingsError("SCHEDULER_KEY_FILE: cannot be read (it is not UTF-8)") from None
    if not key:
        raise SettingsError("SCHEDULER_KEY is missing: a key of the API, see scheduler keys create")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError("SCHEDULER_KEY has characters that a header cannot carry: copy it once more")
    return ApiClient(url, key)


def parse_task(given: Mapping[str, Any]) -> Task:
    """Parse a task of an API response."""
    return Task.model_validate(_known_fields(given, Task))


def _parse_stored_task(given: Mapping[str, Any]) -> VersionedTask:
    return VersionedTask(parse_task(given), given.get("etag"))


def _known_fields(given: Mapping[str, Any], model: type[Task] | type[Run]) -> dict[str, Any]:
    """Return *given* without the fields that the API adds."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return {name: value for name, value in given.items() if name in known}


def _to_error(status: int, detail: str) -> SchedulerError:
    if status < 400:
        return StoreUnavailableError(
            f"SCHEDULER_URL: it leads to another address ({status}); give the function's own, with https://"
        )
    if status == 404:
        return NotFoundError(detail)
    if status in (409, 412):
        return ConflictError(detail)
    if status == 401:
        return NotAllowedError("SCHEDULER_KEY: the function has no such key, or it was revoked or expired")
    if status == 403:
        return NotAllowedError(f"SCHEDULER_KEY: {detail}")
    if status in (408, 429) or status >= 500:  # the same request may be answered later
        return StoreUnavailableError(detail)
    return InputError(detail)
