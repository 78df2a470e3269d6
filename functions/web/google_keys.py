"""Google's public keys: fetched when needed, cached as long as Google says, at most one fetch a minute."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from functions.errors import SchedulerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

GOOGLE_KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
FETCH_TIMEOUT_S = 5.0
MAX_BODY_BYTES = 65_536  # Google's answer has about 3 KB
DEFAULT_CACHE_S = 3600.0  # when Google does not say
MIN_CACHE_S = 60.0
MAX_CACHE_S = 86_400.0
REFETCH_INTERVAL_S = 60.0  # an unknown key causes a fetch, but made-up ones must not cause one each
RETRY_DELAY_S = 10.0  # after a failure; the next callers must not wait for a server that is down


class KeysUnavailableError(SchedulerError):
    """Google's keys cannot be fetched, so no ID token can be verified."""


class GoogleKeys:
    """Google's public keys by key id.

    Args:
        url: Where they are, as a JSON Web Key Set.
        clock: Seconds that never run backwards.
        timeout_s: Bound of one fetch, from the name look-up to the last byte.
    """

    def __init__(
        self,
        url: str = GOOGLE_KEYS_URL,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = FETCH_TIMEOUT_S,
    ) -> None:
        self._url = url
        self._clock = clock
        self._timeout_s = timeout_s
        self._by_id: Mapping[str, RSAPublicKey] = {}
        self._expires_at = float("-inf")
        self._next_fetch_at = float("-inf")
        self._fetch_lock = asyncio.Lock()  # concurrent callers share one fetch

    async def get(self, key_id: str) -> "RSAPublicKey | None":
        """Return the key with *key_id*; None when Google does not know that key.

        Raises:
            KeysUnavailableError: The keys are not known, or too old, and cannot be fetched.
        """
        if key_id in self._by_id and self._clock() < self._expires_at:
            return self._by_id[key_id]
        async with self._fetch_lock:
            now = self._clock()
            fresh = now < self._expires_at
            if not (fresh and key_id in self._by_id) and now >= self._next_fetch_at:
                await self._fetch()
            elif not fresh:
                raise KeysUnavailableError("Google's keys could not be fetched a moment ago")
            return self._by_id.get(key_id)

    async def _fetch(self) -> None:
        self._next_fetch_at = self._clock() + RETRY_DELAY_S
        self._by_id, keep_s = await _fetch_keys(self._url, self._timeout_s)
        self._expires_at = self._clock() + keep_s
        self._next_fetch_at = self._clock() + REFETCH_INTERVAL_S


async def _fetch_keys(url: str, timeout_s: float) -> "tuple[Mapping[str, RSAPublicKey], float]":
    from functions.http_client.trusted import PostError, TrustedHttpClient  # after the server has forked

    try:
        async with TrustedHttpClient() as client:
            response = await client.request(
                "GET", url, headers={}, timeout_s=timeout_s, max_bytes=MAX_BODY_BYTES
            )
    except PostError as exc:
        raise KeysUnavailableError(f"Google's keys: {exc}") from None
    if response.status != 200:
        raise KeysUnavailableError(f"Google's keys: status {response.status}")
    if response.truncated:
        raise KeysUnavailableError("Google's keys: the answer is too long")
    return _parse_keys(response.body), cache_seconds(response.headers)


def _parse_keys(body: bytes) -> "Mapping[str, RSAPublicKey]":
    """Return the RSA keys in *body*: a key of another kind is for an algorithm that is not accepted."""
    import jwt  # 60 ms, which only a service that takes ID tokens pays

    try:
        key_set = jwt.PyJWKSet.from_json(body.decode())
    except (ValueError, AttributeError, RecursionError, jwt.PyJWTError):
        raise KeysUnavailableError("Google's keys: the answer is not a set of keys") from None
    return {key.key_id: key.key for key in key_set if key.key_id and key.key_type == "RSA"}


def cache_seconds(headers: Mapping[str, str]) -> float:
    """Seconds to cache an answer with *headers*, named in lower case: `max-age` less `age`, bounded."""
    match = re.search(r"(?:^|[\s,])max-age=(\d{1,10})\b", headers.get("cache-control", "").lower())
    if match is None:
        return DEFAULT_CACHE_S
    age = headers.get("age", "")
    spent = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(int(match[1]) - spent, MIN_CACHE_S), MAX_CACHE_S)
