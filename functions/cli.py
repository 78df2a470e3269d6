"""The command line: reads the words typed, runs the command, says what went wrong in one line."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from functions import logs
from functions.commands import costing, files, looking, occurrences, steering, ticking, verbs
from functions.commands.screen import Screen
from functions.commands.session import ROOT, Session
from functions.commands.times import instant
from functions.environment import read_environment
from functions.errors import InputError, SchedulerError, SettingsError
from functions.rules.redact import Redactor
from functions.rules.task import SUMMARY_CHARS
from functions.settings import Settings

DONE, REFUSED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


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
        options = vars(build_parser(out).parse_args(words))
    except SystemExit:  # argparse has shown its help
        return DONE
    except _UsageError as exc:
        Screen(out, err).complain(str(exc))
        return WRONG_USAGE
    command, input_code = options.pop("command"), options.pop("input_code")
    screen = Screen(out, err, coloured=coloured, as_json=options.pop("as_json"))
    try:
        return asyncio.run(_run(command, Session(environment, screen), options))
    except (InputError, SettingsError) as exc:
        screen.complain(str(exc))
        return WRONG_USAGE if isinstance(exc, SettingsError) else input_code
    except SchedulerError as exc:
        screen.complain(str(exc))
        return REFUSED


async def _run(command: Any, session: Session, options: Mapping[str, Any]) -> int:
    try:
        code: int = await command(session, **options)
        return code
    finally:
        await session.close()


def build_parser(out: TextIO | None = None) -> argparse.ArgumentParser:
    """Return what knows all commands and their options. Help goes to *out*, or to standard output."""
    parser = _Parser(
        prog="scheduler",
        description="Cronfire's command line, over the same store and settings as the function.",
        epilog="Exit codes: 0 done, 1 some task failed or was refused, 2 wrong usage or settings.",
    )
    parser.out = out
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, does: Any, about: str, *, input_code: int = WRONG_USAGE, **fixed: Any) -> _Parser:
        one: _Parser = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        one.out = out
        one.add_argument("--json", dest="as_json", action="store_true", help="answer as JSON")
        one.set_defaults(command=does, input_code=input_code, **fixed)
        return one

    _add_files(command)
    _add_looking(command)
    _add_steering(command)
    verbs.add_channels(command, input_code=REFUSED)
    verbs.add_owners(command, input_code=REFUSED)
    verbs.add_keys(command, input_code=REFUSED, instant=_instant)
    command("tick", ticking.tick, "one tick in this process; 1 if a task failed")
    verbs.add_events(command, input_code=REFUSED)
    verbs.add_serve(command)
    return parser


def _add_files(command: Any) -> None:
    one = command("apply", files.apply_files, "make the store match task files", dry_run=False)
    two = command("plan", files.apply_files, "show what apply would change", dry_run=True)
    for each in (one, two):
        each.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file, or a folder of files")
        each.add_argument(
            "--prune",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="remove tasks that came from files and are no longer in them (default)",
        )
    one = command("cost", costing.show_cost, "what tasks cost on Google Cloud, and how much of that is free")
    one.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="task files; default: the store's")


def _add_looking(command: Any) -> None:
    command("list", looking.list_tasks, "all tasks")
    one = command("show", looking.show_task, "one task", input_code=REFUSED)
    one.add_argument("task_id", metavar="ID")
    one = command("runs", looking.show_runs, "the newest runs, of one task or of all", input_code=REFUSED)
    one.add_argument("task_id", metavar="ID", nargs="?")
    one.add_argument("--limit", type=_limit, default=20, metavar="N", help="default 20")
    command("status", looking.show_status, "how many tasks there are, and when the last tick was")
    command("types", looking.list_types, "the task types, with examples")
    one = command("next", occurrences.show_next, "when a schedule's occurrences are; needs no store")
    one.add_argument("expression", metavar="EXPRESSION", help='"30 9 * * 1-5", "every 15m", @daily, ...')
    one.add_argument("--timezone", metavar="ZONE", help="such as Europe/Riga; default DEFAULT_TIMEZONE")
    one.add_argument("--after", type=_instant, metavar="INSTANT", help="default now")
    one.add_argument("--count", type=int, default=5, metavar="N", help="default 5")
    one.add_argument("--anchor", type=_instant, metavar="INSTANT", help="where an interval counts from")
    one.add_argument("--id", dest="task_id", default="", metavar="ID", help="the task that H is drawn from")


def _add_steering(command: Any) -> None:
    one = command("run", steering.run, "ask for a run at the next tick", input_code=REFUSED)
    one.add_argument("task_ids", nargs="+", metavar="ID")
    one = command("pause", steering.pause, "stop a task", input_code=REFUSED)
    one.add_argument("task_id", metavar="ID")
    one.add_argument("--note", type=_note, default="", help="why")
    one.add_argument("--until", type=_instant, metavar="INSTANT", help="when it goes on by itself")
    one = command("resume", steering.resume, "end a pause or a quarantine", input_code=REFUSED)
    one.add_argument("task_id", metavar="ID")
    one.add_argument("--catch-up", action="store_true", help="run what was missed as well")
    one = command("cancel", steering.cancel, "end the run in hand", input_code=REFUSED)
    one.add_argument("task_id", metavar="ID")
    one = command(
        "backfill", steering.backfill, "run past occurrences that have not succeeded", input_code=REFUSED
    )
    one.add_argument("task_id", metavar="ID")
    one.add_argument("--from", dest="first", type=_instant, required=True, metavar="INSTANT")
    one.add_argument("--to", dest="until", type=_instant, required=True, metavar="INSTANT")
    one.add_argument("--dry-run", action="store_true", help="only show which")


def _instant(text: str) -> datetime:
    try:
        return instant(text)
    except InputError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _note(text: str) -> str:
    if len(text) > SUMMARY_CHARS:
        raise argparse.ArgumentTypeError(f"must have at most {SUMMARY_CHARS} characters")
    return text


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("must be a number from 1 to 1000")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong the way the commands do, and what to type for help."""

    out: TextIO | None = None

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}: {self.prog} --help shows what can be typed")

    def print_help(self, file: Any = None) -> None:
        super().print_help(file or self.out)


class _UsageError(InputError):
    """The words typed make no command."""


def start() -> int:
    """Run with the process's own words, variables and streams."""
    try:
        environment = read_environment(os.environ, ROOT / ".env")
    except SettingsError as exc:
        Screen(sys.stdout, sys.stderr).complain(str(exc))
        return WRONG_USAGE
    if not environment.get("STORE_URL"):  # the same file from whatever folder we are called
        environment["STORE_URL"] = f"sqlite:///{ROOT}/scheduler.db"
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
        settings = Settings.from_env(environment, door=False)
    except SettingsError:
        return
    logs.configure({"LOG_LEVEL": environment.get("LOG_LEVEL") or "WARNING"}, Redactor(settings.secrets()))


if __name__ == "__main__":
    sys.exit(start())
