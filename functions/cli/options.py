"""What somebody typed, as values: what the words of the command line are made of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from functions.domain.task import SUMMARY_CHARS
from functions.errors import InputError

# Instants as people type and read them.


def instant(text: str) -> datetime:
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


def local(at: datetime | None, timezone: str) -> str:
    """*at* on the clocks of *timezone*, e.g. `2026-11-20 14:05 EET`; a hyphen for None."""
    if at is None:
        return "-"
    there = at.astimezone(_zone(timezone))
    return f"{there:%Y-%m-%d %H:%M:%S %Z}" if there.second else f"{there:%Y-%m-%d %H:%M %Z}"


def distance(at: datetime, now: datetime) -> str:
    """How far *at* is from *now*, in its largest unit: `in 4 min`, `2 h ago`."""
    span = span_text(abs(at - now))
    return f"in {span}" if at >= now else f"{span} ago"


def span_text(span: timedelta) -> str:
    """*span* in its largest whole unit."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a document edited by hand may name any zone
        return ZoneInfo("UTC")


# Completion of task ids in the shell: quick, and silent whatever goes wrong.

PATIENCE_S = 1.0  # somebody waits with a finger on the key
MOST = 200
_environment: Mapping[str, str] = {}


def look_in(environment: Mapping[str, str]) -> None:
    """Say by which variables the tasks are found; before that nothing is completed."""
    global _environment  # the shell's question comes in by a library that hands nothing on
    _environment = environment


def task_ids(incomplete: str) -> list[str]:
    """Ids of tasks that begin with *incomplete*; none when the store does not answer at once."""
    try:
        return asyncio.run(_found(incomplete))
    except Exception:  # noqa: BLE001  # a shell that completes nothing is better than one that shows a fault
        return []


async def _found(incomplete: str) -> list[str]:
    # Only where somebody completes: these load the whole program.
    from functions.app.factories import build_store
    from functions.config.settings import Settings
    from functions.domain.storage import Filter

    store = build_store(Settings.from_env(_environment, serves_http=False))
    try:
        async with asyncio.timeout(PATIENCE_S):
            page = await store.list_tasks(Filter(), after=incomplete[:-1], limit=MOST)
            return [stored.task.id for stored in page.tasks if stored.task.id.startswith(incomplete)]
    finally:
        await store.close()


DONE, REFUSED, WRONG_USAGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody typed.

    Attributes:
        does: What carries it out, given the session and *options*; returns the exit code.
        input_code: The exit code when what was given is refused.
    """

    does: Callable[..., Awaitable[int]]
    as_json: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    input_code: int = WRONG_USAGE


def read_as(reading: Callable[[str], Any]) -> Callable[[str], Any]:
    """*reading*, with its fault told as one of usage."""

    def read(text: Any) -> Any:
        if not isinstance(text, str):  # a default is not typed
            return text
        try:
            return reading(text)
        except InputError as exc:
            raise typer.BadParameter(str(exc)) from None

    return read


def note_text(text: str) -> str:
    """A note that fits a task."""
    if len(text) > SUMMARY_CHARS:
        raise InputError(f"must have at most {SUMMARY_CHARS} characters")
    return text


def _number(text: str, least: int, most: int, what: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InputError(f"must be {what} from {least} to {most}")
    return int(text)


def limit_number(text: str) -> int:
    """How many to show."""
    return _number(text, 1, 1000, "a number")


def seconds_between(text: str) -> int:
    """A pause between two ticks."""
    return _number(text, 5, 86_400, "a number of seconds")


def seconds_or_none(text: str) -> int:
    """A pause, or 0 for never."""
    return _number(text, 0, 86_400, "a number of seconds")


Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", autocompletion=task_ids, show_default=False)]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", autocompletion=task_ids, show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Paths = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Files, or folders of files.", show_default=False)
]
Instant = Annotated[
    datetime | None, typer.Option(metavar="INSTANT", parser=read_as(instant), show_default=False)
]
Prune = Annotated[
    bool, typer.Option(help="Remove tasks that came from files and are no longer in them; others never are.")
]
