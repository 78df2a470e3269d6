"""`export` and `import`: all of a store in a file and back, whatever store it is, as often as one likes."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, Document, RunBatch
from functions.domain.types import OutcomeKind
from functions.stores.jsonfile.store import JsonStore
from functions.stores.sqlite.store import SqliteStore
from functions.transfer.archive.export import export_archive
from functions.transfer.archive.format import DOCUMENT_KINDS, LOCAL_KINDS
from functions.transfer.archive.restore import ImportResult, import_archive
from tests.conftest import NOON
from tests.contract.places import FirestorePlace
from tests.contract.test_documents import FULL
from tests.support.firestore_emulator import emulator_host
from tests.unit.cli.conftest import Scheduler, WriteTasks

ROOT = Path(__file__).parents[3]


def run_of(number: int) -> Run:
    at = NOON + timedelta(seconds=number // 3)  # three of each moment
    times = {"occurrence": at, "started_at": at, "finished_at": at}
    return Run(task_id=f"t{number}", attempt=1, token=f"a.{number}", outcome=OutcomeKind.SUCCEEDED, **times)


async def filled(store: Any, *, runs: int = 250) -> None:
    tasks = [FULL, *(FULL.model_copy(update={"id": f"t{number}"}) for number in range(120))]
    for start in range(0, len(tasks), 100):
        await store.write([ConditionalWrite(task, None) for task in tasks[start : start + 100]])
    for kind in DOCUMENT_KINDS:
        data = {"tasks": ["full"]} if kind == "listeners" else {"n": 1, "text": "é", "deep": [{"a": None}]}
        await store.put_documents([Document(kind, f"{kind}-one", data, None, NOON + timedelta(days=400))])
    records = [run_of(number) for number in range(runs)]
    for start in range(0, runs, 100):
        await store.write_with_runs(RunBatch(f"a{start}.1", NOON, tuple(records[start : start + 100])), [])


async def whole(store: Any, folder: Path) -> list[str]:
    """Everything in a store, in an order of its own."""
    file = folder / "whole.jsonl"
    await export_archive(store, file, clock=lambda: NOON, on_progress=lambda totals: None)
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:-1]]
    return sorted(json.dumps(one, sort_keys=True) for one in lines)


async def moved(one: Any, other: Any, folder: Path, **how: Any) -> ImportResult:
    """Everything of *one* in *other*, by a file."""
    file = folder / "moved.jsonl"
    await export_archive(one, file, clock=lambda: NOON, on_progress=lambda totals: None)
    return await import_archive(other, file, on_progress=lambda done: None, **how)


@pytest.fixture(params=["sqlite", "json", pytest.param("firestore", marks=pytest.mark.emulator)])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An empty store of each kind in turn."""
    if request.param == "sqlite":
        return SqliteStore(str(tmp_path / "other.db"))
    if request.param == "json":
        return JsonStore(str(tmp_path / "other.json"))
    emulator_host()
    return FirestorePlace().open()


async def test_nothing_is_lost_between_any_two_stores(tmp_path: Path, other: Any) -> None:
    one, back = SqliteStore(str(tmp_path / "one.db")), SqliteStore(str(tmp_path / "back.db"))
    await filled(one)

    there = await moved(one, other, tmp_path)
    await moved(other, back, tmp_path)
    before, after = await whole(one, tmp_path), await whole(back, tmp_path)
    for store in (one, other, back):
        await store.close()

    assert (121, 250, len(set(DOCUMENT_KINDS) - LOCAL_KINDS)) == (
        there.created.tasks,
        there.created.runs,
        there.created.documents,
    )
    assert before == after


async def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    one, other = SqliteStore(str(tmp_path / "one.db")), SqliteStore(str(tmp_path / "other.db"))
    await filled(one)
    await moved(one, other, tmp_path)

    again = await moved(one, other, tmp_path)
    before, after = await whole(one, tmp_path), await whole(other, tmp_path)
    await asyncio.gather(one.close(), other.close())

    assert (0, 0, 0) == (again.created.tasks, again.created.runs, again.created.documents)
    assert [] == again.refused
    assert before == after


async def test_what_differs_is_left_and_named_or_replaced(tmp_path: Path) -> None:
    one, other = SqliteStore(str(tmp_path / "one.db")), SqliteStore(str(tmp_path / "other.db"))
    await filled(one, runs=0)
    await other.write([ConditionalWrite(FULL.model_copy(update={"title": "Mine"}), None)])
    await other.put_documents([Document("owners", "owners-one", {"n": 2})])

    left = await moved(one, other, tmp_path)
    taken = await moved(one, other, tmp_path, replace=True)
    before, after = await whole(one, tmp_path), await whole(other, tmp_path)
    await asyncio.gather(one.close(), other.close())

    assert 2 == len(left.refused)
    assert (1, 1, []) == (taken.replaced.tasks, taken.replaced.documents, taken.refused)
    assert before == after


def test_a_file_is_whole_or_not_there_and_comes_back(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path
) -> None:
    scheduler("apply", write_tasks({"id": "one"}, {"id": "two"}))
    file = tmp_path / "all.jsonl"

    written = scheduler("export", str(file))
    nowhere = scheduler("export", str(tmp_path / "no" / "folder.jsonl"))
    there = {"STORE_URL": f"sqlite:///{tmp_path}/there.db"}
    read = scheduler("import", str(file), **there)
    listed = scheduler("list", "--json", **there)

    assert (0, 1, 0) == (written.code, nowhere.code, read.code)
    assert "created: 2 tasks" in read.out
    assert ["one", "two"] == [task["id"] for task in listed.data]
    assert [] == list(tmp_path.glob("*.part"))


def test_a_file_that_was_cut_off_is_refused_whole(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path
) -> None:
    scheduler("apply", write_tasks({"id": "one"}, {"id": "two"}))
    file = tmp_path / "all.jsonl"
    scheduler("export", str(file))
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    there = {"STORE_URL": f"sqlite:///{tmp_path}/there.db"}

    said = scheduler("import", str(file), **there)

    assert 2 == said.code
    assert "cut off" in said.err
    assert [] == scheduler("list", "--json", **there).data


@pytest.mark.parametrize(
    "name", ["crontab", "cron.d", "jobs", "rows.csv", "rows.json", "scheduler.yaml", "tasks.json"]
)
def test_each_older_shape_is_imported_and_again_changes_nothing(scheduler: Scheduler, name: str) -> None:
    path = str(ROOT / "samples" / "older" / name)

    first = scheduler("import", path, "--json")
    again = scheduler("import", path, "--json")

    assert {"create"} == {change["action"] for change in first.data["changes"]}
    assert {"unchanged"} == {change["action"] for change in again.data["changes"]}
    assert len(first.data["changes"]) == len(scheduler("list", "--json").data)
