"""Tasks over the API: made, read, edited, removed, and refused with reasons."""

from datetime import timedelta
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.capacity.flow_control import GroupState
from functions.domain.storage import Document
from functions.domain.task import TaskSpec
from functions.web.api.schemas import TaskOut
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.web.api.conftest import HEALTH, Call


async def test_a_task_is_made_and_read_back(api: Call) -> None:
    made = await api("POST", "/api/tasks", HEALTH)
    read = await api("GET", "/api/tasks/shop-front-answers")

    assert 201 == made.status
    assert "/api/tasks/shop-front-answers" == made.headers["location"]
    assert made.json == read.json
    assert made.headers["etag"] == read.headers["etag"] == f'"{read.json["etag"]}"'
    assert "Every 5 minutes" == read.json["scheduleText"]
    assert read.json["nextOccurrence"] == read.json["nextRun"]
    assert "2026-11-20T12:05:00Z" == read.json["nextRunAt"]
    assert "api" == read.json["origin"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule": "31 2"}, "schedule"),
        ({"schedule": "0 0 31 2 *"}, "schedule"),
        ({"timezone": "+02:00"}, "timezone"),
        ({"type": "helth_check_url"}, "type"),
        ({"params": {"url": "https://shop.example.com", "colour": "red"}}, "params.colour"),
        ({"params": {}}, "params.url"),
        ({"retry": {"maxAttempts": 0}}, "retry.maxAttempts"),
        ({"nextRunAt": "2026-11-20T12:00:00Z"}, "nextRunAt"),
    ],
)
async def test_a_wrong_task_is_refused_with_field_and_reason(
    api: Call, changes: dict[str, Any], field: str
) -> None:
    refused = await api("POST", "/api/tasks", HEALTH | changes)

    assert 422 == refused.status
    assert "application/problem+json" == refused.headers["content-type"]
    assert field in [error["field"] for error in refused.json["errors"]]
    assert {"tasks": [], "next": None, "unreadable": []} == (await api("GET", "/api/tasks")).json


async def test_every_fault_is_named_at_once(api: Call) -> None:
    refused = await api("POST", "/api/tasks", HEALTH | {"schedule": "nonsense", "priority": "extreme"})

    assert {"schedule", "priority"} == {error["field"] for error in refused.json["errors"]}


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 422), (b'"x"', 422), (b"\xff", 400), (b"[" * 50_000, 400)]
)
async def test_a_body_that_is_no_task_is_refused(api: Call, body: bytes, status: int) -> None:
    refused = await api("POST", "/api/tasks", headers={"Content-Type": "application/json"}, raw=body)

    assert status == refused.status


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/api/tasks/shop/pause", {"notes": "x"}, "notes: unknown field; did you mean note?"),
        ("/api/tasks/shop/run", {"seconds": 5}, "seconds: unknown field; known are wait"),
        (
            "/api/keys",
            {"name": "k", "scopes": ["read"], "expires": None},
            "expires: unknown field; did you mean expiresAt?",
        ),
    ],
)
async def test_a_field_that_no_action_has_is_named_with_the_likely_one(
    api: Call, path: str, body: dict[str, Any], reason: str
) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})

    answer = await api("POST", path, body)

    assert (422, reason) == (answer.status, answer.json["detail"])


async def test_an_id_that_exists_is_a_conflict(api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH)

    again = await api("POST", "/api/tasks", HEALTH | {"title": "Other", "id": "shop-front-answers"})

    assert 409 == again.status
    assert "Shop front answers" == (await api("GET", "/api/tasks/shop-front-answers")).json["title"]


async def test_asking_again_under_one_idempotency_key_makes_one_task(api: Call) -> None:
    """A lost answer is no reason to have two tasks, or none."""
    key = {"Idempotency-Key": "once"}

    first = await api("POST", "/api/tasks", HEALTH, headers=key)
    second = await api("POST", "/api/tasks", HEALTH, headers=key)
    other = await api("POST", "/api/tasks", HEALTH | {"title": "Other"}, headers=key)

    assert (201, 201, 422) == (first.status, second.status, other.status)
    assert first.json == second.json
    assert 1 == len((await api("GET", "/api/tasks")).json["tasks"])


async def test_an_id_that_was_taken_is_so_when_the_request_is_repeated(api: Call, clock: Clock) -> None:
    """Nobody is told that a task was made which somebody else had made before."""
    await api("POST", "/api/tasks", HEALTH)
    clock.now += timedelta(seconds=1)

    answers = [await api("POST", "/api/tasks", HEALTH, headers={"Idempotency-Key": "once"}) for _ in range(2)]

    assert [409, 409] == [one.status for one in answers]


async def test_an_edit_keeps_state_and_moves_the_version(api: Call) -> None:
    made = await api("POST", "/api/tasks", HEALTH)

    edited = await api("PUT", "/api/tasks/shop-front-answers", HEALTH | {"schedule": "0 9 * * *"})

    assert 200 == edited.status
    assert "2026-11-21T07:00:00Z" == edited.json["nextRunAt"]
    assert made.json["createdAt"] == edited.json["createdAt"]
    assert made.headers["etag"] != edited.headers["etag"]


async def test_a_patch_changes_what_it_names(api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH | {"description": "Old words", "tags": ["shop"]})

    patched = await api("PATCH", "/api/tasks/shop-front-answers", {"description": None, "priority": "high"})

    assert 200 == patched.status
    assert ("", "high", ["shop"]) == tuple(patched.json[name] for name in ("description", "priority", "tags"))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_version_that_is_no_more_changes_nothing(api: Call, method: str) -> None:
    made = await api("POST", "/api/tasks", HEALTH)
    await api("PATCH", "/api/tasks/shop-front-answers", {"priority": "high"})

    late = await api(
        method,
        "/api/tasks/shop-front-answers",
        None if method == "DELETE" else HEALTH | {"title": "Mine"},
        headers={"If-Match": made.headers["etag"]},
    )

    assert 412 == late.status
    assert "Shop front answers" == (await api("GET", "/api/tasks/shop-front-answers")).json["title"]


async def test_what_only_a_response_has_is_refused_as_kept_by_the_scheduler(api: Call) -> None:
    """Of `etag`, which a client that changes what it read sends back, it said "did you mean tags?"."""
    await api("POST", "/api/tasks", HEALTH)
    added = TaskOut.model_fields.keys() - TaskSpec.model_fields.keys() - {"alert", "event", "pause"}
    names = {TaskOut.model_fields[name].alias or name for name in added}

    refused = await api("PATCH", "/api/tasks/shop-front-answers", dict.fromkeys(names, "x"))

    reasons = {one["field"]: one["reason"] for one in refused.json["errors"]}
    assert dict.fromkeys(names, "is kept by the scheduler, and cannot be set; leave it out") == reasons


async def test_an_id_never_changes(api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH)

    assert 422 == (await api("PUT", "/api/tasks/shop-front-answers", HEALTH | {"id": "other"})).status


async def test_a_removed_task_is_gone(api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH)

    removed = await api("DELETE", "/api/tasks/shop-front-answers")

    assert (204, b"") == (removed.status, removed.body)
    assert 404 == (await api("GET", "/api/tasks/shop-front-answers")).status
    assert 404 == (await api("DELETE", "/api/tasks/shop-front-answers")).status


async def test_pages_hold_every_task_once(api: Call) -> None:
    for number in range(7):
        await api("POST", "/api/tasks", HEALTH | {"id": f"task-{number}", "tags": ["odd"] * (number % 2)})

    pages, cursor = [], ""
    while True:
        page = (await api("GET", f"/api/tasks?limit=3&cursor={cursor}")).json
        pages.append([task["id"] for task in page["tasks"]])
        if page["next"] is None:
            break
        cursor = page["next"]

    assert [["task-0", "task-1", "task-2"], ["task-3", "task-4", "task-5"], ["task-6"]] == pages
    odd = (await api("GET", "/api/tasks?tag=odd")).json["tasks"]
    assert ["task-1", "task-3", "task-5"] == [task["id"] for task in odd]
    assert [] == (await api("GET", "/api/tasks?status=paused")).json["tasks"]
    assert 422 == (await api("GET", "/api/tasks?status=sleeping")).status


async def test_what_is_no_address_is_a_problem_as_well(api: Call) -> None:
    missing = await api("GET", "/api/nothing")
    wrong = await api("DELETE", "/api/tasks")

    assert (404, 405) == (missing.status, wrong.status)
    assert "GET" in wrong.headers["allow"]
    assert "application/problem+json" == missing.headers["content-type"]


async def test_a_task_that_waits_for_its_group_says_so(api: Call, wired: App) -> None:
    """It is due since noon; elsewhere both slots of its group are held."""
    group = {"name": "shop-api", "maxConcurrent": 2}
    await api("POST", "/api/tasks?run=true", HEALTH | {"group": group})
    before = (await api("GET", "/api/tasks/shop-front-answers")).json
    held = GroupState({f"other.{n}": NOON + timedelta(hours=1) for n in range(2)})
    await wired.store.put_documents([Document("groups", "all.shop-api", held.to_data())])

    after = (await api("GET", "/api/tasks/shop-front-answers")).json

    assert ("", group) == (before["waiting"], {k: v for k, v in before["group"].items() if v is not None})
    assert "It waits for the group shop-api: 2 of 2 run" == after["waiting"]
