"""The page that people leave open: what is first, what is counted, what it costs."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Task
from functions.domain.types import format_instant
from functions.web.dashboard.overview import describe_pinger, recent_changes
from functions.web.dashboard.presentation.formatting import task_state
from functions.web.dashboard.task_list import sort_tasks
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN
from tests.unit.web.dashboard.conftest import Browser, clock, make_browser, make_key, wired

__all__ = ["clock", "make_key", "wired"]

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)


async def store_tasks(wired: App, *tasks: Task) -> None:
    await wired.store.write([ConditionalWrite(task, None) for task in tasks])


@pytest.fixture
def failing(make_task: MakeTask) -> Task:
    return make_task(
        "zoo",
        title="Zoo <b>tickets</b>",
        consecutive_failures=3,
        last_outcome="failed",
        last_error="<i>503</i>",
        last_run_at=NOON - MINUTE,
        next_occurrence=NOON + MINUTE,
        next_run_at=NOON + MINUTE,
    )


def titles(page: str) -> list[str]:
    return re.findall(r'id="task-([^"]+)"', page)


def tiles(page: str) -> dict[str, int]:
    found = re.findall(r'class="tile .*?<b class="number">(\d+)</b> <span>([\w ]+)</span>', page, re.S)
    return {name: int(number) for number, name in found}


async def test_what_fails_is_first_and_everything_is_counted(
    browser: Browser, wired: App, make_task: MakeTask, failing: Task
) -> None:
    due = {"next_run_at": NOON + MINUTE}
    await store_tasks(
        wired,
        failing,
        make_task("ant", last_outcome="succeeded", **due),
        make_task("bee", last_outcome="succeeded", next_run_at=NOON - 10 * MINUTE),
        make_task("cow", status="paused", last_outcome="failed", next_run_at=None),
        make_task("dog", **due),
    )
    await browser.sign_in()

    page = (await browser.get("/dashboard")).body.decode()

    assert ["zoo", "ant", "bee", "cow", "dog"] == titles(page)
    assert {"failing": 1, "late": 1, "ok": 2, "paused": 1, "in all": 5} == tiles(page)
    assert "Zoo &lt;b&gt;tickets&lt;/b&gt;" in page
    assert "<i>503" not in page
    assert "No tick comes" in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?status=failing", ["zoo"]),
        ("?status=late", ["bee"]),
        ("?status=paused", ["cow"]),
        ("?search=tickets", ["zoo"]),
        ("?tag=farm", ["bee", "cow"]),
        ("?status=late&tag=shop", []),
        ("?sort=title", ["bee", "cow", "zoo"]),
        ("?sort=-title", ["zoo", "cow", "bee"]),
        ("?sort=next", ["bee", "zoo", "cow"]),
        ("?sort=nonsense", ["zoo", "bee", "cow"]),
        ("?status=nonsense", ["bee", "cow", "zoo"]),
        ("?after=cow", ["zoo"]),
    ],
)
async def test_filters_and_order_are_in_the_address(
    browser: Browser, wired: App, make_task: MakeTask, failing: Task, query: str, expected: list[str]
) -> None:
    await store_tasks(
        wired,
        failing,
        make_task("bee", title="Bee", tags=["farm"], next_run_at=NOON - 10 * MINUTE),
        make_task("cow", title="Cow", tags=["farm"], status="paused", next_run_at=None),
    )
    await browser.sign_in()

    page = (await browser.get(f"/dashboard{query}")).body.decode()

    assert expected == titles(page)


@pytest.mark.slow
async def test_five_thousand_tasks_cost_no_more_than_some_pages(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    task = make_task("t", last_outcome="failed")
    many = [
        task.model_copy(update={"id": f"t{number:04}", "title": f"Task {number}"}) for number in range(5000)
    ]
    for start in range(0, len(many), 1000):
        await store_tasks(wired, *many[start : start + 1000])
    await browser.sign_in()

    pages = {
        name: (await browser.get(f"/dashboard{query}")).body.decode()
        for name, query in {
            "first": "",
            "next": "?after=t0099",
            "search": "?search=nothing",
            "failing": "?status=failing",
            "sorted": "?sort=title",
            "filtered": "?sort=title&type=http",
        }.items()
    }

    reads = {name: int(re.findall(r"(\d+) documents? read", page)[0]) for name, page in pages.items()}
    fixed = 7 * 5 + 3 + 3 + 1 + 1 + 6  # counts, the figures of the status twice, lost notices, session, queue
    assert reads["first"] <= 100 + 50 + fixed
    assert reads["next"] == reads["failing"] <= 100 + fixed
    assert reads["sorted"] <= 100 + fixed
    assert max(reads["search"], reads["filtered"]) <= 1500 + fixed
    assert all(len(page) < 300_000 for page in pages.values())
    assert 'href="/dashboard?after=t0099"' in pages["first"]
    assert ["t0000", "t0001", "t0010", "t0100"] == titles(pages["sorted"])[:4]
    assert re.search(r"sort=title&amp;after=t\d+(~|%7E)Task\+\d+\"", pages["sorted"])
    assert {"title", "next"} == set(re.findall(r'href="/dashboard\?sort=([^"&]+)"', pages["first"]))


async def test_a_key_of_an_owner_sees_counts_of_its_own_tasks_alone(
    browser: Browser,
    wired: App,
    make_task: MakeTask,
    failing: Task,
    make_key: Callable[..., Any],
) -> None:
    await store_tasks(wired, failing, make_task("ant", owner="bob", last_outcome="succeeded"))
    await wired.accounts.set_plan("bob", monthly_credits=90)
    await browser.sign_in(await make_key("read", owner="bob"))

    page = (await browser.get("/dashboard")).body.decode()

    assert {"failing": 0, "ok": 1, "paused": 0, "in all": 1} == tiles(page)
    assert ["ant"] == titles(page)
    assert "zoo" not in page
    assert "of 90" in page


async def test_the_pingers_light_says_when_the_last_tick_was_and_how_long_it_took(
    browser: Browser, wired: App, clock: Clock
) -> None:
    await browser.sign_in()
    before = (await browser.get("/dashboard")).body.decode()

    await wired.tick(TimeBudget(None, None))
    after = (await browser.get("/dashboard")).body.decode()

    assert "No tick yet" in before
    assert "Ticks come" in after
    assert "last tick now, 0 ms" in after


async def test_the_list_asks_for_itself_with_its_filters_and_forms_stay(browser: Browser) -> None:
    await browser.sign_in()

    page = (await browser.get("/dashboard?search=a%22b&message=Done")).body.decode()

    live = page.index('<div id="live"')
    assert 'hx-get="/dashboard?search=a%22b"' in page[live:]
    assert 'hx-select="#live" hx-select-oob="#summary,#shown-at"' in page[live:]
    assert page.index('name="search"') < live


async def test_a_session_that_ended_loads_the_page_anew(browser: Browser) -> None:
    here = "https://cronfire.example/dashboard?tag=a"
    browser.extra_headers = {"HX-Request": "true", "HX-Current-URL": here}  # as htmx sends them

    answer = await browser.get("/dashboard")

    assert (204, "true", b"") == (answer.status, answer.headers["hx-refresh"], answer.body)


@pytest.mark.slow
async def test_pages_are_in_the_language_of_notices(tmp_path: Path, clock: Clock, failing: Task) -> None:
    settings = {"STORE_URL": f"sqlite:///{tmp_path}/zh.db", "API_KEY": ADMIN, "NOTICE_LANGUAGE": "zh"}
    app = App(Settings.from_env(settings, serves_http=False), clock=clock)
    await store_tasks(app, failing)
    browser = make_browser(app)()
    await browser.sign_in()

    page = (await browser.get("/dashboard")).body.decode()
    await app.close()

    assert '<html lang="zh">' in page
    assert all(words in page for words in ("概览", "失败中", "1 分钟前", "1 分钟后"))


@pytest.mark.parametrize(
    ("last", "late", "problem", "tone"),
    [
        (1, 0, "", "good"),
        (1, 2, "", "warn"),
        (30, 2, "", "bad"),
        (None, 2, "", "bad"),
        (30, 0, "", "quiet"),
        (None, 0, "", "quiet"),
        (1, 0, "the store did not take 3 results", "bad"),
    ],
)
def test_the_light_is_red_only_when_something_is_wrong(
    last: int | None, late: int, problem: str, tone: str
) -> None:
    at = None if last is None else NOON - last * MINUTE

    assert tone == describe_pinger(at, late, problem=problem, now=NOON)[0]


def test_changes_are_when_outcomes_turned(make_task: MakeTask) -> None:
    lines = ["succeeded", "failed", "timed_out", "skipped", "succeeded", "cancelled", "failed"]
    recent = tuple(
        f"{outcome} 5 {format_instant(NOON + number * MINUTE)}" for number, outcome in enumerate(lines)
    )

    found = recent_changes([make_task("ant", recent=(*recent, "nonsense", "failed 5 never"))])

    assert [(6, False), (4, True), (1, False)] == [
        ((change.at - NOON) // MINUTE, change.is_recovery) for change in found
    ]


def test_tasks_without_a_value_are_last_either_way(make_task: MakeTask) -> None:
    tasks = [
        make_task(name, last_run_at=None if ago is None else NOON - ago * MINUTE)
        for name, ago in (("a", None), ("b", 9), ("c", 5))
    ]

    assert ["b", "c", "a"] == [task.id for task in sort_tasks(tasks, "last")]
    assert ["c", "b", "a"] == [task.id for task in sort_tasks(tasks, "-last")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("waiting", "quiet")),
        ({"last_outcome": "succeeded"}, ("ok", "good")),
        ({"last_outcome": "cancelled"}, ("waiting", "quiet")),
        ({"last_outcome": "failed", "consecutive_failures": 1}, ("failing", "bad")),
        ({"last_outcome": "failed", "status": "retrying"}, ("retrying", "warn")),
        ({"consecutive_failures": 2, "status": "retrying"}, ("failing, retrying", "bad")),
        ({"consecutive_failures": 2, "status": "paused"}, ("paused", "quiet")),
        ({"status": "quarantined"}, ("stopped", "bad")),
    ],
)
def test_a_task_is_green_only_after_a_success(
    make_task: MakeTask, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert expected == task_state(make_task("ant", **fields))
