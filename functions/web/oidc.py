"""Google's ID tokens: which are genuine, meant for us, and from an account we let in."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from functions.web.callers import GoogleCaller, Refusal
from functions.web.certificates import Certificates, CertificatesUnreachable

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CLOCK_SKEW_S = 10
SIGNATURE_REMOVED = (
    "SIGNATURE_REMOVED_BY_GOOGLE"  # what a Cloud Run service that checks callers itself passes on
)

log = logging.getLogger(__name__)


class NotGenuine(Exception):
    """The token is not one of Google's, or no longer valid; the text says why in one word."""


def looks_like_id_token(token: str) -> bool:
    """Whether *token* has the three parts of a JWT."""
    return token.count(".") == 2


class IdTokens:
    """The check of an ID token.

    Args:
        audiences: What a token may be meant for; one of them must be in it.
        accounts: E-mail addresses of those allowed in.
        certificates: Google's keys.
    """

    def __init__(
        self, *, audiences: Sequence[str], accounts: Sequence[str], certificates: Certificates
    ) -> None:
        self._audiences = tuple(audiences)
        self._accounts = frozenset(accounts)
        self._certificates = certificates

    async def check(self, token: str) -> GoogleCaller | Refusal:
        """Say who sent *token*, or why nobody is let in with it. Never raises for a fault of the token.

        1. Its header must name RS256 and a key that Google has now; without Google's keys the answer is
           503, because a caller who may be right must not be told that he is wrong.
        2. Signature and time must be good.
        3. It must be Google's, meant for us, and for a verified address: anything else is 401.
        4. The address must be one we let in: otherwise 403.
        """
        try:
            claims = _verified_claims(token, await self._certificates.find(_key_id(token)))
            self._check_claims(claims)
        except NotGenuine as exc:
            return Refusal(401, str(exc))
        except CertificatesUnreachable as exc:
            log.warning("certificates_unreachable", extra={"error": str(exc)})
            return Refusal(503, "certificates_unreachable")
        if claims.get("email") not in self._accounts:
            return Refusal(403, "account_not_allowed")
        return GoogleCaller(claims["email"])

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") not in ISSUERS:
            raise NotGenuine("wrong_issuer")
        if claims.get("aud") not in self._audiences:
            raise NotGenuine("wrong_audience")
        if claims.get("email_verified") is not True or not isinstance(claims.get("email"), str):
            raise NotGenuine("email_not_verified")


def _key_id(token: str) -> str:
    """The key that *token* claims to be signed with; nothing is verified yet."""
    from google.auth import jwt  # here: 60 ms, which only a service that takes ID tokens should pay

    if token.endswith(f".{SIGNATURE_REMOVED}"):
        raise NotGenuine("signature_removed_by_platform")
    try:
        header = jwt.decode_header(token)  # type: ignore[no-untyped-call]  # the library is half typed
    except (ValueError, RecursionError):  # RecursionError: JSON nested a thousand deep
        raise NotGenuine("malformed") from None
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise NotGenuine("wrong_algorithm_or_key")
    return key_id


def _verified_claims(token: str, certificate: str | None) -> Mapping[str, Any]:
    from google.auth import exceptions, jwt

    if certificate is None:
        raise NotGenuine("unknown_key")
    try:
        claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]  # the library is half typed
            token, certs=certificate, clock_skew_in_seconds=CLOCK_SKEW_S
        )
    except (exceptions.GoogleAuthError, ValueError, TypeError) as exc:
        timely = not str(exc).startswith(("Token expired", "Token used too early"))
        raise NotGenuine("malformed_or_forged" if timely else "expired_or_too_early") from None
    return claims
