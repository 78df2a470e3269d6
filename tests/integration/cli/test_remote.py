"""The command line against a deployed function: the same words, over the API of the real one on loopback."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from functions.cli.api_client import ApiClient
from functions.domain.run import Run
from functions.domain.storage import RunBatch
from functions.domain.types import OutcomeKind
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.support.serving import ROOT, answered, serving, serving_here
from tests.unit.cli.conftest import Scheduler, WriteTasks

KEY = "the-first-administrators-key-0123456789"
HOURLY = ("--schedule", "hourly")


async def _ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        await answered(session, address)


def over(folder: Path) -> dict[str, str]:
    """What a function over a new store needs."""
    return {
        "CRON_SECRET": "a-secret-of-the-tests-with-32-characters",
        "API_KEY": KEY,
        "STORE_URL": f"sqlite:///{folder}/remote.db",
        "ALLOW_PRIVATE_NETWORKS": "1",
    }


@pytest.fixture
def environment(tmp_path: Path, site: str) -> Iterator[dict[str, str]]:
    """What a command needs to ask a function of the test's own."""
    with serving_here(**over(tmp_path), WEBHOOK_URL=site) as address:
        yield {"SCHEDULER_URL": address, "SCHEDULER_KEY": KEY}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What it needs to ask one that is deployed, for the tests that store nothing."""
    folder = tmp_path_factory.mktemp("empty")
    with serving(ROOT / "main.py", folder, **over(folder)) as address:
        asyncio.run(_ready(address))
        yield {"SCHEDULER_URL": address, "SCHEDULER_KEY": KEY}


def local_store(folder: Path, site: str) -> dict[str, str]:
    """The environment of a command that works on a store, beside one over the API."""
    return {
        "SCHEDULER_URL": "",
        "STORE_URL": f"sqlite:///{folder}/local.db",
        "API_KEY": KEY,
        "WEBHOOK_URL": site,
        "ALLOW_PRIVATE_NETWORKS": "1",
    }


def test_calendars_are_set_shown_applied_and_removed(scheduler: Scheduler, tmp_path: Path) -> None:
    file = tmp_path / "days.yaml"
    task = 'id: report\n    type: daily_briefing\n    schedule: daily\n    except: ["calendar:company"]\n'
    file.write_text(f"calendars: {{company: [12-24]}}\ntasks:\n  - {task}")
    made = scheduler("calendars", "set", "own", "sat", "12-25")

    planned = scheduler("plan", str(file), "--json").data["changes"]
    applied = scheduler("apply", str(file))
    again = scheduler("apply", str(file))
    refused = scheduler("calendars", "remove", "company")

    assert (0, True) == (made.code, "own is set: sat, 12-25" in made.out)
    assert ["calendar:company", "report"] == [one["id"] for one in planned]
    assert (0, 0, True) == (applied.code, again.code, "2 unchanged" in again.out)
    assert ["company", "own"] == [one["name"] for one in scheduler("calendars", "--json").data]
    assert ["12-24"] == scheduler("calendars", "show", "company", "--json").data["entries"]
    assert (1, True) == (refused.code, "used by report" in refused.err)
    assert 0 == scheduler("calendars", "remove", "own").code


def test_tasks_are_applied_seen_run_and_steered(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    path = write_tasks({"id": "one", "params": {"url": site}}, {"id": "two"})

    planned = scheduler("plan", path, "--json")
    applied = scheduler("apply", path)
    again = scheduler("apply", path)
    paused = scheduler("pause", "two", "--note", "Holiday")
    shown = scheduler("show", "two")
    resumed = scheduler("resume", "two", "--json")
    ran = scheduler("run", "one")
    missing = scheduler("show", "nobody")
    listed = scheduler("list", "--json")

    assert ["create", "create"] == [change["action"] for change in planned.data["changes"]]
    assert (0, "2 created") == (applied.code, applied.out.splitlines()[-1].split(",")[0])
    assert "2 unchanged" in again.out
    assert (0, True) == (paused.code, "Holiday" in shown.out)
    assert "scheduled" == resumed.data["status"]
    assert "one runs at the next tick" in ran.out
    assert (1, True) == (missing.code, "nobody" in missing.err)
    assert ["one", "two"] == [task["id"] for task in listed.data]
    assert 1 == len(next(task for task in listed.data if task["id"] == "one")["backlog"])


def test_a_plan_rehearses_rules_that_change(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    fragile = {"id": "shop", "params": {"url": "http://127.0.0.1:1/"}, "retry": {"maxAttempts": 1}}
    assert 0 == scheduler("apply", write_tasks(fragile)).code
    assert 1 == scheduler("run", "shop", "--wait").code
    patient = write_tasks(fragile | {"notify": [{"on": ["failure"], "after": 3}]})

    planned = scheduler("plan", patient)
    data = scheduler("plan", patient, "--json").data

    assert "shop: In the last day you would have had 0 messages; with the rules as they are 1" in planned.out
    assert (1, []) == (data["rehearsals"]["shop"]["present"], data["rehearsals"]["shop"]["messages"])
    assert "rehearsals" not in scheduler("apply", patient, "--json").data


def test_single_tasks_are_made_changed_and_removed_with_the_same_codes(
    scheduler: Scheduler, environment: dict[str, str], tmp_path: Path
) -> None:
    """Each command ends over the API as it ends over a store."""
    create = ("create", "Shop", "--type", "health_check_url", "--param", "url=https://example.com")
    commands = [
        (0, (*create, "--schedule", "every 5 minutes")),
        (1, (*create, "--schedule", "every 5 minutes")),
        (2, (*create, "--schedule", "every monday")),
        (0, ("edit", "shop", "--schedule", "hourly")),
        (1, ("edit", "nobody", "--schedule", "hourly")),
        (2, ("edit", "shop", "--schedule", "every monday")),
        (0, ("list", "--text", "shop")),
        (0, ("runs", "--since", "3d")),
        (1, ("runs", "nobody")),
        (0, ("pause", "shop", "--until", "2h")),
        (1, ("pause", "nobody", "--until", "2h")),
        (0, ("resume", "shop")),
        (1, ("resume", "shop")),
        (1, ("cancel", "shop")),
        (1, ("run", "nobody")),
        (1, ("rm", "nobody", "--yes")),
        (2, ("rm", "shop")),
        (0, ("rm", "shop", "--yes")),
    ]
    local = {"SCHEDULER_URL": "", "STORE_URL": f"sqlite:///{tmp_path}/local.db"}

    for code, words in commands:
        over_api, over_store = scheduler(*words), scheduler(*words, **local)
        assert (code, code, words) == (over_api.code, over_store.code, words), over_api.err + over_store.err


def test_what_is_typed_wrong_is_2_and_what_does_not_exist_is_1(
    scheduler: Scheduler, tmp_path: Path, site: str
) -> None:
    """Over a store and over the API: a script repeats the second, and never the first."""
    create = ("create", "Shop", "--type", "http", "--param", "url=https://example.com", *HOURLY)
    rules = '[{"on": ["weather"]}]'
    commands = [
        (0, create),
        (2, ("channels", "set", "webhook", '{"ratePerMinute": -4}')),
        (1, ("channels", "set", "pigeon", '{"ratePerMinute": 4}')),
        (2, ("calendars", "set", "company", "31-31")),
        (2, ("calendars", "set", "My Company", "12-24")),
        (1, ("calendars", "show", "company")),
        (2, ("events", "publish", "order paid")),
        (2, ("events", "publish", "cronfire.run")),
        (1, ("events", "publish", "order.paid", "--to", "shpo")),
        (2, ("keys", "create", "n" * 101, "--scope", "read")),
        (2, ("keys", "create", "late", "--scope", "read", "--expires", "2019-01-01")),
        (1, ("keys", "revoke", "0123456789abcdef")),
        (2, ("owners", "set", "ann", "--monthly-credits", "-3")),
        (1, ("owners", "show", "nobody")),
        (2, ("pause", "shop", "--until", "2019-01-01")),
        (2, ("backfill", "shop", "--from", "2d", "--to", "2090-01-01")),
        (2, ("backfill", "shop", "--from", "now", "--to", "2d")),
        (2, ("rehearse", "shop", "--notify", rules)),
        (2, ("rehearse", "shop", "--quiet", "24:30-07:00")),
        (1, ("rehearse", "nobody")),
        (2, ("edit", "shop", "--schedule", "at 2019-01-01T00:00")),
    ]
    local = local_store(tmp_path, site)

    for code, words in commands:
        over_api, over_store = scheduler(*words), scheduler(*words, **local)
        assert (code, code, words) == (over_api.code, over_store.code, words), over_api.err + over_store.err


def test_an_edit_over_the_api_is_made_on_what_a_run_left_meanwhile(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of the task changes with each run, and with a pause; what users decide of it does not."""
    scheduler("create", "Shop", "--type", "http", "--param", "url=https://example.com", *HOURLY)
    send = ApiClient.replace

    async def send_after_another(client: ApiClient, path: str, body: Any, *, revision: str) -> Any:
        monkeypatch.setattr(ApiClient, "replace", send)
        await client.request("POST", f"{path}/pause", {"note": "meanwhile"})
        return await send(client, path, body, revision=revision)

    monkeypatch.setattr(ApiClient, "replace", send_after_another)
    said = scheduler("edit", "shop", "--title", "Shop front")

    shown = scheduler("show", "shop", "--json").data
    assert (0, "Shop front", "meanwhile") == (said.code, shown["title"], shown["pause"]["note"]), said.err


def test_administration_is_the_same_over_the_api_and_over_a_store(
    scheduler: Scheduler, environment: dict[str, str], tmp_path: Path, site: str
) -> None:
    """The same words lead to the same output and codes; only ids and instants differ."""
    local = local_store(tmp_path, site)
    commands = [
        ("status",),
        ("cost",),
        ("channels",),
        ("channels", "list", "--json"),
        ("channels", "disable", "webhook"),
        ("channels", "disable", "slak"),
        ("channels",),
        ("channels", "enable", "webhook"),
        ("channels", "set", "webhook", '{"ratePerMinute": 10}'),
        ("channels", "set", "webhook", '{"ratePerMinute": 0}'),
        ("channels", "set", "webhook", '{"rate": 10}'),
        ("channels", "test", "webhook"),
        ("events",),
        ("keys",),
        ("keys", "create", "ci", "--scope", "read", "--owner", "ann", "--allow-type", "http"),
        ("keys", "create", "ci", "--scope", "read", "--allow-type", "htp"),
        ("keys",),
        ("keys", "revoke", "nobodys0"),
        ("owners",),
        ("owners", "show", "ann"),
        ("owners", "set", "ann"),
        ("owners", "set", "ann", "--plan", "pro", "--monthly-credits", "5", "--max-tasks", "7"),
        ("owners", "set", "ann", "--allow-type", "http"),
        ("owners", "set", "ann", "--allow-secret", "A", "--json"),
        ("owners", "show", "ann"),
        ("owners", "set", "ann", "--close"),
        ("owners", "list"),
        ("next", "daily", "--after", "2026-12-01T00:00:00Z"),
        ("tick",),
    ]
    secret = {"CRON_SECRET": "a-secret-of-the-tests-with-32-characters"}

    for words in commands:
        over_api, over_store = scheduler(*words, **secret), scheduler(*words, **secret, **local)
        assert over_store.code == over_api.code, (words, over_api.err, over_store.err)
        if "--json" in words:
            assert over_store.data == over_api.data, words
        elif words[:2] not in (("keys", "create"), ("keys",)) and words not in (("status",), ("tick",)):
            assert over_store.out == over_api.out, words
        else:
            assert over_store.out.count("\n") == over_api.out.count("\n"), words
        assert bool(over_store.err) == bool(over_api.err), (words, over_store.err, over_api.err)


def test_channels_events_and_history_are_there(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "pack", "onEvent": [{"type": "order.paid"}]}, {"id": "daily"}))

    tried = scheduler("channels", "list")
    heard = scheduler("events", "publish", "order.paid", "--data", '{"total": 12}')
    listening = scheduler("events")
    runs = scheduler("runs", "--json")
    span = ("--from", "2026-11-01T00:00:00Z", "--to", "2026-11-02T12:00:00Z")
    dry = scheduler("backfill", "daily", *span, "--dry-run", "--json")

    assert "webhook" in tried.out
    assert "pack runs at the next tick" in heard.out
    assert "order.paid: pack" in listening.out
    assert ["queued"] == [one["state"] for one in runs.data]
    assert 2 == len(dry.data)


async def _fill(path: Path) -> None:
    """Twelve hundred runs, seven hundred of which ended at the same moment."""
    store = SqliteStore(str(path))
    for batch in range(12):
        at = NOON - timedelta(hours=batch // 7)
        runs = [
            Run(
                task_id=f"t{batch}-{number}",
                occurrence=at,
                attempt=1,
                token="ab.1",
                outcome=OutcomeKind.SUCCEEDED,
                started_at=at,
                finished_at=at,
            )
            for number in range(100)
        ]
        await store.write_with_runs(RunBatch(f"tick-{batch}", at, tuple(runs)), [])
    await store.close()


def test_runs_are_read_in_as_many_requests_as_it_takes(scheduler: Scheduler, tmp_path: Path) -> None:
    """A page of the API has 500."""
    asyncio.run(_fill(tmp_path / "remote.db"))

    some = scheduler("runs", "--limit", "800", "--json")
    more = scheduler("runs", "--limit", "1000", "--json")

    assert (0, 800) == (some.code, len(some.data))
    assert 1000 == len({run["taskId"] for run in more.data})


class TestNothingIsStored:
    """One function for all, whose store stays empty."""

    @pytest.fixture
    def environment(self, empty: dict[str, str]) -> dict[str, str]:
        return empty

    @pytest.mark.parametrize(
        ("words", "variables", "code", "said"),
        [
            (("list",), {"SCHEDULER_KEY": "wrong"}, 1, "SCHEDULER_KEY: "),
            (("list",), {"SCHEDULER_KEY": ""}, 2, "SCHEDULER_KEY is missing"),
            (("list",), {"SCHEDULER_URL": "http://127.0.0.1:1"}, 1, "the connection was refused"),
            (("list",), {"SCHEDULER_URL": "cron.example.com"}, 2, "SCHEDULER_URL: must begin with https://"),
            (("tick",), {}, 2, "SCHEDULER_KEY starts no tick; set CRON_SECRET as well"),
            (("tick",), {"CRON_SECRET": "another-secret-of-32-characters-123"}, 1, "CRON_SECRET: "),
            (("import", "crontab"), {}, 2, "write a task file with --write FILE"),
        ],
    )
    def test_what_cannot_be_done_is_one_line(
        self, scheduler: Scheduler, words: tuple[str, ...], variables: dict[str, Any], code: int, said: str
    ) -> None:
        done = scheduler(*words, **variables)

        assert (code, 1) == (done.code, done.err.count("\n"))
        assert said in done.err
        assert KEY not in done.err + done.out

    def test_the_key_may_be_in_a_file(self, scheduler: Scheduler, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(KEY)

        done = scheduler("list", "--json", SCHEDULER_KEY="", SCHEDULER_KEY_FILE=str(tmp_path / "key"))

        assert (0, []) == (done.code, json.loads(done.out))


def test_runs_are_waited_for_over_the_api(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> None:
    scheduler("apply", write_tasks({"id": "one", "params": {"url": f"{site}/broken"}}))

    failed = scheduler("run", "one", "--wait")
    unknown = scheduler("run", "one", "nope")
    once = scheduler(
        "run",
        "--wait",
        "--file",
        write_tasks({"id": "once", "schedule": "", "params": {"url": site}}),
        "--json",
    )

    assert (1, True) == (failed.code, "one: attempt 1 failed; a tick makes the next one at" in failed.out)
    assert (1, True) == (unknown.code, "No run was requested" in unknown.err)
    assert 0 == once.code, once.err
    assert ("once", "ended", "succeeded") == (
        once.data[0]["task"],
        once.data[0]["status"],
        once.data[0]["run"]["outcome"],
    )
