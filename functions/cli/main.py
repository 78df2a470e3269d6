"""The command line: reads the words typed, runs the command, says what went wrong in one line."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, TextIO

import typer
from typer.exceptions import TyperException

from functions.cli import options as completing
from functions.cli.commands import app
from functions.cli.console import Screen
from functions.cli.options import DONE, REFUSED, WRONG_USAGE, Wish
from functions.cli.session import ROOT, Session
from functions.config.dotenv import read_environment
from functions.config.settings import Settings
from functions.domain.redaction import Redactor
from functions.errors import InputError, SchedulerError, SettingsError
from functions.observability import logs

INTERRUPTED = 130


def main(
    words: Sequence[str], environment: Mapping[str, str], *, out: TextIO, err: TextIO, coloured: bool = False
) -> int:
    """Run the command that *words* ask for; return its exit code.

    0 done; 1 a task failed, or the command was refused; 2 wrong usage, settings or task files.

    Args:
        environment: All variables, those of `.env` included.
        coloured: Whether *out* shows colours.
    """
    try:
        with redirect_stdout(out):  # where help goes
            wish = build().main(list(words), prog_name="scheduler", standalone_mode=False)
    except TyperException as exc:
        Screen(out, err).complain(_usage(exc))
        return WRONG_USAGE
    if not isinstance(wish, Wish):  # help, or a completion, was all that was asked for
        return DONE
    screen = Screen(out, err, coloured=coloured, as_json=wish.as_json)
    try:
        return asyncio.run(_run(wish, Session(environment, screen)))
    except (InputError, SettingsError) as exc:
        screen.complain(str(exc))
        return WRONG_USAGE if isinstance(exc, SettingsError) else wish.input_code
    except SchedulerError as exc:
        screen.complain(str(exc))
        return REFUSED


def build() -> Any:
    """What knows all commands and their options."""
    return typer.main.get_command(app)


async def _run(wish: Wish, session: Session) -> int:
    try:
        does = wish.does
        if session.is_remote:
            from functions.cli.remote import counterpart  # with a library that no other command needs

            does = counterpart(does)
        return await does(session, **wish.options)
    finally:
        await session.close()


def _usage(exc: Any) -> str:
    """What is wrong with the words typed, in one line, and what to type for help."""
    context = getattr(exc, "ctx", None)
    where = context.command_path if context else "scheduler"
    fault = " ".join(str(exc.format_message()).split()).rstrip(".")
    return f"{fault}: {where} --help shows what can be typed"


def start() -> int:
    """Run with the process's own words, variables and streams."""
    try:
        environment = read_environment(os.environ, ROOT / ".env")
    except SettingsError as exc:
        Screen(sys.stdout, sys.stderr).complain(str(exc))
        return WRONG_USAGE
    if not environment.get("STORE_URL"):  # the same file from whatever folder we are called
        environment["STORE_URL"] = f"sqlite:///{ROOT}/scheduler.db"
    completing.look_in(environment)
    _log(environment)
    coloured = sys.stdout.isatty() and not environment.get("NO_COLOR")
    try:
        return main(sys.argv[1:], environment, out=sys.stdout, err=sys.stderr, coloured=coloured)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read us, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _log(environment: Mapping[str, str]) -> None:
    """Let warnings through, and no secret; settings that are wrong are told by whoever needs them."""
    try:
        settings = Settings.from_env(environment, serves_http=False)
    except SettingsError:
        return
    logs.configure({"LOG_LEVEL": environment.get("LOG_LEVEL") or "WARNING"}, Redactor(settings.secrets()))
