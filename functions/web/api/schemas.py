"""Requests and responses of the API."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from functions.domain.access import ApiKey, AuditEntry, ListedKey, Scope
from functions.domain.lifecycle.executions import Execution
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.run import Run
from functions.domain.schedule.parse import ClockChange
from functions.domain.task import Task
from functions.domain.types import Instant, Model

NoteText = Annotated[str, StringConstraints(max_length=400)]
TagText = Annotated[str, StringConstraints(min_length=1, max_length=64)]
TimezoneName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _restore_plus(value: Any) -> Any:
    """Return an instant with the `+` of its offset, `T09:00:00+02:00`: in a query it stands for a space."""
    return re.sub(r" (?=\d\d:?\d\d$)", "+", value) if isinstance(value, str) else value


QueryInstant = Annotated[Instant, BeforeValidator(_restore_plus)]


class Schema(Model):
    """A body of the API. FastAPI reads the validators of a model, so they are built with the class."""

    model_config = ConfigDict(defer_build=False)


class TaskOut(Task):
    """A task: its definition and its state.

    Attributes:
        etag: The version, for `If-Match`.
        schedule_text: What starts it, in words.
        next_run: When its next occurrence begins; `nextRunAt` is when the scheduler looks at it, perhaps
            for a retry or the end of a claim.
        warnings: What will not work here, e.g. for want of a channel, a model or a secret; not in lists.
        waiting: Why it is due and has not started, where its group is the reason; in the answer about one
            task.
    """

    recent: tuple[str, ...] = ()  # type: ignore[assignment]  # lines are a list in JSON
    etag: str
    schedule_text: str = ""
    next_run: Instant | None = None
    warnings: tuple[str, ...] = ()
    waiting: str = ""


class TaskPage(Schema):
    """A page of tasks, by id. *next* is the cursor of the next page; null when there is none."""

    tasks: list[TaskOut]
    next: str | None = None
    unreadable: list[str] = Field(
        default_factory=list, description="ids of documents that are no valid tasks"
    )


class RunOut(Run):
    """A run, or skipped occurrences. *id* is the one in `/api/runs/{id}`."""

    id: str
    duration: int = Field(description="milliseconds")
    deferred: bool = Field(False, exclude=True)  # of the store, not of the run


class RunPage(Schema):
    """A page of runs, newest first. *next* is the cursor of the next page; null when there is none."""

    current: list[Execution] = Field(
        default_factory=list,
        description="on the first page: what has not finished, running, then retrying, then queued",
    )
    runs: list[RunOut]
    next: str | None = None


class PauseRequest(Schema):
    """The reason and the end of a pause; without *until* it ends when the task is resumed."""

    note: NoteText = ""
    until: Instant | None = None


class ResumeRequest(Schema):
    """Whether to also run the occurrences missed during the pause."""

    catch_up: bool = False


class RunRequest(Schema):
    """How long to wait for the run, in seconds.

    The task runs in this request if its `timeoutSeconds` fits into that; otherwise the next tick runs it.
    """

    wait: Annotated[float, Field(ge=0, le=50)] = 0


class RunResponse(Schema):
    """What became of a request to run.

    `queued`: no attempt ended within the wait, and *run* is null. `retrying`: an attempt failed, *run* is
    its record, and a tick tries again at *retryAt*. `finished`: *run* is the last attempt. *text* says so.
    """

    state: Literal["queued", "retrying", "finished"]
    occurrence: Instant
    run: RunOut | None = None
    retry_at: Instant | None = None
    text: str = ""


class BackfillRequest(Schema):
    """A past period, both ends included."""

    first: Annotated[Instant, Field(alias="from")]
    until: Annotated[Instant, Field(alias="to")]
    dry_run: bool = False


class BackfillResponse(Schema):
    """The occurrences that will (with dryRun: would) run, oldest first."""

    occurrences: list[datetime]
    dry_run: bool


class BulkPauseRequest(PauseRequest):
    """Selects the tasks that have *tag*."""

    tag: TagText


class BulkResumeRequest(ResumeRequest):
    """Selects the tasks that have *tag*."""

    tag: TagText


class BulkResponse(Schema):
    """The ids of the changed tasks."""

    ids: list[str]


class NextRun(Schema):
    """An occurrence, in UTC and in local time."""

    utc: Instant
    local: str = Field(examples=["2026-11-21T09:30:00+02:00"])


class ClockChangeOut(Schema):
    """A change of the clocks that affects the schedule."""

    instant: Instant
    kind: Literal["gap", "repeat"]
    text: str

    @classmethod
    def from_change(cls, change: ClockChange) -> "ClockChangeOut":
        """Return *change* as a response."""
        return cls(instant=change.instant, kind=change.kind, text=change.text)


class PreviewOut(Schema):
    """A schedule in words, its next occurrences, and the clock changes it meets."""

    text: str = Field(examples=["At 09:30, Monday through Friday"])
    timezone: str
    next: list[NextRun]
    transitions: list[ClockChangeOut]


class KeyRequest(Schema):
    """A key to create."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4)]
    owner: Annotated[str, StringConstraints(max_length=100)] = ""
    expires_at: Instant | None = Field(None, description="null: when the key that makes it ends")
    capabilities: Capabilities | None = Field(
        None, description="what tasks saved with it may use, within what their owner may; null: all of that"
    )


class KeyCreated(Schema):
    """A new key. *token* is in this response only and is not stored."""

    key: ApiKey
    token: str


class KeyList(Schema):
    """Keys, newest first."""

    keys: list[ListedKey]
    unreadable: list[str] = Field(
        default_factory=list,
        description="ids of rows that are no valid keys and are refused; a DELETE removes one",
    )


class AuditPage(Schema):
    """The changes, newest first."""

    entries: list[AuditEntry]
