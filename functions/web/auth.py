"""Authentication of the callers of ticks: by a shared secret, or by an ID token of Google's."""

import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from functions.domain.access import parse_bearer_token
from functions.web.google_keys import GoogleKeys, KeysUnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MAX_TOKEN_CHARS = 8192  # Google's ID tokens have about 1,000; a longer one is not hashed


class SharedSecrets:
    """The shared secrets, as digests.

    Args:
        current: The secret in use.
        previous: The one that is being retired, or None.
    """

    def __init__(self, current: str, previous: str | None = None) -> None:
        self._hashes = [_hash(secret) for secret in (current, previous) if secret]

    def match(self, token: str) -> int | None:
        """Return 0 when *token* is the current secret, 1 when it is the previous one, None otherwise.

        Takes as long for a wrong token as for a right one, and as long for either right one.
        """
        presented = _hash(token[:MAX_TOKEN_CHARS])
        # Digests have one length and all are compared, so that timing reveals nothing about a secret.
        matches = [hmac.compare_digest(presented, digest) for digest in self._hashes]
        if len(token) > MAX_TOKEN_CHARS or True not in matches:
            return None
        return matches.index(True)


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


# The results of authentication.


@dataclass(frozen=True, slots=True)
class SecretPrincipal:
    """A caller with a shared secret: cron-job.org, a crontab, an operator."""


@dataclass(frozen=True, slots=True)
class GooglePrincipal:
    """A service account, authenticated by an ID token.

    Attributes:
        email: The account, one of those allowed.
    """

    email: str


Caller = SecretPrincipal | GooglePrincipal


@dataclass(frozen=True, slots=True)
class AuthFailure:
    """Why a caller is not authenticated.

    Attributes:
        status: 401 not authenticated, 403 authenticated but not allowed, 503 could not be verified.
        reason: For the log only; the response does not contain it.
        has_token: Whether the request has a bearer token.
    """

    status: Literal[401, 403, 503]
    reason: str
    has_token: bool = True


# Google's ID tokens.

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
ALGORITHM = "RS256"
CLOCK_SKEW_S = 10
# Cloud Run replaces the signature when it authenticates callers itself.
SIGNATURE_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"

log = logging.getLogger(__name__)


class InvalidTokenError(Exception):
    """The token is not issued by Google, or is no longer valid; the text is the reason in one word."""


def is_jwt(token: str) -> bool:
    """Whether *token* has the three parts of a JWT."""
    return token.count(".") == 2


class GoogleTokenVerifier:
    """Verifies ID tokens.

    Args:
        audiences: The accepted audiences; a token must name one of them.
        accounts: The e-mail addresses of the accepted service accounts.
        keys: Google's public keys.
    """

    def __init__(self, *, audiences: Sequence[str], accounts: Sequence[str], keys: GoogleKeys) -> None:
        self._audiences = tuple(audiences)
        self._accounts = frozenset(accounts)
        self._keys = keys

    async def verify(self, token: str) -> GooglePrincipal | AuthFailure:
        """Return the account that *token* authenticates, or the failure. Never raises for a bad token.

        1. The header must name RS256 and a current key of Google's. When Google's keys cannot be fetched
           the failure is 503, not 401: the token may be valid.
        2. Signature and time must be valid.
        3. Issuer, audience and verified address must match: otherwise 401.
        4. The address must be an accepted account: otherwise 403.
        """
        try:
            claims = _verify_token(token, await self._keys.get(_key_id(token)))
            self._check_claims(claims)
        except InvalidTokenError as exc:
            return AuthFailure(401, str(exc))
        except KeysUnavailableError as exc:
            log.warning("keys_unreachable", extra={"error": str(exc)})
            return AuthFailure(503, "keys_unreachable")
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
    """Return the id of the key that *token* names; nothing is verified yet."""
    import jwt  # imported here: 60 ms, which only a service that takes ID tokens pays

    if token.endswith(f".{SIGNATURE_REMOVED}"):
        raise InvalidTokenError("signature_removed_by_platform")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.DecodeError, UnicodeEncodeError):
        raise InvalidTokenError("malformed") from None
    except jwt.InvalidTokenError:
        raise InvalidTokenError("wrong_algorithm_or_key") from None
    if header.get("alg") != ALGORITHM or "kid" not in header:
        raise InvalidTokenError("wrong_algorithm_or_key")
    return str(header["kid"])


def _verify_token(token: str, key: "RSAPublicKey | None") -> Mapping[str, Any]:
    """Return the claims of *token* when *key* signed it and it is valid now."""
    import jwt

    if key is None:
        raise InvalidTokenError("unknown_key")
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            leeway=CLOCK_SKEW_S,
            # Audience and issuer are compared by `_check_claims`: here a list of audiences would be accepted.
            options={"require": ["exp", "iat"], "verify_aud": False, "verify_iss": False},
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        raise InvalidTokenError("expired_or_too_early") from None
    except jwt.InvalidTokenError:
        raise InvalidTokenError("malformed_or_forged") from None


class Authenticator:
    """Authenticates a caller by a shared secret or an ID token.

    Args:
        secrets: The shared secrets.
        token_verifier: Verifies ID tokens; None when none are accepted.
    """

    def __init__(self, secrets: SharedSecrets, token_verifier: GoogleTokenVerifier | None = None) -> None:
        self._secrets = secrets
        self._token_verifier = token_verifier

    async def authenticate(self, authorization: Sequence[str]) -> Caller | AuthFailure:
        """Return the caller of a request with these `Authorization` headers, or the failure."""
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
