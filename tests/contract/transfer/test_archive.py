"""From one store to another: every task, run and document is there, whatever interrupted the move."""

import asyncio
import json
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.domain.run import Run
from functions.domain.storage import (
    ConditionalWrite,
    Document,
    DocumentKind,
    RunBatch,
    TaskFilter,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Claim, QueuedRun, Task
from functions.domain.types import OutcomeKind, Status, Trigger
from functions.errors import InputError, InvalidWriteError, StoreUnavailableError
from functions.interfaces import Store
from functions.services.paging import iter_runs
from functions.stores.jsonfile.store import JsonStore
from functions.stores.sqlite.store import SqliteStore
from functions.transfer.archive.export import ExportResult, export_archive
from functions.transfer.archive.format import LOCAL_KINDS, RecordCounts, document_line, end_line
from functions.transfer.archive.restore import ImportResult, import_archive
from tests.conftest import NOON
from tests.contract.documents import create, read
from tests.contract.places import JsonPlace
from tests.contract.transfer.running import run_due
from tests.support.profile import examples

MakeTask = Callable[..., Task]
MakeRun = Callable[..., Run]
AFTERWARDS = NOON + timedelta(minutes=1)  # when all has long been done
TASKS, RUNS = 330, 730  # more than a page of either


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "everything.jsonl"


async def exported(store: Store, path: Path, *, now: datetime = AFTERWARDS) -> ExportResult:
    return await export_archive(store, path, clock=lambda: now, on_progress=lambda totals: None)


async def imported(store: Store, path: Path, **options: Any) -> ImportResult:
    return await import_archive(store, path, on_progress=lambda so_far: None, **options)


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def names_like(path: Path) -> list[str]:
    """The files beside *path* whose names have its name in them."""
    return [one.name for one in path.parent.iterdir() if path.name in one.name]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def rewrite(path: Path, *lines: str) -> None:
    path.write_text("".join(lines), encoding="utf-8")


KINDS = [
    kind for kind in get_args(DocumentKind) if kind not in LOCAL_KINDS
]  # those stay where they were made


async def everything(store: Store) -> tuple[list[Any], list[Any], list[Any]]:
    """All tasks, runs and documents, in an order that does not depend on the store."""
    after, tasks = "", []
    while found := (await store.list_tasks(TaskFilter(), after=after, limit=100)).tasks:
        tasks += [stored.task for stored in found]
        after = tasks[-1].id
    runs = sorted([run async for run in iter_runs(store)], key=lambda run: run.key)
    documents = []
    for kind in KINDS:
        after = ""
        while page := await store.list_documents(kind, after=after, limit=100):
            documents += [replace(one, revision=None, data=dict(one.data)) for one in page]
            after = page[-1].id
    return tasks, runs, documents


async def fill(store: Store, make_task: MakeTask, make_run: MakeRun) -> None:
    """Tasks in many states, history with moments that many share, and something on every shelf."""
    tasks = [
        make_task(f"t{number:04}", run_count=number, memory={"seen": [number, "ü", 0.5]})
        for number in range(TASKS)
    ]
    tasks[1] = make_task("t0001", status=Status.PAUSED, next_run_at=None, enabled=False)
    tasks[2] = make_task(
        "t0002", backlog=(QueuedRun(at=NOON, trigger=Trigger.MANUAL),), recent=("succeeded 5 x",)
    )
    tasks[3] = make_task("t0003", status=Status.RETRYING, occurrence=NOON, attempt=1, retry_at=NOON)
    for start in range(0, TASKS, 100):
        await create(store, *tasks[start : start + 100])
    runs = [
        make_run(
            f"t{number % 7:04}",
            finished_at=NOON + timedelta(seconds=number // 350),
            token=f"aa{number // 90}.{number}",
        )
        for number in range(RUNS)
    ]
    for number, start in enumerate(range(0, RUNS, 90)):
        await store.write_with_runs(RunBatch(f"aa{number}.1", NOON, tuple(runs[start : start + 90])), [])
    for kind in KINDS:
        data = {"tasks": ["t0001"]} if kind == "listeners" else {"note": "ü", "deep": {"n": [1, 2.5, None]}}
        documents = [Document(kind, f"{kind}-{number:03}", data) for number in range(2)]
        documents[1] = replace(documents[1], expire_at=NOON + timedelta(days=30, microseconds=7))
        await store.put_documents(documents)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first `filled` leaves what the others copy."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
async def filled(source: Store, tmp_path: Path, made: Path, make_task: MakeTask, make_run: MakeRun) -> Store:
    """The source, with what `fill` writes."""
    if not (made / "source.db").exists():
        store = SqliteStore(str(made / "source.db"))
        await fill(store, make_task, make_run)
        await store.close()
    shutil.copy(made / "source.db", tmp_path)
    return source


@pytest.fixture
async def archive(filled: Store, made: Path, path: Path) -> Path:
    """An archive of what `fill` writes."""
    if not (made / path.name).exists():
        await exported(filled, made / path.name)
    shutil.copy(made / path.name, path)
    return path


@pytest.mark.slow
async def test_everything_comes_through_to_every_store(filled: Store, target: Store, path: Path) -> None:
    out = await exported(filled, path)
    done = await imported(target, path)

    assert RecordCounts(TASKS, RUNS, 2 * len(KINDS)) == out.counts == done.total == done.created
    assert ([], []) == (done.refused, done.problems)
    assert await everything(filled) == await everything(target)


@pytest.mark.slow
async def test_everything_comes_through_a_store_and_on_to_another(
    filled: Store, target: Store, archive: Path, tmp_path: Path
) -> None:
    """What a store hands on is as whole as what it was given."""
    await imported(target, archive)
    last = JsonPlace(tmp_path).open()

    onwards = tmp_path / "onwards.jsonl"
    await exported(target, onwards)
    await imported(last, onwards)

    assert await everything(filled) == await everything(last)
    await last.close()


@pytest.mark.slow
async def test_everything_comes_back_from_every_store(
    source: Store, target: Store, path: Path, make_task: MakeTask, make_run: MakeRun
) -> None:
    await fill(target, make_task, make_run)

    await exported(target, path)
    await imported(source, path)

    assert await everything(target) == await everything(source)


@pytest.mark.slow
async def test_importing_again_changes_nothing(target: Store, archive: Path) -> None:
    await imported(target, archive)
    before = (await target.get_tasks(["t0000"])).tasks

    done = await imported(target, archive)

    assert (RecordCounts(), RecordCounts(TASKS, RUNS, 2 * len(KINDS))) == (done.created, done.unchanged)
    assert before == (await target.get_tasks(["t0000"])).tasks
    assert RUNS == len([run async for run in iter_runs(target)])


class Cut:
    """A store whose connection is cut at its *calls*-th write, after that was done."""

    def __init__(self, store: Store, calls: int) -> None:
        self._store = store
        self._left = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, writes: Sequence[ConditionalWrite]) -> Any:
        return self._counted(await self._store.write(writes))

    async def write_with_runs(self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]) -> Any:
        return self._counted(await self._store.write_with_runs(batch, writes))

    async def put_documents(self, documents: Sequence[Document]) -> Any:
        return self._counted(await self._store.put_documents(documents))

    def _counted(self, answer: Any) -> Any:
        self._left -= 1
        if self._left <= 0:
            raise StoreUnavailableError("cut")
        return answer


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 3, 7, 12, 15])
async def test_an_import_that_was_cut_off_goes_on_without_doubles(
    filled: Store, archive: Path, tmp_path: Path, calls: int
) -> None:
    target = SqliteStore(str(tmp_path / "cut.db"))
    with pytest.raises(StoreUnavailableError):
        await import_archive(Cut(target, calls), archive, on_progress=lambda so_far: None)

    done = await imported(target, archive)

    assert ([], []) == (done.refused, done.problems)
    assert await everything(filled) == await everything(target)
    await target.close()


@pytest.mark.slow
async def test_no_task_may_start_before_its_history_is_there(archive: Path, tmp_path: Path) -> None:
    target = SqliteStore(str(tmp_path / "cut.db"))
    runs_and_documents = len(KINDS) + -(-RUNS // 100)

    with pytest.raises(StoreUnavailableError):
        await import_archive(Cut(target, runs_and_documents), archive, on_progress=lambda so_far: None)

    assert (0, RUNS) == (
        len((await target.list_tasks(TaskFilter())).tasks),
        len([run async for run in iter_runs(target)]),
    )
    await target.close()


def in_flight(make_task: MakeTask, **changes: Any) -> Task:
    claim = Claim(token="feed.3", until=NOON + timedelta(minutes=5), started_at=NOON)
    fields = {"type": "command", "params": {"command": "true"}, "status": Status.RUNNING, "claim": claim}
    fields |= {"occurrence": NOON, "attempt": 1, "next_run_at": claim.until}
    fields |= {"next_occurrence": NOON + timedelta(minutes=5)}
    return make_task("busy", **(fields | changes))


async def test_a_task_that_runs_during_the_export_is_due_and_its_record_settles_it(
    source: Store, tmp_path: Path, path: Path, make_task: MakeTask, make_run: MakeRun
) -> None:
    await create(source, in_flight(make_task))
    run = make_run("busy", token="feed.3", attempt=1, finished_at=NOON + timedelta(seconds=1))
    others = [make_run(f"o{number}", token=f"else.{number}") for number in range(150)]
    await source.write_with_runs(RunBatch("feed.1", NOON, (run,)), [])
    await source.write_with_runs(RunBatch("else.1", NOON, tuple(others[:100])), [])
    await source.write_with_runs(RunBatch("else.2", NOON, tuple(others[100:])), [])
    target = SqliteStore(str(tmp_path / "to.db"))

    out = await exported(source, path, now=NOON + timedelta(seconds=2))
    await imported(target, path)
    await run_due(tmp_path / "to.db", ["busy"], at=NOON + timedelta(seconds=3))

    assert ["busy"] == out.running
    records = await target.runs(task_id="busy")
    task = (await read(target, "busy")).task
    assert ([run], Status.SCHEDULED, None) == (records, task.status, task.claim)
    assert 1 == task.run_count
    await target.close()


async def test_a_task_whose_end_nobody_recorded_is_tried_again(
    source: Store, tmp_path: Path, path: Path, make_task: MakeTask
) -> None:
    await create(source, in_flight(make_task))
    target = SqliteStore(str(tmp_path / "to.db"))
    at = NOON + timedelta(seconds=3)

    await exported(source, path, now=NOON + timedelta(seconds=2))
    await imported(target, path)
    await run_due(tmp_path / "to.db", ["busy"], at=at)
    records = await run_due(tmp_path / "to.db", ["busy"], at=at)

    assert {OutcomeKind.ABANDONED, OutcomeKind.SUCCEEDED} == {run.outcome for run in records if run.attempt}
    await target.close()


async def test_a_task_that_must_not_run_twice_is_not_tried_again(
    source: Store, tmp_path: Path, path: Path, make_task: MakeTask
) -> None:
    await create(source, in_flight(make_task, delivery="at_most_once"))
    target = SqliteStore(str(tmp_path / "to.db"))
    at = NOON + timedelta(seconds=3)

    await exported(source, path, now=NOON + timedelta(seconds=2))
    await imported(target, path)
    await run_due(tmp_path / "to.db", ["busy"], at=at)
    records = await run_due(tmp_path / "to.db", ["busy"], at=at)

    assert [OutcomeKind.ABANDONED] == [run.outcome for run in records]
    await target.close()


class Lively(SqliteStore):
    """A store in which a task runs while history is read, which is after the tasks were."""

    meanwhile: Callable[[], Any] | None = None
    calls = 0  # for history, before it happens

    async def runs(self, **options: Any) -> list[Run]:
        self.calls -= 1
        if self.meanwhile is not None and self.calls < 0:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return await super().runs(**options)


@pytest.fixture
async def lively(tmp_path: Path) -> AsyncIterator[Lively]:
    store = Lively(str(tmp_path / "lively.db"))
    yield store
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("calls", [0, 1], ids=["before history is read", "after history was read"])
async def test_what_ran_during_the_export_is_exported_as_it_then_was(
    lively: Lively, tmp_path: Path, path: Path, make_task: MakeTask, make_run: MakeRun, calls: int
) -> None:
    [stored] = await create(lively, make_task("quick", run_count=1))
    await create(lively, *[make_task(f"still-{number:03}") for number in range(150)])
    lively.calls = calls
    run = make_run("quick", finished_at=NOON + timedelta(seconds=1))
    changes = {
        "run_count": 2,
        "next_occurrence": NOON + timedelta(minutes=5),
        "next_run_at": NOON + timedelta(minutes=5),
    }

    async def happens() -> None:
        await lively.write_with_runs(
            RunBatch("ab.1", NOON, (run,)), [ConditionalWrite.for_changes(stored, changes)]
        )

    lively.meanwhile = happens
    ticks = iter(NOON + timedelta(seconds=second) for second in range(1000))
    out = await export_archive(lively, path, clock=lambda: next(ticks), on_progress=lambda totals: None)
    target = SqliteStore(str(tmp_path / "to.db"))

    done = await imported(target, path)

    assert ([], [], []) == (out.running, out.changing, done.refused)
    assert await everything(lively) == await everything(target)
    await target.close()


async def test_what_differs_stays_and_is_told_unless_it_is_to_be_replaced(
    source: Store, target: Store, path: Path, make_task: MakeTask
) -> None:
    await create(source, make_task("a", title="There"), make_task("b"))
    await source.put_documents(
        [Document("owners", "ann", {"plan": "gold"}), Document("channels", "ops", {"on": True})]
    )
    await create(target, make_task("a", title="Here"))
    await target.put_documents([Document("owners", "ann", {"plan": "tin"})])
    await exported(source, path)

    kept = await imported(target, path)
    title, plan = (
        (await read(target, "a")).task.title,
        (await target.get_documents("owners", ["ann"]))[0].data,
    )
    replaced = await imported(target, path, replace=True)

    assert ["document owners/ann", "task a"] == kept.refused
    assert RecordCounts(tasks=1, documents=1) == kept.created
    assert ("Here", {"plan": "tin"}) == (title, dict(plan))
    assert ([], RecordCounts(tasks=1, documents=1)) == (replaced.refused, replaced.replaced)
    assert await everything(source) == await everything(target)


async def test_who_listens_in_either_store_listens_afterwards(
    source: Store, target: Store, path: Path
) -> None:
    await source.put_documents([Document("listeners", "order.paid", {"tasks": ["a", "b"]})])
    await target.put_documents([Document("listeners", "order.paid", {"tasks": ["b", "c"]})])
    await exported(source, path)

    first = await imported(target, path)
    second = await imported(target, path)

    [document] = await target.get_documents("listeners", ["order.paid"])
    assert {"tasks": ["a", "b", "c"]} == dict(document.data)
    assert (RecordCounts(documents=1), RecordCounts(documents=1)) == (first.replaced, second.unchanged)


@pytest.mark.parametrize("over", [False, True])
async def test_who_runs_after_a_task_in_either_store_does_so_afterwards(
    source: Store, target: Store, path: Path, make_task: MakeTask, over: bool
) -> None:
    """Two installations become one, and both have a task of the name, which differs."""
    for store, follower, title in ((source, "b", "There"), (target, "c", "Here")):
        first = make_task("a", title=title, dependents=[{"task": follower, "on": "success"}])
        tasks = (first, make_task(follower, after=[{"task": "a"}]))
        await store.write([ConditionalWrite(task, None) for task in tasks])
    await exported(source, path)

    await imported(target, path, replace=over)
    again = await imported(target, path, replace=over)

    [stored] = (await target.get_tasks(["a"])).tasks
    assert ("There" if over else "Here") == stored.task.title
    assert ["b", "c"] == sorted(one.task for one in stored.task.dependents)
    assert RecordCounts() == again.replaced


@pytest.mark.parametrize("spoilt", [{"tasks": None}, {"tasks": 5}, {}])
async def test_listeners_spoilt_by_hand_keep_none_of_an_archive_away(
    source: Store, target: Store, path: Path, spoilt: dict[str, Any]
) -> None:
    await source.put_documents([Document("listeners", "order.paid", {"tasks": ["a"]})])
    await target.put_documents([Document("listeners", "order.paid", spoilt)])
    await exported(source, path)

    await imported(target, path)

    [document] = await target.get_documents("listeners", ["order.paid"])
    assert {"tasks": ["a"]} == dict(document.data)


@pytest.mark.slow
async def test_a_trial_changes_nothing(archive: Path, tmp_path: Path) -> None:
    target = SqliteStore(str(tmp_path / "to.db"))

    done = await imported(target, archive, dry_run=True)

    assert RecordCounts(TASKS, RUNS, 2 * len(KINDS)) == done.created
    assert ([], [], []) == await everything(target)
    await target.close()


async def test_a_file_without_its_end_is_refused_before_anything_is_written(
    source: Store, target: Store, path: Path, make_task: MakeTask
) -> None:
    await create(source, make_task("a"), make_task("b"))
    await exported(source, path)
    rewrite(path, *lines_of(path)[:-1])

    with pytest.raises(InputError, match="has no end"):
        await imported(target, path)

    assert ([], [], []) == await everything(target)


@pytest.mark.parametrize(
    ("heading", "says"),
    [
        ('{"kind":"cronfire","version":2,"exportedAt":"2026-11-20T12:00:00Z"}\n', "of version 2"),
        ('{"kind":"task","task":{}}\n', "no heading"),
        ("", "is empty"),
    ],
)
async def test_a_file_that_is_no_archive_of_ours_is_refused(
    target: Store, path: Path, heading: str, says: str
) -> None:
    rewrite(path, heading)

    with pytest.raises(InputError, match=says):
        await imported(target, path)


async def test_a_bad_line_is_told_by_its_number_and_loses_nothing_else(
    source: Store, target: Store, path: Path, make_task: MakeTask
) -> None:
    await create(source, make_task("a"), make_task("b"), make_task("c"))
    await exported(source, path)
    lines = lines_of(path)
    lines[1] = '{"kind":"task","task":{"id":"a"}}\n'
    lines[2] = lines[2][:40] + "\n"
    rewrite(path, *lines)

    done = await imported(target, path)

    assert ["c"] == [stored.task.id for stored in (await target.list_tasks(TaskFilter())).tasks]
    assert ["line 2", "line 3"] == [fault.partition(":")[0] for fault in done.problems]


async def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path: Path, path: Path) -> None:
    rewrite(path, "before")
    store = SqliteStore(str(tmp_path / "broken.db"))

    with pytest.raises(StoreUnavailableError):
        await export_archive(_Gone(store), path, clock=lambda: NOON, on_progress=lambda totals: None)

    assert (["before"], [path.name]) == (lines_of(path), names_like(path))
    await store.close()


async def test_an_export_does_not_mix_with_another_to_the_same_file(tmp_path: Path, path: Path) -> None:
    """As of two backups that a crontab starts, when one takes longer than usual."""
    store = SqliteStore(str(tmp_path / "empty.db"))
    exports = [
        export_archive(store, path, clock=lambda: NOON, on_progress=lambda totals: None) for _ in range(2)
    ]

    await asyncio.gather(*exports)

    assert [path.name] == names_like(path)
    assert lines_of(path)[0] != lines_of(path)[-1] != ""
    await store.close()


class _Gone(Cut):
    """A store that goes away once history is asked for."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, 10**6)

    async def runs(self, **_: Any) -> list[Run]:
        raise StoreUnavailableError("gone")


async def test_nobody_else_can_read_the_file(source: Store, path: Path) -> None:
    await exported(source, path)

    assert 0o600 == mode_of(path)


async def test_a_task_nobody_can_read_is_told(tmp_path: Path, path: Path, make_task: MakeTask) -> None:
    from tests.contract.places import SqlitePlace

    place = SqlitePlace(tmp_path)
    store = place.open()
    await create(store, make_task("a"))
    await place.plant("spoilt", {"title": 5}, at=NOON)

    out = await exported(store, path)

    assert (["spoilt"], 1) == ([one.id for one in out.unreadable], out.counts.tasks)
    await store.close()


async def test_a_channel_that_nobody_can_read_is_said_to_be_missing(tmp_path: Path, path: Path) -> None:
    """Whoever moves to another store would find out when the first message does not come."""
    (tmp_path / "s.documents.json").write_text('{"channels": {"team": {"data": "hook"}}}')
    store = JsonStore(str(tmp_path / "s.json"))

    out = await exported(store, path)

    assert (["channels/team"], 0) == ([one.id for one in out.unreadable], out.counts.documents)
    await store.close()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MOMENTS = st.integers(-(10**15), 10**15).map(lambda micros: NOON + timedelta(microseconds=micros))


@pytest.mark.slow
@settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    memory=st.dictionaries(TEXTS, JSON_VALUES, max_size=4),
    moments=st.lists(MOMENTS, min_size=3, max_size=3),
    metrics=st.dictionaries(TEXTS, JSON_VALUES, max_size=3),
)
async def test_whatever_a_task_holds_comes_through(
    path: Path,
    make_task: MakeTask,
    make_run: MakeRun,
    text: str,
    memory: dict[str, Any],
    moments: list[datetime],
    metrics: dict[str, Any],
) -> None:
    source, target = SqliteStore(":memory:"), SqliteStore(":memory:")
    task = make_task(
        title=text, params={"x": text}, memory=memory, last_run_at=moments[0], created_at=moments[1]
    )
    await create(source, task)
    run = make_run(summary=text, metrics=metrics, occurrence=moments[2], finished_at=moments[0])
    await source.write_with_runs(RunBatch("ab.1", NOON, (run,)), [])
    before = await everything(source)

    await exported(source, path)
    await imported(target, path)

    assert before == await everything(target)
    await source.close()
    await target.close()


async def test_an_archive_is_lines_of_json_that_people_can_read(
    source: Store, path: Path, make_task: MakeTask
) -> None:
    await create(source, make_task("a"))
    await exported(source, path)

    records = [json.loads(line) for line in lines_of(path)]

    assert ["cronfire", "task", "end"] == [record["kind"] for record in records]
    assert {"kind": "cronfire", "version": 1, "exportedAt": "2026-11-20T12:01:00Z"} == records[0]
    assert "a" == records[1]["task"]["id"]
    assert {"kind": "end", "tasks": 1, "runs": 0, "documents": 0} == records[2]


class Mute(SqliteStore):
    """A store that never says what became of a write; *deaf* when it did not even do it."""

    deaf = False

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        if not self.deaf:
            await super().write(writes)
        return [WriteResult(WriteStatus.UNKNOWN)] * len(writes)


async def test_a_write_whose_answer_was_lost_is_looked_up(
    source: Store, tmp_path: Path, path: Path, make_task: MakeTask
) -> None:
    await create(source, make_task("a"))
    await exported(source, path)
    target = Mute(str(tmp_path / "mute.db"))
    target.deaf = True

    with pytest.raises(StoreUnavailableError, match="did not say whether it has a; import again"):
        await imported(target, path)
    target.deaf = False
    done = await imported(target, path)

    assert (RecordCounts(tasks=1), []) == (done.created, done.refused)
    await target.close()


class Picky(SqliteStore):
    """A store that takes nothing of the name `big`, as Firestore and Feishu what is too large for them."""

    apart = True  # the others of a call are written, and the answer says which was not

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        return await self._pick(super().write, writes, [write.task.id == "big" for write in writes])

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        return await self._pick(super().put_documents, documents, [one.id == "big" for one in documents])

    async def _pick(
        self, write: Callable[[Any], Awaitable[list[WriteResult]]], items: Sequence[Any], big: Sequence[bool]
    ) -> list[WriteResult]:
        if any(big) and (all(big) or not self.apart):
            raise InvalidWriteError("it is more than a MiB")
        done = iter(await write([item for item, is_big in zip(items, big, strict=True) if not is_big]))
        return [WriteResult(WriteStatus.INVALID) if is_big else next(done) for is_big in big]


@pytest.mark.parametrize("apart", [True, False])
async def test_what_the_store_never_takes_is_named_and_keeps_nothing_else_away(
    source: Store, tmp_path: Path, path: Path, make_task: MakeTask, apart: bool
) -> None:
    await create(source, *(make_task(name) for name in ("a", "big", "c")))
    await source.put_documents([Document("calendars", name, {"days": []}) for name in ("a", "big", "c")])
    await exported(source, path)
    target = Picky(str(tmp_path / "picky.db"))
    target.apart = apart

    done = await imported(target, path)
    again = await imported(target, path, replace=True)

    assert (RecordCounts(tasks=2, documents=2), []) == (done.created, done.refused)
    assert (
        [
            "calendars/big is not imported: it is more than a MiB",
            "task big is not imported: it is more than a MiB",
        ]
        == done.problems
        == again.problems
    )
    assert RecordCounts(tasks=2, documents=2) == again.unchanged
    await target.close()


async def test_nothing_that_signs_in_leaves_the_store(source: Store, target: Store, path: Path) -> None:
    """Nor does an archive of an older version, or of somebody else's making, bring it in."""
    local = [
        Document("keys", "a1b2c3d4", {"name": "ops", "scopes": ["admin"], "mac": "m" * 64}),
        Document("meta", "signing", {"salt": "s" * 43, "secret": "t" * 43}),
        Document("meta", "sessions.a1b2c3d4", {"before": 1}),
    ]
    await source.put_documents([*local, Document("meta", "heartbeat", {"note": "goes along"})])

    out = await exported(source, path)
    text = path.read_text()  # noqa: ASYNC240  # a small file of this test
    lines = text.splitlines(keepends=True)
    more = [document_line(one) for one in local]
    counts = RecordCounts(out.counts.tasks, out.counts.runs, out.counts.documents + len(more))
    path.write_text("".join([*lines[:-1], *more, end_line(counts)]))  # noqa: ASYNC240
    done = await imported(target, path)

    assert 1 == out.counts.documents
    assert not [word for word in ("a1b2c3d4", "s" * 43, "t" * 43) if word in text]
    assert (3, 1) == (done.left_out, done.created.documents)
    assert [] == await target.list_documents("keys", after="", limit=9)
    assert ["heartbeat"] == [one.id for one in await target.list_documents("meta", after="", limit=9)]
