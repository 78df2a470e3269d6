"""Real processes on one database: they are killed. See test_file_processes.py for the rest."""

from collections.abc import Callable
from pathlib import Path

from functions.domain.storage import ConditionalWrite, WriteStatus
from functions.domain.task import Task
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.support.store_processes import flush_until_killed

MakeTask = Callable[..., Task]
RUNS_AT_ONCE = 500  # so that a flush takes much longer than what comes between two


async def test_a_killed_process_leaves_whole_flushes_only(tmp_path: Path, make_task: MakeTask) -> None:
    """What was answered is there, and what was not is there as a whole or not at all."""
    path = tmp_path / "scheduler.db"

    reported = flush_until_killed(f"sqlite:///{path}", at_once=RUNS_AT_ONCE)

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
