"""Google's public keys: fetched when needed, kept as long as Google says, never asked for in a hurry."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping

from functions.errors import SchedulerError

GOOGLE_KEYS_URL = "https://www.googleapis.com/oauth2/v1/certs"
FETCH_TIMEOUT_S = 5.0
MAX_BODY_BYTES = 65_536  # Google's answer has about 3 KB
DEFAULT_CACHE_S = 3600.0  # when Google does not say
MIN_CACHE_S = 60.0
MAX_CACHE_S = 86_400.0
REFETCH_INTERVAL_S = 60.0  # an unknown key makes us ask, but made-up ones must not make us ask all the time
RETRY_DELAY_S = 10.0  # after a failure; the next pings should not wait for a server that is down


class KeysUnavailableError(SchedulerError):
    """Google's keys could not be had, so that no ID token can be judged."""


class GoogleKeys:
    """Google's certificates by key id.

    Args:
        url: Where they are: JSON, key id to PEM.
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
        self._by_id: Mapping[str, str] = {}
        self._expires_at = float("-inf")
        self._next_fetch_at = float("-inf")
        self._fetch_lock = asyncio.Lock()  # callers that come at once share one fetch

    async def get(self, key_id: str) -> str | None:
        """Return the certificate with *key_id* as PEM; None when Google does not know that key.

        Raises:
            KeysUnavailableError: The certificates are not known, or too old, and cannot be fetched.
        """
        if key_id in self._by_id and self._clock() < self._expires_at:
            return self._by_id[key_id]
        async with self._fetch_lock:
            now = self._clock()
            fresh = now < self._expires_at
            if not (fresh and key_id in self._by_id) and now >= self._next_fetch_at:
                await self._fetch()
            elif not fresh:
                raise KeysUnavailableError("Google's certificates could not be fetched a moment ago")
            return self._by_id.get(key_id)

    async def _fetch(self) -> None:
        self._next_fetch_at = self._clock() + RETRY_DELAY_S
        certificates, keep_s = await _fetch_keys(self._url, self._timeout_s)
        self._by_id = certificates
        self._expires_at = self._clock() + keep_s
        self._next_fetch_at = self._clock() + REFETCH_INTERVAL_S


async def _fetch_keys(url: str, timeout_s: float) -> tuple[Mapping[str, str], float]:
    import aiohttp  # here: 130 ms, which only a service that takes ID tokens should pay

    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession() as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise KeysUnavailableError(f"Google's certificates: status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise KeysUnavailableError("Google's certificates: the answer is too long")
            return _parse_keys(bytes(body)), cache_seconds(response.headers)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise KeysUnavailableError(f"Google's certificates: {type(exc).__name__}") from exc


def _parse_keys(body: bytes) -> Mapping[str, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise KeysUnavailableError("Google's certificates: the answer is not JSON") from None
    if not isinstance(found, dict) or not found or not all(isinstance(pem, str) for pem in found.values()):
        raise KeysUnavailableError("Google's certificates: the answer is not a table of certificates")
    return found


def cache_seconds(headers: Mapping[str, str]) -> float:
    """Seconds to keep an answer with *headers*: `max-age` less `Age`, from a minute to a day."""
    match = re.search(r"(?:^|[\s,])max-age=(\d{1,10})\b", headers.get("Cache-Control", "").lower())
    if match is None:
        return DEFAULT_CACHE_S
    age = headers.get("Age", "")
    spent = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(int(match[1]) - spent, MIN_CACHE_S), MAX_CACHE_S)
