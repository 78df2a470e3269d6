"""Completion: scripts that shells can read, and ids of tasks as they are typed."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from functions.cli.console import OutputError
from functions.cli.main import main
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


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home of somebody who uses zsh."""
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("zsh", "/bin/zsh"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_zsh_completes_at_its_first_tab_which_calls_the_file_itself(home: Path) -> None:
    for _ in range(2):  # a second time changes nothing
        with pytest.raises(SystemExit) as ended:
            main(["--install-completion"], {}, out=StringIO(), err=StringIO())
        assert 0 == ended.value.code

    script = (home / ".zfunc" / "_scheduler").read_text()

    assert script.endswith('[[ $funcstack[1] != _scheduler ]] || _scheduler_completion "$@"\n')
    assert 1 == script.count("funcstack")


def test_a_home_that_takes_no_completion_is_named(home: Path) -> None:
    (home / ".zfunc").write_text("a file where the folder would be")

    with pytest.raises(OutputError, match=r"cannot be installed: .*\.zfunc: File exists; .*--show"):
        main(["--install-completion"], {}, out=StringIO(), err=StringIO())
