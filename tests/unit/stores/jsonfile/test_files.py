"""The files of the readable store: what a mistake in one is met with, the backup, the lock, small diffs."""

import asyncio
import errno
import fcntl
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from difflib import SequenceMatcher
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, ConditionalWrite, Document, RunBatch, WriteStatus
from functions.domain.task import Claim, Task
from functions.domain.types import OutcomeKind, Status
from functions.errors import StoreError, StoreTimeoutError, StoreUnavailableError
from functions.stores.json_text import InvalidJsonError, dump_json, parse_json, to_file_bytes
from functions.stores.jsonfile.files import FileThread, JsonFile, lock_path, to_store_error
from functions.stores.jsonfile.store import JsonStore
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids, read
from tests.support.json_places import TASK, Folder

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def run(task_id: str = "ping", **changes: Any) -> Run:
    return Run(
        task_id=task_id,
        occurrence=NOON,
        outcome=OutcomeKind.SUCCEEDED,
        started_at=NOON,
        finished_at=NOON,
        **changes,
    )


@contextmanager
def locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Another process at work on the files."""
    with lock_path(path).open("w") as file:
        fcntl.flock(file, kind)
        yield


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let this process write no file larger than *size*, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '{\n  "tasks": [\n    {"id": "a" "type": "b"}\n  ]\n}',
            "line 3, column 16: expecting ',' delimiter",
        ),
        ('{"tasks": [', "line 1, column 12: expecting value"),
        ("", "line 1: the file is empty"),
        ('"tasks"', 'line 1: it must be {"tasks": [...]}'),
        ('{"tasks": {}}', 'line 1: it must be {"tasks": [...]}'),
        ('{"tasks": [NaN]}', "a number is too long or not finite"),
        ("[" * 100_000, "nested too deep"),
        ('<<<<<<< HEAD\n{"tasks": []}', "line 1, column 1: expecting value"),
    ],
)
async def test_a_mistake_is_told_with_its_place_and_nothing_is_overwritten(
    folder: Folder, make_task: MakeTask, text: str, reason: str
) -> None:
    folder.save_text(text, at=NOON)
    store = folder.store()

    for ask in (
        store.fetch_due(NOON, limit=1),
        store.stats(NOON),
        store.write([ConditionalWrite(make_task("new"), None)]),
    ):
        with pytest.raises(StoreError) as refused:
            await ask
        assert str(refused.value).startswith(f"{folder.path}: ")
        assert reason in str(refused.value)
        assert "mend it" in str(refused.value)
        assert not isinstance(refused.value, StoreUnavailableError)
    assert text == folder.path.read_text()


async def test_bytes_that_are_no_text_are_told_by_their_line(folder: Folder) -> None:
    folder.path.write_bytes(b'{"tasks": [\n"\xff"]}')

    with pytest.raises(StoreError, match="line 2: this is not UTF-8 text"):
        await folder.store().fetch_due(NOON, limit=1)


@pytest.mark.parametrize("name", ["tasks.state.json", "tasks.documents.json"])
async def test_a_mistake_in_another_file_is_told_by_that_file_s_name(
    folder: Folder, make_task: MakeTask, name: str
) -> None:
    store = folder.store()
    await create(store, make_task("ping"))
    await store.put_documents([Document("owners", "alice", {})])
    broken = folder.path.with_name(name)
    broken.write_text('{\n"tasks": <')

    for ask in (
        folder.store().write([ConditionalWrite(make_task("new"), None)]),
        folder.store().put_documents([Document("owners", "bob", {})]),
    ):
        with suppress(StoreError):
            await ask
    with pytest.raises(StoreError, match=rf"{name}: line 2, column 10: expecting value; nothing was changed"):
        await (
            store.fetch_due(NOON, limit=1) if name == "tasks.state.json" else store.list_documents("owners")
        )

    assert '{\n"tasks": <' == broken.read_text()


async def test_a_file_that_is_gone_takes_no_state_with_it(folder: Folder, make_task: MakeTask) -> None:
    await create(folder.store(), make_task("ping"), make_task("pong"))
    folder.path.unlink()

    with pytest.raises(StoreError, match=r"it is gone, while tasks\.state\.json knows of 2 tasks"):
        await folder.store().fetch_due(NOON, limit=1)


def test_a_file_that_is_being_saved_is_read_when_it_is_whole(tmp_path: Path) -> None:
    """Some editors empty the file and write it anew."""
    path = tmp_path / "tasks.json"
    path.write_text('{"tasks": [')
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            path.write_text('{"tasks": []}')

    content, _ = JsonFile(path, pause=pause).read()

    assert ({"tasks": []}, 2) == (content, len(pauses))


# -- the backup ------------------------------------------------------------------------------------------


async def test_the_backup_is_the_last_version_that_could_be_read(folder: Folder) -> None:
    folder.save(TASK, at=NOON)
    await folder.store().fetch_due(NOON, limit=1)
    folder.edit("example.com", "example.org", at=NOON + MINUTE)
    await folder.store().fetch_due(NOON + MINUTE, limit=1)
    good = folder.path.read_text()
    folder.save_text(good[:-3], at=NOON + 2 * MINUTE)

    with pytest.raises(StoreError, match=r"restore the last good version: tasks\.json\.bak"):
        await folder.store().fetch_due(NOON + 2 * MINUTE, limit=1)

    assert good == folder.backup.read_text()
    folder.backup.replace(folder.path)
    assert "example.org" in str((await read(folder.store(), "ping")).task.params)


async def test_what_we_write_leaves_the_version_before(folder: Folder, make_task: MakeTask) -> None:
    folder.save(TASK, at=NOON)
    before = folder.path.read_text()

    await create(folder.store(), make_task("other"))

    assert before == folder.backup.read_text()
    assert before != folder.path.read_text()


@pytest.mark.parametrize(
    "content", ["y" * 9_000, "short"], ids=["no-room-for-the-file", "no-room-for-its-backup"]
)
def test_what_has_no_room_leaves_nothing_on_the_disk(tmp_path: Path, content: str) -> None:
    """The part that was written would take the space that is left."""
    path = tmp_path / "tasks.json"
    path.write_text("x" * 8_000)

    with no_file_above(4_000), pytest.raises(OSError, match="File too large"):
        JsonFile(path).replace(content.encode())

    assert ["tasks.json"] == [one.name for one in tmp_path.iterdir()]
    assert "x" * 8_000 == path.read_text()


# -- bounds, and what the system says --------------------------------------------------------------------


async def test_a_locked_store_is_unavailable_within_its_bound(folder: Folder, make_task: MakeTask) -> None:
    store = folder.store(lock_timeout_s=0.02)
    too_long = pytest.raises(
        StoreUnavailableError, match=r"tasks\.json: locked by another process for too long"
    )
    with locked(folder.path), too_long:
        await store.write([ConditionalWrite(make_task("ping"), None)])

    await create(store, make_task("ping"))


async def test_who_reads_waits_for_who_writes_and_for_no_reader(folder: Folder) -> None:
    folder.save(TASK, at=NOON)
    store = folder.store(lock_timeout_s=0.02)

    with locked(folder.path), pytest.raises(StoreUnavailableError):
        await store.get_tasks(["ping"])
    with locked(folder.path, fcntl.LOCK_SH):
        assert ["ping"] == ids(await store.get_tasks(["ping"]))
    with locked(folder.path):
        assert ["ping"] == ids(await store.get_tasks(["ping"]))  # nothing has changed since


async def test_what_we_wrote_ourselves_is_not_read_again(folder: Folder, make_task: MakeTask) -> None:
    """To read, one would have to wait for the lock."""
    store = folder.store(lock_timeout_s=0.02)
    [stored] = await create(store, make_task("ping"))
    await store.write([changing(stored, run_count=1)])

    with locked(folder.path):
        assert 1 == (await read(store, "ping")).task.run_count
        assert ["ping"] == ids(await store.fetch_due(NOON, limit=1))


async def test_an_answer_that_does_not_come_is_unknown_and_one_not_begun_is_not(tmp_path: Path) -> None:
    thread = FileThread(tmp_path / "tasks.json", operation_timeout_s=0.05)
    hangs, begun = Event(), asyncio.Event()

    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        hangs.wait()

    first = asyncio.create_task(thread.run(work))
    await begun.wait()
    with pytest.raises(StoreUnavailableError) as second:
        await thread.run(lambda: None)
    with pytest.raises(StoreTimeoutError):
        await first
    hangs.set()
    thread.close()

    assert not isinstance(second.value, StoreTimeoutError)
    with pytest.raises(StoreError, match="the store was closed"):
        await thread.run(lambda: None)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "it cannot be read or written; check the permissions"),
        (errno.EIO, "the disk did not"),
        (errno.ENODEV, "it cannot be used"),
    ],
)
def test_what_the_system_says_is_said_with_a_remedy(tmp_path: Path, number: int, reason: str) -> None:
    path = tmp_path / "tasks.json"

    said = str(to_store_error(OSError(number, "No"), path))

    assert said.startswith(f"{path}: {reason}")
    assert said.endswith(f"({errno.errorcode[number]})")


def test_the_file_that_was_refused_is_named(tmp_path: Path) -> None:
    """Another user's history, say; one that was to be made anew is named as the store's."""
    path, history = tmp_path / "tasks.json", tmp_path / "tasks.history.jsonl"
    history.touch()

    refused = to_store_error(OSError(errno.EACCES, "No", str(history)), path)
    not_made = to_store_error(OSError(errno.EACCES, "No", str(tmp_path / ".tasks.json.tmp")), path)

    assert (True, True) == (str(refused).startswith(f"{history}: "), str(not_made).startswith(f"{path}: "))


async def test_a_path_that_nobody_can_look_at_is_an_error_of_the_store(tmp_path: Path) -> None:
    """As a folder that this user may not enter."""
    store = JsonStore(str(tmp_path / f"{'x' * 300}.json"))

    with pytest.raises(StoreError, match="its name is too long; take a shorter one"):
        await store.stats(NOON)


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, make_task: MakeTask) -> None:
    folder = Folder(tmp_path / "none")
    store = folder.store()

    with pytest.raises(StoreError, match="its folder does not exist; make it first"):
        await store.write([ConditionalWrite(make_task("ping"), None)])

    assert not folder.path.parent.exists()


# -- what the files look like ----------------------------------------------------------------------------


def changed_lines(before: str, after: Path) -> int:
    """How many lines a diff shows as removed or added."""
    old, new = before.splitlines(), after.read_text().splitlines()
    opcodes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(
        old_end - old_at + new_end - new_at
        for kind, old_at, old_end, new_at, new_end in opcodes
        if kind != "equal"
    )


@pytest.mark.slow
async def test_a_claim_and_its_settlement_change_few_lines_of_many(
    folder: Folder, make_task: MakeTask
) -> None:
    recent = [f"succeeded {n} 2026-11-20T12:00:00Z" for n in range(20)]
    store = folder.store()
    tasks = await create(store, *(make_task(f"t{n:03}", recent=recent) for n in range(300)))
    written, kept = folder.path.read_text(), folder.state.read_text()

    claim = Claim(token="ab.1", until=NOON, started_at=NOON)
    changes = {
        "claim": claim,
        "status": Status.RUNNING,
        "recent": "\n".join([*recent[1:], "failed 1 x"]),
        "run_count": 9,
    }
    await store.write_with_runs(RunBatch("ab.1", NOON, (run("t150"),)), [changing(tasks[150], **changes)])

    assert written == folder.path.read_text()
    assert 12 >= changed_lines(kept, folder.state) >= 6
    assert 1 == folder.history.read_text().count("\n")


async def test_an_edit_through_the_store_changes_the_lines_of_that_task_alone(
    folder: Folder, make_task: MakeTask
) -> None:
    store = folder.store()
    tasks = await create(store, *(make_task(f"t{n:03}") for n in range(100)))
    before = folder.path.read_text()

    await store.write([changing(tasks[50], title="Edited")])

    assert 2 == changed_lines(before, folder.path)


async def test_tasks_are_in_the_order_of_their_ids_and_a_field_has_a_line(
    folder: Folder, make_task: MakeTask
) -> None:
    await create(folder.store(), make_task("b", title="早上好"), make_task("a"))

    lines = folder.path.read_text().splitlines()

    assert ["a", "b"] == [entry["id"] for entry in folder.entries()]
    assert '      "title": "早上好",' in lines
    assert '      "params": {"url": "http://127.0.0.1:1/"},' in lines


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"a": []},
        [{}],
        "x" * 300,
        {"a" * 90: {"b": [1.0, 1, None, "\ud800", "\u2028"]}},
        [["y" * 60] * 3],
    ],
)
def test_what_is_written_is_what_is_read(value: Any) -> None:
    for spread in (True, False):
        assert value == parse_json(to_file_bytes(dump_json(value, multiline=spread)))


def test_what_is_too_long_for_a_line_has_a_line_for_each_part() -> None:
    assert '{"a": [1, 2]}' == dump_json({"a": [1, 2]})
    assert 5 == len(dump_json(["x" * 60] * 3).splitlines())


def test_a_text_that_is_no_json_is_unreadable() -> None:
    with pytest.raises(InvalidJsonError, match="line 2, column 2: extra data"):
        parse_json(b"{\n}}")


async def test_the_store_s_link_stays_a_link(folder: Folder, tmp_path: Path, make_task: MakeTask) -> None:
    link = tmp_path / "links" / "tasks.json"
    link.parent.mkdir()
    link.symlink_to(folder.path)

    await create(Folder(link.parent).store(), make_task("ping"))

    assert link.is_symlink()
    assert ["ping"] == ids(await folder.store().get_tasks(["ping"]))


async def test_permissions_stay_as_they_were(folder: Folder, make_task: MakeTask) -> None:
    folder.save(at=NOON)
    folder.path.chmod(0o640)

    await create(folder.store(), make_task("ping"))

    assert 0o640 == folder.path.stat().st_mode & 0o777


async def test_new_files_are_their_owner_s_alone(folder: Folder, make_task: MakeTask) -> None:
    store = folder.store()
    await create(store, make_task("ping"))
    await store.write_with_runs(RunBatch("ab.1", NOON, (run("one"),)), [])
    await store.put_documents([Document("owners", "ann", {"credits": 1})])
    await create(store, make_task("pong"))

    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.path.parent.iterdir()}

    assert {"tasks.json", "tasks.history.jsonl", "tasks.documents.json", "tasks.json.bak"} <= modes.keys()
    assert {0o600} == set(modes.values()), modes


# -- the history -----------------------------------------------------------------------------------------


async def test_a_line_cut_short_hides_no_other(folder: Folder) -> None:
    store = folder.store()
    await store.write_with_runs(RunBatch("ab.1", NOON, (run("one"),)), [])
    with folder.history.open("a") as file:
        file.write('{"batch": "ab.2", "at"')

    await store.write_with_runs(RunBatch("ab.3", NOON, (run("three"),)), [])

    for each in (store, folder.store()):
        assert ["one", "three"] == [one.task_id for one in await each.runs_of_tick("ab")]


async def test_a_line_that_is_being_written_is_read_when_it_is_whole(folder: Folder) -> None:
    store = folder.store()
    await store.write_with_runs(RunBatch("ab.1", NOON, (run("one"),)), [])
    whole = folder.history.read_text()
    folder.history.write_text(whole + whole[:40].replace("ab.1", "ab.2"))
    assert 1 == len(await store.runs())

    with folder.history.open("a") as file:
        file.write(whole[40:].replace("one", "two"))

    assert {"one", "two"} == {one.task_id for one in await store.runs()}


async def test_of_a_record_kept_three_times_the_last_holds(folder: Folder) -> None:
    store = folder.store()

    for entry, summary in (("ab.1", "one"), ("cd.1", "two"), ("ab.1", "three")):
        await store.write_with_runs(RunBatch(entry, NOON, (run(summary=summary),)), [])

    for each in (store, folder.store()):
        assert ["three"] == [one.summary for one in await each.runs()]


async def test_history_replaced_by_another_version_is_read_anew(folder: Folder) -> None:
    """So does a pull from a repository."""
    store = folder.store()
    await store.write_with_runs(RunBatch("ab.1", NOON, (run("one"),)), [])
    await store.write_with_runs(RunBatch("ab.2", NOON, (run("two"),)), [])
    assert 2 == len(await store.runs())

    other = folder.history.with_name("other")
    other.write_text(folder.history.read_text().splitlines(keepends=True)[1])
    other.replace(folder.history)

    assert ["two"] == [one.task_id for one in await store.runs()]


async def test_history_forgets_by_itself_what_is_past_keeping(folder: Folder) -> None:
    store = folder.store()
    old, young = NOON - 1.2 * RUN_RETENTION, NOON - 0.5 * RUN_RETENTION
    for name, at in (("old", old), ("young", young), ("new", NOON)):
        await store.write_with_runs(RunBatch(f"{name}.1", at, (run(name),)), [])

    assert {"young", "new"} == {one.task_id for one in await store.runs()}
    assert 2 == folder.history.read_text().count("\n")


async def test_history_that_has_no_room_to_be_written_anew_takes_a_line_more(folder: Folder) -> None:
    """Where it is written first there is a folder, for a disk that has room for a line and no more."""
    store = folder.store()
    old = NOON - 1.2 * RUN_RETENTION
    await store.write_with_runs(RunBatch("old.1", old, (run("old"),)), [])
    folder.history.with_name(f".{folder.history.name}.tmp").mkdir()

    await store.write_with_runs(RunBatch("new.1", NOON, (run("new"),)), [])

    assert {"old", "new"} == {one.task_id for one in await store.runs()}


async def test_pruning_removes_what_is_past_keeping_and_expired(folder: Folder) -> None:
    store = folder.store()
    await store.write_with_runs(RunBatch("old.1", NOON, (run("old"),)), [])
    await store.write_with_runs(RunBatch("new.1", NOON + MINUTE, (run("new"),)), [])
    await store.put_documents([Document("audit", "old", {}, expire_at=NOON), Document("audit", "new", {})])

    removed = await store.prune(NOON + RUN_RETENTION + MINUTE)

    assert (2, ["new"], ["new"]) == (
        removed,
        [one.task_id for one in await store.runs()],
        [one.id for one in await store.list_documents("audit")],
    )


async def test_a_document_edited_by_hand_is_another_one(folder: Folder) -> None:
    store = folder.store()
    [written] = await store.put_documents([Document("owners", "alice", {"credits": 1})])
    folder.shelf.write_text(folder.shelf.read_text().replace('"credits": 1', '"credits": 5'))

    [answer] = await store.put_documents([Document("owners", "alice", {"credits": 0}, written.revision)])

    assert WriteStatus.CONFLICT is answer.status
    assert [{"credits": 5}] == [one.data for one in await store.get_documents("owners", ["alice"])]


async def test_what_was_removed_is_not_in_any_file(folder: Folder, make_task: MakeTask) -> None:
    store = folder.store()
    [stored] = await create(store, make_task("ping"))

    await store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])

    assert "ping" not in folder.path.read_text() + folder.state.read_text()
    assert folder.path.exists()
