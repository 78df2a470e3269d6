"""Pages about what happened: all runs, one run, incidents, and what is silenced."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.alerts.overdue import next_reminder_at
from functions.domain.history.tally import read_incidents
from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.run import succeeded
from functions.domain.storage import ConditionalWrite, QueryResult, RunBatch, TaskFilter
from functions.domain.task import Task
from functions.domain.types import format_instant
from functions.errors import MissingIndexError, StoreError
from functions.web.api.runs import encode_run_id
from functions.web.dashboard import history
from functions.web.dashboard.incidents import HOURS
from functions.web.dashboard.presentation.formatting import task_state
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN
from tests.unit.web.dashboard.conftest import Browser, clock, make_browser, make_key, wired
from tests.unit.web.dashboard.test_task_page import keep, run, summaries

__all__ = ["clock", "make_key", "wired"]

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


async def pages_of(browser: Browser, address: str) -> list[int]:
    seen: list[int] = []
    while address:
        page = (await browser.get(address)).body.decode()
        seen += summaries(page)
        found = re.search(r'href="([^"]+)">Older runs', page)
        address = found[1].replace("&amp;", "&") if found else ""
    return seen


@pytest.mark.slow
async def test_all_runs_of_all_tasks_are_reached(
    browser: Browser, wired: App, make_task: MakeTask, make_key: Callable[..., Any]
) -> None:
    await keep(wired, make_task(owner="bob"), *(run(number) for number in range(1, 121)))
    await keep(wired, make_task("other"), run(121, task_id="other"))
    await browser.sign_in()

    everything = await pages_of(browser, "/dashboard/runs")
    found = summaries((await browser.get("/dashboard/runs?search=summary+77")).body.decode())
    await browser.sign_in(await make_key("read", owner="bob"))
    own = await pages_of(browser, "/dashboard/runs")

    assert list(range(1, 122)) == everything
    assert [77] == found
    assert list(range(1, 121)) == own


@pytest.mark.slow
@pytest.mark.parametrize("searched", [1000, 70])
async def test_an_owner_reaches_all_runs_that_finished_at_one_instant(
    searched: int,
    browser: Browser,
    wired: App,
    make_task: MakeTask,
    make_key: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a tick skips finishes at the same moment, for all owners."""
    monkeypatch.setattr(history, "SEARCHED", searched)
    await keep(wired, make_task(owner="bob"), *(run(number, finished_at=NOON) for number in range(1, 121)))
    others = (run(number, task_id="other", finished_at=NOON) for number in range(121, 211))
    await keep(wired, make_task("other"), *others)
    await browser.sign_in(await make_key("read", owner="bob"))

    own = await pages_of(browser, "/dashboard/runs")

    assert list(range(1, 121)) == sorted(own)


async def test_a_run_shows_all_attempts_on_one_time_line(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    first = run(3, occurrence=NOON - 4 * MINUTE, outcome="failed", final=False, summary="<b>503</b>")
    last = run(
        1,
        occurrence=NOON - 4 * MINUTE,
        attempt=2,
        metrics={"stdout": "one\ntwo <b>", "latencyMs": 12},
    )
    await keep(wired, make_task(), first, last)
    await browser.sign_in()

    page = (await browser.get(f"/dashboard/runs/{encode_run_id(last)}")).body.decode()

    assert [("0", "6"), ("994", "6")] == re.findall(
        r'class="(?:good|bad)" x="(\d+)" y="2" width="(\d+)"', page
    )
    assert "failed, then again" in page
    assert "&lt;b&gt;503&lt;/b&gt;" in page
    assert 'data-copy="output-1"' in page
    assert "one\ntwo &lt;b&gt;</pre>" in page


@pytest.mark.slow
async def test_incidents_are_those_that_last_then_those_that_are_over(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    bad = make_task(
        "bad",
        consecutive_failures=2,
        last_outcome="failed",
        last_error="Answered 503",
        alert={"failingSince": format_instant(NOON - 30 * MINUTE)},
    )
    ended = [
        f"{format_instant(NOON - n * MINUTE)} {format_instant(NOON - (n - 5) * MINUTE)} 3" for n in (90, 40)
    ]
    calm = make_task("calm", tags=["shop"], last_outcome="succeeded", incidents=ended)
    await wired.store.write([ConditionalWrite(task, None) for task in (bad, calm)])
    await browser.sign_in()

    page = (await browser.get("/dashboard/incidents")).body.decode()
    shop = (await browser.get("/dashboard/incidents?tag=shop")).body.decode()

    now, over = page.split(">Over<")
    assert "Answered 503" in now
    assert "30 min ago" in now
    assert ["35 min ago", "1 h ago"] == re.findall(r"<b>([^<]+)</b>", over)
    assert "5 min" in over
    assert "Nothing fails." in shop


async def test_while_there_are_more_tasks_no_page_says_that_nothing_fails(
    browser: Browser, wired: App, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one has no success in time, which only its own page of tasks shows."""
    monkeypatch.setattr("functions.web.dashboard.incidents.PAGE_SIZE", 2)
    silent = make_task("z", last_outcome="succeeded", alert={"missingSuccessNotified": True})
    tasks = [make_task("a"), make_task("b"), silent]
    await wired.store.write([ConditionalWrite(task, None) for task in tasks])
    await browser.sign_in()

    first = (await browser.get("/dashboard/incidents")).body.decode()
    second = (await browser.get("/dashboard/incidents?after=b")).body.decode()

    assert "Nothing fails." not in first
    assert "among 2 tasks on each page" in first
    assert "No success in time" in second


async def test_without_the_index_no_page_says_that_nothing_fails(
    browser: Browser,
    wired: App,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = make_task("bad", consecutive_failures=2, last_outcome="failed", last_run_at=NOON)
    await wired.store.write([ConditionalWrite(bad, None)])
    lacks_index(wired, monkeypatch, MissingIndexError("make it"))
    await browser.sign_in()

    pages = {path: (await browser.get(path)).body.decode() for path in ("/dashboard/incidents", "/dashboard")}

    for page in pages.values():
        assert "Failing tasks cannot be listed: the database lacks an index" in page
        assert "Nothing fails." not in page
    assert 'id="task-bad"' in pages["/dashboard"], "in its place by id"
    assert {"make it"} == {one.__dict__["detail"] for one in caplog.records if one.message == "index_missing"}


@pytest.mark.parametrize("path", ["/dashboard/incidents", "/dashboard"])
async def test_another_refusal_of_the_store_is_not_taken_for_a_missing_index(
    path: str, browser: Browser, wired: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in()
    lacks_index(wired, monkeypatch, StoreError("no permission"))

    answer = await browser.get(path)

    assert 500 == answer.status
    assert b"lacks an index" not in answer.body


def lacks_index(wired: App, monkeypatch: pytest.MonkeyPatch, error: StoreError) -> None:
    """Let the store answer what is asked by outcome with *error*, and all else as before."""
    list_tasks, count_tasks = wired.store.list_tasks, wired.store.count_tasks

    async def list_others(which: TaskFilter, **how: Any) -> QueryResult:
        if which.outcomes:
            raise error
        return await list_tasks(which, **how)

    async def count_others(which: TaskFilter) -> int:
        if which.outcomes:
            raise error
        return await count_tasks(which)

    monkeypatch.setattr(wired.store, "list_tasks", list_others)
    monkeypatch.setattr(wired.store, "count_tasks", count_others)


SINCE = {"failingSince": format_instant(NOON - 30 * MINUTE)}
NOTIFIED = SINCE | {"notified": True, "firstNotifiedAt": format_instant(NOON - 30 * MINUTE)}


@pytest.mark.parametrize(
    ("outcome", "alert"),
    [
        ("succeeded", NOTIFIED | {"missingSuccessNotified": True}),
        (None, SINCE | {"missingSuccessNotified": True}),  # no rule asks for it
        ("skipped", NOTIFIED),  # for want of credits or of a setting
    ],
)
async def test_what_lacks_a_success_without_a_failure_is_an_incident_that_can_be_known(
    browser: Browser, wired: App, make_task: MakeTask, outcome: str | None, alert: dict[str, Any]
) -> None:
    lacking = make_task("backup", last_outcome=outcome, last_run_at=NOON - DAY, alert=alert)
    calm = make_task("calm", last_outcome="succeeded", tags=("calm",))
    await wired.store.write([ConditionalWrite(task, None) for task in (lacking, calm)])
    await browser.sign_in()

    page = (await browser.get("/dashboard/incidents")).body.decode()
    others = (await browser.get("/dashboard/incidents?tag=calm")).body.decode()
    await browser.post("/dashboard/tasks/backup/acknowledge")
    [known] = [one.task for one in (await wired.store.get_tasks(["backup"])).tasks]
    claim = {"status": "running", "occurrence": NOON, "attempt": 1}
    back = complete_attempt(
        known.model_copy(update=claim), succeeded("Well"), started_at=NOON, now=NOON, random_fraction=0
    )
    over = read_incidents(back.changes["incidents"])

    assert ["/dashboard/tasks/backup/acknowledge"] == re.findall(r'action="(/[^"]+/acknowledge)"', page)
    assert "/acknowledge" not in others
    assert ("administrator", None) == (known.alert.acknowledged_by, next_reminder_at(known))
    assert ("failing", False) == (task_state(known)[0], task_state(calm)[0] == "failing")
    assert [(NOON - 30 * MINUTE, 0)] == [(one.since, one.failures) for one in over]


async def test_a_failure_that_somebody_knows_of_has_no_reminders_until_it_recovers(
    browser: Browser, wired: App, make_task: MakeTask
) -> None:
    alert = {
        "failingSince": format_instant(NOON - 30 * MINUTE),
        "notified": True,
        "firstNotifiedAt": format_instant(NOON - 30 * MINUTE),
    }
    bad = make_task("bad", consecutive_failures=2, last_outcome="failed", last_run_at=NOON, alert=alert)
    calm = make_task("calm", last_outcome="succeeded")
    await wired.store.write([ConditionalWrite(task, None) for task in (bad, calm)])
    await browser.sign_in()

    await browser.post("/dashboard/tasks/bad/acknowledge")
    refused = await browser.post("/dashboard/tasks/calm/acknowledge")
    page = (await browser.get("/dashboard/incidents")).body.decode()
    [known] = [one.task for one in (await wired.store.get_tasks(["bad"])).tasks]
    claim = {"status": "running", "occurrence": NOON, "attempt": 1}
    recovered = complete_attempt(
        known.model_copy(update=claim), succeeded("Well"), started_at=NOON, now=NOON, random_fraction=0
    )

    assert (True, False) == (next_reminder_at(bad) is not None, next_reminder_at(known) is not None)
    assert "by administrator" in page
    assert "nothing%20to%20acknowledge" in refused.headers["location"]
    assert "" == recovered.changes["alert"].acknowledged_by
    assert ["recovery"] == [one.kind for one in recovered.changes["alert"].pending]


async def test_an_administrator_silences_a_task_or_a_tag_on_every_channel(
    browser: Browser, wired: App, make_task: MakeTask, make_key: Callable[..., Any]
) -> None:
    await keep(wired, make_task())
    await browser.sign_in()

    unknown = await browser.post("/dashboard/incidents/silence", task="nobody", hours="1")
    long = await browser.post("/dashboard/incidents/silence", task="water-plants", hours="9999")
    nothing = await browser.post("/dashboard/incidents/silence", hours="1")
    without_channel = await browser.post("/dashboard/incidents/silence", task="water-plants", hours="4")
    await browser.sign_in(await make_key("write"))
    refused = await browser.post("/dashboard/incidents/silence", tag="shop", hours="4")

    assert "There%20is%20no%20task" in unknown.headers["location"]
    assert "must%20be%20one%20of" in long.headers["location"]
    assert "Name%20a%20task" in nothing.headers["location"]
    assert "No%20channel%20is%20set%20up" in without_channel.headers["location"]
    assert 403 == refused.status
    assert 4 in HOURS


async def test_a_silence_is_a_window_of_maintenance_beside_those_that_are_there(
    tmp_path: Path, clock: Clock
) -> None:
    settings = {"STORE_URL": f"sqlite:///{tmp_path}/c.db", "API_KEY": ADMIN, "NTFY_URL": "https://ntfy.sh/x"}
    app = App(Settings.from_env(settings, serves_http=False), clock=clock)
    browser = make_browser(app)()
    await browser.sign_in()

    for tag in ("shop", "office"):
        await browser.post("/dashboard/incidents/silence", tag=tag, hours="4", note="Moving")
    page = (await browser.get("/dashboard/incidents")).body.decode()
    [windows] = [one.maintenance for one in (await app.channels.settings()).values()]
    await app.close()

    assert [("shop",), ("office",)] == [one.tags for one in windows]
    assert {(NOON, NOON + timedelta(hours=4), "Moving")} == {
        (one.start, one.end, one.note) for one in windows
    }
    assert "<b>shop</b> until Fri 20 Nov 2026, 16:00 UTC" in page


async def test_no_page_of_what_happened_shows_another_owners(
    browser: Browser, wired: App, make_task: MakeTask, make_key: Callable[..., Any]
) -> None:
    line = f"{format_instant(NOON - 2 * MINUTE)} {format_instant(NOON)} 3"
    await keep(wired, make_task(owner="bob", title="Bob's", incidents=[line]), run(1))
    await wired.store.write_with_runs(RunBatch("zz.1", NOON, (run(2, task_id="gone"),)), [])
    await browser.sign_in(await make_key("admin", owner="alice"))

    pages = [(await browser.get(f"/dashboard/{name}")).body for name in ("runs", "incidents", "agenda")]

    assert not [page for page in pages if b"Bob" in page or b"Summary" in page or b"water" in page]
