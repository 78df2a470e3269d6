"""The commands `export` and `import`, as functions: what they answer, warn of, and return."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from functions.cli.console import Screen
from functions.cli.session import CliContext
from functions.cli.transfer import export_store, import_file
from functions.domain.storage import RunBatch
from functions.domain.task import Task
from functions.errors import InputError
from functions.stores.sqlite.store import SqliteStore
from functions.taskfiles.loader import read_task_files
from tests.conftest import NOON
from tests.contract.conftest import make_run as make_run
from tests.contract.documents import create
from tests.unit.cli.conftest import Said, Scheduler

OLDER = Path(__file__).parents[3] / "samples" / "older"
Command = Callable[..., Said]


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    """Run one command function at noon; variables are given as a mapping."""

    def run(
        does: Any, *, as_json: bool = False, variables: dict[str, str] | None = None, **options: Any
    ) -> Said:
        out, err = StringIO(), StringIO()

        async def carried_out() -> int:
            screen = Screen(out, err, as_json=as_json)
            session = CliContext(environment | (variables or {}), screen, clock=lambda: NOON)
            try:
                return int(await does(session, **options))
            finally:
                await session.close()

        return Said(asyncio.run(carried_out()), out.getvalue(), err.getvalue())

    return run


def other(tmp_path: Path) -> dict[str, str]:
    return {"STORE_URL": f"sqlite:///{tmp_path}/other.db"}


def test_an_export_goes_into_another_store_and_says_how_much(command: Command, tmp_path: Path) -> None:
    command(import_file, paths=[OLDER / "tasks.json"])
    file = tmp_path / "all.jsonl"

    out = command(export_store, path=file)
    done = command(import_file, paths=[file], variables=other(tmp_path))
    again = command(import_file, paths=[file], variables=other(tmp_path))

    assert (0, f"{file}: 5 tasks, 0 runs, 0 documents\n", "") == (out.code, out.out, out.err)
    assert (0, "created: 5 tasks, 0 runs, 0 documents\n") == (done.code, done.out)
    assert f"Store: {other(tmp_path)['STORE_URL']}\n" == done.err
    assert (0, "created: 0 tasks, 0 runs, 0 documents\nunchanged: 5 tasks, 0 runs, 0 documents\n") == (
        again.code,
        again.out,
    )


def test_programs_are_answered_in_json(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"

    older = command(import_file, as_json=True, paths=[OLDER / "tasks.json"])
    out = command(export_store, as_json=True, path=file)
    done = command(import_file, as_json=True, paths=[file], variables=other(tmp_path))

    assert ("tasks", True, []) == (older.data["format"], older.data["applied"], older.data["problems"])
    assert {"id": "news", "action": "create", "nextRunAt": "2026-11-20T12:20:00Z"} in older.data["changes"]
    assert ["left out"] == [note["action"] for note in older.data["notes"] if note["field"] == "mood"]
    assert (5, [], []) == (out.data["tasks"], out.data["running"], out.data["unreadable"])
    assert {"tasks": 5, "runs": 0, "documents": 0} == done.data["created"]


def test_the_report_has_a_sentence_for_each_field_and_the_next_runs(command: Command) -> None:
    said = command(import_file, paths=[OLDER / "tasks.json"])

    assert 0 == said.code
    assert (
        f"{OLDER / 'tasks.json'}:28: report: mood: left out: a task has no such field here"
        in said.out.splitlines()
    )
    assert "5 created, 0 updated, 0 removed, 0 unchanged" == said.out.splitlines()[-1]


def test_of_several_files_each_line_of_the_report_names_its_own(command: Command, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "crontab", tmp_path / "b" / "crontab"
    for file, text in ((first, "MAILTO=x\n@reboot one\n"), (second, "@daily two\n@reboot three\n")):
        file.parent.mkdir()
        file.write_text(text)
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text("- {command: x, cron: 0 9 * * *, end_date: 2020-01-01}\n")
    files = [first, second, jobs]

    said = command(import_file, paths=files, write=tmp_path / "t.yaml")
    data = command(import_file, paths=files, dry_run=True, as_json=True).data

    reboots = [f"{first}:2: one: @reboot", f"{second}:2: three: @reboot"]
    assert reboots == [line.split(": left")[0] for line in said.out.splitlines() if "@reboot" in line]
    assert f"# {reboots[1]}: left out: " in (tmp_path / "t.yaml").read_text()
    assert f"{second}: changed: cron ran commands in the user's home" in said.out
    assert {str(file) for file in files} == {note["file"] for note in data["notes"]}
    assert said.err.startswith(f"{jobs}:1: ")


def test_what_can_be_read_once_is_imported(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`crontab -l | scheduler import -`, and `import <(crontab -l)`, which said that the file is empty."""
    text = "\ufeff0 9 * * * one\r\n0 10 * * * two\r\n".encode()
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text)))
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)

    piped = command(import_file, paths=[Path("-")], dry_run=True)
    by_name = command(import_file, paths=[Path(f"/dev/fd/{reader}")], dry_run=True)
    os.close(reader)

    for said in (piped, by_name):
        assert (0, "2 to create") == (said.code, said.out.splitlines()[-1].partition(",")[0]), said.err
    assert "-:2: two: schedule: mapped: 0 10 * * * in UTC" in piped.out.splitlines()


def test_a_trial_changes_nothing(command: Command, tmp_path: Path) -> None:
    said = command(import_file, paths=[OLDER / "crontab"], dry_run=True)
    real = command(import_file, paths=[OLDER / "crontab"])

    assert said.err == real.err == f"Store: sqlite:///{tmp_path}/tasks.db\n"
    assert "4 to create" in said.out.splitlines()[-1]
    assert "4 created" in real.out.splitlines()[-1]


def test_a_folder_is_read_whole(command: Command) -> None:
    assert "3 created" in command(import_file, paths=[OLDER / "jobs"]).out


def test_a_task_file_is_written_in_place_of_the_store(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "moved.yaml"

    said = command(import_file, paths=[OLDER / "crontab"], write=file, timezone="Asia/Tokyo", timeout_s=120)
    stored = command(export_store, as_json=True, path=tmp_path / "all.jsonl")

    loaded = read_task_files([file])
    assert (0, (), 4) == (said.code, loaded.problems, len(loaded.specs))
    assert {120} == {spec.timeout_seconds for spec in loaded.specs}
    assert 0 == stored.data["tasks"]
    assert f"{file}: has 4 tasks, but not when they last ran" == said.out.splitlines()[-1]


def test_a_dry_run_does_not_say_that_it_wrote_the_task_file(command: Command, tmp_path: Path) -> None:
    file, table = tmp_path / "moved.yaml", tmp_path / "crontab"
    table.write_text("*/5 * * * * /usr/bin/true\n99 99 * * * /usr/bin/false\n")
    options: dict[str, Any] = {"paths": [table], "write": file, "dry_run": True}

    said = command(import_file, **options)
    data = command(import_file, as_json=True, **options).data

    assert f"{file}: would have 1 task, but not when they last ran" == said.out.splitlines()[-1]
    assert "the rest would be done as shown above" in said.err
    assert (None, False, 1) == (data["written"], data["applied"], data["tasks"])
    assert not file.exists()


def test_faults_are_told_and_the_rest_is_imported(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(
        "- {name: Good, command: ls, schedule: daily}\n- {name: Bad, command: ls, schedule: sometimes}\n"
    )

    said = command(import_file, paths=[file])

    assert 1 == said.code
    assert "1 created" in said.out
    assert f"{file}:2: Bad: schedule: is no schedule anybody knows" in said.err
    assert "scheduler: 1 error: fix it and import again" in said.err


def test_a_broken_file_stops_no_other(command: Command, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("- {name: Good, command: ls, schedule: daily}\n")
    (tmp_path / "latin.yaml").write_bytes(
        "- {name: Caf\u00e9, command: ls, schedule: daily}\n".encode("latin-1")
    )
    (tmp_path / "broken.json").write_text('[{"name": "Bad",')
    (tmp_path / "other.yaml").write_text(
        "on: {schedule: [{cron: '0 2 * * *'}]}\njobs: {build: {steps: []}}\n"
    )

    said = command(import_file, paths=[tmp_path])

    assert (1, True) == (said.code, "1 created" in said.out)
    for words in (
        "latin.yaml:1: is not UTF-8",
        "broken.json:1: this is not JSON",
        "other.yaml:1: is a workflow",
    ):
        assert words in said.err


def test_a_broken_file_alone_is_refused(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"- {name: Caf\xe9, command: ls, schedule: daily}\n")

    with pytest.raises(InputError, match=r"latin\.yaml:1: is not UTF-8 text"):
        command(import_file, paths=[file])


def test_what_differs_is_told(command: Command, tmp_path: Path, make_task: Callable[..., Task]) -> None:
    file = tmp_path / "all.jsonl"
    command(import_file, paths=[OLDER / "tasks.json"])
    command(export_store, path=file)
    file.write_text(file.read_text().replace("Tidy up", "Tidy down"))

    kept = command(import_file, paths=[file])
    replaced = command(import_file, paths=[file], replace=True)

    assert (1, 0) == (kept.code, replaced.code)
    assert "task tidy: exists and differs; it stays unless --replace is given" == kept.err.splitlines()[0]
    assert "replaced: 1 task, 0 runs, 0 documents" in replaced.out


@pytest.mark.slow
def test_long_work_says_how_far_it_is(command: Command, tmp_path: Path, make_run: Callable[..., Any]) -> None:
    async def fill() -> None:
        store = SqliteStore(str(tmp_path / "tasks.db"))
        for number in range(52):
            moments = [NOON - timedelta(seconds=number * 100 + one + 1) for one in range(100)]
            runs = tuple(make_run(f"t{number}", token="a.1", occurrence=at, finished_at=at) for at in moments)
            await store.write_with_runs(RunBatch(f"a.{number}", NOON, runs), [])
        await store.close()

    asyncio.run(fill())

    out = command(export_store, path=tmp_path / "all.jsonl")
    done = command(import_file, paths=[tmp_path / "all.jsonl"], variables=other(tmp_path))

    assert (0, "written: 5100 records\n") == (out.code, out.err)
    assert (0, "done: 5000 of 5200 records") == (done.code, done.err.splitlines()[0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"paths": [Path("nowhere.json")]}, "nowhere.json: cannot be read"),
        ({"paths": [OLDER / "tasks.json"], "format_name": "quartz"}, "--from: must be one of archive, rows"),
        ({"paths": [OLDER / "rows.csv"], "timezone": "Mars"}, '--timezone: "Mars".*nothing was imported'),
        ({"paths": [OLDER / "rows.csv"], "timezone": "UTC+2"}, "--timezone: UTC.2 is an offset"),
        ({"paths": [OLDER / "rows.csv"], "timeout_s": -5.0}, "--timeout: .*nothing was imported"),
        ({"paths": [OLDER / "rows.csv"], "timeout_s": float("nan")}, "--timeout: "),
        ({"paths": [OLDER / "tasks.json"], "replace": True}, "--replace: is for archives"),
        ({"paths": [OLDER / "tasks.json"], "format_name": "archive"}, "no heading of an archive"),
        (
            {"paths": [OLDER / "tasks.json"], "variables": {"SCHEDULER_URL": "https://x"}},
            "unset SCHEDULER_URL",
        ),
    ],
)
def test_wrong_usage_says_what_to_do_and_changes_nothing(
    command: Command, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        command(import_file, **options)
    assert 0 == command(export_store, as_json=True, path=tmp_path / "all.jsonl").data["tasks"]


def test_a_file_of_which_nothing_can_be_read_leaves_the_task_file_as_it_is(
    command: Command, tmp_path: Path
) -> None:
    wrong, kept = tmp_path / "crontab", tmp_path / "tasks.yaml"
    wrong.write_text("99 99 * * * echo hi\n")
    kept.write_text("tasks: []\n")

    with pytest.raises(InputError, match="is not written"):
        command(import_file, paths=[wrong], write=kept)
    assert "tasks: []\n" == kept.read_text()


def test_an_export_to_a_folder_that_is_not_there_says_so(command: Command, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        command(export_store, path=tmp_path / "nowhere" / "all.jsonl")


def test_what_was_running_is_told(command: Command, tmp_path: Path, make_task: Callable[..., Task]) -> None:
    claim = {"token": "a.1", "until": NOON, "startedAt": NOON}

    async def fill() -> None:
        store = SqliteStore(str(tmp_path / "tasks.db"))
        await create(store, make_task("busy", status="running", claim=claim, occurrence=NOON, attempt=1))
        await store.close()

    asyncio.run(fill())

    said = command(export_store, path=tmp_path / "all.jsonl")

    assert (1, "busy: still running; the file has them as due, as after a crash\n") == (said.code, said.err)
    record = json.loads((tmp_path / "all.jsonl").read_text().splitlines()[1])
    assert "2026-11-20T12:00:00Z" == record["task"]["nextRunAt"]


def test_a_folder_of_cron_d_is_read_whole(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "cron.d"
    folder.mkdir()
    for name in ("shop", "tidy", ".placeholder", "shop~"):
        (folder / name).write_text(f"0 1 * * *\troot\t/usr/bin/{name.strip('.')}\n")
    (tmp_path / "rows.JSONL").write_text('{"id": "row", "command": "true", "every": "5m"}\n')

    said = command(import_file, as_json=True, paths=[tmp_path], dry_run=True)

    assert {"row", "usr-bin-shop", "usr-bin-tidy"} == {one["id"] for one in json.loads(said.out)["changes"]}


def test_an_export_replaces_no_device_and_no_pipe(command: Command, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(InputError, match="is a device or a pipe, which cannot be replaced; name a file"):
        command(export_store, path=pipe)
    with pytest.raises(InputError, match="is a device or a pipe, which cannot be replaced; name a file"):
        command(import_file, paths=[OLDER / "tasks.json"], write=pipe)
    with pytest.raises(InputError, match="-: a file is written completely or not at all; name one"):
        command(export_store, path=Path("-"))

    assert pipe.is_fifo()


def test_an_export_goes_where_a_link_leads(command: Command, tmp_path: Path) -> None:
    link = tmp_path / "newest.jsonl"
    link.symlink_to("whole.jsonl")

    command(export_store, path=link)

    assert (True, True) == (link.is_symlink(), (tmp_path / "whole.jsonl").is_file())


@pytest.mark.parametrize(
    ("store", "name"),
    [
        ("sqlite:///{}/own.db", "own.db"),
        ("sqlite:///{}/own.db", "own.db-wal"),
        ("json:///{}/own.json", "own.json"),
        ("json:///{}/own.json", "own.state.json"),
        ("json:///{}/own.json", "own.history.jsonl"),
    ],
)
def test_nothing_is_written_over_the_store_itself(
    command: Command, tmp_path: Path, store: str, name: str
) -> None:
    """An export replaces its file, and the store would be gone."""
    variables = {"STORE_URL": store.format(tmp_path)}

    with pytest.raises(InputError, match="is a file of the store itself"):
        command(export_store, variables=variables, path=tmp_path / name)
    with pytest.raises(InputError, match="is a file of the store itself"):
        command(import_file, variables=variables, paths=[OLDER / "crontab"], write=tmp_path / name)

    assert 0 == command(export_store, variables=variables, path=tmp_path / "own.jsonl").code


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# one\n# caf\xe9\n0 9 * * * /bin/backup\n", ":2: is not UTF-8 text"),
        (b"# one\n0 9 * * * /bin/backup\n\0", ":3: U+0000 is no character of a text"),
        (b"# one\n", ": the file is empty but for comments"),
        (b"", ": the file is empty"),
    ],
)
def test_a_file_that_is_no_text_says_where(
    scheduler: Scheduler, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "crontab"
    file.write_bytes(content)

    said = scheduler("import", str(file))

    assert (2, True) == (said.code, f"{file}{reason}" in said.err), said.err


def test_a_file_that_cannot_be_put_in_place_leaves_no_other(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        command(import_file, paths=[OLDER / "crontab"], write=tmp_path / "tasks.yaml")

    assert [] == list(tmp_path.glob(".*.part"))
