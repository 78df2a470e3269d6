"""`doctor`: all is well with what is well, and each thing that is not is told with its remedy."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from functions.app.requirements import ALLOW_PORTS, ALLOW_PRIVATE
from tests.unit.cli.conftest import Said, Scheduler, WriteTasks

SECRET = "a-secret-of-at-least-thirty-two-characters"


def findings(said: Said) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for one in said.data:
        found.setdefault(one["check"], []).append((one["status"], f"{one['text']} -> {one['remedy']}"))
    return found


@pytest.mark.slow
def test_an_installation_that_works_is_well(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> None:
    scheduler("apply", write_tasks({"id": "one", "params": {"url": site}}))
    scheduler("run", "one")
    scheduler("tick")
    sound = {"CRON_SECRET": SECRET, "WEBHOOK_URL": site}

    said = scheduler("doctor", **sound)
    data = scheduler("doctor", "--json", **sound)

    assert 0 == said.code
    assert "FAIL" not in said.out
    assert {"ok"} == {one["status"] for one in data.data}
    assert {"settings", "secrets", "store", "clock", "pinger", "tasks", "channels", "zones", "signing"} == {
        one["check"] for one in data.data
    }
    assert SECRET not in said.out + said.err


def test_a_wrong_setting_is_named_without_its_value(scheduler: Scheduler) -> None:
    said = scheduler("doctor", "--json", MAX_CONCURRENCY="canary")

    [(verdict, text)] = findings(said)["settings"]
    assert (1, "FAIL") == (said.code, verdict)
    assert "MAX_CONCURRENCY" in text
    assert "canary" not in said.out


def test_a_store_that_is_not_there_fails_and_the_rest_is_still_looked_at(scheduler: Scheduler) -> None:
    said = scheduler("doctor", "--json", STORE_URL="sqlite:////no/such/folder/tasks.db")

    found = findings(said)
    assert (1, "FAIL") == (said.code, found["store"][0][0])
    assert "STORE_URL" in found["store"][0][1]
    assert "settings" in found


def test_what_is_missing_is_a_warning(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "one"}))

    said = scheduler("doctor", "--json", CRON_SECRET=SECRET, CRON_SECRET_PREVIOUS=SECRET[::-1])

    found = findings(said)
    assert 0 == said.code
    assert ["ok", "warn"] == [verdict for verdict, _ in found["secrets"]]
    assert "CRON_SECRET_PREVIOUS is still accepted" in found["secrets"][1][1]
    assert (
        "warn",
        "none is set up; failures are not notified -> set one up: docs/reference/notifications.md",
    ) in found["channels"]
    assert "no tick has written anything yet" in found["pinger"][0][1]


def test_tasks_that_cannot_go_on_are_named(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path
) -> None:
    follower = {"id": "report", "schedule": "", "after": [{"task": "forgetful"}]}
    scheduler(
        "apply",
        write_tasks({"id": "spoilt"}, {"id": "stopped"}, {"id": "late"}, {"id": "forgetful"}, follower),
    )

    def change(task_id: str, **fields: Any) -> None:
        with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection, connection:
            [[doc]] = connection.execute("SELECT doc FROM tasks WHERE id = ?", (task_id,))
            text = json.dumps(json.loads(doc) | fields)
            connection.execute("UPDATE tasks SET doc = ? WHERE id = ?", (text, task_id))

    change("spoilt", timeoutSeconds="soon")
    change("stopped", status="quarantined", lastError="It took the process with it")
    change("late", nextRunAt="2026-01-01T00:00:00Z")
    change("forgetful", dependents=[])

    said = scheduler("doctor", "--json")

    texts = [text for _, text in findings(said)["tasks"]]
    assert 1 == said.code
    assert any("spoilt cannot be read: timeoutSeconds" in text for text in texts)
    assert any("scheduler resume stopped" in text for text in texts)
    assert any("late" in text and "do ticks arrive?" in text for text in texts)
    assert any(
        "report runs after forgetful, which does not start it -> change report" in text for text in texts
    )


def test_events_that_nobody_receives_are_a_warning(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    """Their sender succeeds, and what it sent starts nothing."""

    def sender(name: str, to: str) -> dict[str, Any]:
        return {"id": name, "type": "publish_event", "params": {"eventType": "stock.counted", "to": to}}

    listener = {"id": "report", "schedule": "", "onEvent": [{"type": "stock.counted"}]}
    other = {"id": "deaf", "schedule": "", "onEvent": [{"type": "order.paid"}]}
    senders = (sender("good", "report"), sender("lost", "reports"), sender("ignored", "deaf"))
    scheduler("apply", write_tasks(listener, other, *senders))

    texts = [text for verdict, text in findings(scheduler("doctor", "--json"))["tasks"] if verdict == "warn"]

    assert [
        "ignored sends stock.counted to deaf, which does not start on it -> list it under onEvent: "
        "scheduler edit deaf",
        "lost sends stock.counted to reports, which does not exist -> create it, or correct params.to: "
        "scheduler edit lost",
    ] == texts


def test_channels_are_tried_when_asked_and_what_is_off_is_told(scheduler: Scheduler, site: str) -> None:
    tried = scheduler("doctor", "--send", "--json", WEBHOOK_URL=f"{site}/broken")
    scheduler("channels", "disable", "webhook", WEBHOOK_URL=site)
    off = scheduler("doctor", "--json", WEBHOOK_URL=site)

    assert (1, "FAIL") == (tried.code, findings(tried)["channels"][0][0])
    assert [
        ("warn", "webhook is switched off -> fix it, then scheduler channels enable webhook")
    ] == findings(off)["channels"]


def test_timeouts_longer_than_a_tick_are_a_warning(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "backup", "timeoutSeconds": 60}, {"id": "short"}))

    texts = [text for _, text in findings(scheduler("doctor", "--json"))["tasks"]]

    assert any("is longer than a tick (22.5 s): backup ->" in text for text in texts)


@pytest.mark.slow
def test_what_tasks_need_and_is_not_set_up_fails_with_their_names_and_the_remedy(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    remedies = {
        "secret": "there is no secret SHOP -> set TASK_SECRET_SHOP",
        "command": "commands are switched off -> set ALLOW_COMMANDS=1 where the function runs",
        "python": "PYTHON_TASKS is not set, and so does not list jobs -> add jobs to PYTHON_TASKS",
        "agent": "no model is set up -> set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY)",
        "github": "there is no token for GitHub -> set GITHUB_TOKEN, or params.token as {{secret:NAME}}",
        "port": f"port 3000 is not called, only 80, 443, 8080 and 8443 -> {ALLOW_PORTS}",
        "private": f"10.0.0.1 is in a private network, which is not called -> {ALLOW_PRIVATE}",
        "channel": "no channel 'slack' is set up -> set its variable "
        "(docs/reference/notifications.md#channels), or correct notify",
    }
    fine = {"url": "https://example.com"}
    scheduler(
        "apply",
        write_tasks(
            {"id": "secret", "type": "http", "params": fine | {"headers": {"X-Key": "{{secret:SHOP}}"}}},
            {"id": "command", "type": "command", "params": {"command": "true"}},
            {"id": "python", "type": "python", "params": {"callable": "jobs:daily"}},
            {"id": "agent", "type": "agent", "params": {"prompt": "Hello"}},
            {
                "id": "github",
                "type": "github_dispatch",
                "params": {"repository": "ann/shop", "eventType": "nightly"},
            },
            {"id": "port", "params": {"url": "https://example.com:3000/"}},
            {"id": "private", "params": {"url": "http://10.0.0.1/"}},
            {"id": "channel", "params": fine, "notify": [{"on": ["failure"], "channels": ["slack"]}]},
            {"id": "channel-too", "params": fine, "notify": [{"on": ["failure"], "channels": ["slack"]}]},
            {"id": "well", "params": fine, "notify": [{"on": ["failure"], "channels": ["default"]}]},
            {"id": "paused", "type": "http", "params": {"url": "https://{{secret:OTHER}}.example.com"}},
        ),
    )
    scheduler("pause", "paused")

    said = scheduler("doctor", "--json", CRON_SECRET=SECRET, ALLOW_PRIVATE_NETWORKS="0")
    mended = scheduler(
        *("doctor", "--json"),
        CRON_SECRET=SECRET,
        TASK_SECRET_SHOP="a-secret-of-the-shop",
        TASK_SECRET_OTHER="another-secret",
        ALLOW_COMMANDS="1",
        PYTHON_TASKS="json",
        LLM_BASE_URL="http://127.0.0.1:9/v1",
        LLM_MODEL="small",
        GITHUB_TOKEN="a-token-of-the-tests",
        SLACK_WEBHOOK_URL="https://hooks.slack.com/services/T/B/x",
    )

    found = findings(said)["needs"]
    names = {"channel": "channel, channel-too"}
    assert {("FAIL", f"{names.get(name, name)}: {text}") for name, text in remedies.items()} | {
        ("warn", "paused: there is no secret OTHER -> set TASK_SECRET_OTHER")
    } == set(found)
    assert 1 == said.code
    assert [("FAIL", "python: PYTHON_TASKS does not list jobs -> add jobs to PYTHON_TASKS")] == findings(
        mended
    )["needs"]


def test_a_program_and_a_module_that_are_not_there_are_named(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler(
        "apply",
        write_tasks(
            {"id": "program", "type": "command", "params": {"command": "no-such-program -v"}},
            {"id": "module", "type": "python", "params": {"callable": "no_such.jobs:daily"}},
        ),
    )

    said = scheduler("doctor", "--json", ALLOW_COMMANDS="1", PYTHON_TASKS="no_such")

    assert {
        ("FAIL", "program: there is no program no-such-program -> install it, or correct command"),
        (
            "FAIL",
            "module: there is no module no_such -> install it beside the function, or correct callable",
        ),
    } == set(findings(said)["needs"])


def test_a_store_that_others_can_read_is_a_warning_where_modes_mean_readers(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows shows each file as one that all can read, and has no chmod to mend that."""
    store = tmp_path / "open.db"
    where = {"STORE_URL": f"sqlite:///{store}"}
    scheduler("apply", write_tasks({"id": "one"}), **where)
    store.chmod(0o666)

    warned = findings(scheduler("doctor", "--json", **where))
    monkeypatch.delattr("os.geteuid")
    on_windows = findings(scheduler("doctor", "--json", **where))

    assert [("warn", f"others on this machine can read open.db -> chmod go= {store}")] == warned["files"]
    assert "files" not in on_windows


def test_a_command_without_process_groups_is_named_with_what_to_do(
    scheduler: Scheduler, write_tasks: WriteTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"id": "copy", "type": "command", "params": {"command": "no-such-program --all"}}
    scheduler("apply", write_tasks(task))
    monkeypatch.delattr("os.killpg")

    found = findings(scheduler("doctor", "--json", ALLOW_COMMANDS="1"))

    [(verdict, text)] = found["needs"]
    assert "FAIL" == verdict
    assert "copy: commands need process groups, which Windows has not -> run the scheduler in WSL" in text


def test_ports_that_the_operator_lists_are_called(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "port", "params": {"url": "https://example.com:3000/"}}))

    said = [
        scheduler("doctor", "--json", CRON_SECRET=SECRET, ALLOW_PRIVATE_NETWORKS="0", ALLOW_PORTS=ports)
        for ports in ("443,3000-3100", "443")
    ]

    assert "port 3000" not in str(said[0].data)
    assert "port 3000 is not called, only 443" in str(said[1].data)


HOOKS = """
def before(job): ...
def nothing(): ...
count = 3
"""


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("hooks_of_doctor:before", "ok", "BEFORE_TASK: hooks_of_doctor:before can be called"),
        (
            "hooks_of_doctor:missing",
            "FAIL",
            "BEFORE_TASK: The module hooks_of_doctor has no function missing",
        ),
        ("hooks_of_doctor:count", "FAIL", "BEFORE_TASK: The module hooks_of_doctor has no function count"),
        (
            "hooks_of_doctor:nothing",
            "FAIL",
            "BEFORE_TASK: hooks_of_doctor:nothing takes one argument: too many",
        ),
        ("no_such_hooks:before", "FAIL", "BEFORE_TASK: The module no_such_hooks cannot be imported"),
    ],
)
def test_hooks_are_imported_and_named(
    scheduler: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: str, text: str
) -> None:
    """A hook that cannot be called is logged at each run, and nobody looks there."""
    (tmp_path / "hooks_of_doctor.py").write_text(HOOKS)
    monkeypatch.syspath_prepend(str(tmp_path))

    said = scheduler("doctor", "--json", BEFORE_TASK=name, PYTHON_TASKS="hooks_of_doctor,no_such_hooks")

    [(found, sentence)] = findings(said)["hooks"]
    assert (status, True) == (found, sentence.startswith(text)), sentence


def test_the_servers_of_agents_are_asked(scheduler: Scheduler, site: str) -> None:
    """The first run would find out; the site is a server, and neither a model's nor one of MCP."""
    said = scheduler("doctor", "--json", LLM_BASE_URL=site, AGENT_MCP_SERVERS=json.dumps({"docs": site}))

    found = findings(said)
    assert [("warn", True)] == [(verdict, "check LLM_BASE_URL" in text) for verdict, text in found["model"]]
    assert [("FAIL", True)] == [(verdict, "MCP server docs" in text) for verdict, text in found["mcp"]]
    assert 1 == said.code
