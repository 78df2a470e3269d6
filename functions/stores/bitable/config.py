"""Credentials, table, time limits and error codes of the Bitable store."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from functions.errors import SettingsError, StoreError, StoreUnavailableError

FEISHU_BASE_URL = "https://open.feishu.cn"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class FeishuCredentials:
    """The app that a base was shared with.

    Attributes:
        secret: What it gets its tokens with.
        base_url: Where the API is asked: Feishu, Lark, or a stand-in on this machine.
    """

    app_id: str
    secret: str = field(repr=False)
    base_url: str = FEISHU_BASE_URL


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table of tasks.

    Attributes:
        app_token: The base; who has it and an app's secret can open it.
    """

    app_token: str = field(repr=False)
    table_id: str


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long things may take, and how long they are waited for.

    Attributes:
        call_s: One call to Feishu.
        operation_s: One call of the store, with all the requests it takes.
        setup_s: Setting a base up: some sixty calls.
        write_gap_s: Between two writes of one table, as the vendor's own tools leave.
        lease: The shortest lease: at one tick a minute it is renewed at every second or third tick; other
            processes wait that long when its holder has died.
        settle_s: What a name in the lock may take to arrive, and how long taking it waits.
    """

    call_s: float = 8.0
    operation_s: float = 30.0
    setup_s: float = 120.0
    write_gap_s: float = 0.6
    lease: timedelta = timedelta(seconds=150)
    settle_s: float = 1.5


DEFAULT_TIMEOUTS = Timeouts()


def parse_json_only(text: str) -> Any:
    """Read no text besides JSON."""
    raise ValueError("this is not JSON")


@dataclass(frozen=True, slots=True)
class CellParser:
    """How cells that users wrote are parsed.

    Attributes:
        parse_text: Reads a cell's text that is not JSON as values; raises ValueError, with a reason for
            the user, when it cannot.
        timezone: Of a new row that names none.
    """

    parse_text: Callable[[str], Any] = parse_json_only
    timezone: str = "UTC"


DEFAULT_CELL_PARSER = CellParser()


def random_id() -> str:
    """A fresh name: 64 random bits."""
    return secrets.token_hex(8)


def parse_table_ref(location: str) -> TableRef:
    """The table that `bitable://REST` names.

    Raises:
        SettingsError: It names none; the text does not repeat it.
    """
    app_token, _, table_id = location.partition("/")
    if not _TOKEN.fullmatch(app_token) or not _TOKEN.fullmatch(table_id) or not table_id.startswith("tbl"):
        raise SettingsError(
            "STORE_URL: names no table; write bitable://APP_TOKEN/TABLE_ID, where APP_TOKEN stands behind "
            "/base/ in the table's address and TABLE_ID (tbl...) behind ?table="
        )
    return TableRef(app_token, table_id)


# -- error codes of Feishu as StoreErrors with a remedy -------------------------------------

STALE_TOKEN_CODES = frozenset({99991661, 99991663, 99991664, 99991668, 99991671, 99991677})
RATE_LIMIT_CODES = frozenset({99991400, 1254290})
CONFLICT_CODES = frozenset({1254291, 1254607, 1255005})  # another write of this table is under way
UNCERTAIN_CODES = frozenset(
    {1255001, 1255002, 1255003, 1255004, 1255040}
)  # its own servers gave up in between
RECORD_MISSING = 1254043  # a record of the batch does not exist; nothing of the batch was done
TABLE_FULL = 1254103
CELL_TOO_LARGE = 1254130  # a cell of one row would be
QUOTA_EXCEEDED = 99991403

SETUP_HINT = "run `scheduler bitable setup`, which names what is wrong and makes what is missing"
SHARE_HINT = (
    "add the app to the base (... > More > Add document app) with the right to manage it; with advanced "
    "permissions it must be a manager"
)
CREDENTIALS_HINT = (
    "check FEISHU_APP_ID and FEISHU_APP_SECRET (and FEISHU_BASE_URL: Lark is https://open.larksuite.com)"
)
SCOPE_HINT = "give the app the scope bitable:app in the developer console, and publish a version of it"
BASE_HINT = (
    "check STORE_URL: APP_TOKEN stands behind /base/ in the table's address; a base inside a wiki has "
    "another one, see docs/how-to/bitable-store.md"
)
COLUMN_TYPE_HINT = f"a column has another type than it should have; {SETUP_HINT}"

REMEDIES: Mapping[int, str] = {
    10003: CREDENTIALS_HINT,
    10012: CREDENTIALS_HINT,
    10014: CREDENTIALS_HINT,
    10015: CREDENTIALS_HINT,
    91402: BASE_HINT,
    91403: SHARE_HINT,
    1254003: BASE_HINT,
    1254004: BASE_HINT,
    1254040: BASE_HINT,
    1254041: f"check TABLE_ID in STORE_URL; or {SETUP_HINT}",
    1254045: f"a column is missing; {SETUP_HINT}",
    1254015: COLUMN_TYPE_HINT,
    **dict.fromkeys(range(1254060, 1254069), COLUMN_TYPE_HINT),
    1254103: "the table is full (20,000 rows); remove rows, or move to Firestore",
    1254104: "more rows at once than it takes",
    1254130: "a cell would hold more than 100,000 characters; make the task's notes or params smaller",
    1254301: SHARE_HINT,
    1254302: SHARE_HINT,
    1254303: SHARE_HINT,
    1254304: SHARE_HINT,
    99991403: (
        "this month's calls of the free edition (10,000) are used up; ping less often, or upgrade: "
        "docs/how-to/bitable-store.md has the arithmetic"
    ),
    99991672: SCOPE_HINT,
    99991679: SCOPE_HINT,
}


class NoAnswerError(StoreUnavailableError):
    """No usable answer; the call may have been done all the same."""


class BusyError(StoreUnavailableError):
    """Feishu would not do it now; nothing was done."""


class WriteConflictError(BusyError):
    """Another client wrote the table at the same instant; nothing was done. Earlier reads may be stale."""


class FeishuRequestError(StoreError):
    """Feishu will not do it; nothing was done.

    Attributes:
        code: The vendor's number for why.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"Feishu refused the call ({code}): {REMEDIES.get(code, _UNKNOWN_CODE_HINT)}")
        self.code = code


@asynccontextmanager
async def limit_time(seconds: float) -> AsyncIterator[None]:
    """Bound everything inside by the time one question may take.

    Raises:
        NoAnswerError: It took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise NoAnswerError(f"Feishu took longer than {seconds:g} s in all") from None


_UNKNOWN_CODE_HINT = "look the number up at https://open.feishu.cn/document, page 'error codes'"
