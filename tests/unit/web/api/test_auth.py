"""Keys: what each scope opens, whose tasks a bound key sees, and when a key is over."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.access import Principal, format_token
from functions.domain.storage import OperationCounts
from functions.web.api.addresses import base_url, client_address
from functions.web.api.dependencies import BURST_SIZE, FAILURE_BURST, KEYS_AT_FULL_RATE, ApiAuth
from functions.web.api.errors import ProblemError
from functions.web.factory import build_api_app
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, HEALTH, Call

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


async def test_no_owners_key_passes_for_the_operators_in_the_trail(api: Call, make_key: MakeKey) -> None:
    """Owners call their keys what they like."""
    ann = await make_key("admin", owner="ann", name="administrator")
    await api("POST", "/api/tasks", HEALTH, key=ann)
    paused = await api("POST", "/api/tasks/shop-front-answers/pause", {}, key=ann)
    await api("POST", "/api/keys", {"name": "x", "scopes": ["read"], "owner": "ann"}, key=ann)

    listed = (await api("GET", "/api/keys", key=ann)).json["keys"]
    trail = (await api("GET", "/api/tasks/shop-front-answers/audit")).json["entries"]

    made_by = [one["createdBy"] for one in listed if one["name"] == "x"]
    authors = [*made_by, paused.json["pause"]["by"], *(entry["by"] for entry in trail)]
    assert ["administrator (ann)"] * 4 == authors


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


async def test_the_token_is_shown_once_and_kept_nowhere(api: Call, make_key: MakeKey, wired: App) -> None:
    token = await make_key("read")
    kept = await wired.store.list_documents("keys")

    assert token.startswith("cf_")
    assert token not in (await api("GET", "/api/keys")).body.decode()
    assert token.split("_", 2)[2] not in repr(kept)


@pytest.mark.slow
async def test_a_key_gone_wild_is_slowed_down(api: Call, make_key: MakeKey) -> None:
    wild, calm = await make_key("read"), await make_key("read")

    answers = [await api("GET", "/api/schedule/preview?schedule=daily", key=wild) for _ in range(70)]

    assert 429 == answers[-1].status
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert 200 == (await api("GET", "/api/schedule/preview?schedule=daily", key=calm)).status


# What one owner's keys may cost others.


def requests_until_refused(auth: ApiAuth, holders: Sequence[Principal]) -> int:
    """How many requests pass when each of *holders* sends as many as its key may at one moment."""
    for number, holder in enumerate(one for one in holders for _ in range(BURST_SIZE)):
        try:
            auth.limit(holder)
        except ProblemError:
            return number
    return len(holders) * BURST_SIZE


def test_more_keys_bring_an_owner_no_more_requests_and_others_no_fewer(wired: App) -> None:
    auth = ApiAuth(wired, admin_key=None, clock=lambda: 0.0)
    anns = [Principal(f"ann{number}", "ann", frozenset(), "ann") for number in range(KEYS_AT_FULL_RATE + 3)]
    bobs = [Principal("bob1", "bob", frozenset(), "bob")]
    operators = [Principal(f"op{number}", "op", frozenset()) for number in range(KEYS_AT_FULL_RATE + 3)]

    assert KEYS_AT_FULL_RATE * BURST_SIZE == requests_until_refused(auth, anns)
    assert BURST_SIZE == requests_until_refused(auth, bobs)
    assert len(operators) * BURST_SIZE == requests_until_refused(auth, operators)


# What callers without a key may cost.


def reads_of(wired: App) -> AbstractContextManager[OperationCounts]:
    return wired.store.count_operations()


async def test_a_guessed_key_costs_no_read(api: Call, wired: App) -> None:
    with reads_of(wired) as operations:
        answer = await api("GET", "/api/tasks", key="cf_abcdefgh_" + "x" * 43)

    assert (401, 0) == (answer.status, operations.reads)


async def test_a_key_with_a_wrong_character_is_recognised_without_a_read(
    api: Call, make_key: MakeKey, wired: App
) -> None:
    token = await make_key("read")
    wrong = token[:20] + ("a" if token[20] != "a" else "b") + token[21:]

    with reads_of(wired) as operations:
        answer = await api("GET", "/api/tasks", key=wrong)

    assert (401, 0) == (answer.status, operations.reads)


@pytest.mark.slow
async def test_wrong_keys_of_one_address_are_bounded_and_the_right_one_passes(
    api: Call, make_key: MakeKey, clock: Clock, wired: App
) -> None:
    right = await make_key("read")
    with reads_of(wired) as operations:
        answers = [
            await api("GET", "/api/tasks", key=format_token(f"guess{number:03}", "x" * 43))
            for number in range(500)
        ]

    assert [401] * FAILURE_BURST + [429] * 480 == [answer.status for answer in answers]
    assert operations.reads <= FAILURE_BURST + BURST_SIZE
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert 200 == (await api("GET", "/api/tasks", key=ADMIN)).status
    clock.now += timedelta(seconds=1)
    assert 200 == (await api("GET", "/api/tasks", key=right)).status


async def test_guesses_that_are_no_keys_do_not_use_up_the_reads_for_right_ones(
    api: Call, make_key: MakeKey
) -> None:
    right = await make_key("read")
    for _ in range(FAILURE_BURST + BURST_SIZE + 10):
        await api("GET", "/api/tasks", key="cf_00000000_guessed")

    assert 200 == (await api("GET", "/api/tasks", key=right)).status


async def test_wrong_keys_of_one_address_are_not_counted_against_another(api: Call) -> None:
    for _ in range(30):
        await api("GET", "/api/tasks", key="wrong")

    behind_a_proxy = {"X-Forwarded-For": "203.0.113.1, 198.51.100.7"}
    assert 429 == (await api("GET", "/api/tasks", key="wrong")).status
    assert 401 == (await api("GET", "/api/tasks", key="wrong", headers=behind_a_proxy)).status


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("8.8.8.8", "1.1.1.1", "8.8.8.8"),
        ("169.254.1.1", "1.1.1.1, 9.9.9.9", "9.9.9.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("2a00:1450:4001:81b::200e", "", "2a00:1450:4001:81b::/64"),
        ("", "", "None"),
    ],
)
def test_failures_are_counted_for_the_address_that_a_caller_cannot_choose(
    peer: str, forwarded: str, address: str
) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []

    assert address == client_address(Request({"type": "http", "client": (peer, 1), "headers": headers}))


@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [
        ([], "http"),
        (["https"], "https"),
        (["HTTPS, http"], "https"),
        (["https", "http"], "https"),
        (["http, https"], "http"),
    ],
)
def test_links_begin_as_the_client_called_the_first_proxy(forwarded: list[str], scheme: str) -> None:
    """Each proxy adds how it was called; of two nobody was taken for a client with TLS."""
    headers = [(b"host", b"a.example"), *((b"x-forwarded-proto", one.encode()) for one in forwarded)]
    scope = {"type": "http", "scheme": "http", "path": "/", "query_string": b"", "headers": headers}

    assert f"{scheme}://a.example" == base_url(Request(scope))


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/keys"),
        ("PUT", "/api/owners/alice"),
        ("POST", "/api/tasks"),
        ("POST", "/api/tasks/pause"),
        ("POST", "/api/tasks/ping/backfill"),
        ("POST", "/api/events"),
        ("PATCH", "/api/channels/feishu"),
    ],
)
async def test_a_caller_without_a_key_is_refused_before_its_body_is_read(
    wired: App, method: str, target: str
) -> None:
    app = build_api_app(Settings.from_env({"API_KEY": ADMIN}, serves_http=False), wired)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"10")]
    scope = {"type": "http", "method": method, "path": target, "query_string": b"", "headers": headers}
    await app(scope | {"client": ("8.8.8.8", 1), "root_path": ""}, receive, send)

    assert 401 == sent[0]["status"]


async def test_a_body_that_does_not_arrive_ends_the_request(
    wired: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.web.app.BODY_TIMEOUT", timedelta(seconds=0.05))
    app = build_api_app(Settings.from_env({"API_KEY": ADMIN}, serves_http=False), wired)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        """Send a byte every 20 ms, without end."""
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {ADMIN}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/tasks", "query_string": b"", "headers": headers}
    async with asyncio.timeout(5):
        await app(scope | {"client": ("8.8.8.8", 1), "root_path": ""}, receive, send)

    assert 408 == sent[0]["status"]
