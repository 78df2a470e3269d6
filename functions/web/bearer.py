"""Bearer tokens: how one is read from a request, and how it is compared with the shared secrets."""

import hmac
from collections.abc import Sequence
from hashlib import sha256

MAX_TOKEN_CHARS = 8192  # Google's ID tokens have about 1,000; nothing longer is worth hashing


def bearer_token(authorization: Sequence[str]) -> str | None:
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
        live: The secret in use.
        retiring: The one before it, or None.
    """

    def __init__(self, live: str, retiring: str | None = None) -> None:
        self._digests = [_digest(secret) for secret in (live, retiring) if secret]

    def slot_of(self, token: str) -> int | None:
        """Return 0 when *token* is the live secret, 1 when it is the retiring one, None otherwise.

        Takes as long for a wrong token as for a right one, and as long for either right one.
        """
        presented = _digest(token[:MAX_TOKEN_CHARS])
        # Digests are of one length, and every one is compared: time tells nothing about any secret.
        matches = [hmac.compare_digest(presented, digest) for digest in self._digests]
        if len(token) > MAX_TOKEN_CHARS or True not in matches:
            return None
        return matches.index(True)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
