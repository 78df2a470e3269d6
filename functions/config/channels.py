"""The settings of notification channels."""

from typing import Literal

from pydantic import Field, SecretStr

from functions.config.types import (
    HTTP_URL,
    ONE_WORD,
    OWN_URL,
    NameList,
    OwnUrl,
    SecretHttpUrl,
    SettingsGroup,
    Token,
)


class ChannelSettings(SettingsGroup):
    """The variables of notification channels. A channel checks its own further when it is created.

    Attributes:
        smtp_url: The mail server, with the user and the password.
        webhook_secret_previous: The key being retired; messages are signed with both.
        notify_email_to: The recipients of mail.
        notify_email_from: The sender; None for the user of `smtp_url`, if that is an address.
        notice_language: The language of notifications and of the dashboard.
        public_url: The address of this service for links in notifications; None for no links.
    """

    feishu_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    feishu_webhook_secret: SecretStr | None = None
    dingtalk_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    dingtalk_secret: SecretStr | None = None
    wecom_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    slack_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    discord_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    telegram_bot_token: Token | None = Field(None, description=ONE_WORD)
    telegram_chat_id: str | None = None
    teams_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    smtp_url: SecretStr | None = None
    notify_email_to: NameList = ()
    notify_email_from: str | None = None
    pagerduty_routing_key: Token | None = Field(None, description=ONE_WORD)
    ntfy_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    ntfy_token: Token | None = Field(None, description=ONE_WORD)
    apprise_urls: SecretStr | None = None
    webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    webhook_secret: SecretStr | None = None
    webhook_secret_previous: SecretStr | None = None
    notice_language: Literal["en", "zh"] = Field("en", description="en or zh")
    public_url: OwnUrl | None = Field(None, description=OWN_URL)
