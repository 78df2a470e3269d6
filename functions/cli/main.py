"""The entry point of the command line: parses arguments, runs the command, reports an error in one line."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from difflib import get_close_matches
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import typer
from pydantic import ValidationError
from typer.exceptions import TyperException

from functions.cli import options
from functions.cli.arguments.examples import EXAMPLES
from functions.cli.commands import app
from functions.cli.console import OutputError, Screen, shows_colours
from functions.cli.local.location import read_variables
from functions.cli.options import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandContext, UsageError
from functions.cli.session import CliContext
from functions.config.settings import Settings
from functions.domain.redaction import Redactor
from functions.domain.types import timezone_or_utc
from functions.errors import (
    InputError,
    NotFoundError,
    SchedulerError,
    SettingsError,
    StateError,
    StoreUnavailableError,
)
from functions.observability import logs
from functions.services.paging import describe_missing_task

INTERRUPTED = 130
UNKNOWN_ANSWER = (
    "SCHEDULER_URL: the answer is none that this version knows; check that the address is Cronfire's, "
    "and that function and command line are of one version"
)
MAX_REASON_CHARS = 100  # of stars that the shell took for the names of all files
NUMBER_ERRORS = {
    "Input should be a valid integer, unable to parse string as an integer": "must be a whole number",
    "Input should be a valid number, unable to parse string as a number": "must be a number",
}
UNKNOWN_COMMAND = re.compile(r"No such command '([^']*)'")
SAME_MEANING = (  # commands by the names that other programs have for them
    {"rm", "remove", "delete", "revoke"},
    {"list", "ls"},
    {"create", "add", "new"},
    {"runs", "logs", "history"},
    {"run", "trigger", "start"},
    {"pause", "disable", "stop"},
    {"resume", "enable"},
    {"plan", "validate"},
    {"doctor", "check"},
)
HALF_PAIR = re.compile("[\\ud800-\\udfff]")
CHOICE_ERROR = re.compile(r"'([^']*)' is not one of ('.*')$")


def main(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    out: TextIO,
    err: TextIO,
    use_colour: bool = False,
    ask: Callable[[], str] | None = None,
) -> int:
    """Run the command in *argv*; return its exit code.

    0 done; 1 a task failed, or the command was refused; 2 wrong usage, settings or task files:
    docs/reference/cli.md has them all.

    Args:
        environment: All variables, those of `.env` included.
        use_colour: Whether *out* shows colours.
        ask: Reads one line from the terminal; None where there is none.
    """
    try:
        with redirect_stdout(out):  # typer prints help to the standard output
            command = build_command().main(list(argv), prog_name="scheduler", standalone_mode=False)
    except TyperException as exc:
        Screen(out, err).error(_usage_error(exc))
        return EXIT_USAGE
    except BrokenPipeError:
        raise
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # so the parser ends where the reader of help has
            raise exc.__context__ from None
        raise
    except OSError as exc:
        raise OutputError.of(exc) from exc
    if not isinstance(command, CommandContext):  # help, or a completion
        return EXIT_OK
    screen = Screen(out, err, use_colour=use_colour, as_json=command.as_json, ask=ask)
    try:
        # What a task prints is no part of the data.
        with redirect_stdout(err) if command.as_json else nullcontext():
            return asyncio.run(_run_command(command, CliContext(environment, screen)))
    except (InputError, SettingsError) as exc:
        screen.error(str(exc))
        if isinstance(exc, NotFoundError | StateError):  # of what is stored, whatever was typed
            return EXIT_FAILED
        return EXIT_USAGE if isinstance(exc, SettingsError | UsageError) else command.input_error_code
    except OutputError:
        raise
    except SchedulerError as exc:
        screen.error(str(exc))
        return EXIT_FAILED


@cache
def build_command() -> Any:
    """Return the parser of all commands and their options, with an example in the help of each."""
    command: Any = typer.main.get_command(app)
    _check_words(command)
    options.finish_installed_completion(command)
    for path, example in EXAMPLES.items():
        found = command
        for name in path.split():
            found = found.commands[name]
        found.epilog = f"Example: scheduler {example}"
    return command


def _check_words(command: Any) -> None:
    """Let *command*, and the commands of a group, refuse what click lets through.

    A second value of an option, of which it drops all but the last; and bytes that are no text, which no
    store and no server takes. A path may have such bytes: files do.
    """
    parse = command.parse_args

    def parse_checked(context: Any, words: list[str]) -> Any:
        if context.resilient_parsing:  # of a completion
            return parse(context, words)
        _, _, given = command.make_parser(context).parse_args(list(words))
        for option in (one for one in given if one.param_type_name == "option" and not one.multiple):
            takes_no_value = option.is_flag and not option.secondary_opts
            if given.count(option) > 1 and not takes_no_value:
                context.fail(f"{option.opts[0]} is given twice; give it once")
        rest = parse(context, words)
        for param in given:
            if _holds_other_bytes(context.params.get(param.name)):
                raise typer.BadParameter("must be text in UTF-8", context, param)
        return rest

    command.parse_args = parse_checked
    for inner in getattr(command, "commands", {}).values():
        _check_words(inner)


def _holds_other_bytes(value: object) -> bool:
    """Whether *value* is text, or texts, with bytes that are not UTF-8; Python has them as half pairs."""
    texts = value if isinstance(value, list | tuple) else [value]
    return any(HALF_PAIR.search(each) for each in texts if isinstance(each, str))


async def _run_command(command: CommandContext, context: CliContext) -> int:
    try:
        handler = command.handler
        if context.is_remote:
            from functions.cli.remote import remote_command_for  # imports an HTTP client

            handler = remote_command_for(handler)
        return await handler(context, **command.options)
    except (KeyError, ValidationError):
        if not context.is_remote:
            raise
        raise StoreUnavailableError(UNKNOWN_ANSWER) from None
    except NotFoundError as exc:
        raise NotFoundError(await _explain_missing(command, context, str(exc))) from None
    finally:
        await context.close()


async def _explain_missing(command: CommandContext, context: CliContext, text: str) -> str:
    """Return *text*, or of a task that the command names and that is missing, which ones are like it."""
    named = [command.options.get("task_id"), command.options.get("to"), *command.options.get("task_ids", ())]
    for task_id in filter(None, named):
        if f"no task {task_id!r}" in text:
            return await describe_missing_task(context.store, task_id)
    return text


def _usage_error(exc: Any) -> str:
    """Return the error of usage in one line, with the command that shows help."""
    context = getattr(exc, "ctx", None)
    command = context.command_path if context else "scheduler"
    reason = " ".join(str(exc.format_message()).split()).rstrip(".").replace("Value error, ", "")
    for words, plain in NUMBER_ERRORS.items():
        reason = reason.replace(words, plain)
    if (found := UNKNOWN_COMMAND.match(reason)) and (meant := _command_for(found[1], context)):
        reason = f"{found[0]}. Did you mean {meant!r}?"
    if found := CHOICE_ERROR.search(reason):  # of an option with fixed values
        near = get_close_matches(found[1], found[2].replace("'", "").split(", "), n=1)
        reason += f". Did you mean {near[0]!r}?" if near else ""
    if "unexpected extra argument" in reason and command.endswith((" next", " create", " edit")):
        reason = f"{reason[:MAX_REASON_CHARS]}; put a schedule in quotes: '*/5 * * * *'"
    reason = reason or "a command is missing"  # of a group, whose help is shown
    return f"{reason}: {command} --help shows arguments and options"


def _command_for(word: str, context: Any) -> str | None:
    """Return the command of *context*'s group that means what *word* does in other programs."""
    meant = next((words for words in SAME_MEANING if word in words), set())
    return next(iter(meant.intersection(context.command.commands)), None)


def start() -> int:
    """Run with the process's arguments, variables and streams; return the exit code."""
    _open_streams()
    try:
        environment = read_variables(os.environ)
    except SettingsError as exc:
        Screen(sys.stdout, sys.stderr).error(str(exc))
        return EXIT_USAGE
    options.configure_completion(environment)
    _configure_logs(environment)
    coloured = shows_colours(sys.stdout, environment)
    ask = input if sys.stdin is not None and sys.stdin.isatty() else None
    try:
        return main(sys.argv[1:], environment, out=sys.stdout, err=sys.stderr, use_colour=coloured, ask=ask)
    except OutputError as exc:
        _discard_output()
        Screen(sys.stdout, sys.stderr).error(str(exc))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the pipe, such as head, has ended
        _discard_output()
        return EXIT_OK


def _open_streams() -> None:
    """Replace output streams that the caller closed, and escape letters that the output lacks."""
    if sys.stdout is None or sys.stderr is None:
        nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives
        sys.stdout = sys.stdout or nowhere
        sys.stderr = sys.stderr or nowhere
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Let what is still buffered go nowhere: Python writes it when it ends, which fails again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _configure_logs(environment: Mapping[str, str]) -> None:
    """Log warnings without secrets; a wrong setting is reported by the command that needs it."""
    try:
        settings = Settings.from_env(environment, serves_http=False)
    except SettingsError:
        return
    level = {"LOG_LEVEL": environment.get("LOG_LEVEL") or "WARNING"}
    zone = timezone_or_utc(settings.default_timezone)
    logs.configure(level, Redactor(settings.secrets()), zone=zone)
