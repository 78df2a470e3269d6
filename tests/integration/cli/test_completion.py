"""Completion: scripts that shells can read, and ids of tasks as they are typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Scheduler, WriteTasks

ROOT = Path(__file__).parents[3]
START = "import sys; sys.argv[0] = 'scheduler'; from functions.cli.main import start; sys.exit(start())"
# The lines that a person types, one after the other in one process, which takes half a second to start.
ONE_BY_ONE = """
import os, sys
from contextlib import suppress
from functions.cli.main import start
lines, sys.argv = sys.argv[1:], ["scheduler"]
for line in lines:
    os.environ |= {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    with suppress(SystemExit):
        start()
    print(";")
"""


def asked(
    environment: dict[str, str], program: str, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *words],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": "/tmp", **variables},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(environment: dict[str, str], shell: str) -> None:
    done = asked(environment, START, _SCHEDULER_COMPLETE=f"source_{shell}")

    assert "_SCHEDULER_COMPLETE" in done.stdout
    assert "scheduler" in done.stdout
    if shell == "bash":
        read = subprocess.run(["bash", "-n"], input=done.stdout, text=True, capture_output=True, check=False)
        assert (0, "") == (read.returncode, read.stderr)


def completed(environment: dict[str, str], *lines: str) -> list[list[str]]:
    done = asked(environment, ONE_BY_ONE, *lines, _SCHEDULER_COMPLETE="complete_bash")
    assert "" == done.stderr
    return [part.split() for part in done.stdout.split(";")[:-1]]


def test_commands_options_and_ids_are_completed(
    environment: dict[str, str], scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "shop-front"}, {"id": "shop-back"}, {"id": "office"}))

    commands, options, ids, words = completed(
        environment, "scheduler p", "scheduler pause --no", "scheduler show shop", "scheduler channels te"
    )

    assert {"pause", "plan"} <= set(commands)
    assert ["--note"] == options
    assert ["shop-back", "shop-front"] == sorted(ids)
    assert ["test"] == words


def test_a_store_that_is_not_there_completes_nothing_and_says_nothing(environment: dict[str, str]) -> None:
    gone = {**environment, "STORE_URL": "sqlite:////no/such/folder/tasks.db"}
    told = {"_SCHEDULER_COMPLETE": "complete_bash", "COMP_WORDS": "scheduler show a", "COMP_CWORD": "2"}

    done = asked(gone, START, **told)

    assert ("", "") == (done.stdout.strip(), done.stderr)
