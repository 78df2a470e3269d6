"""Where tasks are written: a store, or a deployed function's API."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import ADMINISTRATOR
from functions.domain.lifecycle.edit import spec_hash
from functions.domain.task import Task, TaskSpec
from functions.errors import ConflictError
from functions.services.compare_and_set import compare_and_set
from functions.services.tasks import TaskService

if TYPE_CHECKING:
    from functions.cli.api_client import ApiClient

ORIGIN = "cli"


@dataclass(frozen=True, slots=True)
class WrittenTask:
    """A task as it is stored, and what will not work as it is written."""

    task: Task
    warnings: Sequence[str] = ()


class TaskWriter(Protocol):
    """Creates, reads, changes and removes single tasks.

    Every method raises InputError for what is refused, NotFoundError for a task that does not exist, and
    ConflictError for one that was changed meanwhile, or exists already.
    """

    async def create(self, spec: TaskSpec) -> WrittenTask: ...

    async def read(self, task_id: str) -> WrittenTask: ...

    async def replace(self, spec: TaskSpec, *, before: Task) -> WrittenTask:
        """Replace what users decide of *before*; what runs changed of it meanwhile is no conflict."""
        ...

    async def delete(self, task_id: str) -> None: ...


def task_writer(context: CliContext) -> TaskWriter:
    """Return the writer for what the command works on."""
    if not context.is_remote:
        return _StoreWriter(context)
    from functions.cli.api_client import create_api_client  # imports an HTTP client

    client = create_api_client(context.environment)
    assert client is not None
    return _ApiWriter(client)


class _StoreWriter:
    def __init__(self, context: CliContext) -> None:
        self._channels = context.app.channels
        self._service = TaskService(
            context.store,
            replace(ADMINISTRATOR, name=PRINCIPAL_NAME),
            clock=context.now,
            new_id=context.new_id,
            origin=ORIGIN,
        )

    async def create(self, spec: TaskSpec) -> WrittenTask:
        return self._written(await self._service.create(spec))

    async def read(self, task_id: str) -> WrittenTask:
        return self._written(await self._service.get_task(task_id))

    async def replace(self, spec: TaskSpec, *, before: Task) -> WrittenTask:
        return self._written(await self._service.edit(spec.id, spec, definition=spec_hash(before)))

    async def delete(self, task_id: str) -> None:
        await self._service.delete(task_id)

    def _written(self, stored: Any) -> WrittenTask:
        task: Task = stored.task
        return WrittenTask(task, tuple(self._channels.warnings(task.notify)))


class _ApiWriter:
    def __init__(self, client: "ApiClient") -> None:
        self._client = client

    async def create(self, spec: TaskSpec) -> WrittenTask:
        return _of_api(await self._client.request("POST", "/api/tasks", to_body(spec)))

    async def read(self, task_id: str) -> WrittenTask:
        return _of_api(await self._client.request("GET", f"/api/tasks/{task_id}"))

    async def replace(self, spec: TaskSpec, *, before: Task) -> WrittenTask:
        path = f"/api/tasks/{spec.id}"

        async def attempt() -> WrittenTask | None:
            given = await self._client.request("GET", path)
            if spec_hash(_of_api(given).task) != spec_hash(before):
                raise ConflictError(f"{spec.id} is no longer what you saw; read it again")
            with suppress(ConflictError):  # a run changed it since
                return _of_api(await self._client.replace(path, to_body(spec), revision=given["etag"]))
            return None

        return await compare_and_set(attempt, subject=spec.id)

    async def delete(self, task_id: str) -> None:
        await self._client.request("DELETE", f"/api/tasks/{task_id}")


def _of_api(given: dict[str, Any]) -> WrittenTask:
    from functions.cli.api_client import parse_task  # as above

    return WrittenTask(parse_task(given), tuple(given.get("warnings", ())))


def to_body(spec: TaskSpec) -> dict[str, Any]:
    """Return *spec* as the body of a request; its zone too, because the function may have another default."""
    fields = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return fields | {"timezone": spec.timezone}
