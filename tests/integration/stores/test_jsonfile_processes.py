"""Real processes on the readable files: they are killed at every step, and find disks full and read-only.

See test_file_processes.py for what all files must bear.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.domain.storage import ConditionalWrite, TaskFilter, WriteStatus
from functions.domain.task import Task
from tests.conftest import NOON
from tests.contract.documents import create
from tests.support.json_places import TASK, Folder
from tests.support.store_processes import ROOT, flush_until_killed, said

MakeTask = Callable[..., Task]
RUNS_AT_ONCE = 50

FILL_HISTORY = """
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
asyncio.run(fill(1000, lambda number: store.write_with_runs(
    RunBatch(f"fill.{number}", NOON, tuple(run(f"t{number}-{part}") for part in range(9))), []
)))
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
            store = create_store(f"json:///{copy}/tasks.json")
            die_at(step)
            asyncio.run(work())
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return step

print(json.dumps(copies()))
"""


def url_of(folder: Folder) -> str:
    return f"json:///{folder.path}"


async def test_a_killed_process_leaves_what_it_had_answered(tmp_path: Path, make_task: MakeTask) -> None:
    """What was answered is there; of the rest there may be a record, but no task without its record."""
    folder = Folder(tmp_path)

    reported = flush_until_killed(url_of(folder), at_once=RUNS_AT_ONCE)

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

    steps = said(DIE, url_of(Folder(home)))

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


async def test_a_record_the_disk_has_no_room_for_leaves_no_part_of_itself(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    printed = said(FILL_HISTORY, url_of(folder))

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
