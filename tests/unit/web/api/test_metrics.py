"""The figures for Prometheus, by key."""

from tests.unit.web.api.conftest import Call


async def test_a_key_that_may_read_sees_the_figures(api: Call) -> None:
    answer = await api("GET", "/metrics")

    assert 200 == answer.status
    assert "cronfire_tasks_due 0.0" in answer.body.decode().splitlines()


async def test_a_key_of_one_owner_does_not_see_everybody_s_figures(api: Call) -> None:
    made = await api("POST", "/api/keys", {"name": "alices", "scopes": ["read"], "owner": "alice"})

    answer = await api("GET", "/metrics", key=made.json["token"])

    assert (201, 403) == (made.status, answer.status)


async def test_a_stranger_sees_no_figures(api: Call) -> None:
    assert 401 == (await api("GET", "/metrics", key=None)).status
