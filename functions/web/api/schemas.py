"""The shapes of the API that are not the store's own: pages, wishes, previews."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from functions.domain.access import ApiKey, AuditEntry, Scope
from functions.domain.run import Run
from functions.domain.schedule.parse import ClockChange
from functions.domain.task import Task
from functions.domain.types import Instant, Model

NoteText = Annotated[str, StringConstraints(max_length=400)]
TagText = Annotated[str, StringConstraints(min_length=1, max_length=64)]
TimezoneName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Schema(Model):
    """A shape of the API. FastAPI looks into the checks, so that they must be there from the start."""

    model_config = ConfigDict(defer_build=False)


class TaskOut(Task):
    """A task: what a person wrote, and what the scheduler keeps beside it.

    Attributes:
        etag: Its version, for `If-Match`.
        schedule_text: What starts it, in words.
    """

    etag: str
    schedule_text: str = ""


class TaskPage(Schema):
    """Some tasks, by id. *next* is the cursor of the next page; null when there is none."""

    tasks: list[TaskOut]
    next: str | None = None
    unreadable: list[str] = Field(default_factory=list, description="ids of documents that are no tasks")


class RunOut(Run):
    """A run, or occurrences that were skipped. *id* is what `/api/runs/{id}` takes."""

    id: str
    duration: int = Field(description="milliseconds")


class RunPage(Schema):
    """Some runs, newest first. *next* is the cursor of the next page; null when there is none."""

    runs: list[RunOut]
    next: str | None = None


class PauseRequest(Schema):
    """Why, and until when; without *until* somebody has to resume."""

    note: NoteText = ""
    until: Instant | None = None


class ResumeRequest(Schema):
    """Whether to run what was missed meanwhile as well."""

    catch_up: bool = False


class RunRequest(Schema):
    """How long to wait for the run, in seconds.

    It is run here and now when the task's `timeoutSeconds` fits into that; otherwise the next tick runs it.
    """

    wait: Annotated[float, Field(ge=0, le=50)] = 0


class RunResponse(Schema):
    """What became of a wish to run: the run when it came to its end while we waited, else null."""

    state: Literal["queued", "finished"]
    occurrence: Instant
    run: RunOut | None = None


class BackfillRequest(Schema):
    """The span of the past, both ends included."""

    first: Annotated[Instant, Field(alias="from")]
    until: Annotated[Instant, Field(alias="to")]
    dry_run: bool = False


class BackfillResponse(Schema):
    """The occurrences that will (with dryRun: would) run, oldest first."""

    occurrences: list[datetime]
    dry_run: bool


class BulkPauseRequest(PauseRequest):
    """Which tasks, by a tag they share."""

    tag: TagText


class BulkResumeRequest(ResumeRequest):
    """Which tasks, by a tag they share."""

    tag: TagText


class BulkResponse(Schema):
    """The ids of the tasks that were changed."""

    ids: list[str]


class NextRun(Schema):
    """One occurrence: the instant, and what the clock of the zone shows."""

    utc: Instant
    local: str = Field(examples=["2026-11-21T09:30:00+02:00"])


class ClockChangeOut(Schema):
    """A change of the clocks that the schedule feels."""

    instant: Instant
    kind: Literal["gap", "repeat"]
    text: str

    @classmethod
    def from_change(cls, change: ClockChange) -> "ClockChangeOut":
        """*change* in the API's shape."""
        return cls(instant=change.instant, kind=change.kind, text=change.text)


class PreviewOut(Schema):
    """What a schedule means."""

    text: str = Field(examples=["At 09:30, Monday through Friday"])
    timezone: str
    next: list[NextRun]
    transitions: list[ClockChangeOut]


class KeyRequest(Schema):
    """A key that is to be made."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4)]
    owner: Annotated[str, StringConstraints(max_length=100)] = ""
    expires_at: Instant | None = None


class KeyCreated(Schema):
    """A new key. *token* is shown this once and kept nowhere."""

    key: ApiKey
    token: str


class KeyList(Schema):
    """Keys, newest first."""

    keys: list[ApiKey]


class AuditPage(Schema):
    """Who changed it, newest first."""

    entries: list[AuditEntry]


Json = dict[str, Any]
