"""Tasks that are all due at once, and worker processes that drain them: how fast, and whether each once."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from functions.domain.sharding import SHARDS, split
from functions.domain.storage import TaskFilter
from functions.domain.task import MAX_RECENT_OUTCOMES
from functions.interfaces import Store
from functions.stores import create_store
from tests.harness.bench.processes import ROOT, Failed, answers, end, free_port, running, wait_until
from tests.harness.bench.seeding import make_due

PAGE = 1000
SHARES = 16  # for all workers together: the emulator's time for a query grows with the shards it names


@dataclass(frozen=True)
class Part:
    """A store that holds the tasks of some shards: all, or one part of several, as Firestore splits an index.

    Attributes:
        emulator: Its host; None where the environment names it, or the store has none.
    """

    url: str
    shards: range = range(SHARDS)
    emulator: str | None = None


@dataclass(frozen=True)
class Drained:
    """What came of one run.

    Attributes:
        processor_s: What all processes of the machine used meanwhile, the target and the emulators included,
            and of that the workers; None where the system does not say.
        seconds: From the word to the workers until the last of them had found nothing more.
        calls: Requests the target got, to how many addresses, and the most to one of them.
        ran_once: Tasks whose document says that they ran once more, and wait for a later time.
        taken: Claims lost to another worker.
        again: Shares that had to be sent again, because the store did not answer in time.
    """

    workers: int
    tasks: int
    seconds: float
    taken: int
    again: int
    calls: int
    addresses: int
    most: int
    ran_once: int
    processor_s: float | None
    worker_s: float

    @property
    def each_once(self) -> bool:
        """Whether every task ran, and none twice, by the target's count and by the store's."""
        counts = {self.calls, self.addresses, self.ran_once}
        return counts == {self.tasks} and self.most == 1

    @property
    def per_second(self) -> float:
        """Tasks found, claimed, run, recorded and moved on in a second."""
        return self.tasks / self.seconds


@contextmanager
def counting(folder: Path) -> Iterator[str]:
    """The address of a target that counts, while inside."""
    port = free_port()
    command = [sys.executable, "-m", "tests.harness.load.target", str(port)]
    with running(command, log=folder / "target.log") as process:
        wait_until(lambda: answers(port, "/ready"), "the target", process=process)
        yield f"http://127.0.0.1:{port}"


def drain(parts: Sequence[Part], target: str, *, tasks: int, workers: int, shares: int = SHARES) -> Drained:
    """Make *tasks* due in the stores, have as many worker processes drain them, and count.

    Args:
        shares: In how many spans the shards are given out; a span lies in one part.

    Raises:
        Failed: A worker ended early.
    """
    for part in parts:
        make_due(part.url, target, count=tasks, shards=part.shards, emulator=part.emulator)
    _ask(f"{target}/forget", b"")
    work = [
        json.dumps({"url": part.url, "emulator": part.emulator, "share": share.to_json()})
        for share in split(shares)
        for part in parts
        if share.shards[0] in part.shards
    ]
    crew = [_started(work[number::workers]) for number in range(workers)]
    try:
        for one in crew:
            if _line(one) != "ready\n":
                raise Failed(f"a worker ended with code {one.wait(5)}")
        started, processor_before = time.perf_counter(), _processor_s()
        for one in crew:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        sums: Counter[str] = Counter()
        for one in crew:
            sums.update(json.loads(_line(one) or "{}"))
        seconds, processor_after = time.perf_counter() - started, _processor_s()
    finally:
        for one in crew:
            end(one)
            for pipe in (one.stdin, one.stdout):
                assert pipe is not None
                pipe.close()
    counts = _ask(f"{target}/counts", None)
    return Drained(
        workers=workers,
        tasks=tasks,
        seconds=seconds,
        taken=sums["lostClaims"],
        again=sums["again"],
        ran_once=sum(asyncio.run(_ran_once(part)) for part in parts),
        processor_s=None
        if processor_before is None or processor_after is None
        else processor_after - processor_before,
        worker_s=sums["processorMs"] / 1000,
        calls=counts["calls"],
        addresses=counts["addresses"],
        most=counts["most"],
    )


def _processor_s() -> float | None:
    """What the processors of this machine have worked since it was started, in seconds."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split()
    except OSError:
        return None
    user, nice, system = (int(word) for word in words[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _started(work: Sequence[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.harness.load.worker", *work]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _ask(url: str, body: bytes | None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text.startswith(b"{") else None


async def _ran_once(part: Part) -> int:
    """How many tasks ran once more than when they were made, and are not due any longer."""
    emulator = part.emulator or os.environ.get("FIRESTORE_EMULATOR_HOST")
    store: Store = create_store(part.url, emulator=emulator)
    now = datetime.now(UTC)
    number, after = 0, ""
    while found := (await store.list_tasks(TaskFilter(), after=after, limit=PAGE)).tasks:
        after = found[-1].task.id
        number += sum(
            one.task.run_count == MAX_RECENT_OUTCOMES + 1 and (one.task.next_run_at or now) > now
            for one in found
        )
    await store.close()
    return number
