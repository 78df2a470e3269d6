"""The link that `serve` prints opens the dashboard once."""

import asyncio

import pytest

from functions.app.application import App
from functions.domain.access import hash_token
from functions.services.access.signing import SIGN_IN_LINK_LIFETIME, make_sign_in_token
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN
from tests.unit.web.asgi import Answer
from tests.unit.web.dashboard.conftest import Browser, make_browser


async def link_of(wired: App, key: str = ADMIN) -> str:
    token = await make_sign_in_token(
        wired.signer, link_id="link1", admin_key_hash=hash_token(key), now=wired.now()
    )
    return f"/dashboard/sign-in?once={token}"


def token_of(link: str) -> str:
    return link.partition("once=")[2]


async def press(browser: Browser, link: str, **typed: str) -> Answer:
    """Press the button of the page that *link* leads to."""
    return await browser.post("/dashboard/sign-in", once=token_of(link), **typed)


async def test_it_signs_in_once_whoever_comes_second(wired: App) -> None:
    new_browser = make_browser(wired)
    link = await link_of(wired)
    browsers = [new_browser() for _ in range(4)]

    answers = await asyncio.gather(*(press(one, link) for one in browsers))

    assert [303, 401, 401, 401] == sorted(one.status for one in answers)
    [first] = [one for one in browsers if one.cookie]
    assert 200 == (await first.get("/dashboard")).status
    for again in (await first.get(link), await press(first, link)):
        assert 401 == again.status
        assert "used before or is too old" in again.body.decode()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_what_reads_links_in_advance_uses_nothing_up(browser: Browser, wired: App, method: str) -> None:
    """Chats show previews of links, and scanners of mail follow them: neither presses a button."""
    link = await link_of(wired)

    for _ in range(3):
        seen = await browser.request(method, link)
        assert (200, "") == (seen.status, browser.cookie)
    page = (await browser.get(link)).body.decode()

    assert f'name="once" value="{token_of(link)}"' in page
    assert "data-press" in page, "the script presses the button of who looks at the page"
    assert 303 == (await press(browser, link)).status
    assert browser.cookie


async def test_another_site_cannot_press_the_button(browser: Browser, wired: App) -> None:
    link = await link_of(wired)
    browser.extra_headers["Origin"] = "https://evil.example"

    assert 403 == (await press(browser, link)).status
    browser.extra_headers.clear()
    assert 303 == (await press(browser, link)).status


async def test_it_ends_after_some_minutes_and_with_another_key(
    browser: Browser, wired: App, clock: Clock
) -> None:
    assert 401 == (await browser.get(await link_of(wired, key="another"))).status
    assert 401 == (await press(browser, await link_of(wired, key="another"))).status
    link = await link_of(wired)
    clock.now += SIGN_IN_LINK_LIFETIME
    assert (401, "") == ((await browser.get(link)).status, browser.cookie)
    assert (401, "") == ((await press(browser, link)).status, browser.cookie)


async def test_nothing_of_it_is_in_the_store_but_that_it_was_used(browser: Browser, wired: App) -> None:
    link = await link_of(wired)
    before = {one.id for one in await wired.store.list_documents("meta")}
    await press(browser, link)

    [used] = [one for one in await wired.store.list_documents("meta") if one.id not in before]
    signature = link.rpartition(".")[2]
    assert "link1" not in f"{used.id} {used.data}"
    assert signature not in f"{used.id} {used.data}"
    assert used.expire_at is not None


async def test_it_leads_to_pages_of_the_dashboard_alone(browser: Browser, wired: App) -> None:
    answer = await press(browser, await link_of(wired), to="//evil.example")

    assert (303, "/dashboard") == (answer.status, answer.headers["location"])
