"""The columns of the tables: what a person fills in, what he reads, and what is the scheduler's alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from functions.domain.types import OutcomeKind, Priority, Status

DOTS = "yyyy/MM/dd HH:mm"
BROKEN = "broken"  # the status of a row that is no task


class Kind(IntEnum):
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
        about: What it is, for who looks at it in the app.
        options: What may be chosen, in the order shown; others are made as they are written.
        whole: Whether its numbers are shown without a fraction.
        holds_json: Whether its text is a value of several parts.
    """

    name: str
    kind: Kind
    about: str
    options: tuple[str, ...] = ()
    whole: bool = True
    holds_json: bool = False

    def described(self, more_options: tuple[str, ...] = ()) -> dict[str, Any]:
        """The column as the API makes it."""
        body: dict[str, Any] = {
            "field_name": self.name,
            "type": int(self.kind),
            "description": {"text": self.about},
        }
        match self.kind:
            case Kind.SELECT | Kind.TAGS if names := (*self.options, *more_options):
                body["property"] = {"options": [{"name": name} for name in names]}
            case Kind.DATE:
                body["property"] = {"date_formatter": DOTS}
            case Kind.NUMBER:
                body["property"] = {"formatter": "0" if self.whole else "0.00"}
        return body


def _json(name: str, about: str) -> Column:
    return Column(name, Kind.TEXT, about, holds_json=True)


# `after` and `onEvent` have none: tasks they name keep a list of their own, which no cell brings up to date.
FILLED_IN: tuple[Column, ...] = (
    Column("id", Kind.TEXT, "Lower-case letters, digits, . _ -; made from the title if left empty"),
    Column("title", Kind.TEXT, "What people call it"),
    Column("type", Kind.SELECT, "What to do; scheduler types lists all"),
    Column("schedule", Kind.TEXT, "When: 30 9 * * 1-5, daily, every 15m, at 2026-12-01T09:00"),
    Column(
        "timezone", Kind.TEXT, "The zone of the schedule, such as Asia/Shanghai; DEFAULT_TIMEZONE if empty"
    ),
    _json("params", "What the type needs, as YAML or JSON: url: https://example.com"),
    Column(
        "enabled", Kind.CHECKBOX, "Unchecked: the task is paused. Checked for you when a new row is taken in"
    ),
    Column("priority", Kind.SELECT, "Who goes first", tuple(Priority)),
    Column("tags", Kind.TAGS, "For people, lists and status pages"),
    _json("notify", "Who is told of what, as YAML or JSON; empty: all channels, of failure and recovery"),
    Column("description", Kind.TEXT, "For people"),
    Column("owner", Kind.TEXT, "Whose task it is"),
    Column("startAt", Kind.DATE, "No run before"),
    Column("endAt", Kind.DATE, "No run after"),
    Column("maxRuns", Kind.NUMBER, "Runs after which the task has ended"),
    Column("jitterSeconds", Kind.NUMBER, "Start up to so much later"),
    Column("timeoutSeconds", Kind.NUMBER, "The longest an attempt may take; 20 if empty", whole=False),
    _json("retry", "maxAttempts, minBackoffSeconds, maxBackoffSeconds"),
    _json("misfire", "policy and graceSeconds for runs nobody pinged for"),
    Column("overlap", Kind.SELECT, "Still running at the next time", ("skip", "queue_one", "queue_all")),
    Column("delivery", Kind.SELECT, "Whether a try may be repeated", ("at_least_once", "at_most_once")),
    Column("pauseAfterFailures", Kind.NUMBER, "Failures in a row after which it pauses itself"),
    _json("budget", "creditsPerRun, creditsPerMonth"),
    Column("expectSeconds", Kind.NUMBER, "People are told when so long passed without a success"),
)
LOOKED_AT: tuple[Column, ...] = (
    Column("status", Kind.SELECT, "Where it stands; written by the scheduler", (*Status, BROKEN)),
    Column("Next run", Kind.DATE, "When it is looked at next; written by the scheduler"),
    Column("Last run", Kind.DATE, "Written by the scheduler"),
    Column("lastOutcome", Kind.SELECT, "Written by the scheduler", tuple(OutcomeKind)),
    Column("lastResultSummary", Kind.TEXT, "Written by the scheduler"),
    Column("lastError", Kind.TEXT, "What went wrong, or is wrong with this row; written by the scheduler"),
    Column("runCount", Kind.NUMBER, "Written by the scheduler"),
    Column("nextRunAt", Kind.NUMBER, "Next run as seconds since 1970, which can be searched for"),
)
STATE = Column("state", Kind.TEXT, "The scheduler's own notes. Emptied, the task begins anew")

TASKS = (*FILLED_IN, *LOOKED_AT, STATE)
RUNS: tuple[Column, ...] = (
    Column("summary", Kind.TEXT, "What happened, a line a run"),
    Column("Finished", Kind.DATE, "When the last of these runs ended"),
    Column("tasks", Kind.TEXT, "The tasks, between bars"),
    Column("id", Kind.TEXT, "The entry"),
    Column("tick", Kind.TEXT, "The tick it is of"),
    Column("part", Kind.NUMBER, "Which part of the entry"),
    Column("at", Kind.NUMBER, "When it was written, in seconds since 1970"),
    Column("earliestAt", Kind.NUMBER, "When the first of these runs ended, in seconds since 1970"),
    Column("latestAt", Kind.NUMBER, "When the last of these runs ended, in seconds since 1970"),
    Column("runs", Kind.TEXT, "The records"),
)
KEPT: tuple[Column, ...] = (
    Column("name", Kind.TEXT, "What it is, and which"),
    Column("kind", Kind.TEXT, "What it is"),
    Column("id", Kind.TEXT, "Which one"),
    Column("revision", Kind.NUMBER, "Grows with every change"),
    Column("expireAt", Kind.NUMBER, "When it may be removed, in seconds since 1970"),
    Column("data", Kind.TEXT, "What is kept"),
)

BY_NAME: Mapping[str, Column] = MappingProxyType({column.name: column for column in TASKS})


def runs_table(table_id: str) -> str:
    """The name of the table with the history of *table_id*."""
    return f"cronfire runs {table_id}"


def kept_table(table_id: str) -> str:
    """The name of the table with what else is kept for *table_id*."""
    return f"cronfire kept {table_id}"
