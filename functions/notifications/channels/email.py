"""The mail channel: one message to a few recipients, as HTML and as plain text."""

import re
import ssl
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client import lower_first, request_sent
from functions.http_client.trusted import PostError, PostRequest
from functions.notifications.channel import POST_TIMEOUT_S, SendResult, recipient_key
from functions.notifications.rendering.digest import (
    LIMITS,
    LOCALE_SETTINGS,
    Locale,
    Message,
    to_plain_text,
)
from functions.notifications.rendering.formatting import WORD_JOINER, single_line
from functions.notifications.rendering.phrases import Severity

if TYPE_CHECKING:
    import aiosmtplib
    from jinja2 import Template

# Sending mail over SMTP: bounded in time, with TLS wherever a password is sent.

QUIT_TIMEOUT_S = 0.5  # for a courtesy: the mail is taken
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


async def send_mail(
    server: MailServer, message: EmailMessage, recipients: Sequence[str], *, others_have_it: bool = False
) -> "MailResult":
    """Send *message* to *recipients*, once.

    Raises:
        PostError: No response came in time; the message may have arrived.
    """
    import aiosmtplib  # takes 30 ms to import, and most ticks send no mail

    client = _create_client(server)
    request_sent.set(False)
    try:
        await client.connect()
        refused, _ = await client.send_message(message, recipients=list(recipients))
        with suppress(aiosmtplib.SMTPException):
            await client.quit(timeout=QUIT_TIMEOUT_S)
    except aiosmtplib.SMTPAuthenticationError as exc:
        hint = "the server does not accept the user and password of SMTP_URL"
        return MailResult(_failure(exc.code, hint, permanent=_is_final(exc.code, exc.message)))
    except aiosmtplib.SMTPSenderRefused as exc:
        return MailResult(_classify_sender_refusal(exc.code, exc.message))
    except aiosmtplib.SMTPRecipientsRefused as exc:
        all_refused = {one.recipient: (one.code, one.message) for one in exc.recipients}
        return _classify_refusals(all_refused, some_accepted=others_have_it)
    except aiosmtplib.SMTPDataError as exc:
        hint = "the server refused this message for its content or size"
        return MailResult(_failure(exc.code, hint, rejected=_is_final(exc.code, exc.message)))
    except aiosmtplib.SMTPResponseException as exc:
        if exc.code < 0:  # what came has no code
            raise PostError("what answered is no mail server; check SMTP_URL", is_sent=False) from None
        if isinstance(exc, aiosmtplib.SMTPConnectResponseError):
            return MailResult(_failure(exc.code, "the server takes no connection from here now"))
        return MailResult(_failure(exc.code, "the server refused the greeting, or to begin TLS"))
    except aiosmtplib.SMTPNotSupported as exc:
        return MailResult(SendResult(ok=False, permanent=True, detail=_unsupported(str(exc))))
    except (aiosmtplib.SMTPConnectError, ConnectionRefusedError, ssl.SSLCertVerificationError) as exc:
        raise PostError(_connection_problem(exc, server), is_sent=False) from None
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as exc:
        if _NO_STARTTLS in str(exc):  # the library has no error of its own for it
            return MailResult(SendResult(ok=False, permanent=True, detail=_unsupported("")))
        reason = f"no response ({type(exc).__name__})"
        raise PostError(reason, is_sent=request_sent.get()) from None  # the cause may hold the address
    finally:
        client.close()  # at once: there is no time to wait for a server
    return _classify_refusals(refused, some_accepted=True)


def _create_client(server: MailServer) -> "aiosmtplib.SMTP":
    return _client_class()(
        hostname=server.host,
        port=server.port,
        username=server.user or None,
        password=server.password or None,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        timeout=POST_TIMEOUT_S,
    )


@cache
def _client_class() -> "type[aiosmtplib.SMTP]":
    import aiosmtplib

    class Client(aiosmtplib.SMTP):
        """Notes when the message itself is sent; whatever comes before can be repeated."""

        async def data(self, *message: Any, **options: Any) -> aiosmtplib.SMTPResponse:
            request_sent.set(True)
            return await super().data(*message, **options)

    return Client


def _connection_problem(exc: Exception, server: MailServer) -> str:
    """Return why there is no connection, without the address."""
    from functions.http_client.errors import socket_error  # imports what mail does not need

    cause = exc if isinstance(exc, ssl.SSLError) else exc.__cause__
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "the port does not begin with TLS; write smtp+starttls:// in SMTP_URL"
    if isinstance(exc, TimeoutError):
        is_silent = server.scheme != "smtps"
        return "no greeting in time" + (
            "; a port that begins with TLS needs smtps:// in SMTP_URL" * is_silent
        )
    if isinstance(cause, OSError) and (cause.errno is not None or isinstance(cause, ssl.SSLError)):
        return lower_first(socket_error(cause, host="", port=server.port).reason)
    return "the connection was closed before a greeting"


@dataclass(frozen=True, slots=True)
class MailResult:
    """The result of one mail.

    Attributes:
        later: Recipients that the server may accept later, when others have the mail.
    """

    result: SendResult
    later: tuple[str, ...] = ()


_NO_STARTTLS = "STARTTLS extension not supported"
_WANTS_SIGN_IN = (530, 538)
_RELAYING = "relay"  # what servers say to a stranger who sends to an address that is not theirs
_FOR_NOW = ("2.2", "4.5")  # a full mailbox, a day's limit: the code says "never", and means "later"


def _is_final(code: int, reply: str) -> bool:
    """Whether *code* refuses for good. By RFC 3463, x.2.2 is a full mailbox, x.4.5 a limit, 4.x.x for now."""
    enhanced = str(reply).partition(" ")[0]
    is_for_now = enhanced.startswith("4.") or enhanced.partition(".")[2] in _FOR_NOW
    return code >= 500 and not is_for_now


def _failure(code: int, hint: str, *, permanent: bool = False, rejected: bool = False) -> SendResult:
    return SendResult(ok=False, permanent=permanent, rejected=rejected, detail=f"code {code}: {hint}")


def _classify_sender_refusal(code: int, reply: str) -> SendResult:
    if code == 552:
        return _failure(code, "the server refused this message for its size", rejected=True)
    if code in _WANTS_SIGN_IN:
        hint = "the server wants a user and a password, or TLS; check SMTP_URL"
    else:
        hint = "the server refused the sender; check NOTIFY_EMAIL_FROM"
    return _failure(code, hint, permanent=_is_final(code, reply))


def _classify_refusals(refused: Mapping[str, tuple[int, str]], *, some_accepted: bool = False) -> MailResult:
    """Return the result for the recipients that were *refused*, each with the server's code and reply."""
    if not refused:
        return MailResult(SendResult(ok=True))
    later = tuple(name for name, (code, reply) in refused.items() if not _is_final(code, reply))
    listed = ", ".join(f"{name} (code {code})" for name, (code, _) in refused.items())
    if not some_accepted and not later:
        is_stranger = all(
            code in _WANTS_SIGN_IN or _RELAYING in str(reply).lower() for code, reply in refused.values()
        )
        hint = (
            "the server relays for no stranger; give a user and a password in SMTP_URL"
            if is_stranger
            else "check NOTIFY_EMAIL_TO"
        )
        detail = f"no recipient was accepted: {listed}; {hint}"
        return MailResult(SendResult(ok=False, permanent=True, detail=detail))
    detail = f"not accepted for {listed}" + ("; the others have it" if some_accepted else "")
    return MailResult(SendResult(ok=not later, detail=detail), later if some_accepted else ())


def _unsupported(reason: str) -> str:
    if "UTF8" in reason.upper():
        return "the server takes no addresses with letters beyond ASCII; check NOTIFY_EMAIL_TO"
    return "the server does not offer what SMTP_URL asks for: STARTTLS, or a way to sign in"


def to_ascii_domain(address: str) -> str:
    """Return *address* with its domain in ASCII, as mail servers look it up, e.g. `a@xn--bcher-kva.example`.

    Raises:
        SettingsError: The domain is not a valid name.
    """
    user, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    import idna  # 20 ms, for the few addresses that need it

    try:
        return f"{user}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise SettingsError("NOTIFY_EMAIL_TO, NOTIFY_EMAIL_FROM: a domain is not a valid name") from None


SETTINGS = ("SMTP_URL", "NOTIFY_EMAIL_TO", "NOTIFY_EMAIL_FROM", *LOCALE_SETTINGS)
SUBJECT_CHARS = 150
NAME_CHARS = 80  # of the sender
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
    recipients = [_parse_address(one) for one in _split_addresses(settings.get("NOTIFY_EMAIL_TO", ""))]
    if not recipients or not all(recipients):
        raise SettingsError(
            "NOTIFY_EMAIL_TO: give the recipients, one address or several, separated by commas"
        )
    sender = parse_sender(settings.get("NOTIFY_EMAIL_FROM", "") or server.user)
    if not sender:
        raise SettingsError("NOTIFY_EMAIL_FROM: give the sender's address; the user of SMTP_URL is not one")
    return EmailChannel(server, sender, recipients, Locale.from_settings(settings))


class EmailChannel:
    """A few mailboxes."""

    name = "email"
    recognises_repeats = False

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str], locale: Locale) -> None:
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._locale = locale

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one mail to all recipients; what some could not get yet goes to those alone, the next time.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        lacking = notifications[0].lacking.get(self.name, ())
        recipients = [one for one in self._recipients if not lacking or recipient_key(one) in lacking]
        if not recipients:  # they are recipients no more
            return SendResult(ok=True)
        message = render(notifications, self._locale, sender=self._sender, recipients=recipients, now=now)
        sent = await send_mail(self._server, message, recipients, others_have_it=bool(lacking))
        return replace(sent.result, lacking=tuple(map(recipient_key, sent.later)))

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
    """Return the mail. The same notifications give the same Message-ID, so a repetition is recognised.

    Mails about one run of failures refer to the same id, by which mail programs put them together.
    """
    digest = locale.build_message(notifications, LIMITS[0])
    message = EmailMessage()
    message["Subject"] = _as_header(f"{digest.rows[0].icon} {digest.headline}"[:SUBJECT_CHARS])
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = _message_id([notification.id for notification in notifications], sender)
    if len(notifications) == 1 and (since := notifications[0].since):
        thread = _message_id([notifications[0].task_id, since.isoformat()], sender)
        message["In-Reply-To"] = message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies to this mail
    message.set_content(to_plain_text(digest) + "\n")
    message.add_alternative(_render_html(digest), subtype="html")
    return message


def _as_header(text: str) -> str:
    """Return *text* so that it is read as it is written.

    `email` decodes what looks like an encoded word, such as `=?utf-8?b?DQo=?=`: to line breaks, or to what
    cannot be sent at all. An invisible letter ends the likeness.
    """
    return text.replace("=?", f"={WORD_JOINER}?")


def _message_id(names: Sequence[str], sender: str) -> str:
    name = uuid.uuid5(uuid.NAMESPACE_URL, " ".join(names))
    return f"<{name}@{sender.rpartition('@')[2].removesuffix('>')}>"


def _split_addresses(text: str) -> list[str]:
    """Return the parts between commas and semicolons; mail programs write either."""
    return text.strip().rstrip(";,").replace(";", ",").split(",")


def _parse_address(text: str) -> str:
    """Return the bare address in *text*; empty when there is none."""
    address = parseaddr(text.strip())[1]
    user, at, host = address.rpartition("@")
    is_address = user and at and host and not any(character.isspace() for character in address)
    return to_ascii_domain(address) if is_address else ""


def parse_sender(text: str) -> str:
    """Return the address in *text*, after its name if it has one; empty when there is none."""
    name = re.sub(r'["\\]', "", _as_header(single_line(parseaddr(text)[0], NAME_CHARS)))
    address = _parse_address(text)
    return f'"{name}" <{address}>' if name and address else address


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
