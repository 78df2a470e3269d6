"""Calls to one base: with a token that is renewed, bounded in time and in tries, errors as ours."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from functions.errors import StoreError
from functions.stores.bitable.config import (
    CONFLICT,
    MAYBE_DONE,
    QUOTA,
    STALE_TOKEN,
    TOO_OFTEN,
    Address,
    Busy,
    Conflict,
    FeishuApp,
    RefusedError,
    Unanswered,
)
from functions.stores.bitable.http import FeishuResponse, Line

# One at a time in this process, whichever loop it runs.


class Turns:
    """One at a time in this process: between reading a guard and writing, say, nobody else here writes.

    Build it anywhere. A process that runs one loop after another has a lock of each.
    """

    def __init__(self) -> None:
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def one(self) -> asyncio.Lock:
        """The running loop's lock."""
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock


log = logging.getLogger(__name__)

AUTH = "/open-apis/auth/v3/tenant_access_token/internal"
APPS = "/open-apis/bitable/v1/apps"
RENEW_BEFORE_S = 600.0  # as the vendor's own library; a token lives two hours
TRIES = 5  # at a call that is refused for now
LOST = 2  # tries at a call that is not answered
LONGEST_WAIT_S = 5.0  # no rate limit of Feishu's is reset later
LEAST_WAIT_S = 0.02

Data = Mapping[str, Any]


class Calls:
    """Makes calls to the base of *address* as *app*. Building it opens nothing, so it survives a fork.

    Args:
        within_s: What one try may take.
        again_s: The wait before a try after a conflict; longer before each later one.
    """

    def __init__(self, app: FeishuApp, address: Address, *, within_s: float, again_s: float) -> None:
        self._app = app
        self._base = f"{APPS}/{address.app_token}"
        self._line = Line(app.base_url)
        self._within_s = within_s
        self._again_s = max(again_s, LEAST_WAIT_S)
        self._token = ""
        self._good_until = 0.0  # in the time that all loops of a process share
        self._asking = Turns()

    async def get(self, path: str, query: Mapping[str, Any]) -> Data:
        """Read *path* of the base; errors as from `post`."""
        return await self._patiently(lambda: self._once("GET", path, query, None), tries=LOST)

    async def post(
        self,
        path: str,
        body: Any,
        *,
        query: Mapping[str, Any],
        repeatable: bool = True,
        guarded: bool = False,
    ) -> Data:
        """Post *body* to *path* of the base; return the data of the answer.

        Args:
            repeatable: Whether asking twice is asking once: it is then asked again after a lost answer.
            guarded: Whether it is right only as long as nobody else writes; it is then not asked again
                after a conflict.

        Raises:
            Unanswered: It may have been done.
            Conflict: Somebody else wrote; nothing was done.
            Busy: Feishu would not do it now; nothing was done.
            RefusedError: Feishu will not do it; nothing was done.
        """
        tries = LOST if repeatable else 1
        return await self._patiently(
            lambda: self._once("POST", path, query, body), tries=tries, guarded=guarded
        )

    async def pause(self, number: int) -> None:
        """Wait before the try after the *number*-th conflict."""
        await asyncio.sleep(self._again_s * number)

    async def close(self) -> None:
        """Release connections."""
        await self._line.close()

    async def _patiently(
        self, ask: Callable[[], Awaitable[FeishuResponse]], *, tries: int, guarded: bool = False
    ) -> Data:
        """What *ask* brings, asked again as long as that is of use."""
        lost, renewed = 0, False
        refused = 0
        while True:
            try:
                answer = await ask()
                code = _code(answer)
            except Unanswered:
                lost += 1
                if lost >= tries:
                    raise
                continue
            if code == 0:
                data = answer.body.get("data")
                return data if isinstance(data, dict) else {}
            if code in STALE_TOKEN and not renewed:
                renewed, self._token = True, ""
                continue
            refused += 1
            if lost:  # the first try may have been the one that was done
                raise Unanswered(f"Feishu did not answer, and then refused ({code})")
            if code not in TOO_OFTEN | CONFLICT:
                raise RefusedError(code)
            if code in CONFLICT and guarded:
                raise Conflict("Somebody else wrote the table in the same instant; try again")
            if refused >= TRIES:
                raise Busy(f"Feishu is too busy for this table ({code}); it will be tried again later")
            await asyncio.sleep(self._pause_s(answer, code, refused))

    def _pause_s(self, answer: FeishuResponse, code: int, refused: int) -> float:
        if code in CONFLICT:
            return self._again_s * refused
        try:
            reset_s = float(answer.headers.get("x-ogw-ratelimit-reset", "1"))
        except ValueError:
            reset_s = 1.0
        log.warning("feishu_calls_too_often", extra={"wait_s": reset_s})
        return min(max(reset_s, LEAST_WAIT_S), LONGEST_WAIT_S)

    async def _once(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> FeishuResponse:
        token = await self._current_token()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
        full = f"{self._base}{path}{'?' + urlencode(query) if query else ''}"
        return await self._line.exchange(method, full, headers=headers, body=body, within_s=self._within_s)

    async def _current_token(self) -> str:
        time = asyncio.get_running_loop().time
        async with self._asking.one():  # ten calls at once need one token
            if not self._token or time() >= self._good_until:
                self._token, lasts_s = await self._fresh_token()
                self._good_until = time() + max(lasts_s - RENEW_BEFORE_S, lasts_s / 2)
            return self._token

    async def _fresh_token(self) -> tuple[str, float]:
        body = {"app_id": self._app.app_id, "app_secret": self._app.secret}
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = await self._line.exchange("POST", AUTH, headers=headers, body=body, within_s=self._within_s)
        if code := _code(answer):
            raise RefusedError(code)
        token, lasts_s = answer.body.get("tenant_access_token"), answer.body.get("expire", 0)
        if not isinstance(token, str) or not token or not isinstance(lasts_s, int | float):
            raise StoreError("Feishu gave no token; check FEISHU_BASE_URL")
        return token, float(lasts_s)

    def __repr__(self) -> str:
        return "Calls()"


def _code(answer: FeishuResponse) -> int:
    """The vendor's number for what became of it; 0 means done.

    Raises:
        Unanswered: There is none, or it says that the vendor's own servers do not know.
    """
    code = answer.body.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        raise Unanswered(f"Feishu did not answer as it should (HTTP {answer.status})")
    if code in MAYBE_DONE or (answer.status >= 500 and code):
        raise Unanswered(f"Feishu gave up in between ({code})")
    if answer.status == 429 and code not in (0, QUOTA):
        return 99991400
    return code
