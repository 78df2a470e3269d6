"""`export` and `import`: all of a store in a file and back, whatever store it is, as often as one likes."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.archive import KINDS, exported, imported
from functions.history import all_runs
from functions.rules.outcome import Run
from functions.rules.storage import Document, LedgerEntry, Write
from functions.rules.words import OutcomeKind
from functions.store.json_store import JsonStore
from functions.store.sqlite import SqliteStore
from tests.cli.conftest import Scheduler, WriteTasks
from tests.conftest import NOON
from tests.contract.places import FirestorePlace
from tests.contract.test_documents import FULL
from tests.store.emulator import emulator_host


class KilledError(Exception):
    """The process is gone."""


def run_of(number: int) -> Run:
    at = NOON + timedelta(seconds=number // 3)  # three of each moment
    times = {"occurrence": at, "started_at": at, "finished_at": at}
    return Run(task_id=f"t{number}", attempt=1, token=f"a.{number}", outcome=OutcomeKind.SUCCEEDED, **times)


async def filled(store: Any, *, runs: int = 250) -> None:
    tasks = [FULL, *(FULL.model_copy(update={"id": f"t{number}"}) for number in range(120))]
    for start in range(0, len(tasks), 100):
        await store.write([Write(task, None) for task in tasks[start : start + 100]])
    for kind in KINDS:
        expires = NOON + timedelta(days=400)
        await store.put(
            [Document(kind, f"{kind}-one", {"n": 1, "text": "é", "deep": [{"a": None}]}, None, expires)]
        )
    records = [run_of(number) for number in range(runs)]
    for start in range(0, runs, 100):
        await store.finish(LedgerEntry(f"a{start}.1", NOON, tuple(records[start : start + 100])), [])


async def whole(store: Any) -> dict[str, Any]:
    """Everything in a store, in an order of its own."""
    lines = [json.loads(line) async for line in exported(store, now=NOON)][1:]
    runs = [run.key async for run in all_runs(store)]
    return {"lines": sorted(json.dumps(one, sort_keys=True) for one in lines), "runs": sorted(runs)}


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

    there = await imported(other, [line async for line in exported(one, now=NOON)])
    again = await imported(back, [line async for line in exported(other, now=NOON)])
    before, after = await whole(one), await whole(back)
    for store in (one, other, back):
        await store.close()

    assert (121 + len(KINDS), 250, []) == (there.made, there.runs, there.refused)
    assert (121 + len(KINDS), []) == (again.made, again.refused)
    assert before == after


async def test_an_import_that_was_interrupted_is_done_again_without_doubles(tmp_path: Path) -> None:
    one, other = SqliteStore(str(tmp_path / "one.db")), SqliteStore(str(tmp_path / "other.db"))
    await filled(one)
    lines = [line async for line in exported(one, now=NOON)]

    def cut_short() -> Iterator[str]:
        yield from lines[: len(lines) // 2]
        raise KilledError

    with pytest.raises(KilledError):
        await imported(other, cut_short())
    again = await imported(other, lines)
    third = await imported(other, lines)
    before, after = await whole(one), await whole(other)
    await asyncio.gather(one.close(), other.close())

    assert (0, 121 + len(KINDS), []) == (third.made, third.same, third.refused)
    assert again.refused == []
    assert before == after


async def test_what_differs_is_left_and_named_or_replaced(tmp_path: Path) -> None:
    one, other = SqliteStore(str(tmp_path / "one.db")), SqliteStore(str(tmp_path / "other.db"))
    await filled(one, runs=0)
    lines = [line async for line in exported(one, now=NOON)]
    await other.write([Write(FULL.model_copy(update={"title": "Mine"}), None)])
    await other.put([Document("owners", "owners-one", {"n": 2})])

    left = await imported(other, lines)
    taken = await imported(other, lines, replace=True)
    before, after = await whole(one), await whole(other)
    await asyncio.gather(one.close(), other.close())

    assert ["owners owners-one", "task full"] == sorted(left.refused)
    assert (2, []) == (taken.replaced, taken.refused)
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
    assert "2 made" in read.out
    assert ["one", "two"] == [task["id"] for task in listed.data]
    assert [] == list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", None),
        ('{"task": {}}', "line 1: "),
        ('{"cronfire": 2}', "line 1: this is no export"),
        ('{"cronfire": 1}\n{"task": {"id": "x"}}', "line 2: "),
        ("tasks:\n  - id: x", "line 1: it is no line of an export"),
        ('{"cronfire": 1}\n{"document": {"kind": "secrets", "id": "x", "data": {}}}', "line 2: "),
    ],
)
def test_what_is_no_export_is_refused_by_line(
    scheduler: Scheduler, tmp_path: Path, text: str, fault: str | None
) -> None:
    (tmp_path / "file").write_text(text)

    said = scheduler("import", str(tmp_path / "file"))

    assert (0 if fault is None else 1) == said.code
    assert (fault or "") in said.err
