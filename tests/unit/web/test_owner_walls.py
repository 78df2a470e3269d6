"""One owner sees nothing of another's: every route of the API and of the dashboard, and every task type.

Routes and types are taken from the program itself: one that is added is in the sweep and fails until it has a
verdict here.
"""

import json
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.events import Event
from functions.domain.task import TaskSpec
from functions.errors import InputError
from functions.services.access.view import OwnerView
from functions.services.apply import apply_plan
from functions.task_types.registry import example_params, run_job, type_names
from functions.testing import make_job, make_tools
from functions.web.api.runs import encode_run_id
from functions.web.dashboard import public
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, api, clock, make_key, wired
from tests.unit.web.dashboard.conftest import Browser, make_browser
from tests.unit.web.routes import all_routes

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

__all__ = ["api", "clock", "make_key", "wired"]

Call = Callable[..., Awaitable[Any]]
MakeKey = Callable[..., Awaitable[str]]
SECRET = "bobs-secret-word"
BOBS = {
    "id": "bobs-task",
    "title": f"Title {SECRET}",
    "description": f"Description {SECRET}",
    "owner": "bob",
    "tags": ["shared", f"tag-{SECRET}"],
    "type": "command",
    "params": {"command": ["echo", SECRET]},
    "schedule": "* * * * *",
    "onEvent": [{"type": f"event.{SECRET}"}],
}
ALICES = {
    "id": "alices-task",
    "title": "Alice's",
    "tags": ["shared"],
    "type": "http",
    "params": {"url": "https://example.com/"},
    "schedule": "@yearly",
}


@dataclass(frozen=True)
class World:
    """A store with a task of bob's that has failed, and of alice's; a key and a session of alice's."""

    api: Call
    key: str
    browser: Browser
    app: App
    run_id: str
    key_id: str

    def fill(self, path: str) -> str:
        """The address of *path* about what is bob's."""
        values = {
            "/api/runs/{id}": self.run_id,
            "/dashboard/runs/{id}": self.run_id,
            "/api/keys/{id}": self.key_id,
            "/dashboard/keys/{id}/revoke": self.key_id,
            "/api/owners/{id:path}": "bob",
        }
        verbs = re.sub(r"\{verb[^}]*\}", "pause", path)
        return re.sub(r"\{[^}]+\}", values.get(path, "bobs-task"), verbs)

    async def bobs(self) -> str:
        """All that is stored of bob's task."""
        [stored] = (await self.app.store.get_tasks(["bobs-task"])).tasks
        return stored.task.model_dump_json()


@dataclass
class Made:
    """What the first `world` left: its store, and what the others must know of it."""

    path: Path
    key: str = ""
    run_id: str = ""
    key_id: str = ""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made") / "api.db")


@pytest.fixture
async def world(wired: App, api: Call, make_key: MakeKey, clock: Clock, tmp_path: Path, made: Made) -> World:
    if made.key:
        shutil.copy(made.path, tmp_path)
        clock.now = NOON + timedelta(minutes=2)
    else:
        await make(made, wired, api, make_key, clock)
        with closing(sqlite3.connect(tmp_path / "api.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(made.path),))
    browser = make_browser(wired)()
    await browser.sign_in(made.key)
    return World(api, made.key, browser, wired, made.run_id, made.key_id)


async def make(made: Made, wired: App, api: Call, make_key: MakeKey, clock: Clock) -> None:
    """Have bob's task fail, beside one of alice's."""
    await api("PUT", "/api/owners/bob", {"capabilities": {"types": ["*"]}})
    assert 201 == (await api("POST", "/api/tasks", BOBS)).status
    assert 201 == (await api("POST", "/api/tasks", ALICES | {"owner": "alice"})).status
    assert await make_key("write", name=f"Key {SECRET}", owner="bob")
    await api("PUT", "/api/owners/bob", {"monthlyCredits": 7777, "plan": f"plan {SECRET}"})
    clock.now = NOON + timedelta(minutes=2)
    await wired.tick(TimeBudget(None, None))  # the command fails, as commands are off
    run = (await wired.store.runs(task_id="bobs-task"))[0]
    keys = (await api("GET", "/api/keys")).json["keys"]
    made.run_id = encode_run_id(run)
    made.key_id = next(one["id"] for one in keys if SECRET in one["name"])
    made.key = await make_key("admin", owner="alice", name="Alice's")


def all_operations() -> list[tuple[str, str]]:
    """Every method and path of the program behind the tick."""
    return sorted({(method, route.path) for route in all_routes() for method in route.methods or ()})


HIDDEN, OPERATOR, OWN, INVALID = {404}, {403}, {200, 201, 303}, {401, 422}
VERDICTS: dict[str, set[int]] = {
    # what is bob's is not there
    "DELETE /api/calendars/{name}": HIDDEN,
    "GET /api/calendars/{name}": HIDDEN,
    "POST /api/calendars/{name}/refresh": HIDDEN,
    "DELETE /api/keys/{id}": HIDDEN,
    "DELETE /api/tasks/{id}": HIDDEN,
    "GET /api/owners/{id:path}": HIDDEN,
    "GET /api/runs/{id}": HIDDEN,
    "GET /api/tasks/{id}": HIDDEN,
    "GET /api/tasks/{id}/audit": HIDDEN,
    "GET /api/tasks/{id}/heartbeat": HIDDEN,
    "POST /api/tasks/{id}/heartbeat": HIDDEN,
    "GET /ping/{name}": HIDDEN,
    "GET /ping/{name}/": HIDDEN,
    "POST /ping/{name}": HIDDEN,
    "POST /ping/{name}/": HIDDEN,
    "GET /ping/{name}/{what}": HIDDEN,
    "GET /ping/{name}/{what}/": HIDDEN,
    "POST /ping/{name}/{what}": HIDDEN,
    "POST /ping/{name}/{what}/": HIDDEN,
    "GET /badge/{name}.svg": HIDDEN,
    "GET /public/{name:path}": HIDDEN,
    "GET /dashboard/runs/{id}": HIDDEN,
    "GET /dashboard/tasks/{id}": HIDDEN,
    "GET /dashboard/tasks/{id}/edit": HIDDEN,
    "PATCH /api/tasks/{id}": HIDDEN,
    "PUT /api/tasks/{id}": HIDDEN,
    "POST /api/tasks/{id}/backfill": HIDDEN,
    "POST /api/tasks/{id}/cancel": HIDDEN,
    "POST /api/tasks/{id}/rehearse": HIDDEN,
    "POST /api/tasks/{id}/pause": HIDDEN,
    "POST /api/tasks/{id}/resume": HIDDEN,
    "POST /api/tasks/{id}/run": HIDDEN,
    "GET /dashboard/keys/{id}/revoke": HIDDEN,
    "POST /dashboard/keys/{id}/revoke": HIDDEN,
    "GET /dashboard/removed/{id}": HIDDEN,
    "POST /dashboard/removed/{id}/restore": HIDDEN,
    "POST /dashboard/tasks/{id}/edit": HIDDEN,
    "POST /dashboard/tasks/{id}/{verb}": HIDDEN,
    # what is the operator's is refused
    "GET /api/channels": OPERATOR,
    "GET /metrics": OPERATOR,
    "GET /metrics/": OPERATOR,
    "GET /status": OPERATOR,
    "GET /status/": OPERATOR,
    "GET /dashboard/audit": OPERATOR,
    "GET /dashboard/channels": OPERATOR,
    "GET /dashboard/channels/{name}": OPERATOR,
    "GET /dashboard/owners": OPERATOR,
    "GET /dashboard/owners/edit": OPERATOR,
    "PATCH /api/channels/{name}": OPERATOR,
    "POST /api/channels/{name}/test": OPERATOR,
    "PUT /api/owners/{id:path}": OPERATOR,
    "POST /dashboard/channels/{name}": OPERATOR,
    "POST /dashboard/channels/{name}/{verb}": OPERATOR,
    "POST /dashboard/owners": OPERATOR,
    # lists, pages and changes of what is alice's
    "GET /api/calendars": OWN,
    "PUT /api/calendars/{name}": INVALID,
    "GET /api/events": OWN,
    "GET /api/keys": OWN,
    "GET /api/owners": OWN,
    "GET /api/tasks": OWN,
    "GET /dashboard": OWN,
    "GET /dashboard/agenda": OWN,
    "GET /dashboard/calendars": OWN,
    "POST /dashboard/calendars": OWN,  # nothing was saved; test_calendars.py does
    "GET /dashboard/incidents": OWN,
    "GET /dashboard/runs": OWN,
    "POST /dashboard/incidents/silence": OPERATOR,
    "GET /dashboard/keys": OWN,
    "GET /dashboard/new": OWN,
    "GET /dashboard/removed": OWN,
    "GET /dashboard/schedule-preview": OWN,
    "GET /dashboard/sign-in": OWN,
    "POST /dashboard/keys": INVALID,
    "POST /dashboard/links/revoke": OWN,
    "POST /dashboard/links/words": OWN,
    "POST /dashboard/sign-out": OWN,
    "POST /dashboard/tasks/bulk": {404},  # no button was pressed; test_bulk.py presses them
    "POST /dashboard/new": OWN,
    "POST /api/events": {422, *OWN},
    "POST /api/keys": INVALID,
    "POST /api/tasks": INVALID,
    "POST /api/tasks/pause": INVALID,
    "POST /api/tasks/resume": INVALID,
    "POST /dashboard/sign-in": INVALID,
    "GET /api/runs": INVALID,  # a key of an owner names the task
    # the same for everybody
    "GET /api/schedule/preview": {200, 422},
    "GET /api/types": OWN,
    "GET /api/types/{name}": HIDDEN,
    "GET /task-file.schema.json": OWN,
    "GET /openapi.json": OWN,
    "GET /dashboard/htmx.js": OWN,
    "GET /dashboard/icon.svg": OWN,
    "GET /dashboard/page.js": OWN,
    "GET /dashboard/style.css": OWN,
    "GET /dashboard/forms.css": OWN,
    "POST /mcp": {400},  # no message of the protocol; below, and in tests/unit/assistants each tool
    "GET /mcp": {405},
    "PUT /mcp": {405},
    "PATCH /mcp": {405},
    "DELETE /mcp": {405},
    "GET /docs": OWN,
    "GET /docs/start.js": OWN,
    "GET /docs/{name}": {404, 422},
}
BODIES: dict[str, dict[str, Any]] = {
    "PUT /api/tasks/{id}": BOBS | {"owner": "alice"},
    "PATCH /api/tasks/{id}": {"title": "Mine now"},
    "POST /api/tasks/{id}/backfill": {"from": "2026-11-20T00:00:00Z", "until": "2026-11-20T11:00:00Z"},
    "PUT /api/owners/{id:path}": {"monthlyCredits": 1},
    "PATCH /api/channels/{name}": {},
}


@pytest.mark.parametrize("route", [f"{method} {path}" for method, path in all_operations()])
async def test_no_route_shows_or_changes_what_is_another_owners(world: World, route: str) -> None:
    assert route in VERDICTS, f"{route} is new: say here what an owner gets who asks for another owner's"
    method, path = route.split(" ")
    before = await world.bobs()

    if path.startswith("/dashboard"):
        ask = world.browser.get if method == "GET" else world.browser.post
        answer = await ask(world.fill(path))
    else:
        body = BODIES.get(route, {}) if method in ("POST", "PUT", "PATCH") else None
        answer = await world.api(method, world.fill(path), body, key=world.key)

    assert answer.status in VERDICTS[route], answer.body
    assert SECRET.encode() not in answer.body
    assert before == await world.bobs()


def test_no_verdict_is_of_a_route_that_is_gone() -> None:
    assert set(VERDICTS) == {f"{method} {path}" for method, path in all_operations()}


@pytest.mark.parametrize(
    "target",
    [
        "/api/tasks?owner=bob",
        "/api/tasks?tag=shared",
        f"/api/tasks?tag=tag-{SECRET}",
        "/api/tasks?type=command",
        "/api/tasks?cursor=a",
        "/api/owners",
        "/api/keys",
        "/api/events",
    ],
)
async def test_no_filter_reaches_over_the_wall(world: World, target: str) -> None:
    answer = await world.api("GET", target, key=world.key)

    assert 200 == answer.status, answer.body
    assert b"bob" not in answer.body


@pytest.mark.parametrize("tool", ["get_task", "pause_task", "run_task", "list_tasks"])
async def test_an_assistant_with_the_key_reaches_nothing_else(world: World, tool: str) -> None:
    before = await world.bobs()
    arguments = {"owner": "bob"} if tool == "list_tasks" else {"id": "bobs-task"}
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }

    answer = await world.api(
        "POST",
        "/mcp",
        message,
        key=world.key,
        headers={"Host": "cron.example.com", "Accept": "application/json, text/event-stream"},
    )

    result = answer.json["result"]
    assert (200, tool != "list_tasks") == (answer.status, result.get("isError", False)), answer.body
    assert SECRET.encode() not in answer.body
    assert b"bobs-task" not in answer.body or result["isError"]
    assert before == await world.bobs()


async def test_runs_of_another_owners_task_are_not_there(world: World) -> None:
    mine = await world.api("GET", "/api/runs?task=alices-task", key=world.key)
    bobs = await world.api("GET", "/api/runs?task=bobs-task", key=world.key)

    assert (200, 404) == (mine.status, bobs.status)


async def test_a_command_for_a_tag_is_for_ones_own_tasks(world: World) -> None:
    before = await world.bobs()

    answer = await world.api("POST", "/api/tasks/pause", {"tag": "shared"}, key=world.key)

    assert ["alices-task"] == answer.json["ids"]
    assert before == await world.bobs()


async def test_an_id_that_is_taken_says_no_more_than_that(world: World) -> None:
    answer = await world.api("POST", "/api/tasks", ALICES | {"id": "bobs-task"}, key=world.key)

    assert 409 == answer.status
    assert b"bob" not in answer.body.replace(b"bobs-task", b"")


# -- what is left of a task that is removed --------------------------------------------------------------


async def test_history_is_of_the_task_and_not_of_its_id(world: World, clock: Clock) -> None:
    await world.api("DELETE", "/api/tasks/bobs-task")
    clock.now += timedelta(minutes=1)
    made = await world.api("POST", "/api/tasks", ALICES | {"id": "bobs-task"}, key=world.key)
    assert 201 == made.status, made.body

    runs = await world.api("GET", "/api/runs?task=bobs-task", key=world.key)
    run = await world.api("GET", f"/api/runs/{world.run_id}", key=world.key)
    audit = await world.api("GET", "/api/tasks/bobs-task/audit", key=world.key)
    page = await world.browser.get("/dashboard/tasks/bobs-task")

    assert ([], 404) == (runs.json["runs"], run.status)
    assert ["created"] == [entry["verb"] for entry in audit.json["entries"]]
    assert SECRET.encode() not in page.body


async def test_a_badge_is_of_the_task_and_not_of_its_id(world: World, clock: Clock) -> None:
    bob = make_browser(world.app)()
    await bob.sign_in()
    page = (await bob.get("/dashboard/tasks/bobs-task")).body.decode()
    link = re.search(r"/badge/[^<]+[.]svg", page)
    assert link
    assert 200 == (await bob.get(link[0])).status

    await world.api("DELETE", "/api/tasks/bobs-task")
    clock.now += timedelta(minutes=2)
    await world.api("POST", "/api/tasks", ALICES | {"id": "bobs-task"}, key=world.key)

    assert 404 == (await bob.get(link[0])).status


async def test_no_tasks_trail_is_that_of_an_account(world: World) -> None:
    made = await world.api("POST", "/api/tasks", ALICES | {"id": "owner.bob"}, key=world.key)
    assert 201 == made.status

    audit = await world.api("GET", "/api/tasks/owner.bob/audit", key=world.key)

    assert ["created"] == [entry["verb"] for entry in audit.json["entries"]]


# -- status pages ----------------------------------------------------------------------------------------


async def page_link(browser: Browser) -> str:
    found = re.search(r"/public/[^<\"]+", (await browser.get("/dashboard?tag=shared")).body.decode())
    assert found
    return found[0]


async def test_a_status_page_is_of_one_owner(world: World) -> None:
    operator = make_browser(world.app)()
    await operator.sign_in()
    await world.api("POST", "/api/tasks", ALICES | {"id": "ours", "title": "The operator's"})

    hers = (await operator.get(await page_link(world.browser))).body
    ours = (await operator.get(await page_link(operator))).body

    assert (True, False, False) == (b"Alice" in hers, SECRET.encode() in hers, b"The operator" in hers)
    assert (False, False, True) == (b"Alice" in ours, SECRET.encode() in ours, b"The operator" in ours)


async def test_tasks_of_owners_with_the_tag_push_none_off_the_operators_status_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gave their tasks its tag, and ids that sort first, emptied it: what failed was not on it."""
    monkeypatch.setattr(public, "COUNTED", 2)
    monkeypatch.setattr(public, "PAGE_SIZE", 2)
    operator = make_browser(world.app)()
    await operator.sign_in()
    for number in range(3):
        task = ALICES | {"id": f"aa{number}", "owner": "alice"}
        assert 201 == (await world.api("POST", "/api/tasks", task)).status
    assert 201 == (await world.api("POST", "/api/tasks", ALICES | {"id": "zz", "title": "Ours"})).status

    page = (await operator.get(await page_link(operator))).body

    assert (True, False) == (b"Ours" in page, b"Alice" in page)


# -- events and links between tasks ----------------------------------------------------------------------


async def started(world: World, event: dict[str, Any], key: str = ADMIN) -> list[str]:
    answer = await world.api("POST", "/api/events", event, key=key)
    assert 200 == answer.status, answer.body
    names: list[str] = answer.json["started"] + answer.json["skipped"]
    return sorted(names)


async def test_an_event_reaches_the_tasks_of_its_owner_or_of_all_if_it_says_so(world: World) -> None:
    for owner in ("", "alice", "bob"):
        task = ALICES | {"id": f"listener-{owner}x", "owner": owner, "onEvent": [{"type": "sold"}]}
        assert 201 == (await world.api("POST", "/api/tasks", task)).status

    assert ["listener-alicex"] == await started(world, {"type": "sold"}, world.key)
    assert ["listener-x"] == await started(world, {"type": "sold"})
    assert ["listener-alicex", "listener-bobx", "listener-x"] == await started(
        world, {"type": "sold", "reach": "all"}
    )
    assert ["listener-bobx"] == await started(world, {"type": "sold", "to": "listener-bobx"})


async def test_calendars_are_each_owners_own(world: World) -> None:
    days = {"entries": ["2026-11-21"]}
    for owner in ("", "alice", "bob"):
        made = await world.api("PUT", f"/api/calendars/company?owner={owner}", days)
        assert (200, owner) == (made.status, made.json["calendar"]["owner"])
    changed = await world.api("PUT", "/api/calendars/company", {"entries": ["sat"]}, key=world.key)
    listed = await world.api("GET", "/api/calendars", key=world.key)
    seen = await world.api("GET", "/api/calendars?owner=bob", key=world.key)
    others = [
        (await world.api(method, path, body, key=world.key)).status
        for method, path, body in (
            ("GET", "/api/calendars/company?owner=bob", None),
            ("PUT", "/api/calendars/company?owner=bob", days),
            ("POST", "/api/calendars/company/refresh?owner=bob", None),
            ("DELETE", "/api/calendars/company?owner=bob", None),
            ("GET", "/api/schedule/preview?schedule=daily&except=calendar:shared&owner=bob", None),
        )
    ]
    await world.api("PUT", "/api/calendars/shared?owner=bob", days)
    task = ALICES | {"id": "days", "except": "calendar:shared"}
    refused = await world.api("POST", "/api/tasks", task, key=world.key)

    assert ("alice", ["sat"]) == (changed.json["calendar"]["owner"], changed.json["calendar"]["entries"])
    assert [("alice", "company")] == [(one["owner"], one["name"]) for one in listed.json["calendars"]]
    assert (403, [403, 403, 403, 403, 422]) == (seen.status, others)
    assert (422, True) == (refused.status, b"there is company" in refused.body)
    whole = await world.api("GET", "/api/calendars")
    days_of = {one["owner"]: one["entries"] for one in whole.json["calendars"] if one["name"] == "company"}
    assert {"": ["2026-11-21"], "alice": ["sat"], "bob": ["2026-11-21"]} == days_of


async def test_no_owner_reaches_all(world: World) -> None:
    answer = await world.api("POST", "/api/events", {"type": "sold", "reach": "all"}, key=world.key)
    named = await world.api("POST", "/api/events", {"type": "sold", "to": "bobs-task"}, key=world.key)

    assert (422, 422) == (answer.status, named.status)
    assert b"reach" in answer.body


async def test_listeners_of_one_owner_take_no_room_of_anothers(wired: App) -> None:
    def listener(number: int, owner: str) -> TaskSpec:
        fields = ALICES | {"id": f"{owner}-{number}", "owner": owner, "onEvent": [{"type": "sold"}]}
        return TaskSpec.model_validate(fields)

    async def apply(*specs: TaskSpec) -> None:
        await apply_plan(wired.store, specs, origin="test", now=NOON, new_id=wired.new_id, prune=False)

    await apply(*(listener(number, "alice") for number in range(100)))
    await apply(listener(0, "bob"))

    with pytest.raises(InputError, match="100 tasks subscribe to sold already"):
        await apply(listener(100, "alice"))
    result = await wired.publish_event(Event(id="1", type="sold", time=NOON, owner="bob"))
    assert ("bob-0",) == result.started


async def test_a_task_runs_after_tasks_of_its_own_owner_alone(world: World) -> None:
    after = {"after": [{"task": "bobs-task"}], "schedule": ""}

    operator = await world.api("POST", "/api/tasks", ALICES | {"id": "x", "owner": "alice"} | after)
    alice = await world.api("POST", "/api/tasks", ALICES | {"id": "y"} | after, key=world.key)

    assert (422, 422) == (operator.status, alice.status)
    assert b"has another owner" in operator.body
    assert b"there is no task" in alice.body


async def test_an_owner_is_not_changed_under_the_tasks_that_run_after(world: World) -> None:
    follower = {"id": "z", "owner": "alice", "after": [{"task": "alices-task"}], "schedule": ""}
    assert 201 == (await world.api("POST", "/api/tasks", ALICES | follower)).status

    moved = await world.api("PATCH", "/api/tasks/alices-task", {"owner": "bob"})

    assert 422 == moved.status
    assert b"z run after it" in moved.body


async def test_a_listener_that_changes_its_owner_listens_to_the_new_ones_events(world: World) -> None:
    task = ALICES | {"id": "moves", "owner": "alice", "onEvent": [{"type": "sold"}]}
    await world.api("POST", "/api/tasks", task)

    assert 200 == (await world.api("PATCH", "/api/tasks/moves", {"owner": ""})).status

    assert [] == await started(world, {"type": "sold"}, world.key)
    assert ["moves"] == await started(world, {"type": "sold"})


# -- task types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", type_names())
async def test_no_task_type_gets_more_than_its_owners_tasks(world: World, name: str) -> None:
    asked: list[str] = []

    def open_store(owner: str) -> OwnerView:
        asked.append(owner)
        return OwnerView(world.app.store, owner)

    tools = replace(make_tools(), open_store=open_store)
    job = replace(make_job(name, example_params(name)), owner="alice", started_at=NOON + timedelta(hours=1))

    outcome = await run_job(job, tools)

    assert SECRET not in json.dumps([outcome.summary, [dict(item) for item in outcome.items]])
    assert set(asked) <= {"alice"}


async def test_the_operators_briefing_is_about_all(world: World) -> None:
    tools = replace(make_tools(), open_store=lambda owner: OwnerView(world.app.store, owner))
    job = replace(make_job("daily_briefing"), started_at=NOON + timedelta(hours=1))

    outcome = await run_job(job, tools)

    assert SECRET in json.dumps([outcome.summary, [dict(item) for item in outcome.items]])


def test_no_page_reads_tasks_from_the_store_itself() -> None:
    """Pages and routes have a view of the caller's; the store is for documents that belong to no owner."""
    web = Path(__file__).parents[3] / "functions" / "web"
    found = [
        f"{file.name}: {line.strip()}"
        for file in [*(web / "api").glob("*.py"), *(web / "dashboard").glob("*.py")]
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"store\.(list_tasks|get_tasks|runs)\(|all_tasks\(|iter_runs\(", line)
    ]

    known = ['public.py: found = await dependencies.store.get_tasks([subject.partition("~")[0]])']
    assert known == found, (
        "read through the caller's view: TaskServiceDep in a route, context.service in a page"
    )
