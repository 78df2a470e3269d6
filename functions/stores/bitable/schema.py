"""The columns of the tables: those the user fills in, those the user reads, those of the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from functions.domain.types import OutcomeKind, Priority, Status

DATE_FORMAT = "yyyy/MM/dd HH:mm"
INVALID_STATUS = "broken"  # the status of a row that is no task


class ColumnType(IntEnum):
    """The types of columns that are used, by the vendor's numbers."""

    TEXT = 1
    NUMBER = 2
    SELECT = 3
    TAGS = 4
    DATE = 5
    CHECKBOX = 7


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        description: What it is, for who looks at it in the app.
        options: What may be chosen, in the order shown; others are made as they are written.
        is_integer: Whether its numbers are shown without a fraction.
        is_json: Whether its text is a value of several parts.
    """

    name: str
    type: ColumnType
    description: str
    options: tuple[str, ...] = ()
    is_integer: bool = True
    is_json: bool = False

    def to_api(self, more_options: tuple[str, ...] = ()) -> dict[str, Any]:
        """The column as the API makes it."""
        body: dict[str, Any] = {
            "field_name": self.name,
            "type": int(self.type),
            "description": {"text": self.description},
        }
        match self.type:
            case ColumnType.SELECT | ColumnType.TAGS if names := (*self.options, *more_options):
                body["property"] = {"options": [{"name": name} for name in names]}
            case ColumnType.DATE:
                body["property"] = {"date_formatter": DATE_FORMAT}
            case ColumnType.NUMBER:
                body["property"] = {"formatter": "0" if self.is_integer else "0.00"}
        return body


def _json_column(name: str, description: str) -> Column:
    return Column(name, ColumnType.TEXT, description, is_json=True)


# `after` and `onEvent` have none: tasks they name keep a list of their own, which no cell brings up to date.
USER_COLUMNS: tuple[Column, ...] = (
    Column("id", ColumnType.TEXT, "Lower-case letters, digits, . _ -; made from the title if left empty"),
    Column("title", ColumnType.TEXT, "What people call it"),
    Column("type", ColumnType.SELECT, "What to do; scheduler types lists all"),
    Column("schedule", ColumnType.TEXT, "When: 30 9 * * 1-5, daily, every 15m, at 2026-12-01T09:00"),
    Column(
        "timezone",
        ColumnType.TEXT,
        "The zone of the schedule, such as Asia/Shanghai; DEFAULT_TIMEZONE if empty",
    ),
    _json_column("params", "What the type needs, as YAML or JSON: url: https://example.com"),
    Column(
        "enabled",
        ColumnType.CHECKBOX,
        "Unchecked: the task is paused. Checked for you when a new row is taken in",
    ),
    Column("priority", ColumnType.SELECT, "Who goes first", tuple(Priority)),
    Column("tags", ColumnType.TAGS, "For people, lists and status pages"),
    _json_column(
        "notify",
        "Which channels are notified of what, as YAML or JSON; empty: all channels, of failure and recovery",
    ),
    Column("description", ColumnType.TEXT, "For people"),
    Column("owner", ColumnType.TEXT, "Whose task it is"),
    _json_column("except", "Days without a run, as YAML or JSON: [12-25, weekends, 'holidays:LV']"),
    Column("onExcluded", ColumnType.SELECT, "What would run on such a day", ("skip", "next", "previous")),
    Column("startAt", ColumnType.DATE, "No run before"),
    Column("endAt", ColumnType.DATE, "No run after"),
    Column("maxRuns", ColumnType.NUMBER, "Runs after which the task has ended"),
    Column("jitterSeconds", ColumnType.NUMBER, "Start up to so much later"),
    Column(
        "timeoutSeconds", ColumnType.NUMBER, "The longest an attempt may take; 20 if empty", is_integer=False
    ),
    _json_column("retry", "maxAttempts, minBackoffSeconds, maxBackoffSeconds"),
    _json_column("misfire", "policy and graceSeconds for runs nobody pinged for"),
    Column(
        "overlap", ColumnType.SELECT, "Still running at the next time", ("skip", "queue_one", "queue_all")
    ),
    _json_column("group", "name, maxConcurrent, perMinute: limits shared with others of that name"),
    Column("delivery", ColumnType.SELECT, "Whether a try may be repeated", ("at_least_once", "at_most_once")),
    Column("pauseAfterFailures", ColumnType.NUMBER, "Failures in a row after which it pauses itself"),
    _json_column("budget", "creditsPerRun, creditsPerMonth"),
    Column("expectSeconds", ColumnType.NUMBER, "Notify when so long passed without a success (seconds)"),
)
STATUS_COLUMNS: tuple[Column, ...] = (
    Column(
        "status", ColumnType.SELECT, "Where it stands; written by the scheduler", (*Status, INVALID_STATUS)
    ),
    Column("Next run", ColumnType.DATE, "When it is looked at next; written by the scheduler"),
    Column("Last run", ColumnType.DATE, "Written by the scheduler"),
    Column("lastOutcome", ColumnType.SELECT, "Written by the scheduler", tuple(OutcomeKind)),
    Column("lastResultSummary", ColumnType.TEXT, "Written by the scheduler"),
    Column(
        "lastError", ColumnType.TEXT, "What went wrong, or is wrong with this row; written by the scheduler"
    ),
    Column("runCount", ColumnType.NUMBER, "Written by the scheduler"),
    Column("nextRunAt", ColumnType.NUMBER, "Next run as seconds since 1970, which can be searched for"),
)
STATE_COLUMN = Column("state", ColumnType.TEXT, "The scheduler's own notes. Emptied, the task begins anew")

TASK_COLUMNS = (*USER_COLUMNS, *STATUS_COLUMNS, STATE_COLUMN)
RUN_COLUMNS: tuple[Column, ...] = (
    Column("summary", ColumnType.TEXT, "What happened, a line a run"),
    Column("Finished", ColumnType.DATE, "When the last of these runs ended"),
    Column("tasks", ColumnType.TEXT, "The tasks, between bars"),
    Column("id", ColumnType.TEXT, "The entry"),
    Column("tick", ColumnType.TEXT, "The tick it is of"),
    Column("part", ColumnType.NUMBER, "Which part of the entry"),
    Column("at", ColumnType.NUMBER, "When it was written, in seconds since 1970"),
    Column("earliestAt", ColumnType.NUMBER, "When the first of these runs ended, in seconds since 1970"),
    Column("latestAt", ColumnType.NUMBER, "When the last of these runs ended, in seconds since 1970"),
    Column("runs", ColumnType.TEXT, "The records"),
)
DOCUMENT_COLUMNS: tuple[Column, ...] = (
    Column("name", ColumnType.TEXT, "What it is, and which"),
    Column("kind", ColumnType.TEXT, "What it is"),
    Column("id", ColumnType.TEXT, "Which one"),
    Column("revision", ColumnType.NUMBER, "Grows with every change"),
    Column("expireAt", ColumnType.NUMBER, "When it may be removed, in seconds since 1970"),
    Column("data", ColumnType.TEXT, "What is kept"),
)

TASK_COLUMNS_BY_NAME: Mapping[str, Column] = MappingProxyType(
    {column.name: column for column in TASK_COLUMNS}
)


def run_table_name(table_id: str) -> str:
    """The name of the table with the history of *table_id*."""
    return f"cronfire runs {table_id}"


def document_table_name(table_id: str) -> str:
    """The name of the table with what else is kept for *table_id*."""
    return f"cronfire documents {table_id}"
