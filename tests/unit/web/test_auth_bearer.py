"""Bearer tokens and shared secrets."""

import hmac

import pytest

from functions.domain.access import parse_bearer_token
from functions.web.auth import MAX_TOKEN_CHARS, SharedSecrets
from tests.unit.web.fakes import RETIRING, SECRET


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc ", " Bearer abc"])
def test_one_bearer_header_has_a_token(header: str) -> None:
    """The scheme's name is not case-sensitive (RFC 9110)."""
    assert "abc" == parse_bearer_token([header])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        ["abc"],
        ["Basic abc"],
        ["Bearer a b"],
        ["Bearer a\tb"],
        ["Bearer: abc"],
        ["Bearer abc", "Bearer abc"],
    ],
)
def test_anything_else_has_none(headers: list[str]) -> None:
    """Two headers are none: a proxy and we might each believe another one."""
    assert parse_bearer_token(headers) is None


def test_both_secrets_open_and_are_told_apart() -> None:
    secrets = SharedSecrets(SECRET, RETIRING)

    assert [0, 1] == [secrets.match(SECRET), secrets.match(RETIRING)]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        SECRET[:-1],
        f"{SECRET}x",
        SECRET.upper(),
        "é" * 32,
        "\udc80" * 32,
        f"{SECRET}\n{RETIRING}",
        "None",
    ],
)
def test_nothing_else_opens_and_nothing_raises(token: str) -> None:
    """compare_digest refuses texts that are not ASCII with an exception, which would be a 500."""
    assert SharedSecrets(SECRET, RETIRING).match(token) is None


def test_without_a_retiring_secret_there_is_one_key_only() -> None:
    secrets = SharedSecrets(SECRET)

    assert [0, None, None] == [secrets.match(token) for token in (SECRET, "", "None")]


def test_overlong_tokens_do_not_open() -> None:
    secrets = SharedSecrets("s" * MAX_TOKEN_CHARS)

    assert 0 == secrets.match("s" * MAX_TOKEN_CHARS)
    assert secrets.match("s" * (MAX_TOKEN_CHARS + 1)) is None


@pytest.mark.parametrize("token", [SECRET, RETIRING, "wrong"])
def test_every_secret_is_compared_whatever_the_token(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping at the first match would tell by time which secret is which."""
    compared = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return compare(one, other)

    secrets = SharedSecrets(SECRET, RETIRING)
    monkeypatch.setattr(hmac, "compare_digest", counting)
    secrets.match(token)

    assert 2 == len(compared)
