"""Keys: what each scope opens, whose tasks a bound key sees, and when a key is over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from functions.app.application import Wired
from tests.unit.web.api.conftest import ADMIN, HEALTH, Call, Clock

MakeKey = Callable[..., Awaitable[str]]


@pytest.mark.parametrize("key", [None, "wrong", "cf_00000000_wrong", ADMIN[:-1], ADMIN.upper(), "x" * 10_000])
async def test_no_key_and_a_wrong_key_get_one_answer(api: Call, key: str | None) -> None:
    refused = await api("GET", "/api/tasks", key=key)

    assert 401 == refused.status
    assert 'Bearer realm="cronfire"' == refused.headers["www-authenticate"]
    assert (await api("GET", "/api/tasks", key=None)).body == refused.body


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"list"}),
        ("run", {"list", "run"}),
        ("write", {"list", "make"}),
        ("admin", {"list", "run", "make", "keys"}),
    ],
)
async def test_each_scope_opens_what_it_says(
    api: Call, make_key: MakeKey, scope: str, allowed: set[str]
) -> None:
    await api("POST", "/api/tasks", HEALTH)
    key = await make_key(scope)

    answers = {
        "list": await api("GET", "/api/tasks", key=key),
        "run": await api("POST", "/api/tasks/shop-front-answers/run", key=key),
        "make": await api("POST", "/api/tasks", HEALTH | {"title": "Other"}, key=key),
        "keys": await api("GET", "/api/keys", key=key),
    }

    assert allowed == {name for name, answer in answers.items() if answer.status < 300}
    assert {403} == {answer.status for answer in answers.values() if answer.status >= 300} | {403}


async def test_a_bound_key_sees_its_owners_tasks_and_no_others(api: Call, make_key: MakeKey) -> None:
    """Whether somebody else's task exists is not told either: 404, not 403."""
    alice, bob = [await make_key("write", "run", owner=owner) for owner in ("alice", "bob")]
    await api("POST", "/api/tasks", HEALTH, key=alice)

    assert "alice" == (await api("GET", "/api/tasks/shop-front-answers", key=alice)).json["owner"]
    assert [] == (await api("GET", "/api/tasks", key=bob)).json["tasks"]
    assert [] == (await api("GET", "/api/tasks?owner=alice", key=bob)).json["tasks"]
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/run"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/cancel"),
        ("GET", "/audit"),
    ]:
        assert 404 == (await api(method, f"/api/tasks/shop-front-answers{path}", key=bob)).status, path
    assert 404 == (await api("GET", "/api/runs?task=shop-front-answers", key=bob)).status
    assert 422 == (await api("GET", "/api/runs", key=bob)).status
    assert 403 == (await api("POST", "/api/tasks", HEALTH | {"title": "B", "owner": "alice"}, key=bob)).status


async def test_a_bound_administrator_makes_keys_for_his_owner_alone(api: Call, make_key: MakeKey) -> None:
    alice = await make_key("admin", owner="alice")
    await make_key("read", owner="bob")

    widened = await api("POST", "/api/keys", {"name": "x", "scopes": ["read"]}, key=alice)
    listed = await api("GET", "/api/keys", key=alice)

    assert 403 == widened.status
    assert ["alice"] == [key["owner"] for key in listed.json["keys"]]


async def test_a_revoked_key_opens_nothing_from_then_on(api: Call, make_key: MakeKey) -> None:
    token = await make_key("read")
    [key] = (await api("GET", "/api/keys")).json["keys"]

    revoked = await api("DELETE", f"/api/keys/{key['id']}")

    assert revoked.json["revokedAt"]
    assert 401 == (await api("GET", "/api/tasks", key=token)).status
    assert 404 == (await api("DELETE", "/api/keys/00000000")).status


async def test_a_key_is_over_when_it_says(api: Call, make_key: MakeKey, clock: Clock) -> None:
    token = await make_key("read", expiresAt="2026-11-20T13:00:00Z")

    before = await api("GET", "/api/tasks", key=token)
    clock.now += timedelta(hours=1)
    after = await api("GET", "/api/tasks", key=token)

    assert (200, 401) == (before.status, after.status)
    late = {"name": "x", "scopes": ["read"], "expiresAt": "2020-01-01T00:00:00Z"}
    assert 422 == (await api("POST", "/api/keys", late)).status


async def test_the_token_is_shown_once_and_kept_nowhere(api: Call, make_key: MakeKey, wired: Wired) -> None:
    token = await make_key("read")
    kept = await wired.store.shelf("keys")

    assert token.startswith("cf_")
    assert token not in (await api("GET", "/api/keys")).body.decode()
    assert token.split("_", 2)[2] not in repr(kept)


async def test_a_key_gone_wild_is_slowed_down(api: Call, make_key: MakeKey) -> None:
    wild, calm = await make_key("read"), await make_key("read")

    answers = [await api("GET", "/api/schedule/preview?schedule=daily", key=wild) for _ in range(70)]

    assert 429 == answers[-1].status
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert 200 == (await api("GET", "/api/schedule/preview?schedule=daily", key=calm)).status
