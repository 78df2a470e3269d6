"""Processes of their own on a store: what they do is a script, given on their command line."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

PRELUDE = """
import asyncio, json, os, resource, shutil, signal, sys
from datetime import UTC, datetime, timedelta
from functions.errors import StoreError
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, Document, RunBatch, WriteStatus
from functions.domain.task import Claim, Task
from functions.stores import create_store

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
UNTIL = NOON + timedelta(seconds=35)
url, name = sys.argv[1:]
path = url.partition(":///")[2]
store = create_store(url)

def task(task_id, notes=""):
    return Task(id=task_id, title="T", type="http", schedule="@hourly", memory={"notes": notes},
                created_at=NOON, updated_at=NOON, next_run_at=NOON)

def run(task_id):
    return Run(task_id=task_id, occurrence=NOON, outcome="succeeded", started_at=NOON, finished_at=NOON)

def ready():
    print("ready", flush=True)
    sys.stdin.readline()

async def fill(times, write):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    kept = 0
    try:
        for number in range(times):
            await write(number)
            kept += 1
    except StoreError as exc:
        print(json.dumps({"kept": kept, "error": str(exc)}))
    await store.close()
"""
# Claims all that is due, in waves, and prints the ids that were won.
CLAIM = """
async def main():
    ready()
    found = (await store.fetch_due(NOON, limit=1000)).tasks
    won = []
    for start in range(0, len(found), 20):
        writes = [
            ConditionalWrite.for_changes(stored, {
                "next_run_at": UNTIL,
                "claim": Claim(token=f"{name}.{stored.task.id}", until=UNTIL, started_at=NOON),
            })
            for stored in found[start : start + 20]
        ]
        answers = await store.write(writes)
        won += [w.task.id for w, a in zip(writes, answers) if a.status is WriteStatus.APPLIED]
    print(json.dumps(won))
    await store.close()
asyncio.run(main())
"""
# Creates one task that all create, and twenty of its own; prints what came of each.
CREATE = """
async def main():
    ready()
    tasks = [task("shared"), *(task(f"{name}-{n}") for n in range(20))]
    answers = [(await store.write([ConditionalWrite(each, None)]))[0] for each in tasks]
    print(json.dumps([answer.status.value for answer in answers]))
    await store.close()
asyncio.run(main())
"""
# Writes batches of AT_ONCE runs with their tasks, without end; prints the number of each that was answered.
FLUSH_FOR_EVER = """
async def main():
    for number in range(1_000_000):
        ids = [f"{name}-{number}-{n}" for n in range(AT_ONCE)]
        entry = RunBatch(f"{name}.{number}", NOON, tuple(run(task_id) for task_id in ids))
        await store.write_with_runs(entry, [ConditionalWrite(task(task_id), None) for task_id in ids])
        print(number, flush=True)
asyncio.run(main())
"""
# Writes tasks until the disk is full: it is a limit on the size of files here.
FILL = """
resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
asyncio.run(fill(100, lambda number: store.write_with_runs(
    None, [ConditionalWrite(task(f"t{number}", "x" * 10_000), None)]
)))
"""


def start(script: str, url: str, name: str, **numbers: int) -> subprocess.Popen[str]:
    """Start *script* as a process called *name*; *numbers* are names that it uses."""
    given = "".join(f"{variable} = {number}\n" for variable, number in numbers.items())
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + given + script, url, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def said(script: str, url: str, **numbers: int) -> Any:
    """Run *script*; return what it printed, read as JSON."""
    with start(script, url, "one", **numbers) as process:
        return json.loads(process.communicate(timeout=60)[0])


def race(script: str, url: str, names: list[str]) -> list[list[str]]:
    """Start one process a name, let them go at the same moment, and return what each printed."""
    processes = [start(script, url, name) for name in names]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [0] * len(names) == [process.returncode for process in processes]
    return answers


def flush_until_killed(url: str, *, at_once: int) -> dict[str, int]:
    """Kill three processes, one after the other, while they flush; return how many flushes each reported.

    They are killed 10, 20 and 30 ms after the first one.
    """
    reported = {}
    for name, after_s in {"first": 0.01, "second": 0.02, "third": 0.03}.items():
        with start(FLUSH_FOR_EVER, url, name, AT_ONCE=at_once) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=after_s)
            process.kill()
            reported[name] = 1 + process.stdout.read().count("\n")
        assert -signal.SIGKILL == process.returncode
    return reported
