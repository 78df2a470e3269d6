"""A task whose document cannot be read: whose it is nobody knows, so no owner learns that it is there."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.web.api.conftest import HEALTH, Call

MakeKey = Any
REQUESTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/api/tasks/broken", None),
    ("PATCH", "/api/tasks/broken", {"title": "Mine"}),
    ("PUT", "/api/tasks/broken", HEALTH),
    ("DELETE", "/api/tasks/broken", None),
    ("POST", "/api/tasks/broken/pause", {}),
    ("POST", "/api/tasks/broken/run", {}),
    ("POST", "/api/tasks/broken/rehearse", {}),
    ("POST", "/api/tasks/broken/backfill", {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}),
    ("GET", "/api/tasks/broken/audit", None),
    ("GET", "/api/tasks/broken/heartbeat", None),
    ("GET", "/api/runs?task=broken", None),
]


@pytest.fixture
async def broken(api: Call, wired: Any, tmp_path: Path) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "broken", "owner": "bob"})
    with closing(sqlite3.connect(tmp_path / "api.db")) as connection, connection:
        connection.execute(
            "UPDATE tasks SET doc = json_set(doc, '$.priority', 'rather high') WHERE id = 'broken'"
        )


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=lambda value: str(value)[:40])
async def test_an_owner_gets_the_answer_of_a_task_that_is_not_there(
    api: Call, make_key: MakeKey, method: str, path: str, body: dict[str, Any] | None
) -> None:
    key = await make_key("write", "run", owner="alice")

    broken = await api(method, path, body, key=key)
    missing = await api(method, path.replace("broken", "absent"), body, key=key)

    assert 404 == broken.status, broken.body
    assert missing.body.replace(b"absent", b"broken") == broken.body


@pytest.mark.usefixtures("broken")
async def test_the_operator_is_told_what_is_wrong_with_it(api: Call) -> None:
    answers = [await api("GET", "/api/tasks/broken"), await api("POST", "/api/tasks/broken/pause", {})]

    assert [409, 409] == [answer.status for answer in answers]
    assert all(b"broken cannot be read: priority" in answer.body for answer in answers)


@pytest.mark.usefixtures("broken")
async def test_no_task_of_an_owner_runs_after_it(api: Call, make_key: MakeKey) -> None:
    task = HEALTH | {"after": [{"task": "broken"}]}

    answer = await api("POST", "/api/tasks", task, key=await make_key("write", owner="alice"))

    assert 422 == answer.status
    assert b"after.0.task: there is no task 'broken'" in answer.body


@pytest.mark.usefixtures("broken")
async def test_the_operator_removes_it(api: Call) -> None:
    removed = await api("DELETE", "/api/tasks/broken")

    assert (204, 404) == (removed.status, (await api("GET", "/api/tasks/broken")).status)


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_what_comes_behind_it_is_in_the_owners_list(
    limit: int, api: Call, make_key: MakeKey, tmp_path: Path
) -> None:
    """It is left out of the page, which is not the last one for that."""
    key = await make_key("write", owner="alice")
    for name in ("a", "b-broken", "c-broken", "d", "e"):
        await api("POST", "/api/tasks", HEALTH | {"id": name}, key=key)
    with closing(sqlite3.connect(tmp_path / "api.db")) as connection, connection:
        connection.execute("UPDATE tasks SET doc = '{}' WHERE id LIKE '%-broken'")

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api("GET", f"/api/tasks?limit={limit}&cursor={cursor}", key=key)
        seen += [task["id"] for task in page.json["tasks"]]
        cursor = page.json["next"]

    assert ["a", "d", "e"] == seen


async def test_one_with_a_name_that_no_task_may_have_is_passed_and_removed(api: Call, tmp_path: Path) -> None:
    """A page that ended with it led to one that was refused, so what came behind it was in no list."""
    name = "b" * 150
    for each in ("a", "b", "c"):
        await api("POST", "/api/tasks", HEALTH | {"id": each})
    with closing(sqlite3.connect(tmp_path / "api.db")) as connection, connection:
        connection.execute("UPDATE tasks SET doc = '{}', id = ? WHERE id = 'b'", (name,))

    pages = [await api("GET", f"/api/tasks?limit=1&cursor={cursor}") for cursor in ("", "a", name)]
    removed = await api("DELETE", f"/api/tasks/{name}")

    assert [["a"], [], ["c"]] == [[task["id"] for task in page.json["tasks"]] for page in pages]
    assert name == pages[1].json["next"]
    assert (204, 404) == (removed.status, (await api("DELETE", f"/api/tasks/{name}")).status)
