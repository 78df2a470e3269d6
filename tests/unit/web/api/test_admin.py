"""Channels and owners over the API and on the dashboard."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.access import audit_subject
from functions.domain.storage import Document
from functions.services.access import audit
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, Call
from tests.unit.web.dashboard.conftest import Browser, make_browser

MakeKey = Callable[..., Awaitable[str]]


async def test_an_owner_gets_credits_and_keeps_what_is_used(api: Call) -> None:
    made = await api("PUT", "/api/owners/alice", {"plan": "small", "monthlyCredits": 100})
    changed = await api("PUT", "/api/owners/alice", {"monthlyCredits": 50})
    read = await api("GET", "/api/owners/alice")

    assert (200, "small", 100) == (made.status, made.json["plan"], made.json["monthlyCredits"])
    assert ("small", 50, 50) == tuple(
        changed.json[name] for name in ("plan", "monthlyCredits", "remainingCredits")
    )
    assert changed.json == read.json == (await api("GET", "/api/owners")).json["owners"][0]
    assert 404 == (await api("GET", "/api/owners/bob")).status
    assert 422 == (await api("PUT", "/api/owners/alice", {"monthlyCredits": -1})).status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"monthlyCredits": 5, "unlimited": True}, "unlimited"),
        ({"maxTasks": 0, "defaultMaxTasks": True}, "defaultMaxTasks"),
    ],
)
async def test_a_limit_is_not_set_and_taken_away_at_once(body: dict[str, Any], field: str, api: Call) -> None:
    await api("PUT", "/api/owners/alice", {"monthlyCredits": 100, "maxTasks": 3})

    refused = await api("PUT", "/api/owners/alice", body)
    read = (await api("GET", "/api/owners/alice")).json

    assert (422, [field]) == (refused.status, [one["field"] for one in refused.json["errors"]])
    assert (100, 3) == (read["monthlyCredits"], read["maxTasks"])


async def test_what_is_used_is_reset_and_recorded(api: Call, wired: App) -> None:
    await api("PUT", "/api/owners/alice", {"monthlyCredits": 100})
    spent = {"used_credits": 100.0, "notified_level": 100}
    await wired.accounts.update({"alice": lambda account: account.model_copy(update=spent)})

    before = await api("GET", "/api/owners/alice")
    after = await api("PUT", "/api/owners/alice", {"resetUsed": True})
    kept = await wired.accounts.get("alice")

    assert (100, 0) == (before.json["usedCredits"], before.json["remainingCredits"])
    assert (0, 100, 100) == tuple(
        after.json[name] for name in ("usedCredits", "remainingCredits", "monthlyCredits")
    )
    assert (0.0, 0) == (kept.used_credits, kept.notified_level)
    trail = await audit.list_entries(wired.store, audit_subject("owner", "alice"))
    assert ("resetUsed",) in [entry.fields for entry in trail]


@pytest.mark.parametrize("name", ["shop/berlin", "../x", "a/../b", "."])
async def test_an_account_is_read_and_set_whatever_its_owner_is_called(
    api: Call, wired: App, name: str
) -> None:
    """The dashboard and tasks take any name, so no account may be out of reach."""
    signed_in = make_browser(wired)()
    await signed_in.sign_in()
    made = await signed_in.post("/dashboard/owners", do="save", name=name, monthlyCredits="100")
    address = f"/api/owners/{quote(name, safe='')}"

    read, changed = await api("GET", address), await api("PUT", address, {"monthlyCredits": 50})

    assert (303, 200, 200) == (made.status, read.status, changed.status)
    assert [(name, 100), (name, 50)] == [
        (one.json["name"], one.json["monthlyCredits"]) for one in (read, changed)
    ]


@pytest.mark.parametrize("name", ["alice ", "al\u200bice"])
async def test_no_account_is_made_that_only_looks_like_an_owners(api: Call, name: str) -> None:
    """Nothing of hers would be limited by it."""
    refused = await api("PUT", f"/api/owners/{quote(name)}", {"monthlyCredits": 50})

    assert (422, "owner") == (refused.status, refused.json["errors"][0]["field"])
    assert [] == (await api("GET", "/api/owners")).json["owners"]


async def test_an_owner_sees_his_own_account_and_changes_none(api: Call, make_key: MakeKey) -> None:
    for name in ("alice", "bob"):
        await api("PUT", f"/api/owners/{name}", {"monthlyCredits": 10})
    alice = await make_key("admin", owner="alice")

    assert ["alice"] == [one["name"] for one in (await api("GET", "/api/owners", key=alice)).json["owners"]]
    assert 404 == (await api("GET", "/api/owners/bob", key=alice)).status
    assert 403 == (await api("PUT", "/api/owners/alice", {"unlimited": True}, key=alice)).status
    assert 403 == (await api("GET", "/api/channels", key=alice)).status


async def test_without_channels_there_is_nothing_to_list_or_test(api: Call) -> None:
    assert {"channels": []} == (await api("GET", "/api/channels")).json
    assert 404 == (await api("POST", "/api/channels/feishu/test")).status
    assert 404 == (await api("PATCH", "/api/channels/feishu", {"enabled": False})).status


@pytest.fixture
async def receiver(clock: Clock) -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(clock)
    await receiver.server.start_server()
    yield receiver
    await receiver.server.close()


@pytest.fixture
async def browser(tmp_path: Path, clock: Clock, receiver: WebhookReceiver) -> AsyncIterator[Browser]:
    """A signed-in administrator, of an installation that has a webhook."""
    env = {"STORE_URL": f"sqlite:///{tmp_path}/channels.db", "WEBHOOK_URL": receiver.url, "API_KEY": ADMIN}
    wired = App(Settings.from_env(env, serves_http=False), clock=clock)
    signed_in = make_browser(wired)()
    await signed_in.sign_in(ADMIN)
    yield signed_in
    await wired.close()


@pytest.mark.slow
async def test_a_channel_is_tested_and_switched_off_and_on_from_its_page(
    browser: Browser, receiver: WebhookReceiver
) -> None:
    tested = await browser.post("/dashboard/channels/webhook/test")
    await browser.post("/dashboard/channels/webhook/disable")
    off = await browser.get("/dashboard/channels")
    await browser.post("/dashboard/channels/webhook/enable")
    on = await browser.get("/dashboard/channels")

    assert "accepted" in tested.headers["location"]
    assert 1 == len(receiver.messages)
    assert (["off"], ["open"]) == tuple(
        re.findall(r'class="state \w+">(\w+)<', page.body.decode()) for page in (off, on)
    )
    assert receiver.url.encode() not in on.body


async def test_credits_are_given_on_the_owners_page(browser: Browser) -> None:
    await browser.post("/dashboard/owners", do="save", name="alice", monthlyCredits="100", plan="small")
    wrong = await browser.post("/dashboard/owners", do="save", name="bob", monthlyCredits="many")

    page = (await browser.get("/dashboard/owners")).body
    assert b"alice" in page
    assert b"100.0" in page
    assert (422, True) == (wrong.status, b"must be a number" in wrong.body)
    assert b"bob" not in page


@pytest.fixture
async def signed_in(wired: App) -> Browser:
    """A signed-in administrator, at the store of `api`."""
    one = make_browser(wired)()
    await one.sign_in(ADMIN)
    return one


@pytest.mark.parametrize("typed", ["-5", "nan", "inf", "1e300"])
async def test_the_owners_form_stores_no_amount_out_of_bounds(
    signed_in: Browser, wired: App, typed: str
) -> None:
    """Stored as it was, no route could read the account again, nor repair it."""
    answer = await signed_in.post("/dashboard/owners", do="save", name="alice", monthlyCredits=typed)

    assert 422 == answer.status
    assert b'id="wrong-monthlyCredits"' in answer.body
    assert [] == await wired.store.list_documents("owners", limit=9)


async def test_an_account_that_cannot_be_read_is_shown_and_repaired(
    signed_in: Browser, api: Call, wired: App
) -> None:
    broken = {"name": "alice", "monthlyCredits": -5, "usedCredits": 7, "month": "2026-11"}
    await wired.store.put_documents(
        [Document("owners", name, broken | {"name": name}) for name in ("alice", "bob")]
    )

    page = (await signed_in.get("/dashboard/owners")).body
    listed = (await api("GET", "/api/owners")).json
    refused = await api("PUT", "/api/owners/alice", {"plan": "small"})
    repaired = await api("PUT", "/api/owners/alice", {"monthlyCredits": 50})
    await signed_in.post("/dashboard/owners", do="save", name="bob", monthlyCredits="60")

    assert b"The account of alice cannot be read" in page
    assert ([], ["alice", "bob"]) == (listed["owners"], listed["unreadable"])
    assert "cannot be read" in refused.json["detail"]
    assert (50.0, 7.0) == (repaired.json["monthlyCredits"], repaired.json["usedCredits"])
    after = (await api("GET", "/api/owners")).json
    assert ([50.0, 60.0], []) == ([one["monthlyCredits"] for one in after["owners"]], after["unreadable"])


async def test_a_change_of_credits_is_in_the_audit_trail(signed_in: Browser, api: Call, wired: App) -> None:
    await api("PUT", "/api/owners/alice", {"monthlyCredits": 50})
    await signed_in.post("/dashboard/owners", do="save", name="alice", monthlyCredits="60", plan="pro")

    trail = await audit.list_entries(wired.store, "owner:alice")

    assert {("plan", "monthlyCredits"), ("monthlyCredits",)} == {entry.fields for entry in trail}
    assert {"owner changed"} == {entry.verb for entry in trail}
