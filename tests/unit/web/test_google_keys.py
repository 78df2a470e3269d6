"""Google's keys: when they are fetched, and when not."""

import asyncio
import json

import pytest

from functions.web.google_keys import GoogleKeys, KeysUnavailableError, cache_seconds
from tests.unit.web.fakes import FakeClock, FakeGoogle, public_key, web_key


async def test_a_known_key_is_fetched_once(keys: GoogleKeys, google: FakeGoogle) -> None:
    found = [await keys.get("first") for _ in range(3)]

    assert [public_key("first")] * 3 == found
    assert 1 == google.asked


async def test_callers_at_once_share_one_fetch(keys: GoogleKeys, google: FakeGoogle) -> None:
    found = await asyncio.gather(*(keys.get("first") for _ in range(20)))

    assert [public_key("first")] * 20 == found
    assert 1 == google.asked


async def test_keys_are_fetched_anew_when_their_time_is_up(
    keys: GoogleKeys, google: FakeGoogle, clock: FakeClock
) -> None:
    await keys.get("first")
    clock.now += 3599
    await keys.get("first")
    asked_in_time = google.asked
    clock.now += 2
    google.key_ids = ["second"]

    assert await keys.get("first") is None
    assert [1, 2] == [asked_in_time, google.asked]


async def test_an_unknown_key_makes_us_look_once_a_minute(
    keys: GoogleKeys, google: FakeGoogle, clock: FakeClock
) -> None:
    """Google changes keys at any time; strangers with made-up keys must not make us ask at their pace."""
    await keys.get("first")
    google.key_ids = ["first", "second"]
    too_early = [await keys.get("second") for _ in range(5)]
    asked_too_early = google.asked
    clock.now += 60

    assert [None] * 5 == too_early
    assert 1 == asked_too_early
    assert public_key("second") == await keys.get("second")
    assert [await keys.get("third") for _ in range(5)] == [None] * 5
    assert 2 == google.asked


async def test_a_failed_look_for_an_unknown_key_keeps_the_known_ones(
    keys: GoogleKeys, google: FakeGoogle, clock: FakeClock
) -> None:
    await keys.get("first")
    google.status = 500
    clock.now += 60

    with pytest.raises(KeysUnavailableError):
        await keys.get("second")
    assert public_key("first") == await keys.get("first")


async def test_a_server_that_hangs_is_given_up(google: FakeGoogle) -> None:
    google.hangs = True
    keys = GoogleKeys(google.url, timeout_s=0.2)

    async with asyncio.timeout(20):  # a hundred times the bound it was given
        with pytest.raises(KeysUnavailableError, match="no answer within"):
            await keys.get("first")


async def test_after_a_failure_nobody_waits_again_for_ten_seconds(
    keys: GoogleKeys, google: FakeGoogle, clock: FakeClock
) -> None:
    google.status = 503
    for _ in range(3):
        with pytest.raises(KeysUnavailableError):
            await keys.get("first")
    asked_while_down = google.asked
    google.status = 200
    clock.now += 10

    assert 1 == asked_while_down
    assert public_key("first") == await keys.get("first")


async def test_old_keys_are_not_used_when_new_ones_cannot_be_had(
    keys: GoogleKeys, google: FakeGoogle, clock: FakeClock
) -> None:
    """A key that Google has withdrawn must not open for longer than Google said."""
    await keys.get("first")
    google.status = 500
    clock.now += 3601

    for _ in range(2):
        with pytest.raises(KeysUnavailableError):
            await keys.get("first")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"first": 1}',
        '{"keys": []}',
        '{"keys": 5}',
        '{"keys": [5]}',
        '{"keys": [{"kid": "first", "kty": "RSA", "n": "!", "e": "AQAB"}]}',
        "[" * 60_000,
        '{"first": "' + "x" * 70_000 + '"}',
    ],
)
async def test_an_answer_that_is_no_set_of_keys_is_a_failure(
    keys: GoogleKeys, google: FakeGoogle, body: str
) -> None:
    google.body = body or " "

    with pytest.raises(KeysUnavailableError):
        await keys.get("first")


async def test_a_key_of_another_kind_is_passed_over(keys: GoogleKeys, google: FakeGoogle) -> None:
    """A symmetric key in the set would make every reader of the set a signer."""
    shared = {"kid": "shared", "kty": "oct", "alg": "HS256", "k": "c2VjcmV0"}
    google.body = json.dumps(
        {"keys": [shared, {"kid": "odd"}, {**web_key("second"), "kid": None}, web_key("first")]}
    )

    assert [public_key("first"), None, None] == [await keys.get(one) for one in ("first", "shared", "odd")]


async def test_a_redirect_is_not_followed(keys: GoogleKeys, google: FakeGoogle) -> None:
    google.status = 302
    google.headers = {"Location": google.url}

    with pytest.raises(KeysUnavailableError, match="302"):
        await keys.get("first")
    assert 1 == google.asked


async def test_nobody_listening_is_a_failure() -> None:
    with pytest.raises(KeysUnavailableError):
        await GoogleKeys("http://127.0.0.1:1/keys").get("first")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 3600),
        ({"cache-control": "no-store"}, 3600),
        ({"cache-control": "s-maxage=9"}, 3600),
        ({"cache-control": "public, max-age=22000, must-revalidate"}, 22_000),
        ({"cache-control": "MAX-AGE=22000"}, 22_000),
        ({"cache-control": "max-age=22000", "age": "2000"}, 20_000),
        ({"cache-control": "max-age=22000", "age": "soon"}, 22_000),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "max-age=100", "age": "200"}, 60),
        ({"cache-control": "max-age=9999999999"}, 86_400),
    ],
)
def test_keys_are_kept_as_long_as_google_says_within_reason(headers: dict[str, str], expected: float) -> None:
    assert expected == cache_seconds(headers)
