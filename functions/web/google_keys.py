"""Google's public keys: fetched when needed, kept as long as Google says, never asked for in a hurry."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping

from functions.errors import SchedulerError

GOOGLE_CERTIFICATES = "https://www.googleapis.com/oauth2/v1/certs"
ANSWER_WITHIN_S = 5.0
MAX_BODY_BYTES = 65_536  # Google's answer has about 3 KB
KEEP_S = 3600.0  # when Google does not say
KEEP_AT_LEAST_S = 60.0
KEEP_AT_MOST_S = 86_400.0
ASK_AGAIN_S = 60.0  # an unknown key makes us ask, but made-up ones must not make us ask all the time
RETRY_S = 10.0  # after a failure; the next pings should not wait for a server that is down


class CertificatesUnreachable(SchedulerError):
    """Google's keys could not be had, so that no ID token can be judged."""


class Certificates:
    """Google's certificates by key id.

    Args:
        url: Where they are: JSON, key id to PEM.
        clock: Seconds that never run backwards.
        within_s: Bound of one fetch, from the name look-up to the last byte.
    """

    def __init__(
        self,
        url: str = GOOGLE_CERTIFICATES,
        *,
        clock: Callable[[], float] = time.monotonic,
        within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._url = url
        self._clock = clock
        self._within_s = within_s
        self._by_id: Mapping[str, str] = {}
        self._good_until = float("-inf")
        self._ask_after = float("-inf")
        self._fetching = asyncio.Lock()  # callers that come at once share one fetch

    async def find(self, key_id: str) -> str | None:
        """Return the certificate with *key_id* as PEM; None when Google does not know that key.

        Raises:
            CertificatesUnreachable: The certificates are not known, or too old, and cannot be fetched.
        """
        if key_id in self._by_id and self._clock() < self._good_until:
            return self._by_id[key_id]
        async with self._fetching:
            now = self._clock()
            fresh = now < self._good_until
            if not (fresh and key_id in self._by_id) and now >= self._ask_after:
                await self._fetch()
            elif not fresh:
                raise CertificatesUnreachable("Google's certificates could not be fetched a moment ago")
            return self._by_id.get(key_id)

    async def _fetch(self) -> None:
        self._ask_after = self._clock() + RETRY_S
        certificates, keep_s = await _certificates_at(self._url, self._within_s)
        self._by_id = certificates
        self._good_until = self._clock() + keep_s
        self._ask_after = self._clock() + ASK_AGAIN_S


async def _certificates_at(url: str, within_s: float) -> tuple[Mapping[str, str], float]:
    import aiohttp  # here: 130 ms, which only a service that takes ID tokens should pay

    try:
        async with (
            asyncio.timeout(within_s),
            aiohttp.ClientSession() as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise CertificatesUnreachable(f"Google's certificates: status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise CertificatesUnreachable("Google's certificates: the answer is too long")
            return _read(bytes(body)), keep_s(response.headers)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise CertificatesUnreachable(f"Google's certificates: {type(exc).__name__}") from exc


def _read(body: bytes) -> Mapping[str, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise CertificatesUnreachable("Google's certificates: the answer is not JSON") from None
    if not isinstance(found, dict) or not found or not all(isinstance(pem, str) for pem in found.values()):
        raise CertificatesUnreachable("Google's certificates: the answer is not a table of certificates")
    return found


def keep_s(headers: Mapping[str, str]) -> float:
    """Seconds to keep an answer with *headers*: `max-age` less `Age`, from a minute to a day."""
    match = re.search(r"(?:^|[\s,])max-age=(\d{1,10})\b", headers.get("Cache-Control", "").lower())
    if match is None:
        return KEEP_S
    age = headers.get("Age", "")
    spent = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(int(match[1]) - spent, KEEP_AT_LEAST_S), KEEP_AT_MOST_S)
