"""Real processes on one file: they race, they are killed, they run out of disk."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from functions.domain.storage import ConditionalWrite, WriteStatus
from functions.domain.task import Task
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
ROOT = Path(__file__).parents[3]
RUNS_AT_ONCE = 500  # so that a flush takes much longer than what comes between two

PRELUDE = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from functions.errors import StoreError
from functions.domain.run import Run
from functions.domain.storage import RunBatch, WriteStatus, ConditionalWrite
from functions.domain.task import Claim, Task
from functions.stores.sqlite.store import SqliteStore

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
UNTIL = NOON + timedelta(seconds=35)
path, name = sys.argv[1:]
store = SqliteStore(path)

def task(task_id, notes=""):
    return Task(id=task_id, title="T", type="http", schedule="@hourly", memory={"notes": notes},
                created_at=NOON, updated_at=NOON, next_run_at=NOON)

def run(task_id):
    return Run(task_id=task_id, occurrence=NOON, outcome="succeeded", started_at=NOON, finished_at=NOON)

def ready():
    print("ready", flush=True)
    sys.stdin.readline()
"""
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
CREATE = """
async def main():
    ready()
    tasks = [task("shared"), *(task(f"{name}-{n}") for n in range(20))]
    answers = await store.write([ConditionalWrite(each, None) for each in tasks])
    print(json.dumps([answer.status.value for answer in answers]))
    await store.close()
asyncio.run(main())
"""
FLUSH_FOR_EVER = """
async def main():
    for number in range(1_000_000):
        ids = [f"{name}-{number}-{n}" for n in range(500)]
        entry = RunBatch(f"{name}.{number}", NOON, tuple(run(task_id) for task_id in ids))
        await store.write_with_runs(entry, [ConditionalWrite(task(task_id), None) for task_id in ids])
        print(number, flush=True)
asyncio.run(main())
"""
FILL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

async def main():
    kept = 0
    try:
        for number in range(100):
            await store.write_with_runs(None, [ConditionalWrite(task(f"t{number}", "x" * 10_000), None)])
            kept += 1
    except StoreError as exc:
        print(json.dumps({"kept": kept, "error": str(exc)}))
    await store.close()
asyncio.run(main())
"""


def start(script: str, path: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(path), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def race(script: str, path: Path, names: list[str]) -> list[list[str]]:
    """Start one process a name, let them go at the same moment, and return what each printed."""
    processes = [start(script, path, name) for name in names]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=30)[0]) for process in processes]
    assert [0] * len(names) == [process.returncode for process in processes]
    return answers


def flush_until_killed(path: Path, name: str, *, after_s: float) -> int:
    """Start a process that flushes without end, kill it *after_s* into one; return how many it reported."""
    with start(FLUSH_FOR_EVER, path, name) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=after_s)
        process.kill()
        rest = process.stdout.read().count("\n")
    assert -signal.SIGKILL == process.returncode
    return 1 + rest


async def test_two_processes_win_each_task_exactly_once(tmp_path: Path, make_task: MakeTask) -> None:
    path = tmp_path / "scheduler.db"
    store = SqliteStore(str(path))
    await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(200)])

    one, other = race(CLAIM, path, ["one", "other"])

    assert 200 == len(one) + len(other)
    found = (await store.get_tasks([f"t{number}" for number in range(200)])).tasks
    tokens = {stored.task.claim.token for stored in found if stored.task.claim}
    assert {f"one.{task_id}" for task_id in one} | {f"other.{task_id}" for task_id in other} == tokens
    await store.close()


async def test_processes_that_make_the_same_new_file_agree_on_it(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.db"

    answers = race(CREATE, path, ["a", "b", "c", "d"])

    assert ["applied", "refused", "refused", "refused"] == sorted(shared for shared, *_ in answers)
    assert {"applied"} == {answer for _, *own in answers for answer in own}
    store = SqliteStore(str(path))
    assert 81 == len((await store.fetch_due(NOON, limit=1000)).tasks)
    await store.close()


async def test_a_killed_process_leaves_whole_flushes_only(tmp_path: Path, make_task: MakeTask) -> None:
    """What was answered is there, and what was not is there as a whole or not at all."""
    path = tmp_path / "scheduler.db"

    delays = {"first": 0.01, "second": 0.02, "third": 0.03}
    reported = {name: flush_until_killed(path, name, after_s=after_s) for name, after_s in delays.items()}

    store = SqliteStore(str(path))
    tasks = {stored.task.id for stored in (await store.fetch_due(NOON, limit=1_000_000)).tasks}
    runs = {run.task_id for run in await store.runs(limit=1_000_000)}
    assert tasks == runs
    for name, flushes in reported.items():
        of_tick = {run.task_id for run in await store.runs_of_tick(name)}
        numbers = {task_id.rpartition("-")[0] for task_id in of_tick}
        expected = {f"{flush}-{n}" for flush in numbers for n in range(RUNS_AT_ONCE)}
        assert expected == of_tick
        assert {f"{name}-{number}" for number in range(flushes)} <= numbers
    [written] = await store.write([ConditionalWrite(make_task("afterwards"), None)])
    assert WriteStatus.APPLIED is written.status
    await store.close()


async def test_a_disk_that_is_full_is_a_refusal_and_what_was_kept_stays_kept(tmp_path: Path) -> None:
    """The disk is a limit on the size of files here, which SQLite meets as an error of writing."""
    path = tmp_path / "scheduler.db"

    with start(FILL, path, "fill") as process:
        printed = json.loads(process.communicate(timeout=30)[0])

    assert printed["error"].startswith(f"{path}: the disk ")
    assert 5 < printed["kept"] < 100
    store = SqliteStore(str(path))
    assert printed["kept"] == len((await store.fetch_due(NOON, limit=1000)).tasks)
    await store.close()
