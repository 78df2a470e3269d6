"""Arguments and options: their types and parsers, formats of times, and completion of task ids."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from functions.cli.console import OutputError
from functions.domain.task import MAX_SUMMARY_CHARS
from functions.domain.types import timezone_or_utc, to_local
from functions.domain.validation import DocumentSyntaxError
from functions.errors import InputError
from functions.taskfiles.parser import parse_text

# Instants in output.


def format_local(at: datetime | None, timezone: str) -> str:
    """Return *at* in *timezone*, e.g. `2026-11-20 14:05 EET`; a hyphen for None."""
    if at is None:
        return "-"
    local = to_local(at, timezone_or_utc(timezone))
    return f"{local:%Y-%m-%d %H:%M:%S %Z}" if local.second else f"{local:%Y-%m-%d %H:%M %Z}"


def relative_time(at: datetime, now: datetime) -> str:
    """Return the distance from *now* to *at* in its largest unit: `in 4 min`, `2 h ago`."""
    span = format_duration(abs(at - now))
    return f"in {span}" if at >= now else f"{span} ago"


def format_duration(duration: timedelta) -> str:
    """Return *duration* in its largest whole unit."""
    seconds = duration.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def format_count(count: int, noun: str) -> str:
    """Return *count* things: `1 task`, `1,200 tasks`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# Completion of task ids in the shell: quick, and silent on any error.

COMPLETION_TIMEOUT_S = 1.0  # the user waits at the prompt
MAX_COMPLETIONS = 200
_environment: Mapping[str, str] = {}


def configure_completion(environment: Mapping[str, str]) -> None:
    """Set the variables that name the store; before that nothing is completed."""
    global _environment  # typer calls the completion without a context of ours
    _environment = environment


def complete_task_ids(incomplete: str) -> list[str]:
    """Return the task ids that begin with *incomplete*; none when the store does not answer in time."""
    try:
        return asyncio.run(_find_task_ids(incomplete))
    except Exception:  # noqa: BLE001  # no completion is better than a traceback at the prompt
        return []


async def _find_task_ids(incomplete: str) -> list[str]:
    # Imported for a completion only: they load the whole program.
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


# zsh calls the file itself for the first Tab of a session, and only then the function that the file defines.
ZSH_FIRST_TAB = '\n[[ $funcstack[1] != _scheduler ]] || _scheduler_completion "$@"\n'


def finish_installed_completion(command: Any) -> None:
    """Let `--install-completion` of *command* answer zsh's first Tab too, and say what it cannot write."""
    [option] = [one for one in command.params if one.name == "install_completion"]
    install = option.callback

    def install_whole(context: Any, given: Any, value: Any) -> Any:
        try:
            return install(context, given, value)
        except SystemExit:  # it is done
            script = Path.home() / ".zfunc" / "_scheduler"
            if script.is_file() and ZSH_FIRST_TAB not in script.read_text():
                script.write_text(script.read_text() + ZSH_FIRST_TAB)
            raise
        except OSError as exc:
            raise OutputError(
                f"the completion cannot be installed: {exc.filename}: {exc.strerror}; "
                "scheduler --show-completion prints what your shell has to read"
            ) from None

    option.callback = install_whole


EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class UsageError(InputError):
    """An argument or option is wrong, whatever the store holds: exit code 2 with every command."""


Handler = Callable[..., Awaitable[int]]


@dataclass(frozen=True, slots=True)
class CommandContext:
    """A parsed command line.

    Attributes:
        target: Where the handler is, below `functions.cli`: `module:function`.
        input_error_code: The exit code when the handler raises InputError.
    """

    target: str
    as_json: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    input_error_code: int = EXIT_USAGE

    @property
    def handler(self) -> Handler:
        """Runs the command, given a CliContext and *options*; returns the exit code. Its module is loaded."""
        module, _, name = self.target.partition(":")
        handler: Handler = getattr(import_module(f"functions.cli.{module}"), name)
        return handler


def invoke(target: str, as_json: bool, /, **options: Any) -> CommandContext:
    """Return the call of the handler at *target*; input that it refuses is wrong usage (exit code 2)."""
    return CommandContext(target, as_json, options)


def invoke_refusable(target: str, as_json: bool, /, **options: Any) -> CommandContext:
    """As `invoke`, but input that the store refuses, such as an unknown task, is exit code 1."""
    return CommandContext(target, as_json, options, EXIT_FAILED)


def option_parser(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return *parse* with its InputError as an error of usage."""

    def read(text: Any) -> Any:
        if not isinstance(text, str):  # a default is a value already
            return text
        try:
            return parse(text)
        except InputError as exc:
            raise typer.BadParameter(str(exc)) from None

    return read


def parse_json(text: str, name: str, kind: str) -> Any:
    """Return the value of JSON *text*, of the option or argument *name*.

    Args:
        kind: What it must be, with an example.

    Raises:
        UsageError: It is no JSON, or a name stands twice in it.
    """
    try:
        document = parse_text(text, as_json=True)
    except DocumentSyntaxError as exc:
        raise UsageError(f"{name}: must be {kind}; {exc}") from None
    for problem in document.problems:
        raise UsageError(f"{name}: {problem.field}: {problem.reason}")
    return document.value


def parse_note(text: str) -> str:
    """Return *text* when it is short enough for a task's note."""
    if len(text) > MAX_SUMMARY_CHARS:
        raise InputError(f"must have at most {MAX_SUMMARY_CHARS} characters")
    return text


def _parse_int(text: str, minimum: int, maximum: int, what: str) -> int:
    if not text.isdecimal() or not minimum <= int(text) <= maximum:
        raise InputError(f"must be {what} from {minimum} to {maximum}")
    return int(text)


def parse_limit(text: str) -> int:
    """Return the number of rows to show."""
    return _parse_int(text, 1, 1000, "a number")


def parse_seconds(text: str) -> int:
    """Return the seconds between two ticks."""
    return _parse_int(text, 5, 86_400, "a number of seconds")


def parse_optional_seconds(text: str) -> int:
    """Return the seconds between two lines, or 0 for none."""
    return _parse_int(text, 0, 86_400, "a number of seconds")


LOOPBACK = "127.0.0.1"  # where `serve` listens, unless --host says otherwise

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TaskIdArgument = Annotated[
    str, typer.Argument(metavar="ID", autocompletion=complete_task_ids, show_default=False)
]
OptionalTaskIdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID...]", autocompletion=complete_task_ids, show_default=False)
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
PathsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...", help="Files, folders of files, or - for standard input.", show_default=False
    ),
]
PruneOption = Annotated[
    bool,
    typer.Option(
        help="Remove tasks that came from these files and are no longer in them. No others are ever removed."
    ),
]
SourceOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What these files are known by, whatever they are called: only tasks of it are removed.",
    ),
]
