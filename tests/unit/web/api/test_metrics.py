"""The figures for Prometheus, and the state, by key."""

from typing import Any

import pytest

from functions.app.application import App
from functions.errors import StoreError, StoreUnavailableError
from tests.unit.web.api.conftest import Call


async def test_a_key_that_may_read_sees_the_figures(api: Call) -> None:
    answer = await api("GET", "/metrics")

    assert 200 == answer.status
    assert "cronfire_tasks_due 0.0" in answer.body.decode().splitlines()


async def test_a_key_that_may_read_sees_the_state(api: Call) -> None:
    answer = await api("GET", "/status")

    assert (200, "healthy", None) == (answer.status, answer.json["status"], answer.json["lastTickAt"])


@pytest.mark.parametrize("path", ["/metrics", "/status"])
async def test_a_key_of_one_owner_does_not_see_everybody_s_figures(api: Call, path: str) -> None:
    made = await api("POST", "/api/keys", {"name": "alices", "scopes": ["read"], "owner": "alice"})

    answer = await api("GET", path, key=made.json["token"])

    assert (201, 403) == (made.status, answer.status)


@pytest.mark.parametrize("path", ["/metrics", "/status"])
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (StoreError("disk full"), "The store refused the work"),
        (StoreUnavailableError("no route"), "The store could not be reached in time"),
    ],
)
async def test_a_store_that_does_not_work_is_answered_to_a_key_as_to_the_secret(
    wired: App, api: Call, monkeypatch: pytest.MonkeyPatch, path: str, failure: StoreError, reason: str
) -> None:
    """One that refused was 500 for a key and 503 for the secret: monitors of the two disagreed."""
    token = (await api("POST", "/api/keys", {"name": "monitor", "scopes": ["read"]})).json["token"]

    async def fail(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(wired, path[1:], fail)
    administrators = await api("GET", path)
    monkeypatch.setattr(wired.keys, "find", fail)
    stored = await api("GET", path, key=token)

    assert [503, 503] == [administrators.status, stored.status]
    assert [{"status": "degraded", "reason": reason}] * 2 == [administrators.json, stored.json]


@pytest.mark.parametrize("path", ["/metrics", "/status"])
async def test_a_stranger_sees_no_figures(api: Call, path: str) -> None:
    assert 401 == (await api("GET", path, key=None)).status
