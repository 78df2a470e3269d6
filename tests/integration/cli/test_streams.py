"""The command line with streams that are closed, full, or lack letters."""

import json
import os
import resource
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from functions.cli.main import main

ROOT = Path(__file__).parents[3]
CLI = [sys.executable, "-m", "functions.cli"]
TITLE = "K\u00fche \u725b"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "STORE_URL": f"sqlite:///{tmp_path / 'store.db'}",
    }


def allow_no_bytes() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("words", [["types"], ["types", "--json"], ["--help"]])
def test_an_output_that_takes_nothing_is_told_in_one_line(
    words: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            [*CLI, *words],
            env=environment,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=allow_no_bytes,  # no thread runs here
            check=False,
        )

    assert (1, "scheduler: the output cannot be written: File too large\n") == (done.returncode, done.stderr)


def test_streams_that_the_caller_closed_are_no_harm(environment: dict[str, str]) -> None:
    closed = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *CLI, "types"]

    assert 0 == subprocess.run(closed, env=environment, check=False).returncode


def test_letters_that_a_stream_lacks_are_escaped(environment: dict[str, str]) -> None:
    def run(*words: str) -> str:
        command = [*CLI, *words]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout

    params = ("--type", "http", "--schedule", "daily", "--param", "url=https://example.com", "--id", "kuhe")
    assert 0 == main(["create", TITLE, *params], environment, out=StringIO(), err=StringIO())
    environment["PYTHONIOENCODING"] = "ascii"

    assert "K\\xfche \\u725b" in run("list")
    assert TITLE == json.loads(run("list", "--json"))[0]["title"]
