"""What strangers see: a badge, green after a success and after nothing else, and a status page."""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

import pytest

from functions.app.application import App
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Pause, Task
from functions.domain.types import Status
from functions.web.dashboard.presentation.formatting import BAD, GOOD, QUIET
from functions.web.dashboard.public import public_state
from tests.conftest import NOON
from tests.unit.web.dashboard.conftest import Browser, clock, wired

__all__ = ["clock", "wired"]

MakeTask = Callable[..., Task]
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DONE, FAILED, SKIPPED = (f"{one} 5 2026-11-20T12:00:00Z" for one in ("succeeded", "failed", "skipped"))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, ("new", QUIET)),
        ({"recent": (SKIPPED,), "last_outcome": "skipped"}, ("new", QUIET)),
        ({"recent": (DONE,), "last_outcome": "succeeded"}, ("passing", GOOD)),
        ({"recent": (DONE, SKIPPED), "last_outcome": "skipped"}, ("passing", GOOD)),
        ({"recent": (DONE, FAILED), "last_outcome": "failed", "consecutive_failures": 1}, ("failing", BAD)),
        (
            {"recent": (DONE,), "last_outcome": "failed", "status": Status.RETRYING, "attempt": 1},
            ("retrying", QUIET),
        ),
        ({"recent": (DONE, FAILED), "last_outcome": "failed"}, ("unknown", QUIET)),
        ({"recent": (DONE,), "status": Status.PAUSED, "pause": Pause()}, ("paused", QUIET)),
        ({"status": Status.QUARANTINED}, ("stopped", BAD)),
        (
            {"recent": (DONE,), "last_outcome": "succeeded", "alert": {"missingSuccessNotified": True}},
            ("failing", BAD),
        ),
    ],
)
def test_a_badge_is_green_only_after_a_success(
    make_task: MakeTask, fields: dict[str, object], state: tuple[str, str]
) -> None:
    assert state == public_state(make_task(**fields), now=NOON)


@pytest.mark.parametrize("tag", ["team/backend", "#1 shop?", "שלום"])
async def test_a_status_page_is_where_its_link_says_whatever_the_tag(
    browser: Browser, wired: App, make_task: MakeTask, tag: str
) -> None:
    """Of a tag with a slash the link led to nothing, and with one at its end to an address quoted twice."""
    await wired.store.write([ConditionalWrite(make_task("due", tags=(tag,)), None)])
    await browser.sign_in()
    listed = (await browser.get(f"/dashboard?tag={quote(tag, safe='')}")).body.decode()
    link = re.search(r'href="(/public/[^"]+)"', listed)
    assert link

    page = await browser.get(link[1])
    typed = await browser.get(f"{link[1]}/")

    assert (200, (303, link[1])) == (page.status, (typed.status, typed.headers["location"]))


@pytest.mark.parametrize(
    ("late", "failures", "said"),
    [
        (10 * MINUTE, 0, ["All well.", "passing", "passing"]),  # a tick may come each ten minutes
        (DAY, 0, ["1 of 2 not looked at since Thu 19 Nov 2026, 12:00", "passing", "unknown"]),
        (
            DAY,
            1,
            ["1 of 2 has a problem. 1 of 2 not looked at since Thu 19 Nov 2026, 12:00", "failing", "unknown"],
        ),
    ],
)
async def test_a_status_page_says_what_it_has_not_looked_at(
    browser: Browser, wired: App, make_task: MakeTask, late: timedelta, failures: int, said: list[str]
) -> None:
    """Without ticks it said "All well." for ever."""
    seen = {"tags": ("shop",), "recent": (DONE,), "last_outcome": "succeeded"}
    due = make_task("due", next_run_at=NOON - late, **seen)
    other = make_task("other", next_run_at=NOON + DAY, consecutive_failures=failures, **seen)
    await wired.store.write([ConditionalWrite(task, None) for task in (due, other)])
    await browser.sign_in()
    link = re.search(r'href="(/public/[^"]+)"', (await browser.get("/dashboard?tag=shop")).body.decode())
    assert link

    page = (await browser.get(link[1])).body.decode()
    [status] = re.findall(r'role="status">(.*?)</p>', page)
    states = re.findall(r'class="state [a-z]+">([a-z]+)<', page)

    assert status.strip().startswith(said[0])
    assert sorted(said[1:]) == sorted(states)


async def test_a_status_page_begins_with_its_problems_and_counts_all(
    browser: Browser, wired: App, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more tasks than it shows it said that all was well while the last of them failed."""
    monkeypatch.setattr("functions.web.dashboard.public.MAX_TASKS", 3)
    for name in ("a", "b", "c", "d"):
        failing = {"consecutive_failures": 1} if name in ("b", "d") else {}
        await wired.store.write(
            [ConditionalWrite(make_task(id=name, title=name, tags=("shop",), **failing), None)]
        )
    await browser.sign_in()
    link = re.search(r'href="(/public/[^"]+)"', (await browser.get("/dashboard?tag=shop")).body.decode())
    assert link

    page = (await browser.get(link[1])).body.decode()

    assert ["b", "d", "a"] == re.findall(r"<h2>(.)</h2>", page)
    assert "2 of 4 have a problem." in page
