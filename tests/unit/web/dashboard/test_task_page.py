"""The page of one task: how it does, and all of its history."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.capacity.flow_control import GroupState
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, Document, RunBatch
from functions.domain.task import Group, Task
from functions.domain.types import OutcomeKind
from tests.conftest import NOON
from tests.unit.web.dashboard.conftest import Browser, clock, wired

__all__ = ["clock", "wired"]

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
PAGE = "/dashboard/tasks/water-plants"


def run(number: int, **changes: Any) -> Run:
    """The run that ended so many minutes before noon."""
    at = NOON - number * MINUTE
    fields: dict[str, Any] = {
        "task_id": "water-plants",
        "occurrence": at,
        "attempt": 1,
        "token": f"t.{number}",
        "outcome": OutcomeKind.SUCCEEDED,
        "summary": f"Summary {number}",
        "started_at": at - timedelta(milliseconds=10 * number),
        "finished_at": at,
    }
    return Run.model_validate(fields | changes)


async def keep(wired: App, task: Task, *runs: Run) -> None:
    await wired.store.write([ConditionalWrite(task, None)])
    for number in range(0, len(runs), 100):
        await wired.store.write_with_runs(
            RunBatch(f"{task.id}.{number}", NOON, tuple(runs[number : number + 100])), []
        )


def summaries(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'class="clamp">Summary (\d+)', page)]


@pytest.mark.slow
async def test_all_runs_are_reached_page_by_page(browser: Browser, wired: App, make_task: MakeTask) -> None:
    await keep(wired, make_task(), *(run(number) for number in range(1, 131)))
    await browser.sign_in()
    seen: list[int] = []

    address = PAGE
    while address:
        page = (await browser.get(address)).body.decode()
        seen += summaries(page)
        found = re.search(r'href="([^"]+)#history">Older runs', page)
        address = found[1].replace("&amp;", "&") if found else ""

    assert list(range(1, 131)) == seen


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?outcome=failed", [7, 40]),
        ("?outcome=failed&trigger=manual", [40]),
        ("?search=summary+40", [40]),
        ("?search=nothing", []),
        ("?period=1d&outcome=failed", [7, 40]),
        ("?period=nonsense&trigger=manual", [40]),
        ("?outcome=nonsense", []),
    ],
)
async def test_history_is_filtered_by_its_address(
    browser: Browser, wired: App, make_task: MakeTask, query: str, expected: list[int]
) -> None:
    bad = {7: {"outcome": "failed"}, 40: {"outcome": "failed", "trigger": "manual"}}
    await keep(wired, make_task(), *(run(number, **bad.get(number, {})) for number in range(1, 61)))
    await browser.sign_in()

    page = (await browser.get(f"{PAGE}{query}")).body.decode()

    assert expected == summaries(page)
    assert ("No run matches" in page) == (not expected)


async def test_a_page_of_a_long_history_reads_a_bounded_number_of_documents(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    await keep(wired, make_task(), *(run(number) for number in range(1, 301)))
    await browser.sign_in()

    reads = {
        query: int(re.search(rb"(\d+) documents read", (await browser.get(f"{PAGE}{query}")).body)[1])  # type: ignore[index]
        for query in ("", "?outcome=failed")
    }

    assert reads[""] <= 100 + 25 + 10
    assert reads["?outcome=failed"] <= 100 + 300 + 10


async def test_uptime_is_shown_from_what_the_task_keeps(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    hour = int(NOON.timestamp()) // 3600
    await keep(wired, make_task(tally=f"{hour} 60x22,57.3 1440x40,700.3"))
    await browser.sign_in()

    page = (await browser.get(PAGE)).body.decode()

    assert ["99.78 %", "99.96 %", "99.99 %", "99.99 %"] == re.findall(r'"number">([\d.]+ %)</dd>', page)
    assert 24 + 90 == page.count('height="36" rx="2"')
    assert "12:00: 57 succeeded, 3 failed" in page


async def test_response_times_have_percentiles_and_no_chart_for_one_run(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    await keep(wired, make_task(), *(run(number) for number in range(1, 101)))
    await keep(wired, make_task("other"), run(1, task_id="other"))
    await browser.sign_in()

    page = (await browser.get(PAGE)).body.decode()
    other = (await browser.get("/dashboard/tasks/other")).body.decode()

    assert "median 500 ms, 95 % within 950 ms, slowest 1.0 s" in page
    assert "Shown from the second attempt on." in other


async def test_a_task_that_waits_for_a_retry_looks_like_one(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    task = make_task(
        status="retrying",
        occurrence=NOON,
        attempt=1,
        retry_at=NOON + 20 * timedelta(seconds=1),
        last_outcome="failed",
        last_error="Answered <503>",
    )
    await keep(wired, task)
    await browser.sign_in()

    page = (await browser.get(PAGE)).body.decode()

    assert '<span class="state warn wait">retrying</span>' in page
    assert "Attempt 1 of 3 did not succeed: Answered &lt;503&gt;" in page
    assert "Tried again in 20 s" in page


async def test_it_says_who_is_told_when_and_what_comes_before_and_after(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    task = make_task(
        notify=[{"on": ["failure"], "channels": ["feishu"], "after": 3, "remind": "never"}],
        retry={"maxAttempts": 5, "minBackoffSeconds": 60, "maxBackoffSeconds": 600},
        expect_seconds=7200,
        pause_after_failures=9,
        after=[{"task": "fetch", "on": "failure"}],
        on_event=[{"type": "order.paid"}],
        dependents=[{"task": "pack", "on": "success"}],
        incidents=["2026-11-19T10:00:00Z 2026-11-19T12:00:00Z 4"],
    )
    await keep(wired, task)
    await browser.sign_in()

    page = (await browser.get(PAGE)).body.decode()

    for words in (
        "failure → feishu",
        "from the 3. failure in a row",
        "without reminders",
        "not succeeded for 2 h",
        "Up to 5 attempts, 1 min to 10 min apart; each may take 20 s.",
        "It pauses after 9 failures in a row.",
        'href="/dashboard/tasks/fetch"',
        "order.paid",
        'href="/dashboard/tasks/pack"',
        "for 2 h, 4 failures",
    ):
        assert words in page, words


async def test_the_next_run_is_no_wake_up(browser: Browser, wired: App, make_task: MakeTask) -> None:
    await keep(wired, make_task(max_runs=3, run_count=2, next_run_at=NOON, next_occurrence=NOON + 5 * MINUTE))
    await browser.sign_in()

    page = (await browser.get(PAGE)).body.decode()

    assert "<b>in 5 min</b>" in page
    assert 1 == page.count("<li>Fri 20 Nov 2026, 12:05 UTC")
    assert "12:10 UTC" not in page


async def test_what_a_task_waits_for_is_on_its_page(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    limits = Group(name="shop-api", per_minute=3)
    await keep(wired, make_task(group=limits, next_run_at=NOON))
    state = GroupState({}, NOON.replace(second=0), 3)
    await wired.store.put_documents([Document("groups", "all.shop-api", state.to_data())])

    await browser.sign_in()

    page = (await browser.get(PAGE)).body.decode()

    assert "Its group is shop-api: 3 start in a minute." in " ".join(page.split())
    assert "It waits for its group shop-api: 3 of 3 have started this minute." in page


@pytest.mark.slow
async def test_no_text_turns_what_stands_behind_it(browser: Browser, wired: App, make_task: MakeTask) -> None:
    """U+202E in a title or an output mirrored the address after it, or the words of the next sentence."""
    odd = "invoice\u202egnp \u2067x\u2066"
    task = make_task(title=odd, params={"url": "https://example.com/", "body": odd}, type="http")
    await keep(wired, task, run(1, summary=odd))
    await browser.sign_in()

    pages = [
        (await browser.get(address)).body.decode() for address in (PAGE, "/dashboard", "/dashboard/runs")
    ]
    form = (await browser.get(f"{PAGE}/edit")).body.decode()

    assert ["invoicegnp x" in page and "\u202e" not in page for page in pages] == [True] * 3
    assert 2 == form.count(odd)  # what is saved again is not changed


async def test_params_are_read_as_they_were_written(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    await keep(wired, make_task(params={"url": "https://example.com/?a=1&b=<2>", "text": "\u6bcf\u5929"}))
    await browser.sign_in()

    page = html.unescape((await browser.get(PAGE)).body.decode())

    assert '"text": "\u6bcf\u5929",\n  "url": "https://example.com/?a=1&b=<2>"\n' in page
