"""The client of Feishu's API for one base: authentication, retries, and errors of this program."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from functions.errors import StoreError
from functions.http_client.trusted import PostError, TrustedHttpClient
from functions.stores.bitable.config import (
    CONFLICT_CODES,
    QUOTA_EXCEEDED,
    RATE_LIMIT_CODES,
    STALE_TOKEN_CODES,
    UNCERTAIN_CODES,
    BusyError,
    FeishuCredentials,
    FeishuRequestError,
    NoAnswerError,
    TableRef,
    WriteConflictError,
)

log = logging.getLogger(__name__)

TOKEN_PATH = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105  # an address
APPS_PATH = "/open-apis/bitable/v1/apps"
RENEW_BEFORE_S = 600.0  # as the vendor's own library; a token lives two hours
MAX_REFUSALS = 5  # at a call that is refused for now
MAX_LOST_CALLS = 2  # tries at a call that is not answered
MAX_WAIT_S = 5.0  # no rate limit of Feishu's is reset later
MIN_WAIT_S = 0.02

MAX_RESPONSE_BYTES = 64 << 20  # a page of 500 rows with long notes is smaller
KEEPALIVE_S = 10.0  # a connection kept longer may be dead after the freeze between two ticks

ResponseData = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FeishuResponse:
    """One response of Feishu's.

    Attributes:
        headers: By lower-case name.
        body: A JSON object; empty when the response holds none.
    """

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class LoopLock:
    """One holder at a time in this process, say between reading a precondition and writing.

    Build it anywhere. A process that runs one loop after another has a lock of each.
    """

    def __init__(self) -> None:
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def acquire(self) -> asyncio.Lock:
        """The running loop's lock."""
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock


class FeishuClient:
    """Makes calls to the base of *table* as *credentials*. Building it opens nothing, so it survives a fork.

    Args:
        call_timeout_s: What one try may take.
        retry_delay_s: The wait before a try after a conflict; longer before each later one.
    """

    def __init__(
        self, credentials: FeishuCredentials, table: TableRef, *, call_timeout_s: float, retry_delay_s: float
    ) -> None:
        self._credentials = credentials
        self._base_path = f"{APPS_PATH}/{table.app_token}"
        self._base_url = credentials.base_url.rstrip("/")
        self._http = TrustedHttpClient(keepalive_s=KEEPALIVE_S)
        self._call_timeout_s = call_timeout_s
        self._retry_delay_s = max(retry_delay_s, MIN_WAIT_S)
        self._token = ""
        self._token_expires_at = 0.0  # in the time that all loops of a process share
        self._token_lock = LoopLock()

    async def get(self, path: str, query: Mapping[str, Any]) -> ResponseData:
        """Read *path* of the base; errors as from `post`."""
        return await self._with_retries(
            lambda: self._request("GET", path, query, None), max_lost=MAX_LOST_CALLS
        )

    async def post(
        self,
        path: str,
        body: Any,
        *,
        query: Mapping[str, Any],
        repeatable: bool = True,
        conditional: bool = False,
    ) -> ResponseData:
        """Post *body* to *path* of the base; return the data of the answer.

        Args:
            repeatable: Whether the call may be sent twice: it is then sent again after a lost answer.
            conditional: Whether the call is right only while no other client writes; it is then not
                sent again after a conflict.

        Raises:
            NoAnswerError: It may have been done.
            WriteConflictError: Another client wrote; nothing was done.
            BusyError: Feishu would not do it now; nothing was done.
            FeishuRequestError: Feishu will not do it; nothing was done.
        """
        tries = MAX_LOST_CALLS if repeatable else 1
        return await self._with_retries(
            lambda: self._request("POST", path, query, body), max_lost=tries, conditional=conditional
        )

    async def wait_before_retry(self, attempt: int) -> None:
        """Wait before the try after the *attempt*-th conflict."""
        await asyncio.sleep(self._retry_delay_s * attempt)

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()

    async def _with_retries(
        self, request: Callable[[], Awaitable[FeishuResponse]], *, max_lost: int, conditional: bool = False
    ) -> ResponseData:
        """Return the data of *request*, repeated as long as that can help."""
        lost, renewed = 0, False
        refused = 0
        while True:
            try:
                answer = await request()
                code = _result_code(answer)
            except NoAnswerError:
                lost += 1
                if lost >= max_lost:
                    raise
                continue
            if code == 0:
                data = answer.body.get("data")
                return data if isinstance(data, dict) else {}
            if code in STALE_TOKEN_CODES and not renewed:
                renewed, self._token = True, ""
                continue
            refused += 1
            if lost:  # the first try may have been the one that was done
                raise NoAnswerError(f"Feishu did not answer, and then refused ({code})")
            _check_may_repeat(code, refused=refused, conditional=conditional)
            await asyncio.sleep(self._backoff_s(answer, code, refused))

    def _backoff_s(self, answer: FeishuResponse, code: int, refused: int) -> float:
        if code in CONFLICT_CODES:
            return self._retry_delay_s * refused
        try:
            reset_s = float(answer.headers.get("x-ogw-ratelimit-reset", "1"))
        except ValueError:
            reset_s = 1.0
        log.warning("feishu_rate_limited", extra={"wait_s": reset_s})
        return min(max(reset_s, MIN_WAIT_S), MAX_WAIT_S)

    async def _request(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> FeishuResponse:
        token = await self._get_token()
        full_path = f"{self._base_path}{path}{'?' + urlencode(query) if query else ''}"
        return await self._send(method, full_path, {"Authorization": f"Bearer {token}"}, body)

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> FeishuResponse:
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
        try:
            response = await self._http.request(
                method,
                f"{self._base_url}{path}",
                headers={"Content-Type": "application/json; charset=utf-8", **headers},
                body=content,
                timeout_s=self._call_timeout_s,
                max_bytes=MAX_RESPONSE_BYTES,
            )
        except PostError as exc:
            raise NoAnswerError(f"Feishu: {exc}") from None
        if response.truncated:
            raise NoAnswerError(f"Feishu: the answer is longer than {MAX_RESPONSE_BYTES} bytes")
        return FeishuResponse(response.status, response.headers, _parse_object(response.body))

    async def _get_token(self) -> str:
        time = asyncio.get_running_loop().time
        async with self._token_lock.acquire():  # ten calls at once need one token
            if not self._token or time() >= self._token_expires_at:
                self._token, lasts_s = await self._fetch_token()
                self._token_expires_at = time() + max(lasts_s - RENEW_BEFORE_S, lasts_s / 2)
            return self._token

    async def _fetch_token(self) -> tuple[str, float]:
        body = {"app_id": self._credentials.app_id, "app_secret": self._credentials.secret}
        answer = await self._send("POST", TOKEN_PATH, {}, body)
        if code := _result_code(answer):
            raise FeishuRequestError(code)
        token, lasts_s = answer.body.get("tenant_access_token"), answer.body.get("expire", 0)
        if not isinstance(token, str) or not token or not isinstance(lasts_s, int | float):
            raise StoreError("Feishu gave no token; check FEISHU_BASE_URL")
        return token, float(lasts_s)

    def __repr__(self) -> str:
        return "FeishuClient()"


def _check_may_repeat(code: int, *, refused: int, conditional: bool) -> None:
    """Raise the error of a request that Feishu has *refused* so many times, unless it is to be repeated.

    Raises:
        FeishuRequestError: It would be refused again.
        WriteConflictError: The row that a conditional write depends on may have changed.
        BusyError: It was repeated often enough.
    """
    if code not in RATE_LIMIT_CODES | CONFLICT_CODES:
        raise FeishuRequestError(code)
    if code in CONFLICT_CODES and conditional:
        raise WriteConflictError("Somebody else wrote the table in the same instant; try again")
    if refused >= MAX_REFUSALS:
        raise BusyError(f"Feishu is too busy for this table ({code}); it will be tried again later")


def _result_code(answer: FeishuResponse) -> int:
    """Return Feishu's result code; 0 means done.

    Raises:
        NoAnswerError: There is none, or it says that the vendor's own servers do not know.
    """
    code = answer.body.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        raise NoAnswerError(f"Feishu did not answer as it should (HTTP {answer.status})")
    if code in UNCERTAIN_CODES or (answer.status >= 500 and code):
        raise NoAnswerError(f"Feishu gave up in between ({code})")
    if answer.status == 429 and code not in (0, QUOTA_EXCEEDED):
        return 99991400
    return code


def _parse_object(text: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(text or b"{}")
    except ValueError:  # an HTML page of a gateway
        return {}
    return body if isinstance(body, dict) else {}
