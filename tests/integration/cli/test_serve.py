"""`serve`: the function and a pinger on this machine, ended together, as a process of its own."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from urllib.parse import urlencode

import pytest

from functions.cli.local.secret_files import read_or_create_secret
from functions.server.connections import BoundedProtocol
from tests.unit.cli.conftest import Scheduler

ROOT = Path(__file__).parents[3]
SECRET = "a-secret-of-at-least-thirty-two-characters"
ENDS_WITHIN_S = 8.0
WORDS = (sys.executable, "-P", "-m", "functions.cli", "serve", "--port", "0")

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc for the server's id")


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """`serve` in a process group of its own, after its first line about a tick."""
    process = subprocess.Popen(
        WORDS,
        env=environment | {"CRON_SECRET": SECRET, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    yield process

    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=ENDS_WITHIN_S)


def until_the_first_tick(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines = ""
    for line in process.stdout:
        lines += line
        if re.match(r"\d\d:\d\d:\d\d  ", line):
            break
    return lines


def server_of(process: "subprocess.Popen[str]") -> int:
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_serve_pings_at_once_and_ends_with_its_server(
    served: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    said = until_the_first_tick(served)
    server = server_of(served)
    began = time.monotonic()
    os.killpg(served.pid, number)  # a terminal's Ctrl-C goes to the whole group

    rest, _ = served.communicate(timeout=ENDS_WITHIN_S)

    assert "0 due; " in said
    assert SECRET not in said + rest
    assert (0, "Stopped.\n") == (served.returncode, rest)
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert not is_alive(server)


def test_a_server_bounds_silent_connections_and_is_not_started_again_in_silence(
    served: "subprocess.Popen[str]",
) -> None:
    said = until_the_first_tick(served)
    port = int(said.partition("http://127.0.0.1:")[2].partition(";")[0])
    with ExitStack() as connections:
        first, *_ = (
            connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(BoundedProtocol.MAX_WAITING + 1)
        )
        assert b"" == first.recv(1)  # closed for one that came after it
    os.kill(server_of(served), signal.SIGKILL)

    rest, _ = served.communicate(timeout=ENDS_WITHIN_S)

    assert 1 == served.returncode
    assert "scheduler: the server ended by itself (exit code -9)" in rest


@pytest.mark.slow
def test_serve_signs_in_where_nothing_is_set(tmp_path: Path) -> None:
    """As installed by pip: no pyproject.toml beside the code, so what is kept is in the working folder."""
    code, folder = tmp_path / "code", tmp_path / "empty"
    copytree(ROOT / "functions", code / "functions", ignore=ignore_patterns("__pycache__"))
    copy(ROOT / "main.py", code)
    folder.mkdir()
    process = subprocess.Popen(
        (*WORDS, "--sign-in"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(code)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said = until_the_first_tick(process)
        links = re.findall(r"http://127\.0\.0\.1:(\d+)(/dashboard/sign-in\?once=\S+)", said)
        assert 1 == len(links), said
        [(port, path)] = links
        with closing(HTTPConnection("127.0.0.1", int(port), timeout=20)) as browser:
            browser.request("GET", path)
            [button] = re.findall(r'name="once" value="([^"]+)"', browser.getresponse().read().decode())
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            browser.request("POST", path.partition("?")[0], urlencode({"once": button}), form)
            answer = browser.getresponse()
            answer.read()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=ENDS_WITHIN_S)

    assert (303, "/dashboard") == (answer.status, answer.headers["Location"])
    assert "session" in answer.headers["Set-Cookie"]
    assert (folder / "scheduler.db").exists()


def test_a_port_that_is_taken_is_wrong_usage(scheduler: Scheduler) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = scheduler("serve", "--port", str(taken.getsockname()[1]), CRON_SECRET=SECRET)

    assert 2 == said.code
    assert "--port" in said.err


def test_a_generated_secret_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "secret"

    first, second = read_or_create_secret(file), read_or_create_secret(file)

    assert first == second
    assert len(first) >= 32
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_two_generated_secrets_differ(tmp_path: Path) -> None:
    assert read_or_create_secret(tmp_path / "a") != read_or_create_secret(tmp_path / "b")
