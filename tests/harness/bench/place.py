"""Where a run takes place: its folder, the server that tasks call, its emulator and how thorough it is."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.bench.processes import ROOT, Failed, answers, free_port, running, wait_until

CONCURRENCY = 200  # everybody's, as far as they can


@dataclass(frozen=True)
class Place:
    """What the lines of one run share.

    Attributes:
        server_url: The address that answers after 50 ms; under /now it answers at once.
        emulator: `host:port` of a Firestore emulator, or why there is none.
        quick: Whether slow competitors are left out and samples are few.
    """

    folder: Path
    server_url: str
    emulator: str | Failed
    quick: bool

    @property
    def rounds(self) -> int:
        return 3 if self.quick else 9

    @property
    def warm_up_rounds(self) -> int:
        return 1 if self.quick else 3

    def sqlite(self, name: str) -> str:
        """The address of an embedded store of this run."""
        return f"sqlite:///{self.folder}/{name}.db"

    def firestore(self) -> str:
        """A project of its own on the emulator.

        Raises:
            Failed: There is no emulator.
        """
        if isinstance(self.emulator, Failed):
            raise self.emulator
        return f"firestore://bench-{secrets.token_hex(4)}/(default)"


@contextmanager
def serving_calls(folder: Path) -> Iterator[str]:
    """The address of a server that answers every call, while inside."""
    port = free_port()
    command = [sys.executable, "-m", "tests.harness.bench.called_server", str(port)]
    with running(command, log=folder / "called_server.log") as process:
        wait_until(lambda: answers(port, "/now/ready"), "the server that tasks call", process=process)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def emulated(folder: Path) -> Iterator[str | Failed]:
    """`host:port` of the emulator that was named, or of one of our own; why not when there is none.

    The environment names it too while inside, for all that is started there.
    """
    given = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if given:
        yield given
        return
    with own_emulator(folder) as host:
        if isinstance(host, Failed):
            yield host
            return
        os.environ["FIRESTORE_EMULATOR_HOST"] = host
        try:
            yield host
        finally:
            del os.environ["FIRESTORE_EMULATOR_HOST"]


@contextmanager
def own_emulator(folder: Path) -> Iterator[str | Failed]:
    """`host:port` of an emulator that runs while inside; why not when none can be started."""
    port = free_port()
    command = [str(ROOT / "scripts" / "emulator"), "run", "--port", str(port), "--", "sleep", "infinity"]
    with running(command, log=folder / f"emulator-{port}.log") as process:
        try:
            wait_until(lambda: answers(port, "/"), "the Firestore emulator", process=process)
        except Failed as exc:
            yield exc
            return
        yield f"127.0.0.1:{port}"
