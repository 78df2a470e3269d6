"""The arguments of each tool, as an assistant sees them."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from functions.domain.schedule.base import MAX_SCHEDULE_CHARS
from functions.domain.schedule.days.closed import OnExcluded
from functions.domain.schedule.days.entries import MAX_ENTRIES
from functions.domain.storage import MAX_DOCUMENT_ID_CHARS
from functions.domain.types import Instant, Model, OutcomeKind, Status
from functions.services.rehearsals import ProposedRules

MAX_LISTED = 50
MAX_PREVIEWED = 20

Id = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Note = Annotated[str, StringConstraints(max_length=400)]


class ListTasks(Model):
    """Which tasks to list."""

    status: Status | None = Field(None, description="only tasks in this state")
    type: str = Field("", max_length=63, description="only tasks of this type")
    tag: str = Field("", max_length=64, description="only tasks with this tag")
    owner: str = Field("", max_length=100, description="only tasks of this owner")
    after: str = Field("", max_length=MAX_DOCUMENT_ID_CHARS, description="`next` of the page before")
    limit: int = Field(20, ge=1, le=MAX_LISTED)


class OneTask(Model):
    """Which task."""

    id: Id


class DescribeTypes(Model):
    """Which type to describe."""

    type: str = Field("", max_length=63, description="with it the JSON Schema of its params; else all names")


class PreviewSchedule(Model):
    """A schedule that is not saved."""

    schedule: str = Field(
        max_length=MAX_SCHEDULE_CHARS,
        description="five cron fields, @daily, `every 15m`, `at 2026-12-01T09:00`, or "
        "`first business day of month at 09:00`",
        examples=["30 9 * * MON-FRI"],
    )
    timezone: str = Field("", max_length=100, description="such as Europe/Riga; else the default one")
    start_at: Instant | None = Field(None, description="no run before it; an interval counts from it")
    end_at: Instant | None = Field(None, description="no run after it")
    max_runs: int | None = Field(None, ge=0, description="how many runs there are at most")
    excluded: tuple[str, ...] = Field(
        (),
        alias="except",
        max_length=MAX_ENTRIES,
        description="days without a run: 2026-12-24, 12-24..01-02, sat, weekends, holidays:LV, calendar:NAME",
    )
    on_excluded: OnExcluded = Field(
        "skip", description="what becomes of a run on such a day: left out, or moved to a business day"
    )
    count: int = Field(5, ge=1, le=MAX_PREVIEWED)


class CreateTask(Model):
    """A task to create."""

    task: dict[str, Any] = Field(
        description="the fields of a task file: title, type and params, schedule, timezone, and more; "
        "describe_task_types says what params a type takes",
        examples=[
            {
                "title": "Shop front answers",
                "type": "health_check_url",
                "schedule": "*/5 * * * *",
                "params": {"url": "https://example.com"},
            }
        ],
    )
    dry_run: bool = Field(
        True,
        description="true: only say what would be made. Show that to the user, and call again with false "
        "when they agree",
    )


class EditTask(Model):
    """Changes of a task."""

    id: Id
    changes: dict[str, Any] = Field(
        min_length=1,
        description="the fields to change, each as a whole; null means the default. Of params only those "
        "named change; null removes one. Leave out what was shown cut or masked",
    )
    revision: str = Field(
        "", max_length=100, description="the revision that the changes are about; refused if it changed since"
    )
    dry_run: bool = Field(
        True,
        description="true: only say what would change. Show that to the user, and call again with false "
        "when they agree",
    )


class RehearseRules(ProposedRules):
    """Alert rules of a task that are not saved."""

    id: Id


class PauseTask(Model):
    """A pause."""

    id: Id
    note: Note = Field("", description="the reason, for other users")
    until: Instant | None = Field(None, description="when it resumes by itself; else it is resumed by hand")


class ResumeTask(Model):
    """The end of a pause or a quarantine."""

    id: Id
    catch_up: bool = Field(False, description="also run the occurrences that were missed")


class ListRuns(Model):
    """Which runs to list."""

    task: str = Field("", max_length=100, description="of this task only; a key of one owner needs it")
    outcome: OutcomeKind | None = Field(None, description="only what ended so")
    since: Instant | None = Field(None, description="finished at this instant or later")
    limit: int = Field(10, ge=1, le=MAX_LISTED)


class ListIncidents(Model):
    """Which incidents to list."""

    tag: str = Field("", max_length=64, description="only of tasks with this tag")
    limit: int = Field(20, ge=1, le=MAX_LISTED)


def schema_of(arguments: type[Model]) -> dict[str, Any]:
    """Return the JSON Schema of *arguments* with each `$ref` replaced by what it refers to.

    Gemini, and clients that pass on only `properties`, refuse or lose a tool with references.
    """
    schema = arguments.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})

    def expand(part: Any) -> Any:
        match part:
            case {"$ref": str(reference), **beside}:
                return expand(definitions[reference.rpartition("/")[2]]) | expand(beside)
            case dict():
                return {name: expand(value) for name, value in part.items()}
            case list():
                return [expand(value) for value in part]
            case _:
                return part

    expanded: dict[str, Any] = expand(schema)
    return expanded
