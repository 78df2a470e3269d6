"""Every pinger does what it says: its file asks the function for one tick, as its platform would run it."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from functions.cli.main import main
from tests.support.pinger_files import (
    CLOUDFLARE,
    NODE,
    PINGERS,
    SECRET,
    VERCEL,
    WITHIN_S,
    bash,
    crontab_line,
    curl_config,
    module,
    node,
    ran,
    step,
    unit,
    workflow,
)
from tests.support.serving import ROOT, in_a_thread, serving

WITHOUT_NODE = "node is not installed: it runs the Worker and the function of Vercel"
needs_node = pytest.mark.skipif(NODE is None, reason=WITHOUT_NODE)

Ticks = Callable[[], int]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The function itself over an empty store: its address, and the file of its log."""
    folder = tmp_path_factory.mktemp("function")
    known = {"CRON_SECRET": SECRET, "STORE_URL": f"sqlite:///{folder}/pinged.db"}
    with serving(ROOT / "main.py", folder, **known) as address:
        ran(
            "curl", "-fsS", "--retry", "20", "--retry-delay", "1", "--retry-connrefused", f"{address}/healthz"
        )
        yield address, folder / "err"


@pytest.fixture
def function(served: tuple[str, Path]) -> str:
    return served[0]


@pytest.fixture
def ticks(served: tuple[str, Path]) -> Ticks:
    """How many ticks the function has done."""
    return lambda: served[1].read_text().count("tick_done")


# -- curl: crontab and systemd ---------------------------------------------------------------------------


def test_the_crontab_line_is_a_tick(function: str, ticks: Ticks, tmp_path: Path) -> None:
    minute, hour, day, month, weekday, command = crontab_line().split(maxsplit=5)
    curl_config(tmp_path / ".config" / "cronfire", function)
    before = ticks()

    said = ran("sh", "-c", command, env={"HOME": str(tmp_path)})  # cron uses sh

    assert ["*"] * 5 == [minute, hour, day, month, weekday]
    assert ("", before + 1) == (said, ticks())


def test_cron_is_told_of_a_wrong_secret(function: str, ticks: Ticks, tmp_path: Path) -> None:
    command = crontab_line().split(maxsplit=5)[5]
    curl_config(tmp_path / ".config" / "cronfire", function, secret="wrong" * 10)
    before = ticks()

    said = ran(
        "sh", "-c", f"{{ {command}; }} 2>&1", env={"HOME": str(tmp_path)}
    )  # cron mails all that is said

    assert "401" in said
    assert before == ticks()


def test_a_percent_sign_would_end_the_command_in_a_crontab() -> None:
    assert "%" not in crontab_line()


def test_the_service_of_systemd_is_a_tick(function: str, ticks: Ticks, tmp_path: Path) -> None:
    command = unit("cronfire-tick.service")["Service"]["ExecStart"]
    credentials = curl_config(tmp_path, function).parent
    before = ticks()

    bash(f"exec {command.replace('%d', str(credentials))}")

    assert before + 1 == ticks()


def test_systemd_reads_the_secret_from_where_the_readme_puts_it() -> None:
    service = unit("cronfire-tick.service")["Service"]

    name, path = service["LoadCredential"].split(":")

    assert f"%d/{name}" in service["ExecStart"]
    assert path in (PINGERS / "systemd" / "README.md").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_with_its_units() -> None:
    units = sorted((PINGERS / "systemd").glob("cronfire-tick.*"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    assert [] == [line for line in done.stderr.splitlines() if "cronfire-tick" in line]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_timer_of_systemd_means_each_minute() -> None:
    when = unit("cronfire-tick.timer")["Timer"]["OnCalendar"]

    said = ran("systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-11-20 12:00:30 UTC", when)

    assert "12:01:00 UTC" in said
    assert "12:02:00 UTC" in said


# -- JavaScript: Cloudflare and Vercel -------------------------------------------------------------------


@needs_node
def test_the_worker_of_cloudflare_is_a_tick(function: str, ticks: Ticks, tmp_path: Path) -> None:
    main = tomllib.loads((PINGERS / "cloudflare" / "wrangler.toml").read_text())["main"]
    env = json.dumps({"CRONFIRE_URL": function, "CRON_SECRET": SECRET})
    before = ticks()

    said = node(CLOUDFLARE.format(file=module(f"cloudflare/{main}", tmp_path), env=env), tmp_path)

    assert before + 1 == ticks()
    assert '"status":"ok"' in said
    assert SECRET not in said


@needs_node
def test_a_wrong_secret_is_a_failed_event_at_cloudflare(function: str, tmp_path: Path) -> None:
    env = json.dumps({"CRONFIRE_URL": function, "CRON_SECRET": "wrong" * 10})

    node(CLOUDFLARE.format(file=module("cloudflare/worker.js", tmp_path), env=env), tmp_path, 1)


def test_cloudflare_is_told_to_ping_each_minute_and_has_no_address() -> None:
    settings = tomllib.loads((PINGERS / "cloudflare" / "wrangler.toml").read_text())

    assert ({"crons": ["* * * * *"]}, False) == (settings["triggers"], settings["workers_dev"])
    assert "CRON_SECRET" not in settings["vars"]


@needs_node
def test_the_function_of_vercel_is_a_tick(function: str, ticks: Ticks, tmp_path: Path) -> None:
    [cron] = json.loads((PINGERS / "vercel" / "vercel.json").read_text())["crons"]
    headers = json.dumps({"authorization": f"Bearer {SECRET}"})
    script = VERCEL.format(file=module(f"vercel{cron['path']}.js", tmp_path), headers=headers)
    before = ticks()

    said = node(script, tmp_path, CRONFIRE_URL=function, CRON_SECRET=SECRET)

    assert ("* * * * *", before + 1) == (cron["schedule"], ticks())
    assert 200 == json.loads(said.splitlines()[-1])["status"]


@needs_node
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer undefined"}, {"authorization": "Bearer no"}]
)
@pytest.mark.parametrize("secret", [SECRET, ""])
def test_a_stranger_gets_no_tick_from_vercel(
    function: str, ticks: Ticks, tmp_path: Path, headers: dict[str, str], secret: str
) -> None:
    script = VERCEL.format(file=module("vercel/api/tick.js", tmp_path), headers=json.dumps(headers))
    before = ticks()

    said = node(script, tmp_path, CRONFIRE_URL=function, **({"CRON_SECRET": secret} if secret else {}))

    assert (401, before) == (json.loads(said.splitlines()[-1])["status"], ticks())


@needs_node
def test_vercel_says_so_when_nobody_answers(tmp_path: Path) -> None:
    headers = json.dumps({"authorization": f"Bearer {SECRET}"})
    script = VERCEL.format(file=module("vercel/api/tick.js", tmp_path), headers=headers)

    said = node(script, tmp_path, CRONFIRE_URL="http://127.0.0.1:9", CRON_SECRET=SECRET)

    assert 504 == json.loads(said.splitlines()[-1])["status"]


class GitHub:
    """A stand-in for GitHub's API: keeps what it is sent."""

    def __init__(self) -> None:
        self.status = 204
        self.asked: list[tuple[str, str | None, str | None, dict[str, str]]] = []
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent, token = self.headers["User-Agent"], self.headers["Authorization"]
                github.asked.append((self.path, token, agent, body))
                self.send_response(github.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads this log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def env(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": f"http://127.0.0.1:{self.server.server_port}",
            "GITHUB_REPOSITORY": "you/yours",
            "GITHUB_TOKEN": "ghp-of-the-tests",
        }


DISPATCHED = (
    "/repos/you/yours/dispatches",
    "Bearer ghp-of-the-tests",
    "cronfire-pinger",
    {"event_type": "cronfire-tick"},
)


@pytest.fixture
def github() -> Iterator[GitHub]:
    github = GitHub()
    with in_a_thread(github.server):
        yield github


@needs_node
def test_cloudflare_starts_the_workflow_and_fails_when_it_does_not(github: GitHub, tmp_path: Path) -> None:
    script = CLOUDFLARE.format(file=module("cloudflare/dispatch.js", tmp_path), env=json.dumps(github.env))

    node(script, tmp_path)
    github.status = 401
    said = node(script, tmp_path, 1)

    assert [DISPATCHED] * 2 == github.asked
    assert "ghp-of-the-tests" not in said


@needs_node
def test_vercel_starts_the_workflow_for_its_own_cron_alone(github: GitHub, tmp_path: Path) -> None:
    file = module("vercel/api/dispatch.js", tmp_path)
    env = github.env | {"CRON_SECRET": SECRET}

    def called(secret: str) -> int:
        headers = json.dumps({"authorization": f"Bearer {secret}"})
        said = node(VERCEL.format(file=file, headers=headers), tmp_path, **env)
        return int(json.loads(said.splitlines()[-1])["status"])

    answers = [called("stranger"), called(SECRET)]
    github.status = 404
    answers.append(called(SECRET))

    assert [401, 200, 502] == answers
    assert [DISPATCHED] * 2 == github.asked


def test_the_workflow_listens_to_what_the_pingers_send() -> None:
    tick = (PINGERS / "github" / "tick.yml").read_text()

    assert f"types: [{DISPATCHED[3]['event_type']}]" in tick


# -- GitHub Actions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ping.yml", "tick.yml"])
def test_a_workflow_runs_every_five_minutes_by_hand_and_when_told(name: str) -> None:
    triggers = workflow(name)[True]  # YAML 1.1 takes the word `on` for a switch

    assert [{"cron": "*/5 * * * *"}] == triggers["schedule"]
    assert {"schedule", "workflow_dispatch", "repository_dispatch"} == set(triggers)
    assert {"types": ["cronfire-tick"]} == triggers["repository_dispatch"]


@pytest.mark.parametrize("name", ["ping.yml", "tick.yml"])
def test_no_step_puts_a_secret_or_a_strangers_text_into_a_script(name: str) -> None:
    """What is between braces is pasted into a script before bash sees it."""
    [job] = workflow(name)["jobs"].values()

    assert [] == [one["name"] for one in job["steps"] if "${{" in one.get("run", "")]


def test_the_step_that_pings_is_a_tick(function: str, ticks: Ticks) -> None:
    before = ticks()

    said = bash(step("ping.yml", "Ping"), env={"CRONFIRE_URL": f"{function}/", "CRON_SECRET": SECRET})

    assert ("ok", before + 1) == (json.loads(said)["status"], ticks())


def test_a_wrong_secret_fails_the_workflow(function: str) -> None:
    env = {"CRONFIRE_URL": function, "CRON_SECRET": "wrong" * 10}

    bash(step("ping.yml", "Ping"), env=env, code=22)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A task, pushed to a bare repository beside it; the product is this checkout's."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / ".gitignore").write_text((ROOT / ".gitignore").read_text() + "logs/\n")
    task = {"id": "once", "type": "command", "schedule": "@yearly", "params": {"command": ["echo", "hello"]}}
    (copy / "tasks.json").write_text(json.dumps({"tasks": [task]}))
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin.git"), folder=tmp_path)
    git("init", "--quiet", "--initial-branch=main", folder=copy)
    git("add", "--all", folder=copy)
    git("commit", "--quiet", "--message=Begin", folder=copy)
    git("remote", "add", "origin", "../origin.git", folder=copy)
    git("push", "--quiet", "--set-upstream", "origin", "main", folder=copy)
    return copy


def git(*words: str, folder: Path) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    return ran("git", *who, *words, cwd=folder)


def variables(repository: Path) -> dict[str, str]:
    """Those of the workflow."""
    return {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),  # what the repository has itself comes first
        "ALLOW_COMMANDS": "1",
        "HOME": str(repository),
        "GITHUB_STEP_SUMMARY": str(repository / "logs" / "summary"),
        **workflow("tick.yml")["env"],
    }


def actions(repository: Path, script: str | Mapping[str, Any], *, code: int = 0) -> str:
    """Run *script* with the variables of the workflow, in the repository."""
    return bash(script, code=code, cwd=repository, env=variables(repository))


def command(repository: Path, *words: str) -> str:
    """Run a command in the repository, in this process: it prepares a tick, or shows what came of one."""
    out = StringIO()
    with chdir(repository):
        assert 0 == main(words, variables(repository), out=out, err=StringIO())
    return out.getvalue()


def test_without_any_server_a_tick_runs_what_is_due_and_the_store_is_committed(repository: Path) -> None:
    tick, keep = step("tick.yml", "Tick"), step("tick.yml", "Keep the store")
    shutil.copytree(ROOT / "functions", repository / "functions")  # with what is compiled, which git ignores
    git("add", "--all", folder=repository)
    git("commit", "--quiet", "--message=A copy of the product", folder=repository)

    command(repository, "run", "once")
    actions(repository, tick)
    actions(repository, keep)

    assert "1 due, 1 started, 1 succeeded" in (repository / "logs" / "tick.txt").read_text()
    assert "[skip ci]" in git("log", "-1", "--format=%s", "origin/main", folder=repository)
    pushed = git("ls-tree", "-r", "--name-only", "origin/main", folder=repository).split()
    state = [name for name in pushed if not name.startswith("functions/")]
    assert [".gitignore", "tasks.history.jsonl", "tasks.json", "tasks.state.json"] == state
    assert "" == git("diff", "origin/main~1", "origin/main", "--", "tasks.json", folder=repository)


@pytest.fixture
def failing(repository: Path) -> Path:
    task = {"id": "no", "type": "command", "schedule": "@yearly", "params": {"command": ["false"]}}
    (repository / "tasks.json").write_text(json.dumps({"tasks": [task]}))
    command(repository, "run", "no")
    return repository


def test_a_task_that_failed_fails_the_step_and_is_named_in_what_is_kept(failing: Path) -> None:
    actions(failing, step("tick.yml", "Tick"), code=1)
    actions(failing, step("tick.yml", "Say what ran"))

    logs = failing / "logs"
    assert re.search(r"\bno +failed\b", (logs / "tick.txt").read_text())
    assert re.search(r"^    .*\bno +failed\b", (logs / "summary").read_text(), re.M)
    assert "no" in (logs / "runs.json").read_text()


def test_without_pipefail_the_failure_would_be_hidden(failing: Path) -> None:
    """What GitHub runs where a workflow names no shell: so the line that names one is needed."""
    tick = step("tick.yml", "Tick")

    actions(failing, tick | {"shell": None}, code=0)


@pytest.mark.parametrize(
    ("value", "code"), [("repo", 0), ("Cache", 0), ("true", 1), ("a\n::set-output name=x::", 1)]
)
def test_the_state_is_kept_where_it_is_known_to_be(value: str, code: int) -> None:
    said = bash(step("tick.yml", "Check PERSIST_STATE"), env={"KEEP_STATE": value}, code=code)

    assert said.count("::error::PERSIST_STATE must be repo or cache") == code
    assert said.count("\n") == code, "a value that breaks the line is a command to GitHub"


@pytest.mark.parametrize("name", ["CRONFIRE_URL", "CRON_SECRET"])
def test_a_variable_that_is_missing_is_named(name: str) -> None:
    env = {"CRONFIRE_URL": "http://127.0.0.1:1", "CRON_SECRET": SECRET} | {name: ""}

    ping = step("ping.yml", "Ping")

    said = bash(ping | {"run": f"exec 2>&1\n{ping['run']}"}, env=env, code=1)

    assert f"{name}: is missing: set it among" in said


def test_a_run_by_hand_may_choose_where_the_state_is_kept() -> None:
    choice = workflow("tick.yml")[True]["workflow_dispatch"]["inputs"]["keep_state"]

    assert ("choice", {"as configured", "repo", "cache"}) == (choice["type"], set(choice["options"]))
    assert "inputs.keep_state" in workflow("tick.yml")["env"]["KEEP_STATE"]


def test_the_next_run_of_the_workflow_finds_the_history_in_the_repository(
    repository: Path, tmp_path: Path
) -> None:
    tick, keep = step("tick.yml", "Tick"), step("tick.yml", "Keep the store")
    command(repository, "run", "once")
    actions(repository, tick)
    actions(repository, keep)

    git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "second"), folder=tmp_path)
    runs = command(tmp_path / "second", "runs", "once", "--json")

    assert "succeeded" in runs


def test_a_tick_with_nothing_to_do_commits_nothing(repository: Path) -> None:
    tick, keep = step("tick.yml", "Tick"), step("tick.yml", "Keep the store")
    actions(repository, tick)
    actions(repository, keep)
    before = git("rev-parse", "origin/main", folder=repository)

    actions(repository, tick)
    said = actions(repository, keep)

    assert ("Nothing has changed.\n", before) == (said, git("rev-parse", "origin/main", folder=repository))


def test_a_task_edited_while_the_workflow_runs_keeps_the_edit_and_its_result(
    repository: Path, tmp_path: Path
) -> None:
    """The state goes on top of the edit without a conflict: they are in different files."""
    command(repository, "run", "once")
    actions(repository, step("tick.yml", "Tick"))
    person = tmp_path / "person"
    git("clone", "--quiet", str(tmp_path / "origin.git"), str(person), folder=tmp_path)
    tasks = person / "tasks.json"
    tasks.write_text(tasks.read_text().replace("@yearly", "@monthly"))
    git("commit", "--quiet", "--all", "--message=Once a month is better", folder=person)
    git("push", "--quiet", folder=person)

    actions(repository, step("tick.yml", "Keep the store"))

    log = git("log", "--format=%s", "origin/main", folder=repository).splitlines()
    assert ["Keep the state of the scheduler [skip ci]", "Once a month is better", "Begin"] == log
    actions(repository, step("tick.yml", "Tick"))
    shown = json.loads(command(repository, "show", "once", "--json"))
    assert ("@monthly", "succeeded") == (shown["schedule"], shown["lastOutcome"])


def test_a_mistake_in_the_file_fails_the_workflow_by_its_line_and_changes_nothing(repository: Path) -> None:
    (repository / "tasks.json").write_text('{"tasks": [\n')
    git("commit", "--quiet", "--all", "--message=Slip", folder=repository)

    tick = step("tick.yml", "Tick")
    actions(repository, tick | {"run": f"exec 2>said\n{tick['run']}"}, code=1)
    kept = actions(repository, step("tick.yml", "Keep the store"))

    assert "tasks.json: line 2, column 1" in (repository / "said").read_text()
    assert "Nothing has changed.\n" == kept


def test_the_state_is_kept_in_one_place_alone() -> None:
    conditions = {
        title: step("tick.yml", title)["if"] for title in ("Keep the store", "Keep the store in the cache")
    }

    assert "== 'repo'" in conditions["Keep the store"]
    assert "!= 'repo'" in conditions["Keep the store in the cache"]
    assert all("always()" in condition for condition in conditions.values())


# -- what is said of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(one.name for one in PINGERS.iterdir() if one.is_dir()))
def test_every_pinger_has_a_short_readme_and_is_in_the_list(name: str) -> None:
    lines = (PINGERS / name / "README.md").read_text().strip().splitlines()

    assert len([line for line in lines if line and not line.startswith("#")]) <= 5
    assert f"({name})" in (PINGERS / "README.md").read_text()
