"""Events over the API: in every shape they come in, heard once, and by nobody else's tasks."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from functions.app.application import App
from functions.app.factories import build_publisher
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.http_client.trusted import TrustedHttpClient
from functions.web.auth import AuthFailure, GooglePrincipal
from functions.web.factory import build_api_app
from tests.unit.web.api.conftest import ADMIN, HEALTH, Call
from tests.unit.web.asgi import call

MakeKey = Callable[..., Awaitable[str]]
PACK = {"title": "Pack", "type": "http", "params": {"url": "https://shop.example.com"}}
LISTENS = PACK | {"onEvent": [{"type": "order.paid"}]}
PAID: dict[str, Any] = {"type": "order.paid", "source": "shop", "id": "7", "data": {"total": 12}}


async def test_an_event_starts_who_listens_and_the_same_one_nobody(api: Call, wired: App) -> None:
    await api("POST", "/api/tasks", LISTENS)

    first = await api("POST", "/api/events", PAID)
    second = await api("POST", "/api/events", PAID)

    assert (200, ["pack"], []) == (first.status, first.json["started"], first.json["duplicate"])
    assert ([], ["pack"]) == (second.json["started"], second.json["duplicate"])
    [stored] = (await wired.store.get_tasks(["pack"])).tasks
    [extra] = stored.task.backlog
    assert extra.event is not None
    assert {"total": 12} == extra.event.data


async def test_without_an_id_each_request_is_an_event(api: Call) -> None:
    await api("POST", "/api/tasks", LISTENS)

    answers = [await api("POST", "/api/events", {"type": "order.paid"}) for _ in range(2)]

    assert [["pack"], ["pack"]] == [answer.json["started"] for answer in answers]
    assert answers[0].json["id"] != answers[1].json["id"]


@pytest.mark.parametrize("name", ["Магазин", "店 1", "é" * 80])
async def test_a_key_is_a_source_whatever_its_name_is(
    name: str, api: Call, wired: App, make_key: MakeKey
) -> None:
    await api("POST", "/api/tasks", LISTENS)
    key = await make_key(name=name, scopes=["run"])

    answer = await api("POST", "/api/events", {"type": "order.paid"}, key=key)

    assert (200, ["pack"]) == (answer.status, answer.json["started"])
    [stored] = (await wired.store.get_tasks(["pack"])).tasks
    assert stored.task.backlog[0].event.source.isascii()  # type: ignore[union-attr]


async def test_attributes_may_be_headers(api: Call, wired: App) -> None:
    await api("POST", "/api/tasks", LISTENS)
    headers = {"ce-type": "order.paid", "ce-id": "9", "ce-source": "shop", "ce-subject": "%C3%A9"}

    heard = await api("POST", "/api/events", {"total": 3}, headers=headers)

    assert ("9", ["pack"]) == (heard.json["id"], heard.json["started"])
    [stored] = (await wired.store.get_tasks(["pack"])).tasks
    event = stored.task.backlog[0].event
    assert event is not None
    assert ({"total": 3}, "é") == (event.data, event.subject)


def pushed(data: object, **attributes: str) -> dict[str, Any]:
    text = base64.b64encode(json.dumps(data).encode()).decode()
    message = {"data": text, "attributes": attributes, "messageId": "55"}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


async def test_what_pubsub_pushes_is_an_event(api: Call, wired: App) -> None:
    await api("POST", "/api/tasks", PACK | {"onEvent": [{"type": "pubsub.message"}, {"type": "order.paid"}]})

    plain = await api("POST", "/api/events", pushed({"n": 1}))
    ours = {"ce-type": "order.paid", "ce-id": "7", "ce-source": "shop"}
    marked = await api("POST", "/api/events", pushed({"n": 2}, **ours))
    again = await api("POST", "/api/events", PAID)

    assert ("55", ["pack"]) == (plain.json["id"], plain.json["started"])
    assert ("7", ["pack"]) == (marked.json["id"], marked.json["started"])
    assert ["pack"] == again.json["duplicate"]


@pytest.mark.parametrize(
    ("text", "data"), [("run", {"value": "run"}), ("42", {"value": 42}), ("[1]", {"value": [1]}), ("", {})]
)
async def test_a_message_of_pubsub_may_be_plain_text(api: Call, wired: App, text: str, data: object) -> None:
    """As Cloud Scheduler and `gcloud pubsub topics publish --message` send it."""
    await api("POST", "/api/tasks", PACK | {"onEvent": [{"type": "pubsub.message"}]})
    message = {"data": base64.b64encode(text.encode()).decode(), "messageId": "55"}

    answer = await api("POST", "/api/events", {"message": message, "subscription": "projects/p/s"})

    assert (200, ["pack"]) == (answer.status, answer.json["started"])
    [stored] = (await wired.store.get_tasks(["pack"])).tasks
    event = stored.task.backlog[0].event
    assert event is not None
    assert data == event.data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": ', "message.data: must be JSON, as it begins with { or ["),
        (b"\xff\xfe", "message.data: must be text in base64"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "4096 bytes"),
    ],
)
async def test_a_message_of_pubsub_that_is_refused_is_in_the_log(
    api: Call, caplog: pytest.LogCaptureFixture, data: bytes, reason: str
) -> None:
    """Pub/Sub shows nobody what it is answered, and pushes the same again until it expires."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "55"}

    answer = await api("POST", "/api/events", {"message": message, "subscription": "projects/p/s"})

    assert 422 == answer.status
    [record] = [one for one in caplog.records if one.message == "push_refused"]
    assert ("projects/p/s", "55") == (vars(record)["subscription"], vars(record)["message_id"])
    assert reason in vars(record)["reason"]


async def test_our_own_events_that_come_back_are_taken_and_passed_over(api: Call) -> None:
    """Anything but a 2xx would be pushed again and again."""
    answer = await api(
        "POST", "/api/events", pushed({}, **{"ce-type": "cronfire.run.finished", "ce-id": "1"})
    )

    assert (200, True) == (answer.status, answer.json["ignored"])


@pytest.fixture
async def topic(wired: App, tmp_path: Path) -> AsyncIterator[list[dict[str, Any]]]:
    """What *wired* publishes, on a topic of its own."""
    messages: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        messages.extend((await request.json())["messages"])
        return web.json_response({})

    server = web.Application()
    server.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    given = {"EVENTS_TOPIC": "projects/p/topics/t", "PUBSUB_EMULATOR_HOST": host}
    settings = Settings.from_env({"STORE_URL": f"sqlite:///{tmp_path}/api.db"} | given, serves_http=False)
    async with TrustedHttpClient() as post:
        publish = build_publisher(settings, post, clock=wired.now)
        wired.tick_dependencies = replace(wired.tick_dependencies, publish=publish)
        yield messages
    await runner.cleanup()


@pytest.mark.parametrize("has_envelope", [True, False])
async def test_what_an_owner_sends_starts_nobody_elses_tasks_by_way_of_the_topic(
    has_envelope: bool, api: Call, make_key: MakeKey, topic: list[dict[str, Any]]
) -> None:
    """The account that pushes has no owner: its events are the operator's."""
    alice = await make_key("write", "run", owner="alice")
    await api("POST", "/api/tasks", LISTENS | {"id": "alices"}, key=alice)
    await api("POST", "/api/tasks", LISTENS | {"id": "operators"})

    sent = await api("POST", "/api/events", PAID, key=alice)
    [message] = topic
    if has_envelope:
        back = {"message": message | {"messageId": "1"}, "subscription": "projects/p/subscriptions/s"}
        returned = await api("POST", "/api/events", back)
    else:  # `--push-no-wrapper --push-no-wrapper-write-metadata`
        returned = await api("POST", "/api/events", PAID["data"], headers=message["attributes"])
    other = {"cronfire-publisher": "another"}
    from_elsewhere = await api("POST", "/api/events", pushed({}, **(message["attributes"] | other)))

    assert ["alices"] == sent.json["started"]
    assert (200, True, []) == (returned.status, returned.json["ignored"], returned.json["started"])
    assert (["operators"], 1) == (from_elsewhere.json["started"], len(topic))


async def test_an_event_for_one_task_is_not_published(api: Call, topic: list[dict[str, Any]]) -> None:
    """It would return from the topic as one for all that listen."""
    await api("POST", "/api/tasks", LISTENS)

    sent = await api("POST", "/api/events", PAID | {"to": "pack"})

    assert (["pack"], []) == (sent.json["started"], topic)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"type": "cronfire.run.finished"}, "own events"),
        ({"type": "Order Paid"}, "type"),
        ({}, "type"),
        ({"type": "a", "data": {"x": "y" * 5000}}, "4096 bytes"),
        ({"type": "a", "time": "yesterday"}, "time"),
        ({"type": "a", "to": "nobody"}, "to: there is no task 'nobody'"),
        ({"message": {"data": "!"}, "subscription": "s"}, "message.data: must be text in base64"),
    ],
)
async def test_what_is_no_event_is_refused_by_name(api: Call, body: dict[str, Any], fault: str) -> None:
    refused = await api("POST", "/api/events", body)

    assert 422 == refused.status
    assert fault in refused.json["detail"]


async def test_a_bound_key_reaches_its_owners_tasks_alone(api: Call, make_key: MakeKey) -> None:
    alice, bob = [await make_key("write", "run", owner=owner) for owner in ("alice", "bob")]
    await api("POST", "/api/tasks", LISTENS | {"id": "alices"}, key=alice)
    await api("POST", "/api/tasks", LISTENS | {"id": "bobs"}, key=bob)

    heard = await api("POST", "/api/events", PAID, key=alice)
    listed = await api("GET", "/api/events", key=bob)
    addressed = await api("POST", "/api/events", PAID | {"to": "bobs"}, key=alice)

    assert ["alices"] == heard.json["started"]
    assert [{"type": "order.paid", "tasks": ["bobs"]}] == listed.json["events"]
    assert addressed.status in (404, 422)


async def test_sending_takes_the_scope_run(api: Call, make_key: MakeKey) -> None:
    assert 403 == (await api("POST", "/api/events", PAID, key=await make_key("read"))).status
    assert 200 == (await api("POST", "/api/events", PAID, key=await make_key("run"))).status


async def test_a_service_account_that_pushes_gets_in_here_and_nowhere_else(wired: App) -> None:
    class Google:
        async def verify(self, token: str) -> GooglePrincipal | AuthFailure:
            return GooglePrincipal("push@p.example") if token == "a.b.c" else AuthFailure(403, "account")

    app = build_api_app(Settings.from_env({"API_KEY": ADMIN}, serves_http=False), wired, Google())  # type: ignore[arg-type]  # it answers as the real one
    kind = ("Content-Type", "application/json")
    body = json.dumps(pushed({})).encode()

    taken = await call(app, "POST", "/api/events", ("Authorization", "Bearer a.b.c"), kind, body=body)
    other = await call(app, "POST", "/api/events", ("Authorization", "Bearer x.y.z"), kind, body=body)
    elsewhere = await call(app, "GET", "/api/tasks", ("Authorization", "Bearer a.b.c"))

    assert (200, 403, 401) == (taken.status, other.status, elsewhere.status)


async def test_after_and_events_are_checked_as_a_task_is_made(api: Call) -> None:
    after = [{"task": "shop-front-answers", "on": "failure"}]
    missing = await api("POST", "/api/tasks", PACK | {"after": [{"task": "nobody"}]})
    await api("POST", "/api/tasks", HEALTH)
    made = await api("POST", "/api/tasks", PACK | {"after": after})
    followed = await api("DELETE", "/api/tasks/shop-front-answers")
    upstream = await api("GET", "/api/tasks/shop-front-answers")
    await api("DELETE", "/api/tasks/pack")
    free = await api("DELETE", "/api/tasks/shop-front-answers")

    assert (422, "after.0.task: there is no task 'nobody'") == (missing.status, missing.json["detail"])
    assert (201, "", None) == (made.status, made.json["schedule"], made.json["nextRunAt"])
    assert (409, [{"task": "pack", "on": "failure"}]) == (followed.status, upstream.json["dependents"])
    assert 204 == free.status


async def test_a_write_that_was_refused_holds_no_task(api: Call) -> None:
    """Links are made before the task, and one whose task was refused stays behind."""
    shop = "/api/tasks/shop-front-answers"
    await api("POST", "/api/tasks", HEALTH)
    await api("POST", "/api/tasks", PACK | {"schedule": "@daily"})
    taken = await api("POST", "/api/tasks", PACK | {"after": [{"task": "shop-front-answers"}]})

    moved = await api("PATCH", shop, {"owner": "ann"})
    removed = await api("DELETE", shop)

    assert (409, 200, 204) == (taken.status, moved.status, removed.status), (moved.body, removed.body)


async def test_bound_keys_follow_nobody_elses_tasks(api: Call, make_key: MakeKey) -> None:
    alice, bob = [await make_key("write", owner=owner) for owner in ("alice", "bob")]
    await api("POST", "/api/tasks", HEALTH, key=alice)

    refused = await api("POST", "/api/tasks", PACK | {"after": [{"task": "shop-front-answers"}]}, key=bob)

    assert (422, "after.0.task: there is no task 'shop-front-answers'") == (
        refused.status,
        refused.json["detail"],
    )


async def test_a_task_waits_for_its_event_and_runs_by_the_next_tick(api: Call, wired: App) -> None:
    work = {"type": "publish_event", "params": {"eventType": "packed"}}
    await api("POST", "/api/tasks", LISTENS | work)
    await api("POST", "/api/events", PAID)

    report = await wired.tick(TimeBudget(None, None))

    assert (1, 1) == (report["due"], report["succeeded"])
    [run] = (await api("GET", "/api/runs?task=pack")).json["runs"]
    assert ("event", "order.paid from shop") == (run["trigger"], run["cause"])
