"""The HTTP door of the local Feishu: lets callers in, remembers what they asked, answers as the vendor."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from tests.fakes.bitable import records, schema
from tests.fakes.bitable.call import Call, Data, Limits, is_uuid4
from tests.fakes.bitable.faults import Mishaps
from tests.fakes.bitable.rates import PUBLISHED, Rates
from tests.fakes.bitable.refusals import Refusal, as_json
from tests.fakes.bitable.tables import BLANK_ROWS, Base, Ids
from tests.fakes.bitable.tokens import Tokens

AUTH = "/open-apis/auth/v3/tenant_access_token/internal"
APPS = "/open-apis/bitable/v1/apps"
DEFAULT_FIELDS = {"文本": 1, "单选": 3, "日期": 5}
STANDARD = Limits()
STRICT = "/records/batch_get"  # its page has statuses of its own
REPEATABLE = {"POST /fields", "POST /records/batch_create", "POST /records/batch_update"}

READS: Mapping[str, Callable[[Call], Data]] = {
    "GET /tables": schema.list_tables,
    "GET /fields": schema.list_fields,
    "POST /records/search": records.search,
    "POST /records/batch_get": records.batch_get,
}
WRITES: Mapping[str, Callable[[Call], Data]] = {
    "POST /tables": schema.create_table,
    "POST /fields": schema.create_field,
    "POST /records/batch_create": records.batch_create,
    "POST /records/batch_update": records.batch_update,
    "POST /records/batch_delete": records.batch_delete,
}


@dataclass(frozen=True)
class Asked:
    """A request as the wire saw it; *body* is JSON, None where there was none or it was no JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any


class FakeBitable(Mishaps):
    """Feishu's documents of many tables, on loopback.

    Args:
        clock: The vendor's clock; tests move it.
        app_secret: What the app proves itself with.
        limits: How much one call may hold.

    Attributes:
        requests: All that was asked, oldest first.
        latency_s: How long each call takes; a write is under way for so long.
        reads_conflict: Whether reading meets a conflict too, while a write is under way.
        repeat_code: What a `client_token` that comes again meets; 0 for the first answer once more.
        throttle_status: The HTTP status of calls that are too many; older calls say 400.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        app_id: str = "cli_fake0123456789ab",
        app_secret: str = "canary-secret-of-the-app",
        limits: Limits = STANDARD,
    ) -> None:
        super().__init__()
        self.clock, self.app_id, self.app_secret, self.limits = clock, app_id, app_secret, limits
        self.bases: dict[str, Base] = {}
        self.requests: list[Asked] = []
        self.latency_s = 0.0
        self.reads_conflict = False
        self.repeat_code = 0
        self.throttle_status = 429
        self._ids = Ids()
        self._tokens = Tokens(clock)
        self._rates = Rates(clock)
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, or did last, without a slash at the end."""
        assert self._port, "start it first"
        return f"http://127.0.0.1:{self._port}"

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

    async def start(self, port: int = 0) -> Self:
        """Listen on loopback, if need be again; port 0 takes any free one."""
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post(AUTH, self._answer)
        app.router.add_route("*", APPS + "/{app_token}/tables", self._answer)
        app.router.add_route("*", APPS + "/{app_token}/tables/{table_id}{call:/.+}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def close(self) -> None:
        """Stop listening; what hangs is cut."""
        self._closing.set()
        self.open_gates()
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
        fault = self.next_fault(asked.path)
        if fault and not fault.after_applying:
            return await fault.strike(request, self._closing)
        try:
            data = await self._done(request, asked)
        except Refusal as no:
            return web.json_response(
                as_json(no.code, no.msg, no.detail), status=self._status(asked, no), headers=no.headers
            )
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
        call = Call(base, table, asked.query, asked.body, self.limits)
        return {"code": 0, "msg": "success", "data": await self._carried_out(name, call, asked.path)}

    async def _carried_out(self, name: str, call: Call, path: str) -> Data:
        """What the call comes to, after as long as it takes. A write that is begun is not given up."""
        if call.written.writers and (name in WRITES or self.reads_conflict):
            raise Refusal(1254291)
        if name in READS:
            await self._pause(path)
            return READS[name](call)
        if call.base.advanced_permissions:
            raise Refusal(1254302)
        with call.written.being_written():
            await self._pause(path)
            return self._once(name, call)

    async def _pause(self, path: str) -> None:
        await asyncio.sleep(self.latency_s)
        await self.pass_gate(path)

    def _once(self, name: str, call: Call) -> Data:
        """Carry a write out, unless its `client_token` says that it was."""
        token = call.query.get("client_token", "")
        if not token or name not in REPEATABLE:
            return WRITES[name](call)
        if not is_uuid4(token):
            raise Refusal(1254037)
        answers = call.table.answers
        asked, answer = answers.get(token, (None, {}))
        if asked is None:
            answers[token] = ((name, call.given), WRITES[name](call))
            return answers[token][1]
        if self.repeat_code or asked != (name, call.given):
            raise Refusal(self.repeat_code or 1255006)
        return answer

    def _status(self, asked: Asked, no: Refusal) -> int:
        if no.code == 99991400:
            return self.throttle_status
        return no.strict_status if asked.path.endswith(STRICT) else no.status

    def _base(self, app_token: str) -> Base:
        base = self.bases.get(app_token)
        if base is None:
            raise Refusal(1254040)
        if not base.collaborator:
            raise Refusal(91403)
        return base

    def _authenticated(self, asked: Asked) -> Data:
        body = asked.body if isinstance(asked.body, dict) else {}
        if not all(isinstance(body.get(name), str) for name in ("app_id", "app_secret")):
            raise Refusal(10003)
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
