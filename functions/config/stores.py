"""The settings of the store: its address, and the Feishu app that opens a table of tasks."""

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, SecretStr

from functions.config.types import HOST_AND_PORT, HTTP_URL, Flag, HttpUrl, SettingsGroup

BITABLE_SCHEME = "bitable://"
FILE_SCHEMES = ("sqlite:", "json:")  # the file's path is that of one machine
# What `create_store` opens: a process refuses any other address when it starts, not with its first tick.
_STORE_URLS = (
    "sqlite:///?:memory:",
    r"sqlite:///[^\r\n]*[^/\r\n]",
    r"json:///[^\r\n]*[^/\r\n]\.json",
    "bitable://[A-Za-z0-9_-]+/tbl[A-Za-z0-9_-]+",
    "firestore://([a-z0-9.-]+:)?[a-z][a-z0-9-]{1,61}[a-z0-9](/([(]default[)]|[a-z][a-z0-9-]{2,61}[a-z0-9])?)?",
)

# A file in a folder called `~` or `$HOME`, or called `x.db?mode=ro`, is not what anybody means.
_UNEXPANDED = re.compile(r"(sqlite|json)://.*(/(~|\$\w+|\$\{\w+\})/|\?\w+=)", re.ASCII)


class StoreSettings(SettingsGroup):
    """The variables of the store. Those of Feishu or Lark are used only when `store_url` names a table.

    Attributes:
        store_url: Where tasks are kept; the scheme chooses the kind of store.
        firestore_emulator_host: `host:port` of an emulator to use instead of Google.
        feishu_app_id: The app, `cli_...`; None when there is none.
        feishu_app_secret: The secret of the app; None when there is none.
        feishu_base_url: The address of the API; Lark has another one than Feishu.
        bitable_keys: Whether rows of API keys may lie in a base, which people share.
        settlements: When the document of a frequent task that succeeded once more is written: after the run,
            or with its next claim, which saves a write a run.
    """

    store_url: str = Field(
        "sqlite:///scheduler.db",
        pattern=f"^({'|'.join(_STORE_URLS)})$",
        description="sqlite:///FILE, json:///FILE.json, bitable://APP_TOKEN/TABLE_ID (tbl...) or "
        "firestore://PROJECT/DATABASE in lower case",
    )
    firestore_emulator_host: str | None = Field(None, pattern=HOST_AND_PORT, description="host:port")
    feishu_app_id: str | None = None
    feishu_app_secret: SecretStr | None = None
    feishu_base_url: HttpUrl = Field("https://open.feishu.cn", description=HTTP_URL)
    bitable_keys: Flag = Field(False, strict=True, description="1, 0, true or false")
    settlements: Literal["at_once", "deferred"] = Field("at_once", description="at_once or deferred")


def store_problems(values: Mapping[str, str]) -> list[str]:
    """Return what is no path in the address of a file, and which variables a table lacks, or cannot have."""
    url = values.get("store_url", "")
    if _UNEXPANDED.match(url):
        return [
            "STORE_URL is taken as it is: ~ and $ stand for no folder, and nothing may follow the file; "
            "write its whole path, such as sqlite:////home/ann/scheduler.db."
        ]
    if not url.startswith(BITABLE_SCHEME):
        return []
    missing = [name for name in ("feishu_app_id", "feishu_app_secret") if not values.get(name)]
    problems = [
        f"{name.upper()} is missing: bitable:// is opened with it; "
        "docs/how-to/bitable-store.md says where it is."
        for name in missing
    ]
    if values.get("settlements") == "deferred":
        problems.append("SETTLEMENTS must be at_once with bitable://: people read its rows as they are.")
    return problems
