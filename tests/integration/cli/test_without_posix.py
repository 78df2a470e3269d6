"""The command line where an operating system lacks what POSIX has, as Windows does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.architecture import ROOT

# The standard library of this machine itself needs some of them, and is imported before they go.
WITHOUT_POSIX = """
import asyncio, logging.handlers, multiprocessing, os, runpy, shutil, signal, subprocess, sys, tempfile
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("killpg", "getuid", "O_CLOEXEC", "O_NOFOLLOW", "fchmod"):
    delattr(os, name)
del signal.SIGHUP
sys.argv[0] = "scheduler"
runpy.run_module("functions.cli", run_name="__main__")
"""
TASKS = """
tasks:
  - {id: hello, type: python, schedule: every 1m, params: {callable: "jobs:hello"}}
  - {id: listing, type: command, schedule: every 1m, params: {command: [ls]}}
"""


def run(folder: Path, store: str, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))),
        "STORE_URL": store,
        "PYTHON_TASKS": "jobs",
        "ALLOW_COMMANDS": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, *words],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.yaml").write_text(TASKS)
    (tmp_path / "jobs.py").write_text("def hello():\n    return 'Hello'\n")
    return tmp_path


def test_tasks_are_applied_run_and_listed_in_sqlite(folder: Path) -> None:
    """Processes of 0.5 s each: what is missing is missing from the start of one."""
    store = f"sqlite:///{folder}/tasks.db"

    for words in (["--version"], ["apply", "tasks.yaml"], ["run", "hello"]):
        done = run(folder, store, *words)
        assert (0, "") == (done.returncode, done.stderr), words
    ticked = run(folder, store, "tick")
    refused = run(folder, store, "run", "listing", "--wait")
    listed = run(folder, store, "list", "--json")

    assert (0, 1, 0) == (ticked.returncode, refused.returncode, listed.returncode)
    assert "Hello" in ticked.stdout
    assert "need a system with process groups (os.killpg)" in refused.stdout
    assert ["hello", "listing"] == [task["id"] for task in json.loads(listed.stdout)]


def test_a_json_store_says_which_lock_is_missing(folder: Path) -> None:
    done = run(folder, f"json:///{folder}/tasks.json", "apply", "tasks.yaml")

    assert 1 == done.returncode
    assert "no file locks here (neither fcntl nor msvcrt); set STORE_URL=sqlite:///" in done.stderr
    assert "Traceback" not in done.stderr
