"""The mail channel: one message to a few recipients, as HTML and as plain text."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import PostError, PostRequest
from functions.notifications.channel import POST_TIMEOUT_S, SendResult
from functions.notifications.rendering.digest import (
    LIMITS,
    LOCALE_SETTINGS,
    Locale,
    Message,
    to_plain_text,
)
from functions.notifications.rendering.phrases import Severity

if TYPE_CHECKING:
    from jinja2 import Template

# Sending mail over SMTP: bounded in time, with TLS wherever a password is sent.

DEFAULT_PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """The SMTP server that accepts the mail.

    Attributes:
        scheme: smtps is TLS from the start, smtp+starttls after the greeting, smtp without TLS.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.scheme!r}, {self.host!r}, {self.port})"


def parse_smtp_url(url: str) -> MailServer:
    """Return the server of *url*, such as smtps://user:password@host:465.

    Raises:
        SettingsError: *url* is not of that form, or would send a password without TLS.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise SettingsError(
            "SMTP_URL: give smtp+starttls://user:password@host:587 or smtps://user:password@host:465; in "
            "user and password write @ as %40, / as %2F and : as %3A"
        )
    if parts.scheme == "smtp" and parts.password:
        raise SettingsError("SMTP_URL: smtp:// would send the password unencrypted; use smtp+starttls://")
    return MailServer(
        parts.scheme,
        parts.hostname,
        port or DEFAULT_PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


async def send_mail(server: MailServer, message: EmailMessage) -> SendResult:
    """Send *message*, once.

    Raises:
        PostError: No response came in time; the message may have arrived.
    """
    import aiosmtplib  # takes 30 ms to import, and most ticks send no mail

    try:
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "smtp+starttls",
            timeout=POST_TIMEOUT_S,
        )
    except aiosmtplib.SMTPAuthenticationError as exc:
        return _failure(exc.code, "the server does not accept the user and password of SMTP_URL")
    except aiosmtplib.SMTPRecipientsRefused as exc:
        codes = [one.code for one in exc.recipients]
        return _failure(min(codes, default=0), "no recipient was accepted; check NOTIFY_EMAIL_TO")
    except aiosmtplib.SMTPResponseException as exc:
        return _failure(exc.code, "the server refused the message; check NOTIFY_EMAIL_FROM")
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as exc:
        raise PostError(f"no response ({type(exc).__name__})") from None  # the cause may hold the address
    return SendResult(ok=True)


def _failure(code: int, hint: str) -> SendResult:
    """Return the failure; a code from 500 on is permanent, a lower one may pass later."""
    return SendResult(ok=False, permanent=code >= 500, detail=f"code {code}: {hint}")


SETTINGS = ("SMTP_URL", "NOTIFY_EMAIL_TO", "NOTIFY_EMAIL_FROM", *LOCALE_SETTINGS)
SUBJECT_CHARS = 150
TEMPLATES = Path(__file__).parents[1] / "rendering" / "templates"
COLOURS: dict[Severity, str] = {
    "bad": "#b42318",
    "warning": "#b5460f",
    "good": "#1a7f4b",
    "news": "#1d5fd1",
    "calm": "#6b675f",
}


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "EmailChannel | None":
    """Return the channel; None when it is not set up. *post* is not used.

    Raises:
        SettingsError: The server's address is wrong, or a recipient or the sender is missing.
    """
    url = settings.get("SMTP_URL", "").strip()
    if not url:
        return None
    server = parse_smtp_url(url)
    recipients = [_parse_address(one) for one in settings.get("NOTIFY_EMAIL_TO", "").split(",")]
    if not recipients or not all(recipients):
        raise SettingsError(
            "NOTIFY_EMAIL_TO: give the recipients, one address or several, separated by commas"
        )
    sender = _parse_address(settings.get("NOTIFY_EMAIL_FROM", "") or server.user)
    if not sender:
        raise SettingsError("NOTIFY_EMAIL_FROM: give the sender's address; the user of SMTP_URL is not one")
    return EmailChannel(server, sender, recipients, Locale.from_settings(settings))


class EmailChannel:
    """A few mailboxes."""

    name = "email"

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str], locale: Locale) -> None:
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._locale = locale

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one mail to all recipients.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        message = render(
            notifications, self._locale, sender=self._sender, recipients=self._recipients, now=now
        )
        return await send_mail(self._server, message)

    def __repr__(self) -> str:
        return "EmailChannel()"


def render(
    notifications: Sequence[Notification],
    locale: Locale,
    *,
    sender: str,
    recipients: Sequence[str],
    now: datetime,
) -> EmailMessage:
    """Return the mail. The same notifications give the same Message-ID, so a repetition is recognised."""
    digest = locale.build_message(notifications, LIMITS[0])
    message = EmailMessage()
    message["Subject"] = f"{digest.rows[0].icon} {digest.headline}"[:SUBJECT_CHARS]
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = _message_id(notifications, sender)
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies to this mail
    message.set_content(to_plain_text(digest) + "\n")
    message.add_alternative(_render_html(digest), subtype="html")
    return message


def _message_id(notifications: Sequence[Notification], sender: str) -> str:
    name = uuid.uuid5(uuid.NAMESPACE_URL, " ".join(notification.id for notification in notifications))
    return f"<{name}@{sender.rpartition('@')[2]}>"


def _parse_address(text: str) -> str:
    """Return the bare address in *text*; empty when there is none."""
    address = parseaddr(text.strip())[1]
    user, at, host = address.rpartition("@")
    is_address = user and at and host and not any(character.isspace() for character in address)
    return address if is_address else ""


def _render_html(message: Message) -> str:
    return _load_template().render(message=message, colours=COLOURS)


@cache
def _load_template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only a tick that sends mail needs it

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("mail.html")
