"""Rows that somebody wrote into the store by hand: one bad row never sinks a page, a list or a message."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest

from functions.app.application import App
from functions.cli.main import main
from functions.config.settings import Settings
from functions.domain.access import ADMINISTRATOR
from functions.domain.capacity.time_budget import CLOUD_SCHEDULER_BUDGET
from functions.domain.run import Run
from functions.domain.sharding import shard_of
from functions.domain.storage import ConditionalWrite, DocumentKind, RunBatch
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Trigger
from functions.services.access import audit
from functions.services.access.view import OwnerView
from functions.services.calendars.service import CalendarService
from functions.testing import make_job, make_tools, run_job
from functions.web.api.runs import encode_run_id
from functions.web.factory import build_api_app
from tests.conftest import NOON
from tests.unit.web.api.conftest import ADMIN
from tests.unit.web.asgi import Answer, call
from tests.unit.web.dashboard.conftest import Browser
from tests.unit.web.routes import all_routes

FAR = "9999-12-31T23:00:00Z"
HALF = "\ud800"  # half a surrogate pair, which JSON can say and UTF-8 cannot
ZONE = "Pacific/Kiritimati"  # fourteen hours ahead: what is far in UTC is in no calendar there

# What was changed in the document of a good task; None removes the field.
POISON_TASKS: Mapping[str, Mapping[str, Any]] = {
    "far-start": {"startAt": FAR, "nextOccurrence": FAR, "timezone": ZONE},
    "far-next": {"nextOccurrence": FAR, "nextRunAt": FAR, "timezone": ZONE},
    "far-past": {"createdAt": "0001-01-01T00:00:00Z", "timezone": "America/Los_Angeles"},
    "far-pause": {"status": "paused", "pause": {"until": FAR}, "timezone": ZONE},
    "far-notice": {"alert": {"failingSince": FAR, "retryAt": FAR}, "timezone": ZONE},
    "no-time": {"createdAt": "yesterday"},
    "wrong-time": {"nextOccurrence": {"at": 5}},
    "wrong-type": {"tags": 7, "runCount": "many"},
    "no-type": {"type": None},
    "no-title": {"title": None},
    "half-title": {"title": HALF},
    "half-error": {"lastError": HALF, "consecutiveFailures": 3},
    "half-params": {"params": {"url": HALF, HALF: 1}},
    "half-memory": {"memory": {"seen": HALF}},
    "half-zone": {"timezone": HALF},
    "no-zone": {"timezone": "Nowhere/At_All"},
    "no-days": {"except": ["someday", "holidays:XX"], "onExcluded": "next"},
    "lost-days": {"except": ["calendar:gone"]},
    "wild-days": {"except": 7, "calendars": [{"name": "x"}]},
    "folder-zone": {"timezone": "Europe"},
    "no-schedule": {"schedule": "whenever it suits"},
    "unknown-type": {"type": "gone_fishing"},
    "wild-recent": {
        "recent": ["succeeded ² x", "a b c", "succeeded 1 " + FAR, "x"],
        "consecutiveFailures": 1,
    },
    "long-recent": {
        "recent": ["succeeded 99999999999999999999 2026-11-20T11:00:00Z", f"failed {'9' * 5000} x"],
        "consecutiveFailures": 1,
    },
    "wild-counts": {
        "attempt": 10**30,
        "expiredClaims": 10**30,
        "interruptions": 10**30,
        "consecutiveFailures": 10**30,
        "runCount": 10**30,
        "lastDurationMs": 10**30,
    },
    "wild-status": {"status": "asleep"},
    "wild-outcome": {"lastOutcome": ["failed"]},
    "no-occurrence": {
        "status": "running",
        "claim": {"token": "t.7", "until": "2026-11-20T12:00:00Z", "startedAt": "2026-11-20T11:59:00Z"},
    },
    "retry-of-nothing": {"status": "retrying", "attempt": 1, "lastOutcome": "failed"},
    "far-budget": {"budget": {"creditsPerRun": -5}},
    "wild-spent": {"creditsSpent": {"month": "never", "credits": -1e308}},
}
POISON_RUNS: Mapping[str, Mapping[str, Any]] = {
    "far": {"finishedAt": FAR, "startedAt": FAR},
    "far-occurrence": {"occurrence": FAR},
    "wrong": {"finishedAt": 5.5, "metrics": 7},
    "missing": {"startedAt": None},
    "half-summary": {"summary": HALF},
    "half-metrics": {"metrics": {"note": HALF, "credits": "many"}},
    "wild-items": {"items": [{"title": 7}]},
    "wild-metrics": {"metrics": {"credits": -1, "new": "x", "latencyMs": {}}, "hasNews": True},
    "no-task": {"taskId": "Not An Id"},
}
POISON_DOCUMENTS: Mapping[str, Any] = {
    "empty": {},
    "wrong": {"at": 5, "createdAt": 5, "name": 5, "monthlyCredits": "x", "month": 7},
    "far": {
        "id": "k1",
        "name": "far",
        "scopes": ["read"],
        "createdAt": FAR,
        "expiresAt": FAR,
        "at": FAR,
        "verb": "edited",
        "subject": "good",
        "by": "x",
        "month": "never",
    },
    "half": {"name": HALF, "plan": HALF, "subject": HALF},
    "minus": {"monthlyCredits": -5, "usedCredits": -1, "month": "2026-99"},
    "list": [],
    "text": "x",
}
KINDS = get_args(DocumentKind)


def task(task_id: str, **changes: Any) -> Task:
    fields = {
        "id": task_id,
        "title": task_id.capitalize(),
        "type": "publish_event",
        "params": {"eventType": "shop.opened"},
        "schedule": "0 9 * * *",
        "tags": ("shop",),
        "created_at": NOON,
        "updated_at": NOON,
        "shard": shard_of(task_id),
        "next_occurrence": NOON,
        "next_run_at": NOON,
    }
    return Task.model_validate(fields | changes)


def run_of(task_id: str, minutes: int = 0) -> Run:
    at = NOON - timedelta(minutes=minutes + 1)
    return Run(
        task_id=task_id,
        occurrence=at,
        trigger=Trigger.SCHEDULE,
        outcome=OutcomeKind.SUCCEEDED,
        started_at=at,
        finished_at=at,
        summary="all is well",
    )


def poisoned(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def poison_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        columns = "id, rev, next_run_at, status, type, owner, origin, tags, doc"
        [row] = database.execute(f"SELECT {columns} FROM tasks WHERE id = 'good'")
        good = json.loads(row[-1])
        texts = {name: json.dumps(poisoned(good, {"id": name, **one})) for name, one in POISON_TASKS.items()}
        texts |= {"a-brace": "{", "a-null": "null", "nothing": "", "a-nan": '{"timeoutSeconds": NaN}'}
        for name, text in texts.items():
            marks = ", ".join("?" * 9)
            database.execute(f"INSERT INTO tasks ({columns}) VALUES ({marks})", (name, *row[1:-1], text))
        [run] = database.execute(
            "SELECT task_id, finished_at, batch_id, doc FROM runs WHERE task_id = 'good' LIMIT 1"
        )
        good = json.loads(run[-1])
        runs = {
            name: json.dumps(poisoned(good, {"attempt": number, **one}))
            for number, (name, one) in enumerate(POISON_RUNS.items(), 2)
        }
        for name, text in (runs | {"brace": "{"}).items():
            row = (name, *run[:-1], text)
            database.execute(
                "INSERT INTO runs (key, task_id, finished_at, batch_id, doc) VALUES (?, ?, ?, ?, ?)", row
            )
        for kind in KINDS:
            documents = {name: json.dumps(data) for name, data in POISON_DOCUMENTS.items()}
            for name, text in (documents | {"brace": "{"}).items():
                identity = f"good@{name}" if kind == "audit" else name
                row = (kind, identity, 1, 2**62, text)
                database.execute(
                    "INSERT INTO documents (kind, id, rev, expire_at, data) VALUES (?, ?, ?, ?, ?)", row
                )
            database.execute("INSERT INTO documents VALUES (?, 'number', 1, NULL, 5)", (kind,))


def poison_json(path: Path) -> None:
    state_path, history = path.with_name("tasks.state.json"), path.with_name("tasks.history.jsonl")
    written, state = json.loads(path.read_text()), json.loads(state_path.read_text())
    [good] = [one for one in written["tasks"] if one["id"] == "good"]
    kept = state["tasks"]["good"]
    for name, changes in POISON_TASKS.items():
        written["tasks"].append(
            poisoned(
                good,
                {"id": name}
                | {k: v for k, v in changes.items() if k in good or k in ("startAt", "budget", "timezone")},
            )
        )
        state["tasks"][name] = poisoned(
            kept,
            {
                k: v
                for k, v in changes.items()
                if k in kept
                or k in ("pause", "alert", "recent", "memory", "lastError", "lastOutcome", "creditsSpent")
            },
        )
    written["tasks"] += [None, 5, {}, [HALF], {"title": HALF}]
    path.write_text(json.dumps(written))
    state_path.write_text(json.dumps(state))
    line = json.loads(history.read_text().splitlines()[0])
    run = line["runs"][0]
    line |= {
        "batch": "bad.1",
        "runs": [
            poisoned(run, {"attempt": number, **one}) for number, one in enumerate(POISON_RUNS.values(), 2)
        ]
        + [None, 5, "x"],
    }
    far = {"batch": "far.1", "at": FAR, "runs": [run]}
    history.write_text(history.read_text() + f'{json.dumps(line)}\n{json.dumps(far)}\n{{\n[]\n"x"\n')
    documents_path = path.with_name("tasks.documents.json")
    documents = json.loads(documents_path.read_text())
    for kind in KINDS:
        for name, data in POISON_DOCUMENTS.items():
            identity = f"good@{name}" if kind == "audit" else name
            documents.setdefault(kind, {})[identity] = {"revision": 1, "data": data, "expireAt": FAR}
        documents[kind]["number"] = 5
    documents_path.write_text(json.dumps(documents))


@pytest.fixture(params=["sqlite", "json"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    name = "tasks.db" if request.param == "sqlite" else "tasks.json"
    return {
        "STORE_URL": f"{request.param}:///{tmp_path}/{name}",
        "CREDITS_PER_RUN": "publish_event=1",
        "API_KEY": ADMIN,
    }


async def fill(wired: App) -> None:
    """Store a good one of each, and those that stand behind the poison in every order."""
    store = wired.store
    tasks = [task("good"), task("a-first"), task("z-last")]
    runs = [run_of("good"), run_of("a-first"), run_of("z-last", 9)]
    await store.write_with_runs(
        RunBatch("t.1", NOON, tuple(runs)), [ConditionalWrite(one, None) for one in tasks]
    )
    await wired.accounts.set_plan("good-owner", monthly_credits=100)
    await CalendarService(store, ADMINISTRATOR, clock=lambda: NOON, new_id=lambda: "c1").save(
        "good-days", ["12-25"]
    )
    await wired.keys.create(name="good-key", scopes=("read",), owner="", expires_at=None, by=ADMINISTRATOR)
    await audit.record_change(store, "edited", "good", by="good-person", at=NOON, new_id=lambda: "e1")


async def prepare(environment: Mapping[str, str], folder: Path) -> None:
    """Make the store, and write the bad rows into its files."""
    filling = App(Settings.from_env(environment, serves_http=False), clock=lambda: NOON)
    await fill(filling)
    await filling.close()
    if (folder / "tasks.db").exists():
        poison_sqlite(folder / "tasks.db")
    else:
        poison_json(folder / "tasks.json")


@pytest.fixture
async def wired(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[App]:
    await prepare(environment, tmp_path)
    wired = App(Settings.from_env(environment, serves_http=False), clock=lambda: NOON)
    yield wired
    await wired.close()


@pytest.fixture
def served(wired: App) -> Any:
    return build_api_app(
        Settings.from_env({"API_KEY": ADMIN}, serves_http=False),
        wired,
        clock=count(int(NOON.timestamp()), 10).__next__,
    )


PAGES = {
    "/dashboard": b"good",
    "/dashboard?status=paused": b"",
    "/dashboard?tag=shop": b"good",
    "/dashboard/agenda": b"",
    "/dashboard/tasks/good": b"all is well",
    "/dashboard/tasks/good/edit": b"shop.opened",
    "/dashboard/keys": b"good-key",
    "/dashboard/channels": b"",
    "/dashboard/calendars": b"good-days",
    "/dashboard/calendars?name=wrong": b"good-days",
    "/dashboard/owners": b"good-owner",
    "/dashboard/owners/edit?name=good-owner": b"100",
    "/dashboard/owners/edit?name=minus": b"minus",
    "/dashboard/owners/edit?name=text": b"text",
    "/dashboard/keys/wrong/revoke": b"",
    "/dashboard/new": b"",
    "/dashboard/audit": b"good-person",
    "/dashboard/runs": b"",
    "/dashboard/incidents": b"",
    "/dashboard/removed": b"",
}


@pytest.mark.parametrize(("path", "shown"), PAGES.items())
async def test_no_page_of_the_dashboard_falls(served: Any, path: str, shown: bytes) -> None:
    browser = Browser(served)
    await browser.sign_in()

    page = await browser.get(path)

    assert 200 == page.status
    assert shown in page.body


async def ask(served: Any, path: str) -> Answer:
    return await call(served, "GET", path, ("Authorization", f"Bearer {ADMIN}"))


async def send(served: Any, method: str, path: str, body: Any = None) -> Answer:
    headers = [("Authorization", f"Bearer {ADMIN}"), ("Content-Type", "application/json")]
    return await call(served, method, path, *headers, body=b"" if body is None else json.dumps(body).encode())


ROUTES = {
    "/api/tasks": b'"z-last"',
    "/api/tasks?limit=2": b'"next"',
    "/api/runs": b'"z-last"',
    "/api/runs?limit=1": b'"next":"',
    "/api/runs?task=good": b"all is well",
    "/api/tasks/good": b'"good"',
    "/api/tasks/good/audit": b"good-person",
    "/api/calendars": b"good-days",
    "/api/calendars/good-days": b"12-25",
    "/api/owners": b"good-owner",
    "/api/keys": b"good-key",
    "/api/channels": b"channels",
    "/api/events": b"",
    "/metrics": b"",
    "/metrics/": b"",
    "/api/owners/good-owner": b"good-owner",
    "/status": b"healthy",
    "/status/": b"healthy",
}
OF_ONE = {  # asked for each bad row in turn, or in a test of its own
    "/api/runs/{id}",
    "/api/tasks/{id}/heartbeat",
    "/dashboard/runs/{id}",
    "/mcp",
    "/badge/{name}.svg",
    "/public/{name:path}",
    "/dashboard/removed/{id}",
    "/dashboard/channels/{name}",  # of channels that are set up; here there is none
}
OF_NO_ROW = {
    "/api/schedule/preview",
    "/dashboard/schedule-preview",
    "/dashboard/sign-in",
    "/ping/{name}",  # a name that we signed is of a task that could be read
    "/ping/{name}/",
    "/ping/{name}/{what}",
    "/ping/{name}/{what}/",
    "/docs",
    "/docs/{name}",
    "/docs/start.js",
    "/api/types",
    "/api/types/{name}",
    "/task-file.schema.json",
    "/openapi.json",
}


def test_every_page_and_list_of_the_program_is_here() -> None:
    asked = {path.partition("?")[0] for path in (*PAGES, *ROUTES)}
    paths = {route.path for route in all_routes() if "GET" in (route.methods or ())}

    missing = {
        path
        for path in paths - OF_ONE - OF_NO_ROW
        if not path.endswith((".css", ".js", ".svg"))
        and not any(re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), one) for one in asked)
    }

    assert set() == missing, "new: say here which rows it shows, and what it shows beside bad ones"


@pytest.mark.parametrize(("path", "shown"), ROUTES.items())
async def test_no_route_of_the_api_falls(served: Any, path: str, shown: bytes) -> None:
    answer = await ask(served, path)

    assert 200 == answer.status
    assert shown in answer.body


async def test_pages_of_poison_lead_to_the_end(served: Any) -> None:
    """A list is read to its last task and run, however many bad rows fill a page."""
    tasks, runs = set(), set()
    after, cursor = "", ""
    for _ in range(100):
        page = (await ask(served, f"/api/tasks?limit=2&cursor={after}")).json
        tasks |= {one["id"] for one in page["tasks"]}
        if not (after := page["next"] or ""):
            break
    for _ in range(100):
        page = (await ask(served, f"/api/runs?limit=1&cursor={cursor}")).json
        runs |= {one["taskId"] for one in page["runs"]}
        if not (cursor := page["next"] or ""):
            break

    assert {"good", "a-first", "z-last"} <= tasks
    assert {"good", "a-first", "z-last"} <= runs


async def test_each_bad_task_is_answered_for_itself(served: Any) -> None:
    browser = Browser(served)
    await browser.sign_in()
    for name in POISON_TASKS:
        for path in (f"/dashboard/tasks/{name}", f"/dashboard/tasks/{name}/edit"):
            assert (await browser.get(path)).status in (200, 400, 404, 409, 422), name
        for path in (f"/api/tasks/{name}", f"/api/tasks/{name}/heartbeat"):
            assert (await ask(served, path)).status in (200, 400, 404, 409, 422), name
        assert "result" in await ask_assistant(served, "get_task", id=name)
    assert 200 == (await ask(served, f"/api/runs/{encode_run_id(run_of('good'))}")).status
    assert 200 == (await browser.get(f"/dashboard/runs/{encode_run_id(run_of('good'))}")).status


async def ask_assistant(served: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    message |= {"params": {"name": tool, "arguments": arguments}}
    headers = {
        "Authorization": f"Bearer {ADMIN}",
        "Content-Type": "application/json",
        "Host": "cronfire.example.com",
        "Accept": "application/json, text/event-stream",
    }
    answer = await call(served, "POST", "/mcp", *headers.items(), body=json.dumps(message).encode())
    assert 200 == answer.status, answer.body
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize(
    ("tool", "shown"), [("list_tasks", "good"), ("list_runs", "good"), ("list_incidents", "open")]
)
async def test_no_list_of_an_assistant_falls(served: Any, tool: str, shown: str) -> None:
    result = (await ask_assistant(served, tool, limit=50))["result"]

    assert not result.get("isError", False), result
    assert shown in json.dumps(result)


@pytest.mark.parametrize("page", ["/dashboard?tag=shop", "/dashboard/tasks/good"])
async def test_public_pages_do_not_fall(served: Any, page: str) -> None:
    browser = Browser(served)
    await browser.sign_in()
    links = set(re.findall(r"/(?:public|badge)/[^\"<\s)]+", (await browser.get(page)).body.decode()))

    answers = [await call(served, "GET", link) for link in sorted(links)]

    assert links
    for answer in answers:
        assert 200 == answer.status
        assert b"Good" in answer.body


COMMANDS = {
    ("list",): "z-last",
    ("list", "--json"): "z-last",
    ("show", "good"): "Good",
    ("show", "good", "--json"): "good",
    ("runs",): "z-last",
    ("runs", "--json"): "z-last",
    ("status",): "",
    ("status", "--json"): "",
    ("doctor",): "",
    ("keys", "list"): "good-key",
    ("calendars",): "good-days",
    ("owners",): "good-owner",
    ("owners", "--json"): "good-owner",
    ("channels",): "",
    ("export", "{folder}/all.jsonl"): "tasks",
    ("next", "0 9 * * *"): "09:00",
    ("show", "far-start"): "",
}


@pytest.mark.parametrize(("words", "shown"), COMMANDS.items(), ids=" ".join)
def test_no_command_falls(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], shown: str
) -> None:
    asyncio.run(prepare(environment, tmp_path))
    out, err = StringIO(), StringIO()

    code = main([word.format(folder=tmp_path) for word in words], environment, out=out, err=err)

    assert code in ((0, 1) if words[0] in ("doctor", "export", "show") else (0,)), err.getvalue()
    assert "Traceback" not in err.getvalue()
    assert shown in out.getvalue()


@pytest.mark.parametrize("kind", ["owners", "keys", "audit"])
async def test_a_page_of_documents_is_short_only_at_the_end(wired: App, kind: DocumentKind) -> None:
    whole = [document.id for document in await wired.store.list_documents(kind, limit=1000)]
    after, paged = "", []
    while page := await wired.store.list_documents(kind, after=after, limit=1):
        after = page[-1].id
        paged.append(after)

    assert whole == paged
    assert set(paged) >= {f"good@{name}" if kind == "audit" else name for name in POISON_DOCUMENTS} | {
        "number"
    }


async def test_accounts_and_keys_that_cannot_be_read_are_named_repaired_and_removed(served: Any) -> None:
    """Also those whose text is no JSON object: they were in no list, and could be neither set nor removed."""
    bad = {"wrong", "minus", "list", "text", "number"}
    owners, keys = (await ask(served, "/api/owners")).json, (await ask(served, "/api/keys")).json

    assert bad <= set(owners["unreadable"])
    assert bad <= set(keys["unreadable"])
    for name in bad:
        repaired = await send(served, "PUT", f"/api/owners/{name}", {"monthlyCredits": 5})
        removed = await send(served, "DELETE", f"/api/keys/{name}")
        assert (200, 5, 200) == (repaired.status, repaired.json["monthlyCredits"], removed.status), name
    owners, keys = (await ask(served, "/api/owners")).json, (await ask(served, "/api/keys")).json
    assert not bad & {*owners["unreadable"], *keys["unreadable"]}


async def test_a_tick_runs_the_good_ones_and_says_so(wired: App) -> None:
    report = await wired.tick(CLOUD_SCHEDULER_BUDGET)

    tasks = (await wired.store.get_tasks(["good", "a-first", "z-last"])).tasks
    assert ["succeeded"] * 3 == [stored.task.last_outcome for stored in tasks]
    assert report["unreadable"]


async def test_the_daily_briefing_is_written(wired: App) -> None:
    outcome = await run_job(
        make_job("daily_briefing", {}), replace(make_tools(), open_store=partial(OwnerView, wired.store))
    )

    assert OutcomeKind.SUCCEEDED is outcome.kind
