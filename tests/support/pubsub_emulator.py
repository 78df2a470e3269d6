"""The official Pub/Sub emulator, for the tests that need one: the one that is named, or one of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.serving import free_port

READY_WITHIN_S = 90


@contextmanager
def emulated(folder: Path) -> Iterator[str]:
    """`host:port` of the emulator, while inside; without any the test is skipped by name."""
    given = os.environ.get("PUBSUB_EMULATOR_HOST")
    if given:
        yield given
        return
    if shutil.which("gcloud") is None:
        without = "PUBSUB_EMULATOR_HOST is not set, and there is no gcloud to start a Pub/Sub emulator"
        refuse = pytest.fail if os.environ.get("REQUIRE_EMULATOR") == "1" else pytest.skip
        refuse(without)
    host = f"127.0.0.1:{free_port()}"
    command = [
        "gcloud",
        "beta",
        "emulators",
        "pubsub",
        "start",
        f"--host-port={host}",
        f"--data-dir={folder}",
    ]
    with (folder / "pubsub.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"} | os.environ,  # as scripts/emulator, and why
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(host, process, folder / "pubsub.log")
            yield host
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it keeps nothing, and Java takes its time
            process.wait(10)


def _wait_for(host: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"http://{host}/", timeout=2) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"the Pub/Sub emulator did not start: {log.read_text()[-500:]}")
            time.sleep(0.1)  # between two looks
