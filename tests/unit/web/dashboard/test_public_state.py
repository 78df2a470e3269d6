"""What strangers see: a badge, green after a success and after nothing else, and a status page."""

import re
from collections.abc import Callable

import pytest

from functions.app.application import App
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Pause, Task
from functions.domain.types import Status
from functions.web.dashboard.presentation.formatting import BAD, GOOD, QUIET
from functions.web.dashboard.public import public_state
from tests.unit.web.dashboard.conftest import Browser, clock, wired

__all__ = ["clock", "wired"]

MakeTask = Callable[..., Task]
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
    assert state == public_state(make_task(**fields))


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
