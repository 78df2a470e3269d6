"""Bearer tokens: how one is read from a request, and how it is compared with the shared secrets."""

import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from functions.web.google_keys import GoogleKeys, KeysUnavailableError

MAX_TOKEN_CHARS = 8192  # Google's ID tokens have about 1,000; nothing longer is worth hashing


def parse_bearer_token(authorization: Sequence[str]) -> str | None:
    """Return the token of all *authorization* headers of a request; None unless there is exactly one."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].strip().partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token or any(char.isspace() for char in token):
        return None
    return token


class SharedSecrets:
    """The secrets that open the door, as digests.

    Args:
        current: The secret in use.
        previous: The one before it, or None.
    """

    def __init__(self, current: str, previous: str | None = None) -> None:
        self._hashes = [_hash(secret) for secret in (current, previous) if secret]

    def match(self, token: str) -> int | None:
        """Return 0 when *token* is the live secret, 1 when it is the retiring one, None otherwise.

        Takes as long for a wrong token as for a right one, and as long for either right one.
        """
        presented = _hash(token[:MAX_TOKEN_CHARS])
        # Digests are of one length, and every one is compared: time tells nothing about any secret.
        matches = [hmac.compare_digest(presented, digest) for digest in self._hashes]
        if len(token) > MAX_TOKEN_CHARS or True not in matches:
            return None
        return matches.index(True)


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


# Who is calling: the values that the checks of a request end in.


@dataclass(frozen=True, slots=True)
class SecretPrincipal:
    """Whoever knows the shared secret: cron-job.org, a crontab, a person."""


@dataclass(frozen=True, slots=True)
class GooglePrincipal:
    """A service account of ours, vouched for by Google.

    Attributes:
        email: The account, one of those allowed.
    """

    email: str


Caller = SecretPrincipal | GooglePrincipal


@dataclass(frozen=True, slots=True)
class AuthFailure:
    """Why the door stays shut.

    Attributes:
        status: 401 not known, 403 known but not allowed, 503 nobody could say.
        reason: For the log alone; the answer does not say it.
        has_token: Whether there was a bearer token at all.
    """

    status: Literal[401, 403, 503]
    reason: str
    has_token: bool = True


# Google's ID tokens: which are genuine, meant for us, and from an account we let in.

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CLOCK_SKEW_S = 10
SIGNATURE_REMOVED = (
    "SIGNATURE_REMOVED_BY_GOOGLE"  # what a Cloud Run service that checks callers itself passes on
)

log = logging.getLogger(__name__)


class InvalidTokenError(Exception):
    """The token is not one of Google's, or no longer valid; the text says why in one word."""


def is_jwt(token: str) -> bool:
    """Whether *token* has the three parts of a JWT."""
    return token.count(".") == 2


class GoogleTokenVerifier:
    """The check of an ID token.

    Args:
        audiences: What a token may be meant for; one of them must be in it.
        accounts: E-mail addresses of those allowed in.
        keys: Google's keys.
    """

    def __init__(self, *, audiences: Sequence[str], accounts: Sequence[str], keys: GoogleKeys) -> None:
        self._audiences = tuple(audiences)
        self._accounts = frozenset(accounts)
        self._keys = keys

    async def verify(self, token: str) -> GooglePrincipal | AuthFailure:
        """Say who sent *token*, or why nobody is let in with it. Never raises for a fault of the token.

        1. Its header must name RS256 and a key that Google has now; without Google's keys the answer is
           503, because a caller who may be right must not be told that he is wrong.
        2. Signature and time must be good.
        3. It must be Google's, meant for us, and for a verified address: anything else is 401.
        4. The address must be one we let in: otherwise 403.
        """
        try:
            claims = _verify_claims(token, await self._keys.get(_key_id(token)))
            self._check_claims(claims)
        except InvalidTokenError as exc:
            return AuthFailure(401, str(exc))
        except KeysUnavailableError as exc:
            log.warning("certificates_unreachable", extra={"error": str(exc)})
            return AuthFailure(503, "certificates_unreachable")
        if claims.get("email") not in self._accounts:
            return AuthFailure(403, "account_not_allowed")
        return GooglePrincipal(claims["email"])

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") not in ISSUERS:
            raise InvalidTokenError("wrong_issuer")
        if claims.get("aud") not in self._audiences:
            raise InvalidTokenError("wrong_audience")
        if claims.get("email_verified") is not True or not isinstance(claims.get("email"), str):
            raise InvalidTokenError("email_not_verified")


def _key_id(token: str) -> str:
    """The key that *token* claims to be signed with; nothing is verified yet."""
    from google.auth import jwt  # here: 60 ms, which only a service that takes ID tokens should pay

    if token.endswith(f".{SIGNATURE_REMOVED}"):
        raise InvalidTokenError("signature_removed_by_platform")
    try:
        header = jwt.decode_header(token)  # type: ignore[no-untyped-call]  # the library is half typed
    except (ValueError, RecursionError):  # RecursionError: JSON nested a thousand deep
        raise InvalidTokenError("malformed") from None
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise InvalidTokenError("wrong_algorithm_or_key")
    return key_id


def _verify_claims(token: str, certificate: str | None) -> Mapping[str, Any]:
    from google.auth import exceptions, jwt

    if certificate is None:
        raise InvalidTokenError("unknown_key")
    try:
        claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]  # the library is half typed
            token, certs=certificate, clock_skew_in_seconds=CLOCK_SKEW_S
        )
    except (exceptions.GoogleAuthError, ValueError, TypeError) as exc:
        timely = not str(exc).startswith(("Token expired", "Token used too early"))
        raise InvalidTokenError("malformed_or_forged" if timely else "expired_or_too_early") from None
    return claims


# The gate: decides from a request's `Authorization` headers who is calling.


class Authenticator:
    """Lets in whoever has a shared secret, or an ID token of an account that is allowed.

    Args:
        secrets: The shared secrets.
        token_verifier: The check of ID tokens; None when none are accepted.
    """

    def __init__(self, secrets: SharedSecrets, token_verifier: GoogleTokenVerifier | None = None) -> None:
        self._secrets = secrets
        self._token_verifier = token_verifier

    async def authenticate(self, authorization: Sequence[str]) -> Caller | AuthFailure:
        """Say who is calling, given all `Authorization` headers of the request, or why he may not."""
        token = parse_bearer_token(authorization)
        if token is None:
            return AuthFailure(401, "no_token" if not authorization else "malformed", has_token=False)
        slot = self._secrets.match(token)
        if slot is not None:
            if slot > 0:
                log.warning("secret_retiring_used")
            return SecretPrincipal()
        if self._token_verifier is None or not is_jwt(token) or len(token) > MAX_TOKEN_CHARS:
            return AuthFailure(401, "wrong_secret")
        return await self._token_verifier.verify(token)
