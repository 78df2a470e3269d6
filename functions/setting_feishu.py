"""Settings of the Feishu app that a table of tasks was shared with."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from functions.setting_kinds import ADDRESS, Address

SCHEME = "bitable://"


class FeishuSettings(BaseModel):
    """How a table of Feishu, or Lark, is opened; of use only where `store_url` names one.

    Attributes:
        feishu_app_id: The app, `cli_...`; None when there is none.
        feishu_app_secret: What it gets its tokens with; None when there is none.
        feishu_base_url: Where the API is asked: Lark has another address than Feishu.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    feishu_app_id: str | None = None
    feishu_app_secret: SecretStr | None = None
    feishu_base_url: Address = Field("https://open.feishu.cn", description=ADDRESS)


def feishu_faults(values: Mapping[str, str]) -> list[str]:
    """What is missing for a table to be opened."""
    if not values.get("store_url", "").startswith(SCHEME):
        return []
    missing = [name for name in ("feishu_app_id", "feishu_app_secret") if not values.get(name)]
    return [
        f"{name.upper()} is missing: bitable:// is opened with it; docs/bitable-store.md says where it is."
        for name in missing
    ]


def base_token(store_url: str) -> str:
    """The part of *store_url* that opens a base; empty when there is none."""
    return store_url.removeprefix(SCHEME).partition("/")[0] if store_url.startswith(SCHEME) else ""
