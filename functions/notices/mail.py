"""Sending mail: the only module that speaks SMTP, bounded in time, with TLS wherever a password goes."""

from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from functions.errors import SettingsError
from functions.notices.channel import POST_TIMEOUT_S, PostError, Sent

PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    Attributes:
        scheme: smtps is TLS from the start, smtp+starttls after a greeting, smtp none at all.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.scheme!r}, {self.host!r}, {self.port})"


def mail_server(url: str) -> MailServer:
    """Return what *url* means, such as smtps://user:password@host:465.

    Raises:
        SettingsError: It is no such address, or would send a password without TLS.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname:
        raise SettingsError(
            "SMTP_URL: give smtp+starttls://user:password@host:587 or smtps://user:password@host:465; in "
            "user and password write @ as %40, / as %2F and : as %3A"
        )
    if parts.scheme == "smtp" and parts.password:
        raise SettingsError("SMTP_URL: smtp:// would send the password for all to read; use smtp+starttls://")
    return MailServer(
        parts.scheme,
        parts.hostname,
        port or PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


async def send_mail(server: MailServer, message: EmailMessage) -> Sent:
    """Hand *message* in, once.

    Raises:
        PostError: There was no answer in time, or none at all; the message may have arrived.
    """
    import aiosmtplib  # 30 ms, and most ticks send no mail

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
        return _refused(exc.code, "the server does not take the user and password of SMTP_URL")
    except aiosmtplib.SMTPRecipientsRefused as exc:
        codes = [one.code for one in exc.recipients]
        return _refused(min(codes, default=0), "no recipient was taken; check NOTIFY_EMAIL_TO")
    except aiosmtplib.SMTPResponseException as exc:
        return _refused(exc.code, "the server refused the message; check NOTIFY_EMAIL_FROM")
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as exc:
        raise PostError(f"no answer ({type(exc).__name__})") from None  # the cause may hold the address
    return Sent(ok=True)


def _refused(code: int, hint: str) -> Sent:
    """A code from 500 on is for good, one below means that it may work later."""
    return Sent(ok=False, permanent=code >= 500, detail=f"code {code}: {hint}")
