"""Tasks through the real pages: shown by one request, sent back by the next, and still the same."""

from typing import Any

import pytest

from tests.support.html_forms import form_fields
from tests.unit.web.api.conftest import Call, api, clock, make_key, wired
from tests.unit.web.dashboard.conftest import Browser, browser

__all__ = ["api", "browser", "clock", "make_key", "wired"]

STATE = {"etag", "updatedAt", "nextRunAt", "nextOccurrence"}  # of the API's answer, and none of the user's
HOOK = {"id": "sample", "title": "Hook", "type": "http", "schedule": "@daily"}
TASKS: dict[str, dict[str, Any]] = {
    "two lines": HOOK | {"params": {"url": "https://example.com", "body": "line one\nline two\n"}},
    "a text that begins with a line end": HOOK
    | {"params": {"url": "https://example.com", "body": "\n\n x "}},
    "line ends of Windows": HOOK | {"params": {"url": "https://example.com", "body": "a\r\nb\r\n"}},
    "19 digits": HOOK | {"params": {"url": "https://example.com", "json": {"id": 1234567890123456789}}},
    "a number as text": HOOK
    | {"params": {"url": "https://example.com", "jsonPointer": "/a", "equals": "5"}, "timeoutSeconds": 20},
    "null": HOOK
    | {"params": {"url": "https://example.com", "body": None, "headers": {}, "bodyContains": None}},
    "expectations": HOOK
    | {
        "params": {
            "url": "https://example.com",
            "expect": {
                "status": ["2xx", 304],
                "latencyMs": 800,
                "headers": [{"name": "ETag", "exists": True}, {"matches": "^a", "name": "X"}],
                "body": {"contains": ["a", "b"], "sha256": "0" * 64},
                "json": [
                    {"equals": "5", "path": "$.a"},
                    {"path": "$.b", "length": {"greater": 1}},
                    {"path": "$.c", "greater": 1, "less": 5.0},
                ],
                "schema": {"type": "object"},
            },
        }
    },
    "a list of one": HOOK
    | {"params": {"url": "https://example.com", "query": {"a": ["1"], "b": 1.0, "c": "x\ny"}}},
    "a script": HOOK
    | {
        "type": "command",
        "params": {"command": "set -e\ncd /srv\n./run.sh\n", "shell": True, "stdin": " x\t"},
    },
    "everything else": HOOK
    | {
        "params": {"url": "https://example.com"},
        "notify": [{"on": ["failure"], "channels": ["feishu"], "after": 3, "remind": 3600}],
        "retry": {"maxAttempts": 7},
        "misfire": {"policy": "skip", "graceSeconds": 30},
        "overlap": "queue_all",
        "startAt": "2026-12-01T09:00:00.5Z",
        "expectSeconds": 90000,
        "pauseAfterFailures": 4,
        "budget": {"creditsPerRun": 1.5},
        "delivery": "at_most_once",
        "tags": ["a", "b, c"],
        "description": "one\n  two",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
async def test_a_form_that_is_saved_unchanged_changes_nothing(browser: Browser, api: Call, name: str) -> None:
    made = await api("POST", "/api/tasks", TASKS[name])
    assert 201 == made.status, made.body
    await browser.sign_in()

    page = await browser.get("/dashboard/tasks/sample/edit")
    sent = form_fields(page.body.decode(), form_id="task")
    del sent["csrf_token"]
    saved = await browser.post("/dashboard/tasks/sample/edit", **sent | {"do": "save", "title": "Changed"})
    after = (await api("GET", "/api/tasks/sample")).json

    assert 303 == saved.status, saved.body.decode()
    assert {field: value for field, value in made.json.items() if field not in STATE | {"title"}} == {
        field: value for field, value in after.items() if field not in STATE | {"title"}
    }
    assert "Changed" == after["title"]
