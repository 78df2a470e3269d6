"""Task types in an installation of their own: a new one is one file, and secrets reach nobody else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HOW_TO_WRITE_ONE = (ROOT / "docs" / "how-to" / "write-a-task-type.md").read_text(encoding="utf-8")
SECRET = "c4nary-value-of-a-task-secret"
PINGER = "c4nary-secret-of-the-pinger-32-chars"
# Several commands in one process, which takes half a second to start; they have only the store in common.
ONE_BY_ONE = """
import sys
from functions.cli.main import start
for line in sys.argv[1:]:
    sys.argv = ["scheduler", *line.split()]
    if start() not in (0, 1):
        sys.exit(f"{line}: a usage error")
"""


class Installation:
    """A copy of the product in a folder, with a store of its own, driven by its command line."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._folder = folder
        self._variables = variables
        shutil.copytree(ROOT / "functions", folder / "functions")  # and what is compiled

    def drop(self, path: str, text: str) -> None:
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def scheduler(self, *commands: str) -> str:
        """What the commands answer, one after the other; their errors and logs are part of it."""
        done = subprocess.run(
            [sys.executable, "-c", ONE_BY_ONE, *commands],
            cwd=self._folder,
            env={"PATH": "/usr/bin:/bin", "STORE_URL": "sqlite:///tasks.db"} | self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stdout
        return done.stdout

    def everything_stored(self) -> bytes:
        return b"".join(file.read_bytes() for file in self._folder.glob("tasks.db*"))


def run_once(installation: Installation, type_name: str, params: dict[str, Any]) -> str:
    """Apply a task, ask for a run and let a tick do it; all that was said meanwhile."""
    task = {"id": "it", "title": "It", "type": type_name, "schedule": "@yearly", "params": params}
    installation.drop("tasks.json", json.dumps({"tasks": [task]}))
    return installation.scheduler("apply tasks.json", "run it", "tick", "show it", "runs --json")


def test_a_file_in_the_folder_is_a_type_that_a_tick_runs(tmp_path: Path) -> None:
    """The very file that the guide shows."""
    source, *_ = re.findall(r"```python\n(.*?)```", HOW_TO_WRITE_ONE, re.DOTALL)
    installation = Installation(tmp_path)
    installation.drop("functions/task_types/greeting.py", source)

    said = run_once(installation, "greeting", {"toWhom": "the roses"})

    assert "Hello, the roses" in said
    assert '"times": 1' in said


def test_a_function_of_one_s_own_is_called_by_a_tick(tmp_path: Path) -> None:
    installation = Installation(tmp_path, PYTHON_TASKS="jobs", TASK_SECRET_TAP=SECRET)
    installation.drop("jobs/watering.py", "def water(tap, job): return f'{job.task_id} {len(tap)} {tap}'")

    said = run_once(installation, "python", {"callable": "jobs.watering:water", "args": ["{{secret:TAP}}"]})

    assert f"it {len(SECRET)} ***" in said
    assert SECRET not in said
    assert SECRET.encode() not in installation.everything_stored()


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_of_a_tick_gets_its_secret_and_nobody_else_does(code: int, tmp_path: Path) -> None:
    """Not the store, not the screen, not the logs; and our own secrets do not get to the command."""
    installation = Installation(
        tmp_path, ALLOW_COMMANDS="1", TASK_SECRET_KEY=SECRET, CRON_SECRET=PINGER, LOG_LEVEL="DEBUG"
    )
    script = f'env; echo "$KEY" >&2; echo "$KEY" | base64; test "${{#KEY}}" = {len(SECRET)} && exit {code}'

    said = run_once(
        installation, "command", {"command": script, "shell": True, "env": {"KEY": "{{secret:KEY}}"}}
    )

    assert f"Ended with exit code {code}" in said
    assert "{{secret:KEY}}" in said
    assert "CRON_SECRET" not in said
    for canary in (SECRET, PINGER, "YzRuYXJ5"):
        assert canary not in said
        assert canary.encode() not in installation.everything_stored()


def test_commands_and_functions_are_off_unless_switched_on(tmp_path: Path) -> None:
    installation = Installation(tmp_path)

    assert "set ALLOW_COMMANDS=1" in run_once(installation, "command", {"command": "true"})
    assert "list modules in PYTHON_TASKS" in run_once(installation, "python", {"callable": "os:getcwd"})


def test_a_type_is_handed_no_secret_but_those_in_its_params(tmp_path: Path) -> None:
    """What it does not hold it cannot give away."""
    source, *_ = re.findall(r"```python\n(.*?)```", HOW_TO_WRITE_ONE, re.DOTALL)
    installation = Installation(tmp_path, TASK_SECRET_TAP=SECRET, TASK_SECRET_OTHER=f"{SECRET}-2")
    nosy = source.replace("Hello, {params.to_whom}", "{len(params.to_whom)} and {len(tools.secrets)}")
    installation.drop("functions/task_types/greeting.py", nosy)

    said = run_once(installation, "greeting", {"toWhom": "{{secret:TAP}}"})

    assert f"{len(SECRET)} and 0" in said
