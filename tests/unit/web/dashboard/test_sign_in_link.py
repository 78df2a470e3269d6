"""The link that `serve` prints opens the dashboard once."""

import asyncio

from functions.app.application import App
from functions.domain.access import hash_token
from functions.services.access.signing import SIGN_IN_LINK_LIFETIME, make_sign_in_token
from tests.unit.web.api.conftest import ADMIN, Clock
from tests.unit.web.dashboard.conftest import Browser, make_browser


async def link_of(wired: App, key: str = ADMIN) -> str:
    token = await make_sign_in_token(
        wired.signer, link_id="link1", admin_key_hash=hash_token(key), now=wired.now()
    )
    return f"/dashboard/sign-in?once={token}"


async def test_it_signs_in_once_whoever_comes_second(wired: App) -> None:
    new_browser = make_browser(wired)
    link = await link_of(wired)
    browsers = [new_browser() for _ in range(4)]

    answers = await asyncio.gather(*(one.get(link) for one in browsers))

    assert [303, 401, 401, 401] == sorted(one.status for one in answers)
    [first] = [one for one in browsers if one.cookie]
    assert 200 == (await first.get("/dashboard")).status
    again = await first.get(link)
    assert 401 == again.status
    assert "used before or is too old" in again.body.decode()


async def test_it_ends_after_some_minutes_and_with_another_key(
    browser: Browser, wired: App, clock: Clock
) -> None:
    assert 401 == (await browser.get(await link_of(wired, key="another"))).status
    link = await link_of(wired)
    clock.now += SIGN_IN_LINK_LIFETIME
    assert (401, "") == ((await browser.get(link)).status, browser.cookie)


async def test_nothing_of_it_is_in_the_store_but_that_it_was_used(browser: Browser, wired: App) -> None:
    link = await link_of(wired)
    before = {one.id for one in await wired.store.list_documents("meta")}
    await browser.get(link)

    [used] = [one for one in await wired.store.list_documents("meta") if one.id not in before]
    signature = link.rpartition(".")[2]
    assert "link1" not in f"{used.id} {used.data}"
    assert signature not in f"{used.id} {used.data}"
    assert used.expire_at is not None


async def test_it_leads_to_pages_of_the_dashboard_alone(browser: Browser, wired: App) -> None:
    answer = await browser.get(f"{await link_of(wired)}&to=//evil.example")

    assert (303, "/dashboard") == (answer.status, answer.headers["location"])
