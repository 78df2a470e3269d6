"""The fields of a task that are the same for every type, in their groups."""

from functools import cache

from functions.domain.types import timezone_names
from functions.web.dashboard.forms.fields import Field
from functions.web.dashboard.forms.tables import Rows, Rules
from functions.web.dashboard.forms.widgets import Checks, Choice, Items, Line, Moment, Number, Widget
from functions.web.dashboard.forms.words import CHOICES, TASK_WORDS

AREAS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def zone_names() -> tuple[str, ...]:
    """Return the names of places, which are what a schedule's clock should be of, and UTC."""
    return (
        "UTC",
        *sorted(name for name in timezone_names() if name.partition("/")[0] in AREAS and "/" in name),
    )


def task_field(
    name: str, widget: Widget, *, required: bool = False, is_main: bool = False, default: str = ""
) -> Field:
    """Return the field *name* of a task, in the words for it."""
    return Field(
        tuple(name.split(".")), widget, *TASK_WORDS[name], default=default, required=required, is_main=is_main
    )


def _column(table: str, name: str, widget: Widget) -> Field:
    return Field((name,), widget, *TASK_WORDS[f"{table}.{name}"])


def _choice(name: str) -> Field:
    return task_field(name, Choice(CHOICES[name]))


def bounds(moment: Moment) -> tuple[Field, ...]:
    """Return the fields about when a task begins and ends, on the clock of its zone."""
    return (
        task_field("startAt", moment),
        task_field("endAt", moment),
        task_field("maxRuns", Number()),
        task_field("jitterSeconds", Number(), default="0"),
    )


DAYS = (
    task_field("except", Items()),
    _choice("onExcluded"),
)
CAUSES = (
    task_field(
        "after",
        Rows(
            (
                _column("after", "task", Line()),
                _column("after", "on", Choice(CHOICES["after.on"], "succeeds (the default)")),
            )
        ),
    ),
    task_field("onEvent", Rows((_column("onEvent", "type", Line()), _column("onEvent", "source", Line())))),
)
LATENESS = (
    _choice("misfire.policy"),
    task_field("misfire.graceSeconds", Number(("auto",)), default="auto"),
    _choice("overlap"),
)
BASICS = (
    task_field("timeoutSeconds", Number(), default="20"),
    _choice("priority"),
    task_field("tags", Items()),
)
RETRY = (
    task_field("retry.maxAttempts", Number(), default="3"),
    task_field("retry.minBackoffSeconds", Number(), default="10"),
    task_field("retry.maxBackoffSeconds", Number(), default="900"),
    _choice("delivery"),
)
NOTIFY = (
    task_field(
        "notify",
        Rules(
            (
                _column("notify", "on", Checks(CHOICES["notify.on"])),
                _column("notify", "channels", Items()),
                _column("notify", "after", Number()),
                _column("notify", "remind", Number(("auto", "never"))),
            )
        ),
    ),
)
LIMITS = (
    task_field("group.name", Line()),
    task_field("group.maxConcurrent", Number()),
    task_field("group.perMinute", Number()),
    task_field("pauseAfterFailures", Number()),
    task_field("expectSeconds", Number()),
    task_field("budget.creditsPerRun", Number()),
    task_field("budget.creditsPerMonth", Number()),
)
