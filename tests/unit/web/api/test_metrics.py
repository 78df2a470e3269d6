"""The figures for Prometheus, and the state, by key."""

import pytest

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
async def test_a_stranger_sees_no_figures(api: Call, path: str) -> None:
    assert 401 == (await api("GET", path, key=None)).status
