"""Rules rehearsed over the API and on the form: what they would have sent, and nothing else."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.run import Run, failed, succeeded
from functions.domain.storage import RunBatch
from functions.services import rehearsals
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import HEALTH, Call
from tests.unit.web.dashboard.conftest import Browser, browser

__all__ = ["browser"]

HOUR = timedelta(hours=1)
ID = "shop-front-answers"
REHEARSE = f"/api/tasks/{ID}/rehearse"
RULE = {"on": ["failure", "recovery"], "channels": ["slack"]}
RUNS = "....xx......xxx.."


async def add_runs(wired: App, pattern: str, *, task_id: str = ID) -> None:
    """Record an outcome each hour."""
    [stored] = (await wired.store.get_tasks([task_id])).tasks
    runs = []
    for number, sign in enumerate(pattern, 1):
        outcome = succeeded("Answered 200") if sign == "." else failed("Answered 503")
        at = NOON + number * HOUR
        runs.append(
            Run(
                task_id=task_id,
                occurrence=at,
                attempt=1,
                token=f"t{number}",
                outcome=outcome.kind,
                summary=outcome.summary,
                started_at=at,
                finished_at=at,
                task_created_at=stored.task.created_at,
            )
        )
    await wired.store.write_with_runs(RunBatch("tick1.1", NOON + HOUR, tuple(runs)), [])


@pytest.fixture
async def task(api: Call, wired: App, clock: Clock) -> str:
    """A task with seventeen hours of history."""
    made = await api("POST", "/api/tasks", HEALTH)
    assert made.status == 201
    await add_runs(wired, RUNS)
    clock.now = NOON + 18 * HOUR
    return ID


async def test_a_proposal_is_told_message_by_message(api: Call, wired: App, task: str) -> None:
    before = (await api("GET", f"/api/tasks/{task}")).json

    answer = await api("POST", REHEARSE, {"notify": [RULE | {"after": 2}]})

    assert answer.status == 200, answer.body
    said = answer.json
    assert [(one["at"], one["channel"], one["kinds"]) for one in said["messages"]] == [
        ("2026-11-20T18:00:00Z", "slack", ["failure"]),
        ("2026-11-20T19:00:00Z", "slack", ["recovery"]),
        ("2026-11-21T02:00:00Z", "slack", ["failure"]),
        ("2026-11-21T03:00:00Z", "slack", ["reminder"]),
        ("2026-11-21T04:00:00Z", "slack", ["recovery"]),
    ]
    assert said["messages"][0]["text"].startswith(
        "🔴 “Shop front answers” failed, 2 times in a row: Answered 503"
    )
    assert said["records"] == len(RUNS)
    assert said["present"] == 6
    assert said["summary"] == ("In the last day you would have had 5 messages; with the rules as they are 6")
    assert said["notes"] == []
    assert (await api("GET", f"/api/tasks/{task}")).json == before


async def test_quiet_hours_and_maintenance_may_be_proposed_as_well(api: Call, task: str) -> None:
    quiet = [{"from": "18:30", "to": "02:00"}]
    maintenance = [{"from": "2026-11-20T12:00:00Z", "to": "2026-11-22T12:00:00Z"}]

    night = (await api("POST", REHEARSE, {"notify": [RULE], "quiet": quiet})).json
    held = (await api("POST", REHEARSE, {"notify": [RULE], "maintenance": maintenance})).json

    assert [one["at"][11:16] for one in night["messages"]] == ["17:00", "18:00", "02:00", "04:00"]
    assert night["messages"][2]["kinds"] == ["recovery", "failure", "reminder"]
    assert held["messages"] == []
    assert held["held"]


async def test_without_a_body_the_stored_rules_are_rehearsed(api: Call, task: str) -> None:
    said = (await api("POST", REHEARSE)).json

    assert len(said["messages"]) == said["present"] == 6


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"notify": [{"on": ["never"]}]}, "notify"),
        ({"notify": [{"after": 0}]}, "notify"),
        ({"notify": "slack"}, "notify"),
        ({"quiet": [{"from": "25:00", "to": "07:00"}]}, "quiet"),
        ({"quiet": [{"from": "22:00", "to": "07:00", "timezone": "Mars"}]}, "quiet"),
        ({"maintenance": [{"from": "2026-11-21T00:00:00Z", "to": "2026-11-20T00:00:00Z"}]}, "maintenance"),
        ({"expectSeconds": 1}, "expectSeconds"),
        ({"pauseAfterFailures": 0}, "pauseAfterFailures"),
        ({"schedule": "hourly"}, "schedule"),
    ],
)
async def test_a_proposal_that_is_wrong_is_refused_with_its_field(
    api: Call, task: str, body: dict[str, Any], field: str
) -> None:
    refused = await api("POST", REHEARSE, body)

    assert refused.status == 422
    assert any(one["field"].startswith(field) for one in refused.json["errors"]), refused.json


async def test_what_history_cannot_show_is_said(
    api: Call, wired: App, clock: Clock, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = await api("POST", "/api/tasks", HEALTH | {"id": "new"})
    beat = await api(
        "POST", "/api/tasks", {"id": "beat", "title": "B", "type": "heartbeat", "schedule": "hourly"}
    )
    assert (nothing.status, beat.status) == (201, 201)

    assert (await api("POST", "/api/tasks/new/rehearse")).json["notes"] == [rehearsals.NO_RECORDS]
    assert rehearsals.PLAIN_CALLS in (await api("POST", "/api/tasks/beat/rehearse")).json["notes"]
    paused = (await api("POST", REHEARSE, {"pauseAfterFailures": 2})).json
    assert paused["notes"] == [rehearsals.WOULD_PAUSE]
    assert "paused" in str(paused["messages"])
    monkeypatch.setattr(rehearsals, "MAX_RECORDS", 5)
    bounded = (await api("POST", REHEARSE)).json
    assert (bounded["records"], bounded["notes"]) == (5, [rehearsals.MORE_RECORDS])


async def test_an_owner_sees_neither_channels_nor_hours_of_others(
    api: Call, wired: App, clock: Clock, make_key: Callable[..., Awaitable[str]]
) -> None:
    await api("PUT", "/api/owners/ann", {"capabilities": {"types": ["*"]}})
    await api("POST", "/api/tasks", HEALTH | {"owner": "ann"})
    await add_runs(wired, RUNS)
    clock.now = NOON + 18 * HOUR
    reader = await make_key("read", owner="ann")
    stranger = await make_key("read", owner="bob")

    own = await api("POST", REHEARSE, {"notify": [{"on": ["failure"]}]}, key=reader)

    assert {one["channel"] for one in own.json["messages"]} == {"default"}
    assert own.json["notes"] == [rehearsals.OTHERS_CHANNELS]
    assert (await api("POST", REHEARSE, {}, key=stranger)).status == 404
    assert (await api("POST", REHEARSE, {}, key=None)).status == 401


@pytest.mark.slow
async def test_the_form_shows_a_rehearsal_and_saves_nothing(browser: Browser, api: Call, task: str) -> None:
    await browser.sign_in()
    page = f"/dashboard/tasks/{task}/edit"
    assert b'value="rehearse"' in (await browser.get(page)).body
    assert b'value="rehearse"' not in (await browser.get("/dashboard/new")).body
    before = (await api("GET", f"/api/tasks/{task}")).json

    answer = await browser.post(page, do="rehearse", **{"notify.0.on.failure": "on", "notify.0.after": "3"})

    assert answer.status == 200
    assert "with the rules as they are: 6" in answer.body.decode()
    assert "17 recorded runs were replayed" in answer.body.decode()
    assert (await api("GET", f"/api/tasks/{task}")).json == before
    wrong = await browser.post(page, do="rehearse", schedule="nonsense")
    assert wrong.status == 422
