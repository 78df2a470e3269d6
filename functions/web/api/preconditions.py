"""`If-Match` and `If-None-Match` (RFC 9110, section 13): lists of entity tags, or `*`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Header

from functions.domain.storage import VersionedTask
from functions.errors import ConflictError, NotFoundError
from functions.services.tasks import TaskService
from functions.web.api.errors import ProblemError

IfMatch = Annotated[
    str | None, Header(alias="If-Match", description="the `ETag` of the version you read", max_length=200)
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="`*`: only if there is none; or the `ETag`s you have",
        max_length=200,
    ),
]


async def get_unchanged_task(
    service: TaskService, task_id: str, if_match: str | None, if_none_match: str | None
) -> VersionedTask:
    """Return the task, if the preconditions hold.

    Raises:
        NotFoundError: There is none, and no precondition asks for one.
        ProblemError: 412: its version is not one of *if_match*, or is one of *if_none_match*.
    """
    try:
        stored = await service.get_task(task_id)
    except NotFoundError:
        if if_match and has_tag(if_match, None):
            raise ProblemError(412, f"There is no task {task_id!r}, and If-Match asks for one") from None
        raise
    if if_match and not has_tag(if_match, stored):
        raise ProblemError(412, f"{task_id} has changed since you read it; read it again")
    if if_none_match and has_tag(if_none_match, stored):
        raise ProblemError(412, f"{task_id} exists, and If-None-Match asks that it does not")
    return stored


@contextmanager
def matching(if_match: str | None, stored: VersionedTask) -> Iterator[str | None]:
    """Yield the revision that a write in here may change; None for any, as without *if_match* and with `*`.

    Raises:
        ProblemError: 412: another writer changed it since `get_unchanged_task` compared it.
    """
    expected = str(stored.revision) if if_match and not has_tag(if_match, None) else None
    try:
        yield expected
    except ConflictError as exc:
        if expected is None:
            raise
        raise ProblemError(412, str(exc)) from None


def has_tag(header: str, stored: VersionedTask | None) -> bool:
    """Whether *header* is `*`, or one of its tags is the version of *stored*.

    An empty tag is one that no version has: a client that lost its own and sends `""` overwrites nothing. A
    header without any text is none.
    """
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return "*" in tags or (stored is not None and str(stored.revision) in tags)
