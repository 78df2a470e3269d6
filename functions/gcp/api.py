"""Calls to Google's REST interfaces: JSON there, JSON back, with the token of the account we run as."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.http_client.trusted import Post, PostError

log = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
RENEW_BEFORE = timedelta(minutes=4)  # Google's own libraries renew at this age of a token
TOKEN_WITHIN_S = 5.0


class CallFailed(Exception):
    """No usable answer. The text is fit for the log: a status or a kind of fault, never a token."""

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Token:
    """What proves who we are.

    Attributes:
        good_until: When another one must be had.
    """

    text: str
    good_until: datetime


class GoogleApi:
    """One of Google's services, or an emulator of it.

    Args:
        address: Where it is, without a path.
        token: Gets a fresh token; None for an emulator, which wants none.
    """

    def __init__(
        self,
        address: str,
        *,
        post: Post,
        token: Callable[[], Awaitable[Token]] | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._address = address.rstrip("/")
        self._post = post
        self._ask_token = token
        self._clock = clock
        self._token: Token | None = None
        self._asking = asyncio.Lock()

    async def call(self, path: str, body: Mapping[str, Any], *, timeout_s: float) -> Mapping[str, Any]:
        """Post *body*; return the answer.

        Raises:
            CallFailed: There was none in time, or it is not 2xx.
        """
        headers = {"Content-Type": "application/json"} | await self._authorization()
        text = json.dumps(body, ensure_ascii=False).encode()
        try:
            answer = await self._post(
                f"{self._address}{path}", headers=headers, body=text, timeout_s=timeout_s
            )
        except PostError as exc:
            raise CallFailed(str(exc)) from None
        if answer.status == 401:
            self._token = None  # taken back: the next call asks for another
        if not 200 <= answer.status < 300:
            reason = f"HTTP {answer.status} {_status_in(answer.body)}".strip()
            raise CallFailed(reason, status=answer.status)
        return _object(answer.body)

    async def _authorization(self) -> dict[str, str]:
        if self._ask_token is None:
            return {}
        async with self._asking:  # twenty messages at once need one token
            if self._token is None or self._clock() >= self._token.good_until:
                try:
                    async with asyncio.timeout(TOKEN_WITHIN_S):
                        self._token = await self._ask_token()
                except Exception as exc:  # noqa: BLE001  # the library raises whatever its transports do
                    raise CallFailed(f"no access token ({type(exc).__name__})") from None
            return {"Authorization": f"Bearer {self._token.text}"}


async def own_token() -> Token:
    """The token of the account this process runs as: asked of the platform, or of a key on this machine."""
    return await asyncio.to_thread(_own_token)  # the library knows only calls that block


def _own_token() -> Token:
    import google.auth  # here: 60 ms, and requests; only who has a queue or a topic pays for it
    import google.auth.transport.requests

    credentials, _ = google.auth.default(scopes=[SCOPE])
    credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]
    if credentials.token is None or credentials.expiry is None:
        raise CallFailed("no access token (the account has none)")
    return Token(credentials.token, credentials.expiry.replace(tzinfo=UTC) - RENEW_BEFORE)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body or b"{}")
    except ValueError:
        raise CallFailed("the answer is not JSON") from None
    return answer if isinstance(answer, dict) else {}


def _status_in(body: bytes) -> str:
    """Google's word for what is wrong, such as PERMISSION_DENIED; its sentences may hold what we sent."""
    try:
        word = json.loads(body)["error"]["status"]
    except (ValueError, KeyError, TypeError):
        return ""
    return word if isinstance(word, str) and word.isupper() and len(word) < 40 else ""
