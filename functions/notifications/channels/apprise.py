"""The apprise channel: services without a channel of their own, through the library of that name.

The library is an extra (`requirements-apprise.txt`), loaded when the first message is sent. Of its schemes
those of messaging services are allowed; none that runs a program, writes to this machine, or posts to an
arbitrary address (`WEBHOOK_URL` is for that).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import PostRequest
from functions.notifications.channel import POST_TIMEOUT_S, SendResult, recipient_key
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Limits,
    Locale,
    render_fullest,
    to_plain_text,
)
from functions.notifications.rendering.formatting import defuse_links, truncate

SETTINGS = ("APPRISE_URLS", *LOCALE_SETTINGS)
SCHEMES = frozenset(
    {
        *("bark", "barks", "chanify", "fcm", "flock", "gchat", "gotify", "gotifys", "guilded"),
        *("hassio", "hassios", "ifttt", "join", "kodi", "lametric", "line", "mailgun", "mastodon"),
        *("mastodons", "matrix", "matrixs", "mmost", "mmosts", "ncloud", "nclouds", "nctalk", "nctalks"),
        *("ntfy", "ntfys", "o365", "onesignal", "opsgenie", "pagerduty", "pbul", "pover", "prowl", "pushed"),
        *("pushplus", "pushy", "rocket", "rockets", "sendgrid", "ses", "signal"),
        *("signals", "signl4", "simplepush", "sns", "sparkpost", "splunk", "tgram"),
        *("threema", "twilio", "victorops", "whatsapp", "wxpusher", "wxteams"),
        *("zulip",),
    }
)
RELAY = "set WEBHOOK_URL to a relay of yours, or use another service"
BLIND = {  # for which the library takes every HTTP 200 for a delivery, while they refuse with one
    "dingtalk": "set DINGTALK_WEBHOOK_URL instead",
    "feishu": "set FEISHU_WEBHOOK_URL instead",
    "lark": "set FEISHU_WEBHOOK_URL instead, which takes Lark's address",
    "nexmo": RELAY,
    "schan": RELAY,
    "spugpush": RELAY,
    "vonage": RELAY,
    "wecombot": "set WECOM_WEBHOOK_URL instead",
}
MAX_CHARS = 2_000  # as much as a person reads; some services take less
TITLE_UNITS = 200
SERVICE_TIMEOUT_S = 8.0  # below that of a delivery: one that hangs must not hide that others have accepted
MISSING = "the package is not installed: pip install -r requirements-apprise.txt"


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "AppriseChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: An address is malformed, or its scheme is not allowed; the text never quotes one.
    """
    urls = settings.get("APPRISE_URLS", "").split()
    for number, url in enumerate(urls, 1):
        scheme, found, rest = url.partition("://")
        if not found or not rest:
            raise SettingsError(f"APPRISE_URLS: number {number} is not an address such as pover://user@token")
        if remedy := BLIND.get(scheme.lower()):
            reason = "which refuses messages in a way that the library takes for a delivery"
            raise SettingsError(f"APPRISE_URLS: number {number} is {scheme.lower()}, {reason}; {remedy}")
        if scheme.lower() not in SCHEMES:
            known = "; WEBHOOK_URL posts to any address" if scheme.lower() in ("json", "jsons") else ""
            raise SettingsError(f"APPRISE_URLS: number {number} has a scheme that is not allowed{known}")
    return AppriseChannel(urls, Locale.from_settings(settings)) if urls else None


class AppriseChannel:
    """Several services; each gets every message."""

    name = "apprise"
    recognises_repeats = False

    def __init__(self, urls: Sequence[str], locale: Locale) -> None:
        self._urls = tuple(urls)
        self._locale = locale
        self._services: list[Any] | None = None

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one message to each service; what some did not accept goes to those alone, the next time."""
        try:
            services = self._load_services()
        except ImportError:
            return SendResult(ok=False, permanent=True, detail=MISSING)
        usable = {recipient_key(url): one for url, one in zip(self._urls, services, strict=True) if one}
        unusable = _listed(number for number, one in enumerate(services, 1) if not one)
        loss = f"not complete, see apprise's own page on it: number {unusable} of APPRISE_URLS"
        if not usable:
            return SendResult(ok=False, permanent=True, detail=loss)
        lacking = notifications[0].lacking.get(self.name) or usable
        asked = [key for key in usable if key in lacking]
        results = await asyncio.gather(
            *(_notify(usable[one], *self._render_for(usable[one], notifications)) for one in asked)
        )
        refused = [key for key, is_ok in zip(asked, results, strict=True) if not is_ok]
        if not refused:
            return SendResult(ok=True, detail=loss if unusable else "")
        listed = _listed(number for number, url in enumerate(self._urls, 1) if recipient_key(url) in refused)
        return SendResult(
            ok=False,
            detail=f"not accepted by number {listed} of APPRISE_URLS",
            lacking=tuple(refused) if len(refused) < len(usable) else (),
        )

    def _render_for(self, service: Any, notifications: Sequence[Notification]) -> tuple[str, str]:
        limits = {"title_chars": service.title_maxlen, "body_chars": service.body_maxlen}
        return render(notifications, self._locale, **limits)

    def _load_services(self) -> list[Any]:
        """Return the services; None for an address that the library cannot use.

        Raises:
            ImportError: The library is not installed.
        """
        if self._services is None:
            import apprise  # takes 0.3 s and some megabytes

            logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its lines quote addresses
            asset = apprise.AppriseAsset(
                secure_logging=True,
                interpret_escapes=False,
                interpret_emojis=False,
                http_redirects=False,  # after one comes a GET, and any page that it gets looks like success
            )
            self._services = [
                apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True) for url in self._urls
            ]
        return self._services

    def __repr__(self) -> str:
        return "AppriseChannel()"


def render(
    notifications: Sequence[Notification], locale: Locale, *, title_chars: int, body_chars: int
) -> tuple[str, str]:
    """Return the title and the text, of as much as a service takes; no title for one that has none.

    The library would send what is longer all the same, and the service refuse it. The text says by itself
    what the title does.
    """

    def render_within(limits: Limits) -> tuple[str, str]:
        digest = locale.build_message(notifications, limits)
        return defuse_links(digest.headline), defuse_links(to_plain_text(digest))

    max_chars = min(MAX_CHARS, body_chars)
    title, text = render_fullest(render_within, lambda message: len(message[1]) <= max_chars)
    shown = truncate(title, min(TITLE_UNITS, title_chars)) if title_chars > 0 else ""
    return shown, truncate(text, max_chars)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


async def _notify(service: Any, title: str, body: str) -> bool:
    """Return whether the service accepted in time. The library blocks, so it runs in a thread."""

    def blocking() -> bool:
        service.socket_connect_timeout = service.socket_read_timeout = POST_TIMEOUT_S / 2
        return bool(service.notify(title=title, body=body, body_format="text"))

    try:
        async with asyncio.timeout(SERVICE_TIMEOUT_S):
            return await asyncio.to_thread(blocking)
    except Exception:  # noqa: BLE001  # a plugin may raise anything; its text may hold an address
        return False
