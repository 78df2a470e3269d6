"""The command line where an operating system lacks what POSIX has, as Windows does."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.architecture import ROOT

# The standard library of this machine itself needs some of them, and is imported before they go.
# Python imports this module at its start, so the processes that these start lack the same.
WITHOUT_POSIX = """
import asyncio, asyncio.unix_events, logging.handlers, multiprocessing, os, shutil, signal
import subprocess, sys, tempfile

def refused(*_args, **_options):
    raise NotImplementedError

for name in ("fcntl", "resource", "pwd", "grp", "termios", "gunicorn"):
    sys.modules[name] = None
for name in (
    "fork", "setsid", "killpg", "getpgid", "register_at_fork", "getuid", "geteuid", "getgid",
    "uname", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "fchmod", "chown", "mkfifo",
    "statvfs", "sched_getaffinity", "getloadavg",
):
    delattr(os, name)
for name in ("HUP", "USR1", "USR2", "ALRM", "CHLD", "QUIT", "PIPE", "RTMIN", "RTMAX"):
    delattr(signal, f"SIG{name}")
asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = refused
"""
COMMAND_LINE = (
    "import sys; sys.argv[0] = 'scheduler'; from functions.cli.main import start; sys.exit(start())"
)
# What is missing is missing from the start of a process: one will do. A line says how each command ended.
ONE_BY_ONE = """
import sys
from functions.cli.main import start
for line in sys.argv[1:]:
    sys.argv = ["scheduler", *line.split()]
    print(f"<{start()}>")
"""
TASKS = """
tasks:
  - {id: hello, type: python, schedule: every 1m, params: {callable: "jobs:hello"}}
  - {id: listing, type: command, schedule: every 1m, params: {command: [ls]}}
"""


def variables_of(folder: Path, store: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((str(folder / "start"), str(ROOT), str(folder))),
        "STORE_URL": store,
        "PYTHON_TASKS": "jobs",
        "ALLOW_COMMANDS": "1",
    }


def run(folder: Path, store: str, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env=variables_of(folder, store),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.yaml").write_text(TASKS)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(WITHOUT_POSIX)
    (tmp_path / "jobs.py").write_text("def hello():\n    return 'Hello'\n")
    return tmp_path


def test_tasks_are_applied_run_and_listed_in_sqlite(folder: Path) -> None:
    commands = ("--version", "apply tasks.yaml", "run hello", "tick", "run listing --wait", "list --json")

    done = run(folder, f"sqlite:///{folder}/tasks.db", ONE_BY_ONE, *commands)

    said = re.split(r"<(\d)>\n", done.stdout)
    assert (0, list("000010")) == (done.returncode, said[1::2]), done.stderr
    *_, ticked, refused, listed, _ = said[::2]
    assert "Hello" in ticked
    assert "need a system with process groups (os.killpg)" in refused
    assert ["hello", "listing"] == [task["id"] for task in json.loads(listed)]
    assert f"Store: sqlite:///{folder}/tasks.db\n" == done.stderr


def test_a_json_store_says_which_lock_is_missing(folder: Path) -> None:
    """By the entry point that `pip install .` makes a command of."""
    done = run(folder, f"json:///{folder}/tasks.json", COMMAND_LINE, "apply", "tasks.yaml")

    assert 1 == done.returncode
    assert "no file locks here (neither fcntl nor msvcrt); set STORE_URL=sqlite:///" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_starts_answers_and_stops(folder: Path) -> None:
    """Two processes of a second: neither command nor server finds handlers of signals, or gunicorn."""
    words = [sys.executable, "-u", "-c", COMMAND_LINE, "serve", "--port", "0", "--tasks", "tasks.yaml"]
    with subprocess.Popen(
        words,
        cwd=folder,
        env=variables_of(folder, f"sqlite:///{folder}/tasks.db"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        seen = []
        for line in serving.stdout:
            seen.append(line)
            if " due" in line or " started" in line:  # the first tick's
                break
        serving.send_signal(signal.SIGINT)
        seen += serving.communicate(timeout=30)[0].splitlines()

    said = "\n".join(seen)
    assert ("Cronfire answers on" in said, "Stopped." in said, serving.returncode) == (True, True, 0), said
    assert "Traceback" not in said
