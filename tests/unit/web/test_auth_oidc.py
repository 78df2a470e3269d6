"""Google's ID tokens, with our own keys in the place of Google's."""

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from functions.web.auth import AuthFailure, GooglePrincipal, GoogleTokenVerifier, is_jwt
from functions.web.google_keys import GoogleKeys
from tests.unit.web.fakes import ACCOUNT, AUDIENCE, FakeClock, FakeGoogle, encoded, id_token, public_key, sign

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
async def test_a_genuine_token_opens(id_tokens: GoogleTokenVerifier, claims: dict[str, Any]) -> None:
    """Clocks may differ by ten seconds."""
    assert GooglePrincipal(ACCOUNT) == await id_tokens.verify(id_token(**claims))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": -60}, "expired_or_too_early"),
        ({"iat": 600}, "expired_or_too_early"),
        ({"exp": None}, "malformed_or_forged"),
        ({"exp": "later"}, "malformed_or_forged"),
        ({"iat": None}, "malformed_or_forged"),
        ({"iat": "soon"}, "malformed_or_forged"),
        ({"nbf": int(time.time()) + 86_400}, "expired_or_too_early"),
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
    id_tokens: GoogleTokenVerifier, claims: dict[str, Any], reason: str
) -> None:
    assert AuthFailure(401, reason) == await id_tokens.verify(id_token(**claims))


async def test_a_genuine_token_of_another_account_is_forbidden(id_tokens: GoogleTokenVerifier) -> None:
    """Anybody can have Google sign a token for our audience; the account is what counts."""
    token = id_token(email="stranger@elsewhere.iam.gserviceaccount.com")

    assert AuthFailure(403, "account_not_allowed") == await id_tokens.verify(token)


async def test_a_token_signed_with_another_key_is_refused(id_tokens: GoogleTokenVerifier) -> None:
    token = id_token(key_id="second", header={"kid": "first"})

    assert AuthFailure(401, "malformed_or_forged") == await id_tokens.verify(token)


async def test_a_token_whose_claims_were_exchanged_is_refused(id_tokens: GoogleTokenVerifier) -> None:
    header, _, signature = id_token().split(".")
    _, payload, _ = id_token(sub="somebody else").split(".")

    assert AuthFailure(401, "malformed_or_forged") == await id_tokens.verify(
        f"{header}.{payload}.{signature}"
    )


async def test_a_new_key_of_google_is_looked_up(
    id_tokens: GoogleTokenVerifier, google: FakeGoogle, clock: FakeClock
) -> None:
    await id_tokens.verify(id_token())
    google.key_ids = ["first", "second"]
    clock.now += 60

    assert GooglePrincipal(ACCOUNT) == await id_tokens.verify(id_token(key_id="second"))
    assert 2 == google.asked


async def test_a_key_google_does_not_have_is_refused(
    id_tokens: GoogleTokenVerifier, google: FakeGoogle
) -> None:
    answers = [await id_tokens.verify(id_token(key_id="second")) for _ in range(4)]

    assert [AuthFailure(401, "unknown_key")] * 4 == answers
    assert 1 == google.asked


@pytest.mark.parametrize(
    "header",
    [{"alg": "none"}, {"alg": "None"}, {"alg": None}, {"alg": ["RS256"]}, {"alg": "ES256"}, {"alg": "PS256"}],
)
async def test_another_algorithm_is_refused_before_google_is_asked(
    id_tokens: GoogleTokenVerifier, google: FakeGoogle, header: dict[str, Any]
) -> None:
    token = id_token(header=header)
    unsigned = token.rpartition(".")[0] + "."

    assert [AuthFailure(401, "wrong_algorithm_or_key")] * 2 == [
        await id_tokens.verify(t) for t in (token, unsigned)
    ]
    assert 0 == google.asked


async def test_the_public_key_is_no_shared_secret(id_tokens: GoogleTokenVerifier) -> None:
    """The old trick: sign with HS256, and the public key as the secret."""
    body = ".".join(
        [encoded(json.dumps({"alg": "HS256", "kid": "first"}).encode()), id_token().split(".")[1]]
    )
    pem = public_key("first").public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.new(pem, body.encode(), hashlib.sha256).digest()

    assert AuthFailure(401, "wrong_algorithm_or_key") == await id_tokens.verify(f"{body}.{encoded(mac)}")


@pytest.mark.parametrize("key_id", [None, 7, ["first"], {"first": 1}])
async def test_a_key_id_that_is_no_text_is_refused(id_tokens: GoogleTokenVerifier, key_id: object) -> None:
    token = id_token(header={"kid": key_id})

    assert AuthFailure(401, "wrong_algorithm_or_key") == await id_tokens.verify(token)


async def test_a_signature_that_the_platform_removed_is_named_in_the_reason(
    id_tokens: GoogleTokenVerifier,
) -> None:
    """A private Cloud Run service checks tokens itself and passes them on without their signature."""
    token = id_token().rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"

    assert AuthFailure(401, "signature_removed_by_platform") == await id_tokens.verify(token)


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
        f"{encoded(b'null')}.{encoded(b'{}')}.{SIGNATURE}",
        f"{encoded(b'[' * 100_000)}.{encoded(b'{}')}.{SIGNATURE}",
    ],
)
async def test_nonsense_is_refused_without_an_exception(
    id_tokens: GoogleTokenVerifier, google: FakeGoogle, token: str
) -> None:
    answer = await id_tokens.verify(token)

    assert isinstance(answer, AuthFailure)
    assert [401, 0] == [answer.status, google.asked]


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
async def test_nonsense_is_refused_even_when_it_is_signed(
    id_tokens: GoogleTokenVerifier, payload: bytes
) -> None:
    assert AuthFailure(401, "malformed_or_forged") == await id_tokens.verify(sign(payload))


async def test_without_keys_nobody_can_say(google: FakeGoogle, caplog: pytest.LogCaptureFixture) -> None:
    google.hangs = True
    id_tokens = GoogleTokenVerifier(
        audiences=[AUDIENCE], accounts=[ACCOUNT], keys=GoogleKeys(google.url, timeout_s=0.2)
    )

    assert AuthFailure(503, "keys_unreachable") == await id_tokens.verify(id_token())
    assert ["keys_unreachable"] == [record.message for record in caplog.records]


@pytest.mark.parametrize(
    ("token", "expected"), [("a.b.c", True), ("a.b.", True), ("a.b", False), ("a.b.c.d", False)]
)
def test_three_parts_look_like_a_token(token: str, expected: bool) -> None:
    assert expected is is_jwt(token)
