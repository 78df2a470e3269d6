"""Over SCHEDULER_URL every command works, or is refused with the reason: none is forgotten."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from functions.cli.arguments.examples import EXAMPLES
from functions.cli.main import build_command
from functions.cli.options import Handler
from functions.cli.remote import REFUSED_COMMANDS, REMOTE_COMMANDS, SHARED_COMMANDS
from tests.unit.cli.conftest import Scheduler

REFUSED = {"bitable setup", "doctor", "export", "mcp", "serve"}


def _commands(group: Any, path: str = "") -> Iterator[str]:
    """Yield all commands, groups that may be typed alone included."""
    for name, command in group.commands.items():
        full = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            yield from _commands(command, full)
            if command.invoke_without_command:
                yield full
        else:
            yield full


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"mcp", "ping"}))
def test_every_command_that_prints_data_can_print_json(scheduler: Scheduler, name: str) -> None:
    """`mcp` speaks a protocol, `ping` passes on what a program prints."""
    assert "--json" in scheduler(*name.split(), "--help").out


def _handler(words: str) -> Handler:
    parsed = build_command().main(shlex.split(words), prog_name="scheduler", standalone_mode=False)
    handler: Handler = parsed.handler
    return handler


def test_every_command_has_an_example() -> None:
    assert EXAMPLES.keys() == set(_commands(build_command())), "see functions/cli/arguments/examples.py"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_of_every_command_shows_its_example(scheduler: Scheduler, name: str) -> None:
    shown = " ".join(scheduler(*name.split(), "--help").out.split())

    assert f"Example: scheduler {EXAMPLES[name]}" in shown


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_works_over_the_api_or_is_refused(name: str) -> None:
    handler = _handler(EXAMPLES[name])

    places = [handler in SHARED_COMMANDS, handler in REMOTE_COMMANDS, handler in REFUSED_COMMANDS]

    assert 1 == sum(places), f"{name}: put its handler into one table of functions/cli/remote.py"
    assert (name in REFUSED) == places[2]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refusal_is_at_once_and_says_what_to_do(scheduler: Scheduler, name: str) -> None:
    """Nothing listens there: nothing is called."""
    said = scheduler(*shlex.split(EXAMPLES[name]), SCHEDULER_URL="http://127.0.0.1:1", SCHEDULER_KEY="k" * 40)

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert said.err.startswith(f"scheduler: {name}: ")
    assert any(remedy in said.err for remedy in ("STORE_URL", "without SCHEDULER_URL", "unset"))
