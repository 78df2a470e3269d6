"""Real processes on the readable files: they race, they are killed at every step, they run out of disk."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from functions.domain.storage import ConditionalWrite, TaskFilter, WriteStatus
from functions.domain.task import Task
from tests.conftest import NOON
from tests.contract.documents import create
from tests.support.json_places import TASK, Folder

MakeTask = Callable[..., Task]
ROOT = Path(__file__).parents[3]
RUNS_AT_ONCE = 50

PRELUDE = """
import asyncio, json, os, shutil, signal, sys
from datetime import UTC, datetime, timedelta
from functions.errors import StoreError
from functions.domain.run import Run
from functions.domain.storage import Document, RunBatch, WriteStatus, ConditionalWrite
from functions.domain.task import Claim, Task
from functions.stores.jsonfile.store import JsonStore

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
UNTIL = NOON + timedelta(seconds=35)
path, name = sys.argv[1:]
store = JsonStore(path)

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
asyncio.run(main())
"""
CREATE = """
async def main():
    ready()
    tasks = [task("shared"), *(task(f"{name}-{n}") for n in range(20))]
    answers = [(await store.write([ConditionalWrite(each, None)]))[0] for each in tasks]
    print(json.dumps([answer.status.value for answer in answers]))
asyncio.run(main())
"""
FLUSH_FOR_EVER = """
async def main():
    for number in range(1_000_000):
        ids = [f"{name}-{number}-{n}" for n in range(50)]
        entry = RunBatch(f"{name}.{number}", NOON, tuple(run(task_id) for task_id in ids))
        await store.write_with_runs(entry, [ConditionalWrite(task(task_id), None) for task_id in ids])
        print(number, flush=True)
asyncio.run(main())
"""
FILL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main():
    kept = 0
    try:
        for number in range(100):
            await store.write_with_runs(None, [ConditionalWrite(task(f"t{number}", "x" * 10_000), None)])
            kept += 1
    except StoreError as exc:
        print(json.dumps({"kept": kept, "error": str(exc)}))
asyncio.run(main())
"""
FILL_HISTORY = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main():
    kept = 0
    try:
        for number in range(1000):
            await store.write_with_runs(RunBatch(f"fill.{number}", NOON, (run(f"t{number}"),) * 9), [])
            kept += 1
    except StoreError as exc:
        print(json.dumps({"kept": kept, "error": str(exc)}))
asyncio.run(main())
"""
# The process is killed at the first, second, third ... thing it does to a file; each time on a fresh copy.
DIE = """
FILES = {"open", "os.rename", "os.remove", "os.truncate", "os.chmod", "shutil.copyfile", "os.utime"}
home = os.path.dirname(path)

async def work():
    found = {one.task.id: one for one in (await store.fetch_due(NOON, limit=10)).tasks}
    entry = RunBatch("dead.1", NOON, (run("changed"), run("new")))
    await store.write_with_runs(entry, [
        ConditionalWrite.for_changes(found["changed"], {"title": "Changed", "run_count": 1}),
        ConditionalWrite(found["removed"].task, found["removed"].revision, delete=True),
        ConditionalWrite(task("new"), None),
    ])
    await store.put_documents([Document("owners", "alice", {"credits": 1})])

def die_at(step):
    left = step
    def hook(event, args):
        nonlocal left
        if event in FILES and args and str(args[0]).startswith(home):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def copies():
    step = 0
    while True:
        step += 1
        copy = f"{home}-{step}"
        shutil.copytree(home, copy)
        child = os.fork()
        if not child:
            global store
            globals()["home"] = copy
            store = JsonStore(os.path.join(copy, "tasks.json"))
            die_at(step)
            asyncio.run(work())
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return step

print(json.dumps(copies()))
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


def said(script: str, path: Path) -> Any:
    with start(script, path, "one") as process:
        return json.loads(process.communicate(timeout=60)[0])


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
    folder = Folder(tmp_path)
    store = folder.store()
    await create(store, *(make_task(f"t{number}") for number in range(200)))

    one, other = race(CLAIM, folder.path, ["one", "other"])

    assert 200 == len(one) + len(other)
    found = (await store.get_tasks([f"t{number}" for number in range(200)])).tasks
    tokens = {stored.task.claim.token for stored in found if stored.task.claim}
    assert {f"one.{task_id}" for task_id in one} | {f"other.{task_id}" for task_id in other} == tokens


async def test_processes_that_make_the_same_new_file_agree_on_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    answers = race(CREATE, folder.path, ["a", "b", "c"])

    assert ["applied", "refused", "refused"] == sorted(shared for shared, *_ in answers)
    assert {"applied"} == {answer for _, *own in answers for answer in own}
    assert 61 == len((await folder.store().fetch_due(NOON, limit=1000)).tasks)


async def test_a_killed_process_leaves_what_it_had_answered(tmp_path: Path, make_task: MakeTask) -> None:
    """What was answered is there; of the rest there may be a record, but no task without its record."""
    folder = Folder(tmp_path)

    delays = {"first": 0.01, "second": 0.02, "third": 0.03}
    reported = {
        name: flush_until_killed(folder.path, name, after_s=after_s) for name, after_s in delays.items()
    }

    store = folder.store()
    found = await store.fetch_due(NOON, limit=1_000_000)
    runs = {run.task_id for run in await store.runs(limit=1_000_000)}
    tasks = {stored.task.id for stored in found.tasks}
    assert ((), set()) == (found.invalid, tasks - runs)
    for name, flushes in reported.items():
        answered = {f"{name}-{number}-{n}" for number in range(flushes) for n in range(RUNS_AT_ONCE)}
        assert set() == answered - tasks
    [written] = await store.write([ConditionalWrite(make_task("afterwards"), None)])
    assert WriteStatus.APPLIED is written.status


async def test_killed_at_any_step_it_leaves_files_that_can_be_read_and_no_result_without_its_record(
    tmp_path: Path, make_task: MakeTask
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    names = ("changed", "removed", "untouched")
    await create(Folder(home).store(), *(make_task(name, expired_claims=7) for name in names))

    steps = said(DIE, Folder(home).path)

    assert steps > 20  # else the steps are not seen
    for step in range(1, steps + 1):
        store = Folder(tmp_path / f"home-{step}").store()
        found = await store.list_tasks(TaskFilter())
        tasks = {stored.task.id: stored.task for stored in found.tasks}
        recorded = {run.task_id for run in await store.runs_of_tick("dead")}
        assert () == found.invalid
        assert {"changed", "untouched"} <= tasks.keys()
        assert {7} == {tasks[name].expired_claims for name in names if name in tasks}, step
        if tasks["changed"].run_count or "new" in tasks or "removed" not in tasks:
            assert {"changed", "new"} == recorded, step
        if await store.get_documents("owners", ["alice"]) or step == steps:
            assert ("Changed", 1) == (tasks["changed"].title, tasks["changed"].run_count)
            assert ("new" in tasks, "removed" in tasks) == (True, False)
        [again] = await store.write([ConditionalWrite.for_changes(found.tasks[0], {"title": "Afterwards"})])
        assert WriteStatus.APPLIED is again.status


async def test_a_disk_that_is_full_is_a_refusal_and_what_was_kept_stays_kept(tmp_path: Path) -> None:
    """The disk is a limit on the size of files here, which the store meets as an error of writing."""
    folder = Folder(tmp_path)

    printed = said(FILL, folder.path)

    assert printed["error"].startswith(f"{folder.path}: the disk ")
    assert 5 < printed["kept"] < 100
    assert printed["kept"] == len((await folder.store().fetch_due(NOON, limit=1000)).tasks)
    assert not folder.path.with_name(".tasks.state.json.tmp").exists()


async def test_a_record_the_disk_has_no_room_for_leaves_no_part_of_itself(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    printed = said(FILL_HISTORY, folder.path)

    assert printed["error"].startswith(f"{folder.path}: the disk ")
    text = folder.history.read_text()
    assert (printed["kept"], True) == (text.count("\n"), text.endswith("\n"))
    assert printed["kept"] * 9 == len(await folder.store().runs_of_tick("fill"))


READ_ONLY = """
import asyncio, ctypes, os, sys
from datetime import UTC, datetime
from functions.errors import StoreError
from functions.domain.storage import TaskFilter
from functions.stores.jsonfile.store import JsonStore

async def main():
    store = JsonStore(sys.argv[1])
    print([stored.task.id for stored in (await store.list_tasks(TaskFilter())).tasks])
    for ask in (store.fetch_due(datetime.now(UTC), limit=1), store.put_documents([])):
        try:
            await ask
        except StoreError as exc:
            print(exc)
if os.geteuid() == 0:  # no permission stops root; without CAP_DAC_OVERRIDE it may still read all
    libc = ctypes.CDLL(None)
    version_3, capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert 0 == libc.capget(version_3, capabilities)
    capabilities[0] &= ~(1 << 1)
    assert 0 == libc.capset(version_3, capabilities)
asyncio.run(main())
"""


def test_a_folder_nobody_may_write_to_can_be_read_and_says_so_where_it_cannot() -> None:
    with TemporaryDirectory(prefix="read-only-") as name:
        folder = Folder(Path(name))
        folder.save(TASK, at=NOON)
        folder.path.parent.chmod(0o555)

        said = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder.path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout.splitlines()
        folder.path.parent.chmod(0o755)

    remedy = "it cannot be read or written; check the permissions of the file and of its folder (EACCES)"
    assert ["['ping']", f"{folder.path}: {remedy}"] == said
