"""The function and gcloud-tasks-emulator, where somebody has made an environment with it."""

import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_worker_queue import QUEUE, calls, due, function, ping
from tests.fakes.cloud_tasks import FakeCloudTasks
from tests.support.serving import ROOT, free_port

__all__ = ["calls"]  # the fixture

WITHOUT = "CLOUD_TASKS_EMULATOR_PYTHON names no Python of an environment with gcloud-tasks-emulator"
READY_WITHIN_S = 90


@contextmanager
def running(*command: str | Path, log: Path) -> Iterator["subprocess.Popen[str]"]:
    """The program, with its whole group gone afterwards."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[str]:
    """`host:port` of the bridge to an emulator of this test's own."""
    python = os.environ.get("CLOUD_TASKS_EMULATOR_PYTHON", "")
    if not python:
        pytest.skip(WITHOUT)
    port, bridge = free_port(), free_port()
    program = Path(python).parent / "gcloud-tasks-emulator"
    words = ("start", "--port", str(port), "--max-retries", "3")
    with running(program, *words, log=tmp_path / "emulator.log"):
        _wait_for(port)
        command = (
            python,
            ROOT / "tests" / "fakes" / "cloud_tasks_bridge.py",
            str(bridge),
            f"127.0.0.1:{port}",
        )
        with running(*command, QUEUE, log=tmp_path / "bridge.log") as process:
            assert process.stdout is not None
            assert "ready\n" == process.stdout.readline(), (tmp_path / "bridge.log").read_text()
            yield f"127.0.0.1:{bridge}"


def _wait_for(port: int) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            assert time.monotonic() < until, "the emulator did not start"
            time.sleep(0.1)  # between two looks


async def test_an_emulator_that_reads_google_s_own_messages_sends_a_long_task_to_a_worker(
    tmp_path: Path, emulator: str, calls: tuple[str, Counter[str]]
) -> None:
    target, counted = calls
    await due(tmp_path, target, timeouts={"long": 120})
    queue = FakeCloudTasks(address=f"http://{emulator}")

    async with function(tmp_path, queue) as address:
        report = await ping(address)
        until = time.monotonic() + READY_WITHIN_S
        while not counted and time.monotonic() < until:
            await ping(address)

    assert (1, 1) == (report["handedOff"], report["postponed"])
    assert {"/long": 1} == dict(counted)
