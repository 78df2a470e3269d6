"""Pages: who may see them, what they show, what they refuse, and what they never do."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from functions import __version__
from functions.app.application import App
from functions.domain.storage import ConditionalWrite
from functions.web.dashboard import agenda
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, HEALTH, Call
from tests.unit.web.asgi import Answer
from tests.unit.web.dashboard.conftest import Browser

MakeKey = Callable[..., Awaitable[str]]
PAGES = (
    "/dashboard",
    "/dashboard/agenda",
    "/dashboard/calendars",
    "/dashboard/new",
    "/dashboard/keys",
    "/dashboard/tasks/ping",
    "/dashboard/channels",
    "/dashboard/owners",
)
TASK = HEALTH | {"id": "ping", "title": "<script>alert(1)</script> & co", "tags": ["shop"]}


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_is_asked_to_sign_in_and_brought_back(browser: Browser, path: str) -> None:
    answer = await browser.get(path)

    assert (303, f"/dashboard/sign-in?to={path}") == (answer.status, answer.headers["location"])


@pytest.mark.slow
async def test_the_cookie_is_for_this_site_alone_and_holds_no_key(browser: Browser) -> None:
    answer = await browser.sign_in()

    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "secure", "path=/dashboard"))
    assert ADMIN not in answer.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "wrong", "cf_00000000_wrong"])
async def test_a_wrong_key_signs_nobody_in(browser: Browser, key: str) -> None:
    answer = await browser.post("/dashboard/sign-in", key=key, to="/dashboard")

    assert 401 == answer.status
    assert "set-cookie" not in answer.headers
    assert 303 == (await browser.get("/dashboard")).status


@pytest.mark.slow
async def test_guessing_keys_is_slowed_down_and_the_right_key_still_signs_in(
    browser: Browser, make_key: MakeKey
) -> None:
    token = await make_key("read")
    answers = [await browser.post("/dashboard/sign-in", key="wrong", to="") for _ in range(70)]

    assert 429 == answers[-1].status
    assert "set-cookie" in (await browser.sign_in()).headers
    assert "set-cookie" in (await browser.sign_in(token)).headers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"Origin": "https://cronfire.example"}, True),
        ({"Referer": "https://cronfire.example/dashboard/keys"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://behind.a.proxy"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://cronfire.example.evil.example"}, False),
        ({"Referer": "https://evil.example/https://cronfire.example/"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://cronfire.example"}, False),
    ],
)
@pytest.mark.parametrize("path", ["/dashboard/sign-in", "/dashboard/keys", "/dashboard/sign-out"])
async def test_forms_of_other_sites_are_refused(
    browser: Browser, path: str, headers: dict[str, str], *, is_ours: bool
) -> None:
    await browser.sign_in()
    browser.extra_headers = {"Host": "cronfire.example"} | headers

    answer = await browser.post(path, key=ADMIN, name="a key", scopes="read")

    assert is_ours == (answer.status != 403)


@pytest.mark.parametrize(
    ("headers", "is_said"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Referer": "https://evil.example/"}, False),
    ],
)
async def test_a_link_from_a_chat_opens_its_page_and_says_nothing_on_it(
    browser: Browser, headers: dict[str, str], *, is_said: bool
) -> None:
    await browser.sign_in()
    browser.extra_headers = {"Host": "cronfire.example"} | headers

    answer = await browser.get("/dashboard/runs?message=Call+555-0100+now")

    assert (200, is_said) == (answer.status, b"555-0100" in answer.body)


async def test_signing_in_leads_back_to_the_page_with_its_filters(browser: Browser) -> None:
    asked = await browser.get("/dashboard?tag=a%26b&sort=title&message=x")
    form = await browser.get(asked.headers["location"])
    [to] = re.findall(r'name="to" value="([^"]+)"', form.body.decode())
    signed_in = await browser.post("/dashboard/sign-in", key=ADMIN, to=to.replace("&amp;", "&"))

    assert "/dashboard?tag=a%26b&sort=title" == signed_in.headers["location"]


async def test_our_pages_let_the_browser_say_where_their_forms_come_from(browser: Browser) -> None:
    """With no-referrer a browser sends `Origin: null` with the forms of this very site."""
    answer = await browser.get("/dashboard/sign-in")

    assert "same-origin" == answer.headers["referrer-policy"]


async def test_a_forged_cookie_opens_nothing(browser: Browser) -> None:
    await browser.sign_in()
    name, _, value = browser.cookie.partition("=")
    browser.cookie = f"{name}={value[:-2]}xx"

    assert 303 == (await browser.get("/dashboard")).status


async def test_a_revoked_key_ends_its_sessions(browser: Browser, api: Call, make_key: MakeKey) -> None:
    await browser.sign_in(await make_key("read"))
    [key] = (await api("GET", "/api/keys")).json["keys"]
    before = await browser.get("/dashboard")

    await api("DELETE", f"/api/keys/{key['id']}")

    assert (200, 303) == (before.status, (await browser.get("/dashboard")).status)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_keeps_everything_else_out(browser: Browser, api: Call, path: str) -> None:
    """Scripts of this site alone, in nobody's frame, kept by nobody; what users wrote is text."""
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()

    answer = await browser.get(path)

    assert 200 == answer.status
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "no-store" == answer.headers["cache-control"]
    assert set(re.findall(rb"<script.*?>", answer.body)) == {
        f'<script src="/dashboard/{name}.js?{__version__}" defer>'.encode() for name in ("htmx", "page")
    }
    assert not re.search(rb"\s(?:on|hx-on)[\w:-]+=|javascript:|style=|http-equiv", answer.body)
    assert not re.search(rb'(?:src|href)="(?:https?:)?//', answer.body)


async def test_a_form_from_elsewhere_changes_nothing(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()

    answers = [
        await browser.post(f"/dashboard/tasks/ping/{verb}", proof=proof)
        for verb in ("run", "pause", "delete")
        for proof in ("", "0" * 64)
    ]

    assert {403} == {answer.status for answer in answers}
    assert "scheduled" == (await api("GET", "/api/tasks/ping")).json["status"]


async def test_a_reader_sees_no_buttons_and_may_press_none(
    browser: Browser, api: Call, make_key: MakeKey
) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in(await make_key("read"))

    page = await browser.get("/dashboard/tasks/ping")
    answer = await browser.post("/dashboard/tasks/ping/pause")
    keys = await browser.get("/dashboard/keys")

    assert b"Run now" not in page.body
    assert "scope%20run" in answer.headers["location"]
    assert "scheduled" == (await api("GET", "/api/tasks/ping")).json["status"]
    assert 403 == keys.status


async def test_somebody_elses_task_is_nowhere(browser: Browser, api: Call, make_key: MakeKey) -> None:
    await api("POST", "/api/tasks", TASK | {"owner": "alice"})
    await browser.sign_in(await make_key("admin", owner="bob"))

    assert b"ping" not in (await browser.get("/dashboard")).body
    assert b"ping" not in (await browser.get("/dashboard/agenda")).body
    assert 404 == (await browser.get("/dashboard/tasks/ping")).status


async def test_an_agenda_of_too_many_tasks_says_what_it_is_about(
    browser: Browser, api: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "MAX_TASKS", 2)
    for number in range(3):
        await api("POST", "/api/tasks", TASK | {"id": f"ping-{number}"})
    await browser.sign_in()

    page = (await browser.get("/dashboard/agenda")).body

    assert b"the first 2 tasks, by id" in page
    assert (True, False) == (b"ping-1" in page, b"ping-2" in page)


@pytest.mark.slow
async def test_an_edit_keeps_what_the_form_does_not_show(browser: Browser, api: Call) -> None:
    unseen = {"retry": {"maxAttempts": 7}, "jitterSeconds": 30, "expectSeconds": 900, "notify": []}
    unseen |= {"budget": {"creditsPerRun": 2}, "maxRuns": 9, "overlap": "queue_all"}
    await api("POST", "/api/tasks", TASK | unseen)
    before = (await api("GET", "/api/tasks/ping")).json
    await browser.sign_in()
    form = await browser.get("/dashboard/tasks/ping/edit")
    typed = dict(re.findall(r'name="([\w.]+)" value="([^"]*)"', form.body.decode()))

    answer = await browser.post(
        "/dashboard/tasks/ping/edit",
        **{name: value for name, value in typed.items() if name != "csrf_token"}
        | {"title": "New", "do": "save"},
    )

    task = (await api("GET", "/api/tasks/ping")).json
    assert 303 == answer.status
    assert "New" == task["title"]
    assert {name: before[name] for name in unseen} == {name: task[name] for name in unseen}


@pytest.mark.parametrize(
    "path", [f"/dashboard/tasks/{'x' * 101}", f"/dashboard/owners/edit?name={'x' * 101}"]
)
async def test_an_address_with_too_long_a_name_gets_a_page(browser: Browser, path: str) -> None:
    await browser.sign_in()

    page = await browser.get(path)

    assert (422, "text/html; charset=utf-8") == (page.status, page.headers["content-type"])
    assert b"must have at most 100 characters" in page.body


async def test_a_task_whose_id_is_new_has_a_page(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", TASK | {"id": "new"})
    await browser.sign_in()

    page, form = await browser.get("/dashboard/tasks/new"), await browser.get("/dashboard/tasks/new/edit")

    assert b'href="/dashboard/tasks/new/edit"' in page.body
    assert b'action="/dashboard/tasks/new/edit"' in form.body


@pytest.mark.slow
async def test_what_starts_a_task_besides_its_schedule_is_typed_and_shown(
    browser: Browser, api: Call
) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()
    typed = {"title": "Pack", "type": "http", "params.url": "https://shop.example.com", "do": "save"}
    typed |= {"after.0.task": "ping", "after.0.on": "failure", "onEvent.0.type": "order.paid", "once": "1"}
    typed |= {"onEvent.1.type": "stock.counted", "onEvent.1.source": "warehouse", "schedule": ""}

    made = await browser.post("/dashboard/new", **typed)
    task = (await api("GET", "/api/tasks/pack")).json
    page = (await browser.get("/dashboard/tasks/pack")).body.decode()
    listed = (await browser.get("/dashboard")).body.decode()
    upstream = (await browser.get("/dashboard/tasks/ping")).body.decode()
    form = (await browser.get("/dashboard/tasks/pack/edit")).body.decode()

    assert 303 == made.status
    assert [{"task": "ping", "on": "failure"}] == task["after"]
    assert [("order.paid", ""), ("stock.counted", "warehouse")] == [
        (one["type"], one["source"]) for one in task["onEvent"]
    ]
    words = "When ping fails, or on order.paid, or on stock.counted from warehouse"
    assert (words in page, words in listed, words == task["scheduleText"]) == (True, True, True)
    assert "/dashboard/tasks/pack" in upstream
    assert all(f'value="{text}"' in form for text in ("order.paid", "stock.counted", "warehouse"))


async def test_a_task_that_nothing_starts_is_not_made(browser: Browser) -> None:
    await browser.sign_in()
    typed = {"title": "Pack", "type": "http", "params.url": "https://shop.example.com", "do": "save"}
    typed["schedule"] = ""

    refused = await browser.post("/dashboard/new", **typed)

    assert 422 == refused.status
    assert "is required; only a task with after or onEvent can do without" in refused.body.decode()


@pytest.mark.parametrize("path", ["", "/runs", "/incidents", "/audit"])
async def test_a_filter_takes_no_more_than_its_page_reads(browser: Browser, api: Call, path: str) -> None:
    """A longer text led to a page without the others, or was cut off in silence."""
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()

    page = (await browser.get(f"/dashboard{path}")).body.decode().partition("<main")[2]

    inputs = re.findall(r'<input (?:[^>]* )?name="(?:search|tag|owner|subject)"[^>]*>', page)
    assert inputs
    assert [] == [one for one in inputs if "maxlength=" not in one and "hidden" not in one]


async def test_two_people_editing_do_not_overwrite_each_other(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()
    form = await browser.get("/dashboard/tasks/ping/edit")
    typed = dict(re.findall(r'name="([\w.]+)" value="([^"]*)"', form.body.decode()))
    await api("PATCH", "/api/tasks/ping", {"title": "Theirs"})

    answer = await browser.post(
        "/dashboard/tasks/ping/edit",
        **{name: value for name, value in typed.items() if name != "csrf_token"}
        | {"title": "Mine", "do": "save"},
    )

    assert 422 == answer.status
    assert b"was changed while you wrote" in answer.body
    assert b'value="Mine"' in answer.body, "what was typed is not lost"
    assert "Theirs" == (await api("GET", "/api/tasks/ping")).json["title"]


async def test_what_is_wrong_is_said_beside_its_field(browser: Browser, api: Call) -> None:
    await browser.sign_in()
    typed = {"type": "health_check_url", "title": "Ping", "schedule": "@daily", "params.url": "ftp://x"}

    answer = await browser.post("/dashboard/new", do="save", **typed)

    assert 422 == answer.status
    assert b"params.url" in answer.body
    assert b'value="ftp://x"' in answer.body
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


async def test_a_form_sent_twice_makes_one_task(browser: Browser, api: Call) -> None:
    await browser.sign_in()
    typed = {
        "type": "health_check_url",
        "title": "Ping",
        "schedule": "@daily",
        "params.url": "https://example.com",
    }

    answers = [await browser.post("/dashboard/new", do="save", once="one", **typed) for _ in range(2)]

    assert [303, 303] == [answer.status for answer in answers]
    assert 1 == len((await api("GET", "/api/tasks")).json["tasks"])


@pytest.mark.slow
async def test_a_form_that_was_refused_is_corrected_and_sent_again(
    browser: Browser, api: Call, clock: Clock
) -> None:
    """Also after "back" it makes another task; the id that was taken is taken however often it is sent."""
    await browser.sign_in()
    typed = {"type": "health_check_url", "schedule": "@daily", "params.url": "https://example.com"}

    async def send(title: str, once: str = "two") -> Answer:
        return await browser.post("/dashboard/new", do="save", once=once, title=title, **typed)

    await send("Ping", once="one")
    clock.now += timedelta(seconds=1)
    refused = [await send("Ping") for _ in range(2)]
    corrected, after_back = await send("Pong"), await send("Pang")

    assert [422, 422, 303, 303] == [one.status for one in (*refused, corrected, after_back)]
    assert all(b"there is a task" in one.body for one in refused)
    assert 3 == len((await api("GET", "/api/tasks")).json["tasks"])


async def test_an_administrator_makes_and_revokes_keys(browser: Browser, api: Call) -> None:
    await browser.sign_in()

    made = await browser.post(
        "/dashboard/keys", do="save", name="Phone", **{"scopes.read": "on", "scopes.sent": "1"}
    )
    page = await browser.get(made.headers["location"])
    found = re.search(rb'<code id="token">(cf_\w+?_[\w-]+)</code>', page.body)
    assert found is not None
    token = found[1].decode()
    opened = await api("GET", "/api/tasks", key=token)
    [key] = (await api("GET", "/api/keys")).json["keys"]
    await browser.post(f"/dashboard/keys/{key['id']}/revoke")

    assert 200 == opened.status
    assert 401 == (await api("GET", "/api/tasks", key=token)).status
    assert token.encode() not in (await browser.get("/dashboard/keys")).body


async def test_a_new_key_is_shown_once_and_reloading_its_page_makes_no_other(
    browser: Browser, api: Call
) -> None:
    await browser.sign_in()

    made = await browser.post("/dashboard/keys", do="save", name="Phone", **{"scopes.read": "on"})
    first, again = [await browser.get(made.headers["location"]) for _ in range(2)]

    assert (303, True, False) == (made.status, b'id="token"' in first.body, b'id="token"' in again.body)
    assert ["Phone"] == [key["name"] for key in (await api("GET", "/api/keys")).json["keys"]]


async def test_no_other_text_is_shown_as_a_new_key(browser: Browser) -> None:
    """A neighbour below the same domain can set cookies as well."""
    await browser.sign_in()
    browser.cookies["cronfire_new_key"] = "cf_0123456789abc_theirs"

    assert b"theirs" not in (await browser.get("/dashboard/keys")).body


async def test_a_badge_is_for_whoever_has_its_link(browser: Browser, api: Call, clock: Clock) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()
    page = (await browser.get("/dashboard/tasks/ping")).body.decode()
    found = re.search(r"<code id=.badge-address.>(/badge/ping~[0-9a-f]+\.[0-9a-f]{32}\.svg)</code>", page)
    assert found is not None
    browser.cookie = ""

    badge = await browser.get(found[1])
    guessed = await browser.get("/badge/ping.00000000000000000000000000000000.svg")
    await api("DELETE", "/api/tasks/ping")
    kept = await browser.get(found[1])
    clock.now += timedelta(minutes=2)
    gone = await browser.get(found[1])

    assert (200, "image/svg+xml", "public, max-age=60") == (
        badge.status,
        badge.headers["content-type"],
        badge.headers["cache-control"],
    )
    assert b"new" in badge.body
    assert b"<script" not in badge.body
    assert 404 == guessed.status
    assert badge.body == kept.body
    assert 404 == gone.status


@pytest.mark.slow
async def test_a_status_page_shows_a_tag_and_tells_no_errors(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", TASK | {"params": {"url": "http://127.0.0.1:1/secret"}})
    await api("POST", "/api/tasks", HEALTH)
    await api("POST", "/api/tasks/ping/run", {"wait": 30})
    await browser.sign_in()
    listed = (await browser.get("/dashboard?tag=shop")).body.decode()
    found = re.search(r'href="(/public/shop\.[0-9a-f]{32})"', listed)
    assert found is not None
    browser.cookie = ""

    page = await browser.get(found[1])

    assert 200 == page.status
    assert b"1 of 1 has a problem" in page.body
    assert b"Shop front" not in page.body
    assert b"127.0.0.1" not in page.body
    needed = {
        one.partition("?")[0] for one in re.findall(r'(?:href|src|hx-get)="(/[^"]+)"', page.body.decode())
    }
    files = {f"/dashboard/{name}" for name in ("style.css", "icon.svg", "htmx.js", "page.js")}
    assert files | {found[1]} == needed  # what docs/how-to/status-page.md lets through on another domain
    gone = await browser.get("/public/office.00000000000000000000000000000000")
    assert (404, "text/html; charset=utf-8") == (gone.status, gone.headers["content-type"])
    assert b"To the overview" not in gone.body, "its visitors have none"


async def badge_address(browser: Browser) -> str:
    found = re.search(
        r"<code id=.badge-address.>(/badge/ping~[0-9a-f]+\.[0-9a-f-]+\.svg)</code>",
        (await browser.get("/dashboard/tasks/ping")).body.decode(),
    )
    assert found is not None
    return found[1]


async def test_a_badge_gets_another_address_and_the_old_one_ends(
    browser: Browser, api: Call, clock: Clock
) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()
    addresses = []
    for _ in range(3):
        addresses.append(await badge_address(browser))
        assert 200 == (await browser.get(addresses[-1])).status
        await browser.post("/dashboard/tasks/ping/revoke-badge")
        clock.now += timedelta(minutes=2)
        assert 404 == (await browser.get(addresses[-1])).status

    assert 3 == len(set(addresses))
    assert 200 == (await browser.get(await badge_address(browser))).status
    trail = (await api("GET", "/api/tasks/ping/audit")).json
    assert 3 == sum(entry["verb"] == "link revoked" for entry in trail["entries"])


async def test_a_status_page_gets_another_link_and_the_old_one_ends(
    browser: Browser, api: Call, clock: Clock
) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()

    async def link() -> str:
        found = re.search(
            r'href="(/public/shop\.[0-9a-f-]+)"', (await browser.get("/dashboard?tag=shop")).body.decode()
        )
        assert found is not None
        return found[1]

    old = await link()
    answer = await browser.post("/dashboard/links/revoke", tag="shop")
    clock.now += timedelta(minutes=2)

    assert answer.headers["location"].startswith("/dashboard?tag=shop&message=")
    assert (404, 200) == ((await browser.get(old)).status, (await browser.get(await link())).status)


async def test_a_status_page_has_a_title_a_description_and_incidents(
    browser: Browser, api: Call, make_key: MakeKey, wired: App, clock: Clock
) -> None:
    await api("POST", "/api/tasks", TASK)
    [stored] = (await wired.store.get_tasks(["ping"])).tasks
    line = "2026-11-19T10:00:00Z 2026-11-19T12:00:00Z 4"
    await wired.store.write([ConditionalWrite.for_changes(stored, {"incidents": (line,)})])
    await browser.sign_in(await make_key("read"))
    refused = await browser.post("/dashboard/links/words", tag="shop", title="Mine")
    await browser.sign_in()
    words = {"title": "Our <shop>", "description": "What we watch"}
    await browser.post("/dashboard/links/words", tag="shop", **words)
    await browser.post("/dashboard/links/revoke", tag="shop")

    found = re.search(
        r'href="(/public/shop\.[0-9a-f-]+)"', (await browser.get("/dashboard?tag=shop")).body.decode()
    )
    assert found is not None
    page = (await browser.get(found[1])).body.decode()

    assert 403 == refused.status
    assert "<h1>Our &lt;shop&gt;</h1>" in page
    assert "What we watch" in page
    assert "Thu 19 Nov 2026, 10:00 UTC, 2 h" in page
    assert f'hx-get="{found[1]}"' in page


@pytest.mark.slow
async def test_a_link_is_revoked_only_by_who_may_write_and_see_all_it_shows(
    browser: Browser, api: Call, make_key: MakeKey
) -> None:
    await api("POST", "/api/tasks", TASK | {"owner": "alice"})
    await browser.sign_in()
    before = await badge_address(browser)

    await browser.sign_in(await make_key("read"))
    await browser.post("/dashboard/tasks/ping/revoke-badge")
    await browser.sign_in(await make_key("write", owner="bob"))
    hidden = await browser.post("/dashboard/tasks/ping/revoke-badge")
    await browser.sign_in()

    assert 404 == hidden.status
    assert before == await badge_address(browser)


async def test_a_guessed_link_costs_no_read(browser: Browser, wired: App) -> None:
    await browser.get("/public/shop.00000000000000000000000000000000")  # reads the signing secret, once

    with wired.store.count_operations() as operations:
        answers = [
            await browser.get(f"/public/shop.{name}")
            for name in ("0" * 32, "1-" + "0" * 32, "²-" + "0" * 32, "9" * 50 + "-" + "0" * 32, "-")
        ]

    assert [404] * 5 == [answer.status for answer in answers]
    assert 0 == operations.reads


async def test_signing_out_ends_every_copy_of_the_cookie(browser: Browser) -> None:
    await browser.sign_in()
    stolen = browser.cookie
    await browser.post("/dashboard/sign-out")
    browser.cookie = stolen

    assert 303 == (await browser.get("/dashboard")).status
    await browser.sign_in()
    assert 200 == (await browser.get("/dashboard")).status


async def test_a_session_ends_when_it_is_old(browser: Browser, clock: Clock) -> None:
    await browser.sign_in()
    clock.now += timedelta(days=7, seconds=-1)
    assert 200 == (await browser.get("/dashboard")).status

    clock.now += timedelta(seconds=2)

    assert 303 == (await browser.get("/dashboard")).status


async def test_next_runs_honour_the_task_s_own_anchor_and_bounds(browser: Browser, api: Call) -> None:
    bounds = {"schedule": "every 1h", "startAt": "2026-11-20T13:07:00Z", "endAt": "2026-11-20T15:00:00Z"}
    await api("POST", "/api/tasks", TASK | bounds)
    await browser.sign_in()

    page = (await browser.get("/dashboard/tasks/ping")).body.decode()

    assert ["13:07", "14:07"] == re.findall(r"<small>(\d\d:07) UTC", page)
    form = (await browser.get("/dashboard/tasks/ping/edit")).body.decode()
    assert re.findall(r"<small>(\d\d:07) UTC", form) == ["13:07", "14:07"]
