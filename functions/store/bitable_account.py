"""Who asks Feishu, for which base, within which bounds; what is secret in it never shows."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from functions.errors import SettingsError

FEISHU = "https://open.feishu.cn"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class FeishuApp:
    """The app that a base was shared with.

    Attributes:
        secret: What it gets its tokens with.
        base_url: Where the API is asked: Feishu, Lark, or a stand-in on this machine.
    """

    app_id: str
    secret: str = field(repr=False)
    base_url: str = FEISHU


@dataclass(frozen=True, slots=True)
class Address:
    """A table of tasks.

    Attributes:
        app_token: The base; who has it and an app's secret can open it.
    """

    app_token: str = field(repr=False)
    table_id: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long things may take, and how long they are waited for.

    Attributes:
        call_within_s: One call to Feishu.
        answer_within_s: One question to the store, with all the calls it takes.
        set_up_within_s: Setting a base up: some sixty calls.
        gap_s: Between two writes of one table, as the vendor's own tools leave.
        lease: Of the pinger's lock: renewed at every second or third ping of one a minute, and how long
            others wait when a process has died.
        settle_s: What a name in the lock may take to arrive, and how long taking it waits.
    """

    call_within_s: float = 8.0
    answer_within_s: float = 30.0
    set_up_within_s: float = 120.0
    gap_s: float = 0.6
    lease: timedelta = timedelta(seconds=150)
    settle_s: float = 1.5


USUAL = Bounds()


def json_alone(text: str) -> Any:
    """Read no text besides JSON."""
    raise ValueError("this is not JSON")


@dataclass(frozen=True, slots=True)
class Reading:
    """How people's cells are to be understood.

    Attributes:
        text: Reads a cell's text that is not JSON as values; raises ValueError, with a reason for a person,
            when it cannot.
        timezone: Of a new row that names none.
    """

    text: Callable[[str], Any] = json_alone
    timezone: str = "UTC"


PLAIN = Reading()


def random_name() -> str:
    """A fresh name: 64 random bits."""
    return secrets.token_hex(8)


def address(rest: str) -> Address:
    """The table that `bitable://REST` names.

    Raises:
        SettingsError: It names none; the text does not repeat it.
    """
    app_token, _, table_id = rest.partition("/")
    if not _TOKEN.fullmatch(app_token) or not _TOKEN.fullmatch(table_id) or not table_id.startswith("tbl"):
        raise SettingsError(
            "STORE_URL: names no table; write bitable://APP_TOKEN/TABLE_ID, where APP_TOKEN stands behind "
            "/base/ in the table's address and TABLE_ID (tbl...) behind ?table="
        )
    return Address(app_token, table_id)
