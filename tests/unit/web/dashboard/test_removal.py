"""A removal is undone: the task is there again, with what it was and its history."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from functions.app.application import App
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import new_task
from functions.domain.lifecycle.restore import restored_task
from functions.domain.storage import Document, TaskFilter
from functions.domain.types import Status
from functions.stores.metering import count_operations
from functions.taskfiles.validation import check_task
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import HEALTH, Call, api, clock, make_key, wired
from tests.unit.web.dashboard.conftest import Browser, browser

__all__ = ["api", "browser", "clock", "make_key", "wired"]

MakeKey = Callable[..., Awaitable[str]]
TASK = HEALTH | {"id": "ping", "type": "command", "params": {"command": "true"}, "schedule": "* * * * *"}
OF_TIME = {"updatedAt", "nextRunAt", "nextRun", "nextOccurrence", "etag"}


@pytest.mark.slow
async def test_a_removed_task_comes_back_with_its_history(
    browser: Browser, api: Call, wired: App, clock: Clock
) -> None:
    await api("POST", "/api/tasks", TASK | {"params": {"command": "a\nb"}, "retry": {"maxAttempts": 1}})
    clock.now = NOON + timedelta(minutes=1)
    await wired.tick(TimeBudget(None, None))  # it fails, as commands are off
    before = (await api("GET", "/api/tasks/ping")).json
    await browser.sign_in()

    removed = await browser.post("/dashboard/tasks/ping/delete")
    gone = (await api("GET", "/api/tasks/ping")).status
    page = (await browser.get("/dashboard/removed/ping")).body.decode()
    old_link = (await browser.get("/dashboard/tasks/ping")).headers["location"]
    clock.now = NOON + timedelta(days=3)
    back = await browser.post("/dashboard/removed/ping/restore")
    after = (await api("GET", "/api/tasks/ping")).json

    assert removed.headers["location"].startswith("/dashboard/removed/ping?message=")
    assert (404, 303, "/dashboard/tasks/ping") == (
        gone,
        back.status,
        back.headers["location"].partition("?")[0],
    )
    assert "Undo the removal" in page
    assert "/dashboard/removed/ping" == old_link, "where links in messages lead"
    assert "ALLOW_COMMANDS" in page, "what its last run said"
    assert {name: before[name] for name in before.keys() - OF_TIME - {"alert"}} == {
        name: after[name] for name in before.keys() - OF_TIME - {"alert"}
    }
    assert after["nextRunAt"] == "2026-11-23T12:01:00Z", "nothing that was missed is made up for"
    assert 1 == len((await api("GET", "/api/runs?task=ping")).json["runs"])
    trail = [one["verb"] for one in (await api("GET", "/api/tasks/ping/audit")).json["entries"]]
    assert ["restored", "deleted", "created"] == trail
    assert b"Nothing was removed" in (await browser.get("/dashboard/removed")).body


async def test_a_task_made_meanwhile_stays(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", TASK)
    await api("DELETE", "/api/tasks/ping")
    await api("POST", "/api/tasks", TASK | {"title": "Another"})
    await browser.sign_in()

    answer = await browser.post("/dashboard/removed/ping/restore")

    assert "again%3B%20it%20stays" in answer.headers["location"]
    assert "Another" == (await api("GET", "/api/tasks/ping")).json["title"]


async def test_a_removed_task_is_kept_for_a_month(browser: Browser, api: Call, clock: Clock) -> None:
    await api("POST", "/api/tasks", TASK)
    await api("DELETE", "/api/tasks/ping")
    await browser.sign_in()

    clock.now = NOON + timedelta(days=6, hours=23)
    listed = await browser.get("/dashboard/removed")
    clock.now = NOON + timedelta(days=31)
    await browser.sign_in()
    late = await browser.get("/dashboard/removed/ping")

    assert b"/dashboard/removed/ping" in listed.body
    assert 404 == late.status


@pytest.mark.slow
async def test_one_owner_sees_and_restores_no_removed_task_of_another(
    browser: Browser, api: Call, make_key: MakeKey
) -> None:
    for owner in ("alice", "bob"):
        await api("PUT", f"/api/owners/{owner}", {"capabilities": {"types": ["*"]}})
        await api("POST", "/api/tasks", TASK | {"id": owner, "title": f"Of {owner}", "owner": owner})
        await api("DELETE", f"/api/tasks/{owner}")
    await browser.sign_in(await make_key("write", owner="alice"))

    page = await browser.get("/dashboard/removed")
    bobs = await browser.get("/dashboard/removed/bob")
    refused = await browser.post("/dashboard/removed/bob/restore")
    await browser.post("/dashboard/removed/alice/restore")

    assert (True, False) == (b"Of alice" in page.body, b"Of bob" in page.body)
    assert (404, 404) == (bobs.status, refused.status)
    assert (200, 404) == tuple([(await api("GET", f"/api/tasks/{one}")).status for one in ("alice", "bob")])


@pytest.mark.parametrize(
    ("status", "then"), [(Status.RUNNING, Status.SCHEDULED), (Status.QUARANTINED, Status.PAUSED)]
)
def test_nothing_in_flight_comes_back(status: Status, then: Status) -> None:
    """One that took the process down stays stopped until a user resumes it."""
    spec = check_task(TASK)
    assert not isinstance(spec, list)
    task = new_task(spec, now=NOON, origin="test").model_copy(update={"status": status, "occurrence": NOON})

    back = restored_task(task, now=NOON + timedelta(days=1))

    assert (then, None, NOON) == (back.status, back.occurrence, back.created_at)


# -- the trail of everything -----------------------------------------------------------------------------


@pytest.mark.slow
async def test_all_changes_are_listed_newest_first_page_by_page(
    browser: Browser, api: Call, clock: Clock
) -> None:
    for number in range(60):
        clock.now = NOON + timedelta(seconds=number)
        await api("POST", "/api/tasks", TASK | {"id": f"task-{number:02}"})
    await browser.sign_in()

    first = (await browser.get("/dashboard/audit")).body.decode()
    link = first.partition('href="/dashboard/audit?after=')[2].partition('"')[0]
    second = (await browser.get(f"/dashboard/audit?after={link}")).body.decode()
    one = (await browser.get("/dashboard/audit?subject=task-07")).body.decode()

    assert first.index("task-59") < first.index("task-10")
    assert "task-09" not in first
    assert second.index("task-09") < second.index("task-00")
    assert "task-10" not in second
    assert ("task-07" in one, "task-08" in one) == (True, False)


@pytest.mark.slow
async def test_a_removal_of_one_owner_does_not_outdo_anothers(
    browser: Browser, api: Call, wired: App, make_key: MakeKey, clock: Clock
) -> None:
    """Each of them had a task of this id, one after the other."""
    for owner in ("alice", "bob"):
        clock.now += timedelta(minutes=1)
        await api("POST", "/api/tasks", HEALTH | {"id": "ping", "title": f"{owner}'s", "owner": owner})
        await api("DELETE", "/api/tasks/ping")
    shown = {}
    for owner in ("alice", "bob", ""):
        await browser.sign_in(await make_key("write", owner=owner))
        page, listed = await browser.get("/dashboard/removed/ping"), await browser.get("/dashboard/removed")
        shown[owner] = ["alice" in page.body.decode(), "alice&#39;s" in listed.body.decode()]

    await browser.sign_in(await make_key("write", owner="alice"))
    await browser.post("/dashboard/removed/ping/restore")

    assert {"alice": [True, True], "bob": [False, False], "": [False, False]} == shown
    assert "alice" == (await api("GET", "/api/tasks/ping")).json["owner"]


async def test_a_place_that_another_process_took_is_given_back(
    browser: Browser, api: Call, wired: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "ping", "owner": "alice"})
    await api("DELETE", "/api/tasks/ping")
    await api("PUT", "/api/owners/alice", {"maxTasks": 1})
    await browser.sign_in()
    counts = iter([0, 2])  # two processes looked at once, and both wrote

    async def count_tasks(which: TaskFilter) -> int:
        return next(counts)

    monkeypatch.setattr(wired.store, "count_tasks", count_tasks)
    answer = await browser.post("/dashboard/removed/ping/restore")

    assert "took%20the%20last%20places" in answer.headers["location"]
    assert 404 == (await api("GET", "/api/tasks/ping")).status


@pytest.mark.slow
async def test_the_removals_of_others_are_not_read(
    browser: Browser, api: Call, wired: App, make_key: MakeKey
) -> None:
    """They were: each of a month for an owner's list, and 300 for the page of one removed task."""
    others = [
        f"{kind}{place}.t{n}" for kind in ("removed.@", "removal.") for place in "0z" for n in range(300)
    ]
    await wired.store.put_documents([Document("meta", one, {}) for one in others])
    await api("POST", "/api/tasks", HEALTH | {"id": "ping", "title": "Alice's ping", "owner": "alice"})
    await api("DELETE", "/api/tasks/ping")
    reads, pages = [], []
    for owner, path in (("alice", ""), ("alice", "/ping"), ("", "/ping")):
        await browser.sign_in(await make_key("read", owner=owner))
        with count_operations() as operations:
            pages.append((await browser.get(f"/dashboard/removed{path}")).body)
        reads.append(operations.reads)

    assert all(b"Alice&#39;s ping" in page for page in pages)
    assert all(found <= most for found, most in zip(reads, (110, 10, 20), strict=True)), reads
