"""The HTTP door of the local Feishu: lets callers in, remembers what they asked, answers as the vendor."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from tests.fakes.bitable import calls
from tests.fakes.bitable.calls import Call, Data
from tests.fakes.bitable.faults import Fault, Gate, Kind, Mishaps
from tests.fakes.bitable.rates import PUBLISHED, Rates
from tests.fakes.bitable.refusals import Refusal
from tests.fakes.bitable.tables import BLANK_ROWS, Base, Ids
from tests.fakes.bitable.tokens import Tokens

AUTH = "/open-apis/auth/v3/tenant_access_token/internal"
APPS = "/open-apis/bitable/v1/apps"
DEFAULT_FIELDS = {"文本": 1, "单选": 3, "日期": 5}

READS: Mapping[str, Callable[[Call], Data]] = {
    "GET /tables": calls.list_tables,
    "GET /fields": calls.list_fields,
    "POST /records/search": calls.search,
    "POST /records/batch_get": calls.batch_get,
}
WRITES: Mapping[str, Callable[[Call], Data]] = {
    "POST /tables": calls.create_table,
    "POST /fields": calls.create_field,
    "POST /records/batch_create": calls.batch_create,
    "POST /records/batch_update": calls.batch_update,
    "POST /records/batch_delete": calls.batch_delete,
}


@dataclass(frozen=True)
class Asked:
    """A request as the wire saw it; *body* is JSON, None where there was none or it was no JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any


class FakeBitable:
    """Feishu's documents of many tables, on loopback.

    Args:
        clock: The vendor's clock; tests move it.
        app_secret: What the app proves itself with.

    Attributes:
        requests: All that was asked, oldest first.
        latency_s: How long each call takes; a write is under way for so long.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        app_id: str = "cli_fake0123456789ab",
        app_secret: str = "canary-secret-of-the-app",
    ) -> None:
        self.clock, self.app_id, self.app_secret = clock, app_id, app_secret
        self.bases: dict[str, Base] = {}
        self.requests: list[Asked] = []
        self.latency_s = 0.0
        self._ids = Ids()
        self._tokens = Tokens(clock)
        self._rates = Rates(clock)
        self._mishaps = Mishaps()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        assert self._runner is not None, "start it first"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def add_base(
        self, app_token: str = "", *, zone: str = "Asia/Shanghai", blank_rows: int = BLANK_ROWS
    ) -> Base:
        """Make a document in the app, with its default table."""
        base = Base(app_token or self._ids("bascn"), self.clock, self._ids, zone=zone)
        base.add_table("数据表", DEFAULT_FIELDS, blank_rows=blank_rows)
        self.bases[base.app_token] = base
        return base

    def asked(self, path_part: str) -> list[Asked]:
        """The requests with *path_part* in their path, oldest first."""
        return [one for one in self.requests if path_part in one.path]

    def revoke_tokens(self) -> None:
        """From now on every token handed out so far is refused."""
        self._tokens.revoke()

    def limit_rates(self, limits: Mapping[str, int] = PUBLISHED) -> None:
        """Refuse what is asked more often in a second; by the vendor's own limits if none are given."""
        self._rates.limits = dict(limits)

    def fail_next(
        self,
        path_part: str,
        *,
        code: int = 1255040,
        status: int | None = None,
        msg: str = "",
        after_applying: bool = False,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """Answer the next call with *path_part* in its path with an error; with *text* as a gateway would.

        The status and the words are those the vendor has for *code*, where they are not given.
        """
        no = Refusal(code)
        answer = {"code": code, "msg": msg or no.msg, "error": {"message": msg or no.msg, "log_id": "2026"}}
        fault = Fault(
            path_part,
            Kind.FAIL,
            after_applying=after_applying,
            status=no.status if status is None else status,
            answer=answer,
            text=text,
            headers=headers or {},
        )
        self._mishaps.add(fault, times)

    def hang_next(self, path_part: str, *, after_applying: bool = False, times: int = 1) -> None:
        """Never answer the next call with *path_part* in its path."""
        self._mishaps.add(Fault(path_part, Kind.HANG, after_applying=after_applying), times)

    def drop_next(self, path_part: str, *, after_applying: bool = False, times: int = 1) -> None:
        """Cut the connection of the next call with *path_part* in its path."""
        self._mishaps.add(Fault(path_part, Kind.DROP, after_applying=after_applying), times)

    def hold_next(self, path_part: str) -> Gate:
        """Hold the next call with *path_part* in its path just before it is carried out, until released.

        A write that is held is under way: others meet a conflict.
        """
        return self._mishaps.hold(path_part)

    async def start(self, port: int = 0) -> Self:
        """Listen on loopback; port 0 takes any free one."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post(AUTH, self._answer)
        app.router.add_route("*", APPS + "/{app_token}/tables", self._answer)
        app.router.add_route("*", APPS + "/{app_token}/tables/{table_id}{call:/.+}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return self

    async def close(self) -> None:
        """Stop listening; what hangs is cut."""
        self._closing.set()
        self._mishaps.open()
        if self._runner is not None:
            await self._runner.cleanup()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Self]:
        """Listen inside."""
        await self.start(port)
        try:
            yield self
        finally:
            await self.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.path, dict(request.query), _json(await request.read()))
        self.requests.append(asked)
        fault = self._mishaps.fault(asked.path)
        if fault and not fault.after_applying:
            return await fault.strike(request, self._closing)
        try:
            data = await self._done(request, asked)
        except Refusal as no:
            answer = {"code": no.code, "msg": no.msg, "error": {"message": no.detail, "log_id": "2026"}}
            return web.json_response(answer, status=no.status, headers=no.headers)
        if fault:
            return await fault.strike(request, self._closing)
        return web.json_response(data)

    async def _done(self, request: web.Request, asked: Asked) -> Data:
        """The whole answer.

        1. Know the app.
        2. See that it does not ask too often.
        3. Find the base and the table, and whether it may open them.
        4. Carry it out, one write of a table at a time.
        """
        if request.path == AUTH:
            return self._authenticated(asked)
        self._check_token(request)
        where = request.match_info
        name = f"{asked.method} {where.get('call', '/tables')}"
        if name not in READS and name not in WRITES:
            raise web.HTTPNotFound(text="404 page not found")
        self._rates.count(name)
        base = self._base(where["app_token"])
        table = base.tables.get(where["table_id"]) if "table_id" in where else None
        if "table_id" in where and table is None:
            raise Refusal(1254041)
        call = Call(base, table, asked.query, asked.body)
        return {"code": 0, "msg": "success", "data": await self._carried_out(name, call, asked.path)}

    async def _carried_out(self, name: str, call: Call, path: str) -> Data:
        if name in READS:
            await asyncio.sleep(self.latency_s)
            await self._mishaps.gate(path)
            return READS[name](call)
        if call.written.writers:
            raise Refusal(1254291)
        with call.written.being_written():
            await asyncio.sleep(self.latency_s)
            await self._mishaps.gate(path)
            return WRITES[name](call)

    def _base(self, app_token: str) -> Base:
        base = self.bases.get(app_token)
        if base is None:
            raise Refusal(1254040)
        if not base.collaborator:
            raise Refusal(91403)
        return base

    def _authenticated(self, asked: Asked) -> Data:
        body = asked.body or {}
        if (body.get("app_id"), body.get("app_secret")) != (self.app_id, self.app_secret):
            raise Refusal(10014)
        token, left_s = self._tokens.hand_out()
        return {"code": 0, "msg": "ok", "tenant_access_token": token, "expire": left_s}

    def _check_token(self, request: web.Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not token:
            raise Refusal(99991661)
        if not self._tokens.good(token):
            raise Refusal(99991663)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
