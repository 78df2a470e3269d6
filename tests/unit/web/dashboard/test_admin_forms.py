"""The forms of administrators: keys with scopes, limits and an end; owners; preferences of channels."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, Call, api, clock, make_key, wired
from tests.unit.web.asgi import Answer
from tests.unit.web.dashboard.conftest import Browser, browser, make_browser

__all__ = ["api", "browser", "clock", "make_key", "wired"]

MakeKey = Callable[..., Awaitable[str]]
KEYS, CHANNEL = "/dashboard/keys", "/dashboard/channels/webhook"


@pytest.fixture
async def with_webhook(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Browser, App]]:
    env = {"STORE_URL": f"sqlite:///{tmp_path}/c.db", "WEBHOOK_URL": "https://hook.example", "API_KEY": ADMIN}
    app = App(Settings.from_env(env, serves_http=False), clock=clock)
    signed_in = make_browser(app)()
    await signed_in.sign_in()
    yield signed_in, app
    await app.close()


# -- keys ------------------------------------------------------------------------------------------------


async def test_a_key_has_scopes_limits_and_an_end(browser: Browser, api: Call, clock: Clock) -> None:
    await browser.sign_in()
    typed = {"scopes.read": "on", "scopes.run": "on", "owner": "alice", "expiresAt": "2026-11-21T12:00"}
    typed |= {"capabilities.types": "http, rss_watch", "capabilities.secrets": "SHOP"}

    made = await browser.post(KEYS, do="save", name="Phone", **typed)
    [key] = (await api("GET", "/api/keys")).json["keys"]
    page = (await browser.get(KEYS)).body.decode()

    assert 303 == made.status
    assert (["read", "run"], "alice", "2026-11-21T12:00:00Z") == (
        key["scopes"],
        key["owner"],
        key["expiresAt"],
    )
    limits = key["capabilities"]
    assert (["http", "rss_watch"], ["SHOP"]) == (limits["types"], limits["secrets"])
    assert "types http, rss_watch; secrets SHOP" in page
    token = re.findall(r'id="token">([^<]+)', page)[0]
    clock.now = NOON + timedelta(days=1, minutes=1)
    assert 401 == (await api("GET", "/api/tasks", key=token)).status


async def test_a_key_without_limits_may_what_its_owner_may(browser: Browser, api: Call) -> None:
    await browser.sign_in()

    await browser.post(
        KEYS, do="save", name="Phone", **{"scopes.admin": "on", "capabilities.operatorToken": ""}
    )

    assert [None] == [one["capabilities"] for one in (await api("GET", "/api/keys")).json["keys"]]


async def test_what_is_wrong_with_a_key_is_said_at_its_fields(browser: Browser, api: Call) -> None:
    await browser.sign_in()

    answer = await browser.post(
        KEYS,
        do="save",
        name="",
        expiresAt="tomorrow",
        **{"scopes.sent": "1", "capabilities.types": "no type!"},
    )
    past = await browser.post(
        KEYS, do="save", name="x", expiresAt="2020-01-01T00:00", **{"scopes.read": "on"}
    )

    page = answer.body.decode()
    assert (422, 422) == (answer.status, past.status)
    assert {"name", "scopes", "expiresAt", "capabilities.types"} == set(
        re.findall(r'id="wrong-([\w.]+)"', page)
    )
    assert 'value="no type!"' in page
    assert b'id="wrong-expiresAt"' in past.body
    assert [] == (await api("GET", "/api/keys")).json["keys"]


async def test_the_end_of_a_key_is_confirmed(browser: Browser, api: Call, make_key: MakeKey) -> None:
    await make_key("read", name="Phone")
    [key] = (await api("GET", "/api/keys")).json["keys"]
    await browser.sign_in()

    asked = await browser.get(f"{KEYS}/{key['id']}/revoke")
    before = (await api("GET", "/api/keys")).json["keys"][0]["revokedAt"]
    ended = await browser.post(f"{KEYS}/{key['id']}/revoke")

    assert b"cannot be undone" in asked.body
    assert (None, 303) == (before, ended.status)
    assert (await api("GET", "/api/keys")).json["keys"][0]["revokedAt"]
    assert 404 == (await browser.get(f"{KEYS}/nosuchkey/revoke")).status


# -- channels --------------------------------------------------------------------------------------------


async def test_preferences_of_a_channel_are_set_and_cleared(with_webhook: tuple[Browser, App]) -> None:
    browser, app = with_webhook
    typed = {"quiet.0.from": "22:00", "quiet.0.to": "07:00", "quiet.0.timezone": "Europe/Riga"}
    typed |= {"quiet.0.days.mon": "on", "digest.at": "08:30", "ratePerMinute": "5"}
    typed |= {"maintenance.0.from": "2026-11-20T13:00", "maintenance.0.to": "2026-11-20T14:00"}

    saved = await browser.post(CHANNEL, do="save", **typed)
    stored = (await app.channels.settings())["webhook"]
    page = (await browser.get(CHANNEL)).body.decode()
    await browser.post(CHANNEL, do="save", **{"quiet.0.from": "", "digest.at": "", "digest.timezone": ""})
    cleared = (await app.channels.settings())["webhook"]

    assert (303, "/dashboard/channels?message=webhook%20is%20changed") == (
        saved.status,
        saved.headers["location"],
    )
    [quiet], [span] = stored.quiet, stored.maintenance
    assert ("22:00", "07:00", "Europe/Riga", ("mon",)) == (quiet.start, quiet.end, quiet.timezone, quiet.days)
    assert (NOON + timedelta(hours=1), 5) == (span.start, stored.rate_per_minute)
    assert stored.digest
    assert "08:30" == stored.digest.at
    assert 'value="22:00"' in page
    assert ((), None, 5) == (cleared.quiet, cleared.digest, cleared.rate_per_minute)
    assert stored.maintenance == cleared.maintenance, "what the form did not send stays"


async def test_what_is_wrong_with_preferences_is_said_at_their_fields(
    with_webhook: tuple[Browser, App],
) -> None:
    browser, app = with_webhook

    late = await browser.post(CHANNEL, do="save", **{"quiet.0.from": "25:00", "quiet.0.to": "07:00"})
    number = await browser.post(CHANNEL, do="save", ratePerMinute="many")

    assert (422, 422) == (late.status, number.status)
    assert b'id="wrong-quiet.0.from"' in late.body
    assert b'id="wrong-ratePerMinute"' in number.body
    assert () == (await app.channels.settings())["webhook"].quiet


async def test_an_error_is_said_in_the_row_that_was_typed(with_webhook: tuple[Browser, App]) -> None:
    """The first row is emptied, so that what is stored would begin with the second."""
    browser, app = with_webhook
    quiet = {"quiet.0.from": "22:00", "quiet.0.to": "07:00", "quiet.1.from": "12:00", "quiet.1.to": "13:00"}
    spans = {"maintenance.0.from": "", "maintenance.0.to": "", "maintenance.1.note": "moving"}
    spans |= {"maintenance.1.from": "2026-11-20T14:00", "maintenance.1.to": "2026-11-20T13:00"}
    assert 303 == (await browser.post(CHANNEL, do="save", **quiet)).status

    late = await browser.post(
        CHANNEL, do="save", **quiet | {"quiet.0.from": "", "quiet.0.to": "", "quiet.1.to": "25:00"}
    )
    turned = await browser.post(CHANNEL, do="save", **spans)

    page = late.body.decode()
    assert ["quiet.1.to"] == re.findall(r'id="wrong-([\w.]+)"', page)
    assert ["quiet.1.to"] == re.findall(r'<li><a href="#([\w.]+)"', page)
    assert "Quiet hours, row 2</a>" in page
    assert 'id="quiet.0.from"' in page, "the emptied row is still the first"
    assert ["maintenance.1.from"] == re.findall(r'id="wrong-([\w.]+)"', turned.body.decode())
    assert 2 == len((await app.channels.settings())["webhook"].quiet)


# -- owners ----------------------------------------------------------------------------------------------


async def test_an_owner_is_changed_only_where_the_form_was_touched(browser: Browser, api: Call) -> None:
    limits = {
        "types": ["http"],
        "secrets": ["SHOP"],
        "channels": [],
        "mcpServers": [],
        "operatorToken": False,
    }
    await api("PUT", "/api/owners/alice", {"monthlyCredits": 100, "plan": "small", "capabilities": limits})
    await browser.sign_in()

    shown = (await browser.get("/dashboard/owners/edit?name=alice")).body.decode()
    saved = await browser.post(
        "/dashboard/owners", name="alice", do="save", maxTasks="7", **{"capabilities.secrets": "SHOP"}
    )
    account = (await api("GET", "/api/owners/alice")).json

    await browser.post("/dashboard/owners", name="alice", do="save", maxTasks="")
    after = (await api("GET", "/api/owners/alice")).json
    assert None is after["maxTasks"]
    assert account | {"maxTasks": None} == after

    assert ('value="100"' in shown, 'value="small"' in shown, 303) == (True, True, saved.status)
    assert (100.0, "small", limits, 7) == tuple(
        account[name] for name in ("monthlyCredits", "plan", "capabilities", "maxTasks")
    )


# -- two people ------------------------------------------------------------------------------------------


def seen(page: Answer) -> dict[str, str]:
    """What the form in *page* says that it began with."""
    [version] = re.findall(r'name="seen" value="(\w+)"', page.body.decode())
    return {"seen": version}


async def test_a_channels_form_does_not_end_the_silence_of_another_user(
    with_webhook: tuple[Browser, App],
) -> None:
    browser, app = with_webhook
    mine = seen(await browser.get(CHANNEL)) | {"ratePerMinute": "7", "maintenance.0.from": ""}
    await browser.post("/dashboard/incidents/silence", tag="shop", hours="4")

    refused = await browser.post(CHANNEL, do="save", **mine)
    kept = (await app.channels.settings())["webhook"]
    again = await browser.post(CHANNEL, do="save", **mine | seen(refused))

    page = refused.body.decode()
    assert (422, 303) == (refused.status, again.status)
    assert "changed while you wrote" in page
    assert "replace what differs now: Maintenance, Messages a minute at most" in page
    assert 'value="7"' in page, "what was typed is not lost"
    assert (1, None) == (len(kept.maintenance), kept.rate_per_minute)
    assert 7 == (await app.channels.settings())["webhook"].rate_per_minute


async def test_the_form_of_a_new_owner_does_not_reset_one_that_is_there(browser: Browser, api: Call) -> None:
    await api("PUT", "/api/owners/alice", {"monthlyCredits": 100, "plan": "small"})
    await browser.sign_in()
    typed = seen(await browser.get("/dashboard/owners/edit")) | {"name": "alice", "do": "save"}

    refused = await browser.post("/dashboard/owners", plan="", monthlyCredits="", **typed)
    twice = [await browser.post("/dashboard/owners", plan="new", **typed | {"name": "bob"}) for _ in "12"]

    assert 422 == refused.status
    assert b"There is one of this name already" in refused.body
    assert b"differs now: Plan, Credits a month" in refused.body
    assert 100 == (await api("GET", "/api/owners/alice")).json["monthlyCredits"]
    assert [303, 303] == [one.status for one in twice], "the same form, sent twice, replaces nothing"


async def test_a_calendars_form_does_not_replace_the_days_of_another_user(
    browser: Browser, api: Call
) -> None:
    address = "/dashboard/calendars"
    await browser.sign_in()
    new = seen(await browser.get(address)) | {"name": "company", "do": "save"}
    made = await browser.post(address, entries="2027-05-03", **new)
    mine = seen(await browser.get(f"{address}?name=company&owner=")) | {"name": "company", "do": "save"}
    await browser.post(address, name="company", do="save", entries="2027-06-01")

    stale = await browser.post(address, entries="2027-07-01", **mine)
    taken = await browser.post(address, entries="2027-08-01", **new)
    stored = (await api("GET", "/api/calendars")).json["calendars"][0]["entries"]
    again = await browser.post(address, entries="2027-07-01", **mine | seen(stale))

    assert (303, 422, 422, 303) == (made.status, stale.status, taken.status, again.status)
    assert b"changed while you wrote" in stale.body
    assert b"2027-07-01</textarea>" in stale.body
    assert b"There is one of this name already" in taken.body
    assert ["2027-06-01"] == stored
