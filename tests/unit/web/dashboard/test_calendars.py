"""The page of calendars, and the days off in the form of a task with its preview."""

from collections.abc import Awaitable, Callable

import pytest

from tests.unit.web.api.conftest import Call, api, clock, make_key, wired
from tests.unit.web.dashboard.conftest import Browser, browser

__all__ = ["api", "browser", "clock", "make_key", "wired"]

PAGE = "/dashboard/calendars"
TASK = {"id": "report", "title": "Report", "type": "http", "schedule": "0 9 * * *", "timezone": "UTC"}
SITE = {"params": {"url": "https://shop.example.com/"}}


@pytest.mark.slow
async def test_a_calendar_is_made_changed_and_removed(browser: Browser, api: Call) -> None:
    await browser.sign_in()
    made = await browser.post(PAGE, name="company", do="save", entries="12-24..01-02\nsat")
    await api("POST", "/api/tasks", TASK | SITE | {"except": "calendar:company"})
    shown = (await browser.get(f"{PAGE}?name=company&owner=")).body.decode()
    changed = await browser.post(PAGE, name="company", do="save", entries="2026-11-21, 2026-11-22")
    refused = await browser.post(PAGE, name="company", do="remove")
    await api("DELETE", "/api/tasks/report")
    removed = await browser.post(PAGE, name="company", do="remove")

    assert (303, True) == (made.status, "12-24..01-02\nsat</textarea>" in shown)
    assert "new%20days%3A%201" in changed.headers["location"]
    assert (422, True) == (refused.status, b"company is used by report" in refused.body)
    assert (303, {"calendars": []}) == (removed.status, (await api("GET", "/api/calendars")).json)


async def test_what_is_wrong_is_said_and_what_was_typed_stays(browser: Browser) -> None:
    await browser.sign_in()

    wrong = await browser.post(PAGE, name="company", do="save", entries="24.12.\nsat")

    assert 422 == wrong.status
    assert b"24.12." in wrong.body.partition(b"<textarea")[2]
    assert b"is not understood" in wrong.body


async def test_a_calendar_that_leaves_a_task_no_run_says_which(browser: Browser, api: Call) -> None:
    await browser.sign_in()
    await browser.post(PAGE, name="company", do="save", entries="sat")
    await api("POST", "/api/tasks", TASK | SITE | {"except": "calendar:company"})

    said = await browser.post(PAGE, name="company", do="save", entries="01-01..12-31")

    assert "keep%20the%20former%20days%3A%20report" in said.headers["location"]


@pytest.mark.slow
async def test_the_form_previews_days_and_calendars(browser: Browser, api: Call) -> None:
    await browser.sign_in()
    await browser.post(PAGE, name="company", do="save", entries="2026-11-23")
    await api("POST", "/api/tasks", TASK | SITE)
    address = "/dashboard/schedule-preview?schedule=0+9+*+*+*&timezone=UTC&except="

    kept = (await browser.get(f"{address}weekends,calendar:company")).body.decode()
    wrong = (await browser.get(f"{address}calendar:other")).body.decode()
    saved = await browser.post(
        "/dashboard/tasks/report/edit", do="save", **{"except": "weekends, holidays:lv", "onExcluded": "next"}
    )
    page = (await browser.get("/dashboard/tasks/report")).body.decode()
    task = (await api("GET", "/api/tasks/report")).json

    assert "Tue 24 Nov 2026" in kept
    assert "Mon 23 Nov 2026" not in kept
    assert "there is no calendar" in wrong
    assert (303, ["weekends", "holidays:LV"], "next") == (saved.status, task["except"], task["onExcluded"])
    assert "on the next business day when that is in a weekend or on public holidays (LV)" in page


async def test_a_reader_sees_calendars_and_no_form(
    browser: Browser, api: Call, make_key: Callable[..., Awaitable[str]]
) -> None:
    await api("PUT", "/api/calendars/company", {"entries": ["sat"]})
    await browser.sign_in(await make_key("read"))

    page = (await browser.get(PAGE)).body.decode()

    assert ("company" in page, "<textarea" in page) == (True, False)
