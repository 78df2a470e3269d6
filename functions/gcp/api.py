"""Calls to Google's REST APIs with the token of the account this process runs as."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.http_client.trusted import PostError, PostRequest

log = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
RENEW_BEFORE = timedelta(minutes=4)  # Google's own libraries renew at this age of a token
TOKEN_TIMEOUT_S = 5.0


class GoogleApiError(Exception):
    """No usable answer. The text is fit for the log: a status or a kind of fault, never a token."""

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What proves who we are.

    Attributes:
        renew_at: When another one must be had.
    """

    text: str
    renew_at: datetime


class GoogleApi:
    """One of Google's services, or an emulator of it.

    Args:
        base_url: Where it is, without a path.
        fetch_token: Gets a fresh token; None for an emulator, which wants none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        post: PostRequest,
        fetch_token: Callable[[], Awaitable[AccessToken]] | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._post = post
        self._fetch_token = fetch_token
        self._clock = clock
        self._token: AccessToken | None = None
        self._token_lock = asyncio.Lock()

    async def call(self, path: str, body: Mapping[str, Any], *, timeout_s: float) -> Mapping[str, Any]:
        """Post *body*; return the answer.

        Raises:
            GoogleApiError: There was none in time, or it is not 2xx.
        """
        headers = {"Content-Type": "application/json"} | await self._auth_headers()
        text = json.dumps(body, ensure_ascii=False).encode()
        try:
            answer = await self._post(
                f"{self._base_url}{path}", headers=headers, body=text, timeout_s=timeout_s
            )
        except PostError as exc:
            raise GoogleApiError(str(exc)) from None
        if answer.status == 401:
            self._token = None  # revoked: the next call fetches another
        if not 200 <= answer.status < 300:
            reason = f"HTTP {answer.status} {_error_status(answer.body)}".strip()
            raise GoogleApiError(reason, status=answer.status)
        return _parse_object(answer.body)

    async def _auth_headers(self) -> dict[str, str]:
        if self._fetch_token is None:
            return {}
        async with self._token_lock:  # twenty messages at once need one token
            if self._token is None or self._clock() >= self._token.renew_at:
                try:
                    async with asyncio.timeout(TOKEN_TIMEOUT_S):
                        self._token = await self._fetch_token()
                except Exception as exc:  # noqa: BLE001  # the library raises whatever its transports do
                    raise GoogleApiError(f"no access token ({type(exc).__name__})") from None
            return {"Authorization": f"Bearer {self._token.text}"}


async def fetch_access_token() -> AccessToken:
    """The token of the account this process runs as, from the platform or from a key file."""
    return await asyncio.to_thread(_fetch_access_token)  # the library knows only calls that block


def _fetch_access_token() -> AccessToken:
    import google.auth  # here: 60 ms, and requests; only who has a queue or a topic pays for it
    import google.auth.transport.requests

    credentials, _ = google.auth.default(scopes=[SCOPE])
    credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]
    if credentials.token is None or credentials.expiry is None:
        raise GoogleApiError("no access token (the account has none)")
    return AccessToken(credentials.token, credentials.expiry.replace(tzinfo=UTC) - RENEW_BEFORE)


def _parse_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body or b"{}")
    except ValueError:
        raise GoogleApiError("the answer is not JSON") from None
    return answer if isinstance(answer, dict) else {}


def _error_status(body: bytes) -> str:
    """Google's word for what is wrong, such as PERMISSION_DENIED; its sentences may hold what we sent."""
    try:
        word = json.loads(body)["error"]["status"]
    except (ValueError, KeyError, TypeError):
        return ""
    return word if isinstance(word, str) and word.isupper() and len(word) < 40 else ""
