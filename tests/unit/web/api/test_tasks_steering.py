"""Steering tasks over the API: run, pause, resume, cancel, backfill, all with a tag, and who did it."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from functions.app.application import App
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.storage import ConditionalWrite
from functions.domain.task import QueuedRun
from functions.domain.types import Status, Trigger
from functions.services.meta import find_first_request
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import HEALTH, Call

BRIEFING = {
    "id": "briefing",
    "title": "Briefing",
    "type": "daily_briefing",
    "schedule": "0 9 * * *",
    "timezone": "UTC",
    "tags": ["office"],
}
FULL = tuple(QueuedRun(at=NOON - timedelta(minutes=n), trigger=Trigger.MANUAL) for n in range(1, 101))
BUDGET = TimeBudget(start_limit=timedelta(seconds=40), response_limit=timedelta(seconds=50))


async def test_a_run_somebody_waits_for_comes_back_with_its_result(api: Call) -> None:
    await api("POST", "/api/tasks", BRIEFING)

    answer = await api("POST", "/api/tasks/briefing/run", {"wait": 30})

    assert 200 == answer.status
    assert "finished" == answer.json["state"]
    assert ("succeeded", "manual") == (answer.json["run"]["outcome"], answer.json["run"]["trigger"])
    assert "2026-11-21T09:00:00Z" == (await api("GET", "/api/tasks/briefing")).json["nextRunAt"]


async def test_an_attempt_that_failed_is_told_with_its_next_try(api: Call) -> None:
    nowhere: dict[str, object] = {
        "id": "nowhere",
        "title": "Nowhere",
        "type": "http",
        "schedule": "0 9 * * *",
    }
    nowhere |= {"params": {"url": "http://nowhere.invalid/"}, "timezone": "Europe/Riga"}
    await api("POST", "/api/tasks", nowhere | {"retry": {"maxAttempts": 3}})
    await api("POST", "/api/tasks", nowhere | {"id": "once", "retry": {"maxAttempts": 1}})

    first = (await api("POST", "/api/tasks/nowhere/run", {"wait": 30})).json
    only = (await api("POST", "/api/tasks/once/run", {"wait": 30})).json

    summary = first["run"]["summary"]
    assert ("retrying", False, "failed") == (first["state"], first["run"]["final"], first["run"]["outcome"])
    assert (await api("GET", "/api/tasks/nowhere")).json["retryAt"] == first["retryAt"]
    assert first["text"].startswith(f"Attempt 1 failed: {summary}; next try at 2026-11-20 14:")
    assert first["text"].endswith(" EET")
    assert ("finished", None) == (only["state"], only["retryAt"])
    assert f"It failed: {only['run']['summary']}" == only["text"]


async def test_waiting_runs_no_other_task(api: Call, clock: Clock) -> None:
    await api("POST", "/api/tasks", BRIEFING)
    await api("POST", "/api/tasks", BRIEFING | {"id": "other"})
    clock.now += timedelta(days=1)

    await api("POST", "/api/tasks/briefing/run", {"wait": 30})

    assert 0 == (await api("GET", "/api/tasks/other")).json["runCount"]


async def test_a_run_nobody_waits_for_is_done_by_the_next_tick(api: Call, wired: App) -> None:
    await api("POST", "/api/tasks", BRIEFING)

    asked = await api("POST", "/api/tasks/briefing/run")
    await wired.tick(BUDGET)

    assert {
        "state": "queued",
        "occurrence": "2026-11-20T12:00:00Z",
        "run": None,
        "retryAt": None,
        "text": "It will run at the next tick",
    } == asked.json
    [run] = (await api("GET", "/api/runs?task=briefing")).json["runs"]
    assert ("succeeded", "2026-11-20T12:00:00Z") == (run["outcome"], run["occurrence"])


async def test_a_request_to_run_is_repeated_under_its_key_and_runs_once(
    api: Call, clock: Clock, wired: App
) -> None:
    """A client whose proxy gave up while it waited sends the request again; it ran twice."""
    await api("POST", "/api/tasks", BRIEFING)
    key = {"Idempotency-Key": "build-17"}

    def ask(wait: int = 0) -> Any:
        clock.now += timedelta(seconds=5)
        return api("POST", "/api/tasks/briefing/run", {"wait": wait}, headers=key)

    first, waiting = await ask(), await ask()
    await wired.tick(BUDGET)
    finished, waited = await ask(), await ask(30)
    other = await api("POST", "/api/tasks", BRIEFING | {"id": "other"})
    misused = await api("POST", "/api/tasks/other/run", {}, headers=key)

    answers = [first.json, waiting.json, finished.json, waited.json]
    assert ["queued", "queued", "finished", "finished"] == [one["state"] for one in answers]
    assert 1 == len({one["occurrence"] for one in answers})
    assert 1 == len((await api("GET", "/api/runs?task=briefing")).json["runs"])
    assert (201, 422) == (other.status, misused.status)
    assert "make a new one" in misused.json["detail"]


async def test_a_request_to_run_that_was_recorded_and_not_carried_out_runs_when_it_is_repeated(
    api: Call, clock: Clock, wired: App
) -> None:
    await api("POST", "/api/tasks", BRIEFING)
    await find_first_request(wired.store, "administrator\nbuild-17", "run briefing", now=clock.now)
    clock.now += timedelta(seconds=5)

    again = await api("POST", "/api/tasks/briefing/run", {}, headers={"Idempotency-Key": "build-17"})
    await wired.tick(BUDGET)

    assert "2026-11-20T12:00:00Z" == again.json["occurrence"]
    assert 1 == len((await api("GET", "/api/runs?task=briefing")).json["runs"])


async def test_a_run_longer_than_anybody_waits_is_left_to_the_next_tick(api: Call) -> None:
    await api("POST", "/api/tasks", BRIEFING | {"timeoutSeconds": 31})

    answer = await api("POST", "/api/tasks/briefing/run", {"wait": 30})

    assert ("queued", None) == (answer.json["state"], answer.json["run"])
    assert 0 == (await api("GET", "/api/tasks/briefing")).json["runCount"]


async def test_a_task_can_be_made_and_run_in_one_go(api: Call) -> None:
    made = await api("POST", "/api/tasks?run=true&wait=30", BRIEFING)

    assert (201, "succeeded") == (made.status, made.json["lastOutcome"])


ONCE = {name: value for name, value in BRIEFING.items() if name != "schedule"}


async def test_a_task_without_a_schedule_runs_once_and_is_kept(api: Call, wired: App) -> None:
    refused = await api("POST", "/api/tasks", ONCE)
    made = await api("POST", "/api/tasks?run=true", ONCE)
    await wired.tick(BUDGET)
    kept = await api("GET", "/api/tasks/briefing")

    assert 422 == refused.status
    assert "run=true" in refused.json["errors"][0]["reason"]
    assert (201, "scheduled", 1) == (made.status, made.json["status"], len(made.json["backlog"]))
    assert ("ended", "succeeded", None) == tuple(
        kept.json[name] for name in ("status", "lastOutcome", "nextRunAt")
    )
    assert "Only when asked" == kept.json["scheduleText"]


async def test_a_repeated_request_to_make_and_run_runs_once(api: Call) -> None:
    for wanted in (201, 201):
        made = await api("POST", "/api/tasks?run=true&wait=30", ONCE, headers={"Idempotency-Key": "twice"})
        assert (wanted, "succeeded") == (made.status, made.json["lastOutcome"])

    assert 1 == len((await api("GET", "/api/runs?task=briefing")).json["runs"])


async def test_a_task_that_ran_once_can_be_edited_and_another_keeps_its_schedule(api: Call) -> None:
    await api("POST", "/api/tasks?run=true&wait=30", ONCE)
    await api("POST", "/api/tasks", BRIEFING | {"id": "daily"})

    edited = await api("PATCH", "/api/tasks/briefing", {"title": "Once"})
    refused = await api("PATCH", "/api/tasks/daily", {"schedule": ""})
    scheduled = await api("PATCH", "/api/tasks/briefing", {"schedule": "0 9 * * *"})

    assert (200, "ended") == (edited.status, edited.json["status"])
    assert 422 == refused.status
    assert ("scheduled", "2026-11-21T09:00:00Z") == (scheduled.json["status"], scheduled.json["nextRunAt"])


async def test_a_pause_says_who_when_and_why(api: Call, clock: Clock) -> None:
    await api("POST", "/api/tasks", BRIEFING)

    clock.now += timedelta(hours=1)
    paused = await api(
        "POST", "/api/tasks/briefing/pause", {"note": "Holidays", "until": "2026-12-01T00:00:00Z"}
    )
    clock.now += timedelta(hours=1)
    resumed = await api("POST", "/api/tasks/briefing/resume")
    trail = (await api("GET", "/api/tasks/briefing/audit")).json["entries"]

    assert ("paused", "Holidays", "administrator") == (
        paused.json["status"],
        paused.json["pause"]["note"],
        paused.json["pause"]["by"],
    )
    assert ("scheduled", None) == (resumed.json["status"], resumed.json["pause"])
    assert [("resumed", ""), ("paused", "Holidays"), ("created", "")] == [
        (entry["verb"], entry.get("note", "")) for entry in trail
    ]
    assert {"administrator"} == {entry["by"] for entry in trail}


async def test_what_makes_no_sense_is_refused_with_the_reason(api: Call) -> None:
    await api("POST", "/api/tasks", BRIEFING)

    resumed = await api("POST", "/api/tasks/briefing/resume")
    cancelled = await api("POST", "/api/tasks/briefing/cancel")
    paused = await api("POST", "/api/tasks/briefing/pause", {"until": "2020-01-01T00:00:00Z"})

    assert [409, 409, 422] == [resumed.status, cancelled.status, paused.status]
    assert "briefing is not paused (it is scheduled)" == resumed.json["detail"]
    assert [{"field": "until", "reason": "must be in the future"}] == paused.json["errors"]


@pytest.mark.parametrize(
    ("state", "action", "reason"),
    [
        ({"status": Status.ENDED, "schedule": "", "next_run_at": None}, "pause", "has ended"),
        ({"status": Status.QUARANTINED, "next_run_at": None}, "run", "is quarantined; resume it first"),
        ({"backlog": FULL}, "run", "at most 100"),
        ({"type": "heartbeat", "params": {"graceSeconds": 60}}, "run", "is a heartbeat"),
    ],
)  # fmt: skip
async def test_what_its_state_refuses_is_a_conflict_and_blames_no_field(
    api: Call, wired: App, state: dict[str, Any], action: str, reason: str
) -> None:
    """Nothing in the request can be corrected; `briefing: at most 100 ...` named a field `briefing`."""
    await api("POST", "/api/tasks", BRIEFING)
    [stored] = (await wired.store.get_tasks(["briefing"])).tasks
    await wired.store.write([ConditionalWrite.for_changes(stored, state)])

    refused = await api("POST", f"/api/tasks/briefing/{action}")

    assert (409, True) == (refused.status, reason in refused.json["detail"]), refused.json
    assert "errors" not in refused.json


async def test_a_tag_stops_and_starts_all_that_have_it(api: Call) -> None:
    for name in ("one", "two"):
        await api("POST", "/api/tasks", BRIEFING | {"id": name})
    await api("POST", "/api/tasks", HEALTH)

    paused = await api("POST", "/api/tasks/pause", {"tag": "office", "note": "Move"})
    again = await api("POST", "/api/tasks/pause", {"tag": "office"})
    resumed = await api("POST", "/api/tasks/resume", {"tag": "office"})
    unknown = await api("POST", "/api/tasks/pause", {"tag": "nobody"})

    assert (["one", "two"], [], ["one", "two"]) == (
        paused.json["ids"],
        again.json["ids"],
        resumed.json["ids"],
    )
    assert 422 == unknown.status


async def test_a_backfill_shows_first_and_runs_then(api: Call, clock: Clock, wired: App) -> None:
    await api("POST", "/api/tasks", BRIEFING)
    span = {"from": "2026-11-17T00:00:00Z", "to": "2026-11-20T00:00:00Z"}
    past = [f"2026-11-{day}T09:00:00Z" for day in (17, 18, 19)]

    shown = await api("POST", "/api/tasks/briefing/backfill", span | {"dryRun": True})
    asked = await api("POST", "/api/tasks/briefing/backfill", span)
    await wired.tick(BUDGET)
    again = await api("POST", "/api/tasks/briefing/backfill", span)

    assert past == shown.json["occurrences"] == asked.json["occurrences"]
    runs = (await api("GET", "/api/runs?task=briefing")).json["runs"]
    assert set(past) == {run["occurrence"] for run in runs if run["outcome"] == "succeeded"}
    assert [] == again.json["occurrences"]


@pytest.mark.slow
async def test_history_has_every_run_once_however_it_is_paged(api: Call, wired: App) -> None:
    """All of them finished at the same moment, which is where a page by time alone would lose some."""
    await api("POST", "/api/tasks", BRIEFING)
    await api(
        "POST", "/api/tasks/briefing/backfill", {"from": "2026-11-10T00:00:00Z", "to": "2026-11-20T00:00:00Z"}
    )
    await wired.tick(BUDGET)

    everything = [run["id"] for run in (await api("GET", "/api/runs?limit=500")).json["runs"]]
    paged, cursor = [], ""
    while True:
        page = (await api("GET", f"/api/runs?limit=3&cursor={cursor}")).json
        paged += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        cursor = page["next"]

    assert 10 == len(everything)
    assert everything == paged
    assert [] == (await api("GET", "/api/runs?outcome=failed")).json["runs"]
    assert 422 == (await api("GET", "/api/runs?cursor=nonsense")).status


async def test_one_run_is_found_by_its_id(api: Call) -> None:
    await api("POST", "/api/tasks", BRIEFING)
    run = (await api("POST", "/api/tasks/briefing/run", {"wait": 30})).json["run"]

    assert run == (await api("GET", f"/api/runs/{run['id']}")).json
    assert 404 == (await api("GET", f"/api/runs/{run['id'][:-4]}AAAA")).status
    assert 404 == (await api("GET", "/api/runs/nonsense")).status


async def test_as_many_schedules_are_explained_as_a_task_may_have(api: Call) -> None:
    schedules = "; ".join(f"{minute} 9-17/2 1-7,15-21 1,4,7,10 mon-fri" for minute in range(10))
    query = urlencode({"schedule": schedules, "count": 1, "timezone": "UTC"})

    shown = await api("GET", f"/api/schedule/preview?{query}")
    saved = await api("POST", "/api/tasks", BRIEFING | {"schedule": schedules})

    assert (200, 201) == (shown.status, saved.status)
    assert shown.json["next"][0]["utc"] == saved.json["nextRunAt"]


async def test_a_schedule_is_explained_before_it_is_saved(api: Call) -> None:
    shown = await api(
        "GET", "/api/schedule/preview?schedule=30%201%20*%20*%20*&timezone=America/New_York&count=2"
    )
    wrong = await api("GET", "/api/schedule/preview?schedule=0%200%2031%202%20*&timezone=America/New_York")

    assert "Every day at 01:30" == shown.json["text"]
    assert [
        {"utc": "2026-11-21T06:30:00Z", "local": "2026-11-21T01:30:00-05:00"},
        {"utc": "2026-11-22T06:30:00Z", "local": "2026-11-22T01:30:00-05:00"},
    ] == shown.json["next"]
    assert ["repeat"] == [change["kind"] for change in shown.json["transitions"]]
    assert (422, "schedule") == (wrong.status, wrong.json["errors"][0]["field"])


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ("startAt=2026-12-01T00:10:00Z", ["00:10", "00:30", "00:50"]),
        ("startAt=2026-12-01T00:10:00Z&anchor=2026-12-01T00:05:00Z", ["00:10", "00:30", "00:50"]),
        ("anchor=2026-12-01T00:05:00Z", ["00:05", "00:25", "00:45"]),
        ("endAt=2026-12-01T00:40:00Z", ["00:20", "00:40"]),
        ("maxRuns=1", ["00:20"]),
        ("maxRuns=0", []),
        ("endAt=2026-11-30T00:00:00Z", []),
    ],
)
async def test_a_preview_honours_the_bounds(api: Call, bounds: str, expected: list[str]) -> None:
    after = "2026-12-01T00:00:00Z"

    shown = await api(
        "GET", f"/api/schedule/preview?schedule=every%2020m&after={after}&count=3&timezone=UTC&{bounds}"
    )

    assert expected == [one["utc"][11:16] for one in shown.json["next"]]


async def test_a_preview_of_bounds_without_room_is_refused_as_the_task_would_be(api: Call) -> None:
    shown = await api(
        "GET",
        "/api/schedule/preview?schedule=daily&startAt=2026-12-02T00:00:00Z&endAt=2026-12-01T00:00:00Z",
    )

    assert (422, "endAt") == (shown.status, shown.json["errors"][0]["field"])


async def test_what_has_not_finished_is_listed_with_the_runs(api: Call) -> None:
    await api("POST", "/api/tasks?run=true", BRIEFING)

    first = (await api("GET", "/api/runs?task=briefing")).json
    of_all = (await api("GET", "/api/runs")).json
    filtered = (await api("GET", "/api/runs?outcome=failed")).json

    [one] = first["current"]
    assert ("briefing", "queued", "manual") == (one["taskId"], one["state"], one["trigger"])
    assert ([], first["current"], []) == (first["runs"], of_all["current"], filtered["current"])


@pytest.mark.parametrize(
    ("address", "field", "hint"),
    [
        ("/api/runs?taskId=briefing", "taskId", "did you mean task?"),
        ("/api/runs?task_id=briefing", "task_id", "did you mean task?"),
        ("/api/tasks?stauts=paused", "stauts", "did you mean status?"),
        ("/api/tasks/briefing?wait=3", "wait", "this address takes none"),
        ("/api/keys?page=2", "page", "unknown parameter"),
    ],
)
async def test_a_parameter_that_no_address_has_is_refused(
    api: Call, address: str, field: str, hint: str
) -> None:
    await api("POST", "/api/tasks", BRIEFING)

    refused = await api("GET", address)
    unknown_caller = await api("GET", address, key="cf_nobody")

    assert (422, field) == (refused.status, refused.json["errors"][0]["field"])
    assert hint in refused.json["errors"][0]["reason"]
    assert 401 == unknown_caller.status
