"""What somebody typed, as values: what the words of the command line are made of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from functions.domain.task import MAX_SUMMARY_CHARS
from functions.domain.types import timezone_or_utc
from functions.errors import InputError

# Instants as people type and read them.


def parse_instant(text: str) -> datetime:
    """Return the instant *text* names, in UTC.

    Raises:
        InputError: It is not ISO 8601, or has no offset.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a moment: write it like 2026-12-01T09:00:00Z") from None
    if found.tzinfo is None:
        raise InputError(f"{text!r} has no offset: write it like {found.isoformat()}Z or with +02:00")
    return found.astimezone(UTC)


def format_local(at: datetime | None, timezone: str) -> str:
    """*at* on the clocks of *timezone*, e.g. `2026-11-20 14:05 EET`; a hyphen for None."""
    if at is None:
        return "-"
    there = at.astimezone(timezone_or_utc(timezone))
    return f"{there:%Y-%m-%d %H:%M:%S %Z}" if there.second else f"{there:%Y-%m-%d %H:%M %Z}"


def relative_time(at: datetime, now: datetime) -> str:
    """How far *at* is from *now*, in its largest unit: `in 4 min`, `2 h ago`."""
    span = format_duration(abs(at - now))
    return f"in {span}" if at >= now else f"{span} ago"


def format_duration(duration: timedelta) -> str:
    """*duration* in its largest whole unit."""
    seconds = duration.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


# Completion of task ids in the shell: quick, and silent whatever goes wrong.

COMPLETION_TIMEOUT_S = 1.0  # somebody waits with a finger on the key
MAX_COMPLETIONS = 200
_environment: Mapping[str, str] = {}


def configure_completion(environment: Mapping[str, str]) -> None:
    """Say by which variables the tasks are found; before that nothing is completed."""
    global _environment  # the shell's question comes in by a library that hands nothing on
    _environment = environment


def complete_task_ids(incomplete: str) -> list[str]:
    """Ids of tasks that begin with *incomplete*; none when the store does not answer at once."""
    try:
        return asyncio.run(_find_task_ids(incomplete))
    except Exception:  # noqa: BLE001  # a shell that completes nothing is better than one that shows a fault
        return []


async def _find_task_ids(incomplete: str) -> list[str]:
    # Only where somebody completes: these load the whole program.
    from functions.app.factories import build_store
    from functions.config.settings import Settings
    from functions.domain.storage import TaskFilter

    store = build_store(Settings.from_env(_environment, serves_http=False))
    try:
        async with asyncio.timeout(COMPLETION_TIMEOUT_S):
            page = await store.list_tasks(TaskFilter(), after=incomplete[:-1], limit=MAX_COMPLETIONS)
            return [stored.task.id for stored in page.tasks if stored.task.id.startswith(incomplete)]
    finally:
        await store.close()


EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What somebody typed.

    Attributes:
        handler: What carries it out, given the session and *options*; returns the exit code.
        input_error_code: The exit code when what was given is refused.
    """

    handler: Callable[..., Awaitable[int]]
    as_json: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    input_error_code: int = EXIT_USAGE


def option_parser(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """*parse*, with its fault told as one of usage."""

    def read(text: Any) -> Any:
        if not isinstance(text, str):  # a default is not typed
            return text
        try:
            return parse(text)
        except InputError as exc:
            raise typer.BadParameter(str(exc)) from None

    return read


def parse_note(text: str) -> str:
    """A note that fits a task."""
    if len(text) > MAX_SUMMARY_CHARS:
        raise InputError(f"must have at most {MAX_SUMMARY_CHARS} characters")
    return text


def _parse_int(text: str, minimum: int, maximum: int, what: str) -> int:
    if not text.isdecimal() or not minimum <= int(text) <= maximum:
        raise InputError(f"must be {what} from {minimum} to {maximum}")
    return int(text)


def parse_limit(text: str) -> int:
    """How many to show."""
    return _parse_int(text, 1, 1000, "a number")


def parse_seconds(text: str) -> int:
    """A pause between two ticks."""
    return _parse_int(text, 5, 86_400, "a number of seconds")


def parse_optional_seconds(text: str) -> int:
    """A pause, or 0 for never."""
    return _parse_int(text, 0, 86_400, "a number of seconds")


JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
TaskIdArgument = Annotated[
    str, typer.Argument(metavar="ID", autocompletion=complete_task_ids, show_default=False)
]
TaskIdsArgument = Annotated[
    list[str], typer.Argument(metavar="ID...", autocompletion=complete_task_ids, show_default=False)
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
PathsArgument = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Files, or folders of files.", show_default=False)
]
InstantOption = Annotated[
    datetime | None, typer.Option(metavar="INSTANT", parser=option_parser(parse_instant), show_default=False)
]
PruneOption = Annotated[
    bool, typer.Option(help="Remove tasks that came from files and are no longer in them; others never are.")
]
