"""What somebody typed, as values: what the words of the command line are made of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from functions.commands.completing import task_ids
from functions.commands.times import instant
from functions.errors import InputError
from functions.rules.task import SUMMARY_CHARS

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
