"""What keys and owners may use: refused where a task is saved, and where one runs after it was withdrawn."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.storage import TaskFilter
from functions.domain.types import format_instant
from functions.services.access.limits import CACHE_TTL
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import Call
from tests.unit.web.dashboard.conftest import make_browser

MakeKey = Callable[..., Awaitable[str]]
TASK: dict[str, Any] = {
    "id": "hers",
    "title": "Hers",
    "type": "http",
    "params": {"url": "http://127.0.0.1:1/"},
    "schedule": "* * * * *",
}
USES_SECRET = {"params": {"url": "http://127.0.0.1:1/", "headers": {"X-Token": "{{secret:SHOP_TOKEN}}"}}}
DISPATCH = {"type": "github_dispatch", "params": {"repository": "a/b", "eventType": "x"}}
COMMAND = {"type": "command", "params": {"command": ["id"]}}
SPAN = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T01:00:00Z"}
CLOSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"type": "command", "params": {"command": ["id"]}},
        {"types": ["command"]},
        "type: command is not allowed",
    ),
    ({"type": "python", "params": {"callable": "a:b"}}, {"types": ["*"]}, "type: python is not allowed"),
    (USES_SECRET, {"secrets": ["SHOP_TOKEN"]}, "params: the secret SHOP_TOKEN is not allowed"),
    (
        {"type": "agent", "params": {"goal": "x", "mcpServers": ["docs"]}},
        {"mcpServers": ["docs"]},
        "params.mcpServers: the MCP server docs is not allowed",
    ),
    (DISPATCH, {"operatorToken": True}, "params.token: is required"),
    (
        {"notify": [{"on": ["failure"], "channels": ["pagerduty"]}]},
        {"channels": ["pagerduty"]},
        "notify: the channel pagerduty is not allowed",
    ),
]


@pytest.fixture
async def alice(make_key: MakeKey) -> str:
    return await make_key("admin", owner="alice")


async def allow(api: Call, capabilities: dict[str, Any], **more: Any) -> None:
    answer = await api("PUT", "/api/owners/alice", {"capabilities": capabilities} | more)
    assert 200 == answer.status, answer.body


@pytest.mark.slow
@pytest.mark.parametrize(("change", "capabilities", "said"), CLOSED)
async def test_a_task_of_an_owner_uses_what_the_owner_was_given(
    api: Call, alice: str, change: dict[str, Any], capabilities: dict[str, Any], said: str
) -> None:
    made = await api("POST", "/api/tasks", TASK, key=alice)
    by_operator = await api("POST", "/api/tasks", TASK | change | {"id": "other", "owner": "alice"})
    refused = [
        await api("POST", "/api/tasks", TASK | change | {"id": "other"}, key=alice),
        await api("PUT", "/api/tasks/hers", TASK | change, key=alice),
        await api("PATCH", "/api/tasks/hers", change, key=alice),
        by_operator,
    ]
    before = (await api("GET", "/api/tasks/hers")).json

    assert 201 == made.status
    assert [403] * 4 == [one.status for one in refused]
    for one in refused:
        assert said in one.json["detail"]
        assert "scheduler owners set" in one.json["detail"]
    assert (made.json["type"], made.json["params"]) == (before["type"], before["params"])

    await allow(api, capabilities)

    assert 200 == (await api("PATCH", "/api/tasks/hers", change, key=alice)).status


async def test_the_form_of_the_dashboard_refuses_it_as_well(api: Call, wired: App, alice: str) -> None:
    browser = make_browser(wired)()
    await browser.sign_in(alice)

    form = {"do": "save", "title": "x", "type": "command", "schedule": "@daily", "param.command": '["id"]'}
    answer = await browser.post("/dashboard/new", **form)

    assert b"command is not allowed" in answer.body
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


@pytest.mark.parametrize(("change", "capabilities", "said"), CLOSED)
async def test_what_was_withdrawn_is_not_run(
    api: Call, wired: App, clock: Clock, change: dict[str, Any], capabilities: dict[str, Any], said: str
) -> None:
    await allow(api, capabilities)
    assert 201 == (await api("POST", "/api/tasks", TASK | change | {"owner": "alice"})).status
    await allow(api, {})

    clock.now = NOON + timedelta(minutes=1)
    await wired.tick(TimeBudget(None, None))

    [run] = (await api("GET", "/api/runs?task=hers")).json["runs"]
    assert "failed" == run["outcome"]
    assert said in run["summary"]
    assert "to tasks of alice" in run["summary"]


async def test_a_right_that_is_withdrawn_between_ticks_ends_with_the_cache(
    api: Call, wired: App, clock: Clock
) -> None:
    await allow(api, {"types": ["command"]})
    await api("POST", "/api/tasks", TASK | COMMAND | {"owner": "alice"})
    errors = []
    for minutes in (1, 2):
        clock.now = NOON + timedelta(minutes=minutes)
        await wired.tick(TimeBudget(None, None))
        errors.append((await api("GET", "/api/runs?task=hers")).json["runs"][0]["summary"])
        await allow(api, {})

    assert timedelta(minutes=1) > CACHE_TTL
    assert "not allowed" not in errors[0]  # commands are off here for everybody
    assert "not allowed" in errors[1]


@pytest.mark.slow
async def test_a_tick_reads_an_account_once_and_none_for_tasks_without_owner(
    api: Call, wired: App, clock: Clock
) -> None:
    async def tick_reads() -> Any:
        clock.now += timedelta(minutes=1)
        return (await wired.tick(TimeBudget(None, None)))["reads"]

    for number in range(3):
        await api("POST", "/api/tasks", TASK | {"id": f"none-{number}"})
    without = await tick_reads()
    for number in range(3):
        await api("PATCH", f"/api/tasks/none-{number}", {"owner": "alice"})

    assert without + 1 == await tick_reads()


async def test_a_key_may_use_less_than_its_owner(api: Call, make_key: MakeKey) -> None:
    await allow(api, {"types": ["http", "command"], "secrets": ["SHOP_TOKEN"]})
    narrow = await make_key("write", "run", owner="alice", capabilities={"types": ["http"]})
    await api("POST", "/api/tasks", TASK | {"owner": "alice", "id": "theirs", **COMMAND})
    assert 201 == (await api("POST", "/api/tasks", TASK, key=narrow)).status

    refused = [
        await api("POST", "/api/tasks", TASK | USES_SECRET | {"id": "x"}, key=narrow),
        await api("PATCH", "/api/tasks/hers", COMMAND, key=narrow),
        await api("PATCH", "/api/tasks/theirs", {"title": "Mine"}, key=narrow),
        await api("POST", "/api/tasks/theirs/run", {}, key=narrow),
        await api(
            "POST",
            "/api/tasks/theirs/backfill",
            {"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T01:00:00Z"},
            key=narrow,
        ),
    ]

    assert [403] * 5 == [one.status for one in refused], [one.body for one in refused]
    assert all("to this key" in one.json["detail"] for one in refused)
    assert 200 == (await api("POST", "/api/tasks/theirs/pause", {}, key=narrow)).status


async def test_an_event_of_a_limited_key_starts_what_the_key_may_start(api: Call, make_key: MakeKey) -> None:
    """As `run` does: with an event it could start any task that listens, and give it data."""
    for name, more in (("may", {"type": "health_check_url"}), ("may-not", {})):
        listens = {"id": name, "owner": "alice", "schedule": "", "onEvent": [{"type": "sold"}]}
        assert 201 == (await api("POST", "/api/tasks", TASK | listens | more)).status
    limited = await make_key("run", owner="alice", capabilities={"types": ["health_check_url"]})

    sent = await api("POST", "/api/events", {"type": "sold", "id": "1"}, key=limited)
    named = await api("POST", "/api/events", {"type": "sold", "id": "2", "to": "may-not"}, key=limited)
    by_another = await api(
        "POST", "/api/events", {"type": "sold", "id": "1"}, key=await make_key("run", owner="alice")
    )

    assert (["may"], ["may-not"]) == (sent.json["started"], sent.json["refused"])
    assert (403, "type: http is not allowed to this key") == (named.status, named.json["detail"])
    assert sorted(["may", "may-not"]) == sorted(by_another.json["started"] + by_another.json["duplicate"])
    assert 0 == (await api("GET", "/api/tasks/may-not")).json["runCount"]


async def test_a_key_of_no_owner_may_be_limited(api: Call, wired: App, make_key: MakeKey) -> None:
    narrow = await make_key("admin", capabilities={"secrets": ["OTHER"]})

    assert 201 == (await api("POST", "/api/tasks", TASK, key=narrow)).status
    assert 403 == (await api("PATCH", "/api/tasks/hers", USES_SECRET, key=narrow)).status
    granted = await api("PUT", "/api/owners/bob", {"capabilities": {"types": ["*"]}}, key=narrow)
    assert (403, "capabilities.types") == (granted.status, granted.json["detail"].partition(":")[0])
    browser = make_browser(wired)()
    await browser.sign_in(narrow)
    form = await browser.post("/dashboard/owners", do="save", name="bob", **{"capabilities.types": "*"})
    assert 403 == form.status
    assert 404 == (await api("GET", "/api/owners/bob")).status


END = format_instant(NOON + timedelta(days=7))


@pytest.mark.parametrize(
    ("own", "wanted", "field"),
    [
        ({"owner": "alice"}, {"owner": ""}, "owner"),
        ({"owner": "alice"}, {"owner": "bob"}, "owner"),
        ({"expiresAt": END}, {"expiresAt": format_instant(NOON + timedelta(days=8))}, "expiresAt"),
        (
            {"capabilities": {"types": ["http"]}},
            {"capabilities": {"types": ["http", "command"]}},
            "capabilities",
        ),
        ({"capabilities": {"types": ["http"]}}, {"capabilities": {}}, "capabilities.types"),
        ({"capabilities": {}}, {"capabilities": {"secrets": ["*"]}}, "capabilities.secrets"),
        ({"capabilities": {}}, {"capabilities": {"channels": ["x"]}}, "capabilities.channels"),
        ({"capabilities": {}}, {"capabilities": {"operatorToken": True}}, "capabilities.operatorToken"),
    ],
)
async def test_a_key_makes_none_that_exceeds_or_outlives_it(
    api: Call, make_key: MakeKey, own: dict[str, Any], wanted: dict[str, Any], field: str
) -> None:
    key = await make_key("admin", **own)
    body = {"name": "child", "scopes": ["read"]} | own | wanted

    refused = await api("POST", "/api/keys", body, key=key)

    assert 403 == refused.status
    assert refused.json["detail"].startswith(field)
    assert 201 == (await api("POST", "/api/keys", body | own, key=key)).status


async def test_a_key_hands_on_its_own_limits(api: Call, make_key: MakeKey) -> None:
    key = await make_key("admin", expiresAt=END, capabilities={"types": ["http"]})

    made = await api("POST", "/api/keys", {"name": "child", "scopes": ["write"]}, key=key)

    assert (END, ["http"]) == (made.json["key"]["expiresAt"], made.json["key"]["capabilities"]["types"])


async def test_a_key_without_the_scope_admin_makes_none(api: Call, make_key: MakeKey) -> None:
    key = await make_key("write")

    assert 403 == (await api("POST", "/api/keys", {"name": "x", "scopes": ["read"]}, key=key)).status


# -- how many tasks --------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_fifty_at_once_make_no_more_than_the_owner_may_have(api: Call, wired: App) -> None:
    await allow(api, {}, maxTasks=10)
    tasks = [TASK | {"id": f"t{number}", "owner": "alice"} for number in range(50)]

    answers = await asyncio.gather(*(api("POST", "/api/tasks", one) for one in tasks))

    assert 10 == [one.status for one in answers].count(201)
    assert {201, 403} == {one.status for one in answers}
    assert 10 == await wired.store.count_tasks(TaskFilter(owner="alice"))
    refused = next(one for one in answers if one.status == 403)
    assert "alice may have 10 tasks" in refused.json["detail"]
    assert "--max-tasks" in refused.json["detail"]


async def test_a_place_that_another_process_took_is_given_back(
    api: Call, wired: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    await allow(api, {}, maxTasks=1)
    counts = iter([0, 2])  # two processes looked at once, and both wrote

    async def count_tasks(which: TaskFilter) -> int:
        return next(counts)

    monkeypatch.setattr(wired.store, "count_tasks", count_tasks)
    answer = await api("POST", "/api/tasks", TASK | {"owner": "alice", "onEvent": [{"type": "sold"}]})

    assert 403 == answer.status
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]
    assert [] == (await api("GET", "/api/events")).json["events"]


async def test_a_task_is_not_moved_to_an_owner_who_has_enough(api: Call) -> None:
    await allow(api, {}, maxTasks=0)
    await api("POST", "/api/tasks", TASK)

    moved = await api("PATCH", "/api/tasks/hers", {"owner": "alice"})

    assert 403 == moved.status
    assert "" == (await api("GET", "/api/tasks/hers")).json["owner"]


async def test_a_request_that_was_refused_is_not_let_through_when_it_is_repeated(api: Call) -> None:
    await allow(api, {}, maxTasks=0)
    again = {"Idempotency-Key": "one"}

    answers = [await api("POST", "/api/tasks", TASK | {"owner": "alice"}, headers=again) for _ in range(2)]
    await allow(api, {}, maxTasks=1)
    answers += [await api("POST", "/api/tasks", TASK | {"owner": "alice"}, headers=again) for _ in range(2)]

    assert [403, 403, 201, 201] == [one.status for one in answers]


async def test_a_row_of_a_key_that_cannot_be_read_is_named_and_can_be_removed(
    api: Call, wired: App, make_key: MakeKey
) -> None:
    await make_key("read")
    [row] = await wired.store.list_documents("keys")
    broken = dict(row.data) | {"capabilities": {"types": 5}}
    await wired.store.put_documents([replace(row, data=broken)])

    listed = (await api("GET", "/api/keys")).json
    removed = await api("DELETE", f"/api/keys/{row.id}")

    assert ([], [row.id]) == (listed["keys"], listed["unreadable"])
    assert 200 == removed.status
    assert [] == (await api("GET", "/api/keys")).json["unreadable"]
