"""How the command line answers when it is not used as meant: one line, with the remedy, and an exit code."""

import sys
from pathlib import Path
from runpy import run_module

import pytest

from functions import __version__
from tests.unit.cli.conftest import Scheduler, WriteTasks


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("aply",), "No such command"),
        (("remove", "x"), "Did you mean 'rm'?"),
        (("disable", "x"), "Did you mean 'pause'?"),
        (("calendars", "rm", "x"), "Did you mean 'remove'?"),
        (("keys", "add", "x"), "Did you mean 'create'?"),
        (("apply",), "PATH"),
        (("show",), "ID"),
        (("list", "--nope"), "--nope"),
        (("runs", "--limit", "0"), "1 to 1000"),
        (("runs", "--limit", "x"), "1 to 1000"),
        (("next", "daily", "--after", "tomorrow"), "2026-12-01T09:00:00Z"),
        (("next", "daily", "--after", "2026-12-01T25:00"), "2026-12-01T09:00:00Z"),
        (("next", "daily", "--after", "9999-12-31T09:00Z"), "out of range"),
        (("list", "--status", "asleep"), "scheduled"),
        (("runs", "--since", "yesterday"), "3d"),
        (("next", "daily", "--count", "0"), "--count"),
        (("next", "61 * * * *"), "schedule:"),
        (("next", "daily", "--timezone", "Nowhere"), "timezone:"),
        (("pause", "x", "--note", "x" * 401), "400"),
        (("backfill", "x", "--from", "2026-12-01T09:00:00Z"), "--to"),
        (("serve", "--port", "99999"), "--port"),
        (("serve", "--port", "http"), "'--port': must be a whole number:"),
        (("import", "x.json", "--timeout", "long"), "'--timeout': must be a number:"),
        (("next", "daily", "--count", "1", "--count=2"), "--count is given twice; give it once:"),
        (("create", "A", "--schedule", "daily", "--schedule", "0 9 * * 6"), "--schedule is given twice"),
        (("apply", "a.yaml", "--no-prune", "--prune"), "--prune is given twice"),
        (("owners", "set", "a", "--max-tasks", "1", "--max-tasks", "2"), "--max-tasks is given twice"),
        (("show", "\udcff"), "'ID': must be text in UTF-8:"),
        (("run", "ping", "a\udcff"), "'[ID...]': must be text in UTF-8:"),
        (("list", "--tag", "\udcff"), "'--tag': must be text in UTF-8:"),
        (("create", "A", "--type", "http", "--param", "url=\udcff"), "'--param': must be text in UTF-8:"),
    ],
)
def test_wrong_usage_is_one_line_with_a_remedy_and_code_2(
    scheduler: Scheduler, words: tuple[str, ...], part: str
) -> None:
    said = scheduler(*words)

    assert (2, "") == (said.code, said.out)
    assert (1, True) == (said.err.count("\n"), said.err.startswith("scheduler: "))
    assert part in said.err


def test_an_option_of_several_values_and_one_without_any_may_be_repeated(scheduler: Scheduler) -> None:
    made = scheduler(
        *("create", "A", "--type", "daily_briefing", "--schedule", "daily"),
        *("--tag", "a", "--tag", "b", "--json", "--json"),
    )

    assert (0, ["a", "b"]) == (made.code, made.data["tags"])


def test_a_path_need_not_be_text(scheduler: Scheduler) -> None:
    said = scheduler("plan", "\udcff.yaml")

    assert (2, True) == (said.code, "there is no such file or folder" in said.err)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_no_command_at_all_shows_the_help(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    said = scheduler(*words)

    assert (0, "") == (said.code, said.err)
    assert "Usage: scheduler" in said.out
    assert "apply" in said.out


def test_the_version_is_one_line(scheduler: Scheduler) -> None:
    said = scheduler("--version")

    assert (0, f"scheduler {__version__}\n", "") == (said.code, said.out, said.err)


@pytest.mark.parametrize("command", ["list", "status", "tick", "serve --port 0", "apply"])
def test_a_wrong_setting_is_code_2_and_its_value_is_not_told(
    scheduler: Scheduler, command: str, tmp_path: Path
) -> None:
    words = (command, str(tmp_path)) if command == "apply" else command.split()

    said = scheduler(*words, CRON_SECRET="canary-1234", MAX_CONCURRENCY="canary-5678")

    assert 2 == said.code
    assert "CRON_SECRET" in said.err
    assert "MAX_CONCURRENCY" in said.err
    assert "canary" not in said.err + said.out


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody"),
        ("runs", "nobody"),
        ("run", "nobody"),
        ("pause", "nobody"),
        ("resume", "nobody"),
        ("cancel", "nobody"),
        ("backfill", "nobody", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"),
    ],
)
def test_a_task_that_does_not_exist_is_a_refusal(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    said = scheduler(*words)

    assert (1, "") == (said.code, said.out)
    assert "nobody" in said.err
    assert "Traceback" not in said.err


def test_a_store_that_cannot_be_opened_is_code_1_without_a_traceback(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    said = scheduler("list", STORE_URL=f"sqlite:///{tmp_path}/no/such/folder/tasks.db")

    assert (1, 1) == (said.code, said.err.count("\n"))
    assert said.err.startswith("scheduler: ")


@pytest.mark.parametrize("words", [("--help",), ("apply", "--help"), ("serve", "--help")])
def test_help_is_an_answer(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    said = scheduler(*words)

    assert (0, "") == (said.code, said.err)
    assert "Usage: scheduler" in said.out


@pytest.mark.parametrize(
    "words",
    [
        ("show", "sample-fed"),
        ("pause", "sample-fed"),
        ("resume", "sample-fed"),
        ("cancel", "sample-fed"),
        ("run", "sample-fed"),
        ("runs", "sample-fed"),
        ("rm", "sample-fed", "--yes"),
        ("edit", "sample-fed", "--schedule", "daily"),
        ("backfill", "sample-fed", "--from", "2d", "--to", "1d"),
    ],
)
def test_an_id_that_is_nearly_one_is_suggested(
    scheduler: Scheduler, write_tasks: WriteTasks, words: tuple[str, ...]
) -> None:
    scheduler("apply", write_tasks({"id": "sample-feed"}, {"id": "sample-briefing"}))

    said = scheduler(*words)

    assert 1 == said.code
    assert "scheduler: there is no task 'sample-fed': did you mean sample-feed? scheduler list" in said.err


def test_a_value_that_is_nearly_one_is_suggested(scheduler: Scheduler) -> None:
    said = scheduler("list", "--status", "runing")

    assert "'quarantined'. Did you mean 'running'?: scheduler list --help" in said.err
    assert "Value error" not in said.err


def test_a_schedule_that_the_shell_has_taken_apart_is_recognised(scheduler: Scheduler) -> None:
    said = scheduler("next", "*/5", *["README.md", "docs", "functions"] * 40)

    assert "put a schedule in quotes: '*/5 * * * *'" in said.err
    assert len(said.err) < 250


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("events", "publish", "a.b", "--data", '{"a": 1, "a": 2}'), 2, "--data: a: is given twice"),
        (("events", "publish", "a.b", "--data", '{"a": NaN}'), 2, "such as '{\"total\": 12}'; a number is"),
        (("events", "publish", "a.b", "--data", "[1]"), 2, "--data: must be a JSON object"),
        (("bitable",), 2, "scheduler: a command is missing: scheduler bitable --help"),
        (("export", ""), 2, ".: is a folder; name a file in it"),
        (("calendars", "set", "c", "12-24", "--owner", " ann"), 2, "owner: must be printable characters"),
    ],
)
def test_what_is_missing_or_has_no_name_is_said(
    scheduler: Scheduler, words: tuple[str, ...], code: int, part: str
) -> None:
    said = scheduler(*words)

    assert (code, True) == (said.code, part in said.err), said.err


def test_a_python_without_the_packages_is_answered_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "functions.cli.main", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit) as ended:
        run_module("functions.cli", run_name="__main__")

    line = str(ended.value.code)  # which Python prints, and ends with 1
    assert line.startswith(f"scheduler: typer is not installed for {sys.executable}: scripts/environment")
    assert "\n" not in line


def test_a_module_of_types_is_named_with_its_setting(scheduler: Scheduler) -> None:
    said = scheduler("list", TASK_TYPES="no_such_module")

    assert 2 == said.code
    assert "there is no module no_such_module, neither installed nor on PYTHONPATH" in said.err
