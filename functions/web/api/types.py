"""Routes about task types, and the schema of task files, which editors fetch without a key."""

import hashlib
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from pydantic import Field

from functions.errors import NotFoundError
from functions.task_types.registry import type_names
from functions.taskfiles.schema import (
    SCHEMA_PATH,
    example_task,
    params_schema_of,
    render_schema,
    task_file_schema,
)
from functions.web.api.dependencies import CurrentPrincipal, make_api_router
from functions.web.api.errors import error_responses
from functions.web.api.schemas import Schema

router = make_api_router("/api/types", "task types")
schema_router = APIRouter(include_in_schema=False)

MAX_AGE_S = 3600
TypeName = Annotated[str, Path(min_length=1, max_length=63, examples=["http"])]


class TaskType(Schema):
    """A task type."""

    name: str = Field(examples=["health_check_url"])
    params: dict[str, Any] = Field(description="JSON Schema of a task's `params`")
    example: dict[str, Any] = Field(description="a task of this type, which can be sent as it is")


class TaskTypeList(Schema):
    """All task types, those of the operator's own included."""

    types: list[TaskType]


@router.get("", responses=error_responses(), summary="List task types")
async def list_types(_: CurrentPrincipal) -> TaskTypeList:
    """Return all task types, each with the JSON Schema of its params and an example.

    Whether the caller may use one depends on what its key, its owner and this installation allow.
    """
    return TaskTypeList(types=[_task_type(name) for name in type_names()])


@router.get("/{name}", responses=error_responses(404), summary="Read a task type")
async def get_type(name: TypeName, _: CurrentPrincipal) -> TaskType:
    """Return one task type."""
    if name not in type_names():
        raise NotFoundError(f"There is no task type {name}")
    return _task_type(name)


@schema_router.get(SCHEMA_PATH)
async def get_task_file_schema(if_none_match: Annotated[str, Header()] = "") -> Response:
    """Return the JSON Schema of task files; any page may read it."""
    body, etag = _task_file_schema(type_names())
    headers = {
        "ETag": etag,
        "Cache-Control": f"public, max-age={MAX_AGE_S}",
        "Access-Control-Allow-Origin": "*",
    }
    if etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/schema+json", headers=headers)


@cache
def _task_file_schema(_: tuple[str, ...]) -> tuple[bytes, str]:
    body = render_schema(task_file_schema()).encode()
    return body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def _task_type(name: str) -> TaskType:
    return TaskType(name=name, params=params_schema_of(name), example=example_task(name))
