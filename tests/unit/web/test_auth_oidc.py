"""Google's ID tokens, with our own keys in the place of Google's."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from functions.web.auth import GoogleCaller, IdTokens, Refusal, looks_like_id_token
from tests.unit.web.fakes import ACCOUNT, AUDIENCE, FakeClock, FakeGoogle, certificate, encoded, id_token

SIGNATURE = encoded(b"signed")


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"iss": "accounts.google.com"},
        {"aud": "https://other.example.com"},
        {"exp": -5},
        {"iat": 5},
    ],
)
async def test_a_genuine_token_opens(id_tokens: IdTokens, claims: dict[str, Any]) -> None:
    """Clocks may differ by ten seconds."""
    assert GoogleCaller(ACCOUNT) == await id_tokens.check(id_token(**claims))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": -60}, "expired_or_too_early"),
        ({"iat": 600}, "expired_or_too_early"),
        ({"exp": None}, "malformed_or_forged"),
        ({"exp": "later"}, "malformed_or_forged"),
        ({"aud": "https://somebody.example.com"}, "wrong_audience"),
        ({"aud": None}, "wrong_audience"),
        ({"aud": ""}, "wrong_audience"),
        ({"aud": [AUDIENCE]}, "wrong_audience"),
        ({"aud": {}}, "wrong_audience"),
        ({"iss": "https://accounts.example.com"}, "wrong_issuer"),
        ({"iss": "https://securetoken.google.com/project"}, "wrong_issuer"),
        ({"iss": None}, "wrong_issuer"),
        ({"email_verified": False}, "email_not_verified"),
        ({"email_verified": "true"}, "email_not_verified"),
        ({"email_verified": 1}, "email_not_verified"),
        ({"email_verified": None}, "email_not_verified"),
        ({"email": None}, "email_not_verified"),
        ({"email": [ACCOUNT]}, "email_not_verified"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    id_tokens: IdTokens, claims: dict[str, Any], reason: str
) -> None:
    assert Refusal(401, reason) == await id_tokens.check(id_token(**claims))


async def test_a_genuine_token_of_another_account_is_forbidden(id_tokens: IdTokens) -> None:
    """Anybody can have Google sign a token for our audience; the account is what counts."""
    token = id_token(email="stranger@elsewhere.iam.gserviceaccount.com")

    assert Refusal(403, "account_not_allowed") == await id_tokens.check(token)


async def test_a_token_signed_with_another_key_is_refused(id_tokens: IdTokens) -> None:
    token = id_token(key_id="second", header={"kid": "first"})

    assert Refusal(401, "malformed_or_forged") == await id_tokens.check(token)


async def test_a_token_whose_claims_were_exchanged_is_refused(id_tokens: IdTokens) -> None:
    header, _, signature = id_token().split(".")
    _, payload, _ = id_token(sub="somebody else").split(".")

    assert Refusal(401, "malformed_or_forged") == await id_tokens.check(f"{header}.{payload}.{signature}")


async def test_a_new_key_of_google_is_looked_up(
    id_tokens: IdTokens, google: FakeGoogle, clock: FakeClock
) -> None:
    await id_tokens.check(id_token())
    google.key_ids = ["first", "second"]
    clock.now += 60

    assert GoogleCaller(ACCOUNT) == await id_tokens.check(id_token(key_id="second"))
    assert 2 == google.asked


async def test_a_key_google_does_not_have_is_refused(id_tokens: IdTokens, google: FakeGoogle) -> None:
    answers = [await id_tokens.check(id_token(key_id="second")) for _ in range(4)]

    assert [Refusal(401, "unknown_key")] * 4 == answers
    assert 1 == google.asked


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "None"}, {"alg": None}, {"alg": ["RS256"]}, {"alg": "ES256"}]
)
async def test_another_algorithm_is_refused_before_google_is_asked(
    id_tokens: IdTokens, google: FakeGoogle, header: dict[str, Any]
) -> None:
    token = id_token(header=header)
    unsigned = token.rpartition(".")[0] + "."

    assert [Refusal(401, "wrong_algorithm_or_key")] * 2 == [
        await id_tokens.check(t) for t in (token, unsigned)
    ]
    assert 0 == google.asked


async def test_the_certificate_is_no_shared_secret(id_tokens: IdTokens) -> None:
    """The old trick: sign with HS256, and the public certificate as the key."""
    body = ".".join(
        [encoded(json.dumps({"alg": "HS256", "kid": "first"}).encode()), id_token().split(".")[1]]
    )
    mac = hmac.new(certificate("first").encode(), body.encode(), hashlib.sha256).digest()

    assert Refusal(401, "wrong_algorithm_or_key") == await id_tokens.check(f"{body}.{encoded(mac)}")


@pytest.mark.parametrize("key_id", [None, 7, ["first"], {"first": 1}])
async def test_a_key_id_that_is_no_text_is_refused(id_tokens: IdTokens, key_id: object) -> None:
    token = id_token(header={"kid": key_id})

    assert Refusal(401, "wrong_algorithm_or_key") == await id_tokens.check(token)


async def test_a_signature_that_the_platform_removed_is_named_in_the_reason(id_tokens: IdTokens) -> None:
    """A private Cloud Run service checks tokens itself and passes them on without their signature."""
    token = id_token().rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"

    assert Refusal(401, "signature_removed_by_platform") == await id_tokens.check(token)


@pytest.mark.parametrize(
    "token",
    [
        "..",
        "a.b.c",
        "é.é.é",
        "\udc80.x.y",
        f"{encoded(b'[]')}.{encoded(b'{}')}.{SIGNATURE}",
        f"{encoded(b'{}')}.{encoded(b'[]')}.{SIGNATURE}",
        f"{encoded(b'[' * 3000)}.{encoded(b'{}')}.{SIGNATURE}",
        f"{encoded(b'{}')}.{encoded(b'[' * 3000)}.{SIGNATURE}",
        f"{encoded(bytes([255]))}.{encoded(b'{}')}.{SIGNATURE}",
    ],
)
async def test_nonsense_is_refused_without_an_exception(
    id_tokens: IdTokens, google: FakeGoogle, token: str
) -> None:
    answer = await id_tokens.check(token)

    assert isinstance(answer, Refusal)
    assert [401, 0] == [answer.status, google.asked]


async def test_without_certificates_nobody_can_say(
    id_tokens: IdTokens, google: FakeGoogle, caplog: pytest.LogCaptureFixture
) -> None:
    google.hangs = True

    assert Refusal(503, "certificates_unreachable") == await id_tokens.check(id_token())
    assert ["certificates_unreachable"] == [record.message for record in caplog.records]


@pytest.mark.parametrize(
    ("token", "expected"), [("a.b.c", True), ("a.b.", True), ("a.b", False), ("a.b.c.d", False)]
)
def test_three_parts_look_like_a_token(token: str, expected: bool) -> None:
    assert expected is looks_like_id_token(token)
