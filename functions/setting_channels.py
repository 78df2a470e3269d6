"""Settings of the channels of notices: which there are, and what may be in them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from functions.setting_kinds import ADDRESS, Address, Names, SecretAddress


class ChannelSettings(BaseModel):
    """What channels are told, and nothing else is: each checks the rest of its own when it is opened.

    Attributes:
        webhook_secret_previous: The key being retired; messages are signed with both.
        notify_email_to: Who gets mail.
        notify_email_from: The sender; None for the user of `smtp_url`, if that is an address.
        public_url: Where people reach this service, for links in notices; None when nobody said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    feishu_webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    feishu_webhook_secret: SecretStr | None = None
    slack_webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    discord_webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    telegram_bot_token: SecretStr | None = None
    telegram_chat_id: str | None = None
    teams_webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    smtp_url: SecretStr | None = None
    notify_email_to: Names = ()
    notify_email_from: str | None = None
    pagerduty_routing_key: SecretStr | None = None
    ntfy_url: SecretAddress | None = Field(None, description=ADDRESS)
    ntfy_token: SecretStr | None = None
    apprise_urls: SecretStr | None = None
    webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    webhook_secret: SecretStr | None = None
    webhook_secret_previous: SecretStr | None = None
    notice_language: Literal["en", "zh"] = Field("en", description="en or zh")
    public_url: Address | None = Field(None, description=ADDRESS)

    def channel_settings(self) -> dict[str, str]:
        """The variables that set up the channels of notices, as in the environment; only those set."""
        found = {name.upper(): plain(getattr(self, name)) for name in ChannelSettings.model_fields}
        return {name: value for name, value in found.items() if value}


def plain(value: SecretStr | str | tuple[str, ...] | None) -> str:
    """*value* as its variable holds it; empty for None."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else value or ""
