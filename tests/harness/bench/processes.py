"""Processes of a run: each in a group of its own, started, waited for, ended; nothing outlives the run."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
READY_WITHIN_S = 60.0
ENDED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.002  # fine enough for a cold start to be timed by it

Process = subprocess.Popen[bytes]


class Failed(Exception):
    """Something this run needs did not work; the text says what."""


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Iterator[Process]:
    """Run *command* while inside; afterwards its whole process group is gone.

    Args:
        env: In place of this process's own.
        log: What it prints is added to this file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(os.environ if env is None else env),
            cwd=cwd,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: "Process | subprocess.Popen[str]") -> None:
    """End *process* and all it started, kindly at first."""
    for number, within_s in ((signal.SIGTERM, ENDED_WITHIN_S), (signal.SIGKILL, ENDED_WITHIN_S)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
            break
    with contextlib.suppress(ProcessLookupError):  # whoever of the group did not follow its leader
        os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, *, process: Process | None = None) -> None:
    """Return as soon as *condition* holds.

    Raises:
        Failed: *process* ended before, or it took longer than READY_WITHIN_S.
    """
    until = time.perf_counter() + READY_WITHIN_S
    while not condition():
        if process is not None and process.poll() is not None:
            raise Failed(f"{what}: the process ended with code {process.returncode}")
        if time.perf_counter() > until:
            raise Failed(f"{what}: not within {READY_WITHIN_S:g} s")
        time.sleep(LOOK_EVERY_S)


def answers(port: int, path: str) -> bool:
    """Whether a GET of *path* is answered by 200 on the loopback *port*."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    """The processes that *pid* has started and that still run."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def peak_memory_mib(process: Process) -> float:
    """The most memory *process* and what it has forked had together, in MiB, as a platform counts it.

    Pages they share are counted once: a server that loads its libraries before it forks would otherwise
    look small, or be counted twice. To what they have now is added by how much each was larger before.
    """
    pids = [process.pid, *children(process.pid)]
    own = sum(_kib(pid, "smaps_rollup", "Pss_Anon") + _shrunk_kib(pid) for pid in pids)
    return (own + max(_kib(pid, "status", "RssFile") for pid in pids)) / 1024


def _shrunk_kib(pid: int) -> int:
    return _kib(pid, "status", "VmHWM") - _kib(pid, "status", "VmRSS")


def _kib(pid: int, file: str, name: str) -> int:
    text = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace")
    [line] = [line for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])
