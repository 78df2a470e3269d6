"""Addresses that are nearly right, and pages that stayed open while something changed."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from unittest.mock import AsyncMock

import pytest

from functions.app.application import App
from functions.errors import StoreUnavailableError
from functions.web.dashboard.session import SESSION_LIFETIME
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, HEALTH, Call
from tests.unit.web.asgi import Answer
from tests.unit.web.dashboard.conftest import Browser, make_browser
from tests.unit.web.test_odd_requests import everything

MakeKey = Callable[..., Awaitable[str]]
TYPED = {
    "type": "http",
    "shownType": "http",
    "title": 'A long <b>text</b> & "quotes"',
    "schedule": "@daily",
    "params.url": "https://example.com/?a=1&b=2",
    "description": "line\r\n" * 300,
}


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/runs/", "/dashboard/tasks/ping//"])
async def test_an_address_that_ends_with_a_slash_leads_to_its_page(browser: Browser, path: str) -> None:
    answer = await browser.get(path)

    assert (303, path.rstrip("/")) == (answer.status, answer.headers["location"])


async def test_nothing_is_posted_to_an_address_that_ends_with_a_slash(browser: Browser) -> None:
    assert 404 == (await browser.post("/dashboard/new/")).status


def text_of(page: Answer) -> str:
    return page.body.decode()


def hidden(page: Answer) -> dict[str, str]:
    """The hidden fields of the form in *page* that is not the one to sign out."""
    main = text_of(page).partition("<main")[2]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', main)
    return {html.unescape(name): html.unescape(value) for name, value in found}


def target(page: Answer) -> str:
    found = re.search(r'<form method="post"[^>]*action="([^"]+)"', text_of(page).partition("<main")[2])
    assert found
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["too old", "signed out elsewhere"])
async def test_what_was_typed_is_there_after_signing_in_again(
    browser: Browser, api: Call, clock: Clock, end: str
) -> None:
    await browser.sign_in()
    if end == "too old":
        clock.now += SESSION_LIFETIME + timedelta(seconds=1)
    else:
        browser.cookie = ""

    asked = await browser.post("/dashboard/new", **TYPED, do="save")
    wrong = await browser.post("/dashboard/sign-in", key="wrong", **hidden(asked))
    back = await browser.post("/dashboard/sign-in", key=ADMIN, **hidden(wrong))
    form = await browser.post(target(back), **hidden(back))

    assert [401, 401, 200, 200] == [one.status for one in (asked, wrong, back, form)], back.body
    shown = html.unescape(text_of(form))
    assert all(TYPED[name] in shown for name in ("title", "params.url"))
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]  # it is shown, and not saved

    saved = await browser.post("/dashboard/new", **TYPED, id="kept", do="save")
    assert 303 == saved.status


async def test_what_is_kept_in_any_script_can_be_sent_with_the_key(browser: Browser) -> None:
    """A letter of Chinese takes nine bytes in other forms than multipart ones, and half of these too many."""
    asked = await browser.post("/dashboard/new", **TYPED | {"description": "\u4efb" * 19_000}, do="save")

    assert (401, True) == (asked.status, 'class="stack" enctype="multipart/form-data"' in text_of(asked))


async def test_a_form_of_another_session_is_shown_again_and_saves_nothing(
    browser: Browser, api: Call
) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    await browser.sign_in()

    refused = await browser.post("/dashboard/tasks/shop/edit", proof="of the other", title="Typed", do="save")
    form = await browser.post(target(refused), **hidden(refused))

    assert ("Typed" in text_of(form), 200) == (True, form.status)
    assert HEALTH["title"] == (await api("GET", "/api/tasks/shop")).json["title"]


@pytest.mark.parametrize(
    ("path", "refreshes"), [("/dashboard/runs?task=a", True), ("/dashboard/schedule-preview", False)]
)
async def test_a_form_is_not_loaded_anew_while_one_types(
    browser: Browser, path: str, refreshes: bool
) -> None:
    """Its preview was asked for without a session, and what was typed was gone before it could be kept."""
    page = path if refreshes else "/dashboard/new"
    browser.extra_headers = {"HX-Request": "true", "HX-Current-URL": f"https://cronfire.example{page}"}

    answer = await browser.get(path)

    assert (204, refreshes) == (answer.status, "hx-refresh" in answer.headers)


@pytest.mark.parametrize("header", ["Origin", "Referer"])
async def test_what_another_site_sends_is_not_kept(browser: Browser, header: str) -> None:
    browser.extra_headers = {header: "https://elsewhere.example/"}
    stranger = await browser.post("/dashboard/new", **TYPED, do="save")
    browser.extra_headers = {}
    await browser.sign_in()
    browser.extra_headers = {header: "https://elsewhere.example/"}
    user = await browser.post("/dashboard/new", proof="", **TYPED, do="save")

    assert (303, 403) == (stranger.status, user.status)
    assert "A long" not in text_of(user)


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("/dashboard/new", {"title": "\u4efb" * 20_100}),
        ("/dashboard/new", {}),
        ("/dashboard/tasks/shop/delete", {"note": "n"}),
        ("/dashboard/calendars", {"name": "company", "do": "remove"}),
        ("/dashboard/incidents/silence", {"note": "n"}),
    ],
    ids=["too long", "empty", "a button", "a button beside a form", "another form"],
)
async def test_other_forms_are_not_kept(browser: Browser, path: str, typed: dict[str, str]) -> None:
    assert 303 == (await browser.post(path, proof="", **typed)).status


@pytest.mark.parametrize("kept", ["[", "[1]", '{"a": 1}', "null", "[" * 5000])
async def test_a_form_that_says_it_was_kept_and_was_not_only_signs_in(browser: Browser, kept: str) -> None:
    answer = await browser.post("/dashboard/sign-in", key=ADMIN, to="/dashboard/new", kept=kept)

    assert (303, "/dashboard/new") == (answer.status, answer.headers["location"])


async def test_what_was_kept_is_sent_to_no_other_form(browser: Browser) -> None:
    answer = await browser.post(
        "/dashboard/sign-in", key=ADMIN, to="/dashboard/links/words", kept='{"tag": "shop", "title": "t"}'
    )

    assert (303, "/dashboard/links/words") == (answer.status, answer.headers["location"])


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("/dashboard/keys", {"scopes.read": "on", "scopes.sent": "1", "name": "Phone of Ann"}),
        ("/dashboard/owners", {"name": "ann", "plan": "Plan of Ann"}),
        ("/dashboard/calendars", {"name": "company", "entries": "2027-05-03"}),
    ],
)
async def test_what_was_typed_into_settings_is_shown_and_not_saved(
    wired: App, path: str, typed: dict[str, str]
) -> None:
    browser = make_browser(wired)()
    asked = await browser.post(path, **typed, do="save")
    back = await browser.post("/dashboard/sign-in", key=ADMIN, **hidden(asked))
    before = await everything(wired)
    form = await browser.post(target(back), **hidden(back))

    assert [401, 200, 200] == [one.status for one in (asked, back, form)]
    assert list(typed.values())[-1] in text_of(form)
    assert before == await everything(wired)


async def test_the_form_of_a_task_that_was_removed_is_that_of_a_new_one(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    await browser.sign_in()
    page = await browser.get("/dashboard/tasks/shop/edit")
    await api("DELETE", "/api/tasks/shop")

    form = await browser.post("/dashboard/tasks/shop/edit", **hidden(page) | TYPED, do="save")

    assert 404 == form.status
    assert "no such task, or no longer" in text_of(form)
    assert "/dashboard/new" == target(form)
    assert TYPED["title"] in html.unescape(text_of(form))
    assert re.search(r'name="id"[^>]*value="shop"|value="shop"[^>]*name="id"', text_of(form))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "operation"),
    [("/dashboard/tasks/shop/edit", "get_documents"), ("/dashboard/new", "write")],
    ids=["before the form is read", "after"],
)
async def test_what_was_typed_is_there_when_the_store_answers_again(
    browser: Browser, api: Call, wired: App, monkeypatch: pytest.MonkeyPatch, path: str, operation: str
) -> None:
    """Pages are not stored, so "back" would bring an empty form."""
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    await browser.sign_in()
    form = await browser.get(path)

    with monkeypatch.context() as patched:
        patched.setattr(wired.store, operation, AsyncMock(side_effect=StoreUnavailableError("gone")))
        failed = await browser.post(path, **(hidden(form) | TYPED), do="save")
    back = await browser.post(target(failed), **hidden(failed))

    assert [503, 200] == [failed.status, back.status], failed.body
    assert TYPED["title"] in html.unescape(text_of(back))
    assert ["shop"] == [one["id"] for one in (await api("GET", "/api/tasks")).json["tasks"]]
    assert HEALTH["title"] == (await api("GET", "/api/tasks/shop")).json["title"]


async def test_a_form_that_cannot_be_read_says_why(browser: Browser) -> None:
    await browser.sign_in()

    answer = await browser.post("/dashboard/new", **{f"field{number}": "" for number in range(1001)})

    assert (400, True) == (answer.status, "Maximum number of fields is 1000" in text_of(answer))


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("https://cronfire.example/dashboard/tasks/shop?message=x", "/dashboard/tasks/shop"),
        ("https://cronfire.example/dashboard?status=failing", "/dashboard?status=failing"),
        ("https://elsewhere.example/dashboard/tasks/shop", "/dashboard"),
        ("https://cronfire.example/docs", "/dashboard"),
        ("https://[", "/dashboard"),
        ("", "/dashboard"),
    ],
)
async def test_a_button_that_did_nothing_says_so_and_leads_back_to_its_page(
    browser: Browser, api: Call, referer: str, back: str
) -> None:
    """It led to the overview by way of signing in, as if the task had been run."""
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    browser.extra_headers = {"Host": "cronfire.example"} | ({"Referer": referer} if referer else {})

    answer = await browser.post("/dashboard/tasks/shop/run")
    browser.extra_headers = {}
    asked = await browser.get(answer.headers["location"])
    signed_in = await browser.post("/dashboard/sign-in", key=ADMIN, **hidden(asked))

    assert "so nothing was done" in text_of(asked)
    assert back == signed_in.headers["location"]
