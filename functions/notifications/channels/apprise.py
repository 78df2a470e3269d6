"""The apprise channel: services without a channel of their own, through the library of that name.

The library is an extra (`requirements-apprise.txt`), loaded when the first message is sent. Of its schemes
those of messaging services are allowed; none that runs a program, writes to this machine, or posts to an
arbitrary address (`WEBHOOK_URL` is for that).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import PostRequest
from functions.notifications.channel import POST_TIMEOUT_S, SendResult
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
        *("bark", "barks", "chanify", "dingtalk", "fcm", "flock", "gchat", "gotify", "gotifys", "guilded"),
        *("hassio", "hassios", "ifttt", "join", "kodi", "lametric", "lark", "line", "mailgun", "mastodon"),
        *("mastodons", "matrix", "matrixs", "mmost", "mmosts", "ncloud", "nclouds", "nctalk", "nctalks"),
        *("ntfy", "ntfys", "o365", "onesignal", "opsgenie", "pagerduty", "pbul", "pover", "prowl", "pushed"),
        *("pushplus", "pushy", "rocket", "rockets", "schan", "sendgrid", "ses", "signal"),
        *("signals", "signl4", "simplepush", "sns", "sparkpost", "splunk", "spugpush", "tgram"),
        *("threema", "twilio", "victorops", "vonage", "wecombot", "whatsapp", "wxpusher", "wxteams"),
        *("zulip",),
    }
)
MAX_CHARS = 2_000  # as much as a person reads; some services take less
TITLE_UNITS = 200
MAX_REMEMBERED = 500  # notifications that some services have and others lack
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
        self._accepted: OrderedDict[str, set[int]] = OrderedDict()  # by notification: which services have it

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one message to each service, of the notifications that it has not accepted yet."""
        try:
            services = self._load_services()
        except ImportError:
            return SendResult(ok=False, permanent=True, detail=MISSING)
        if unknown := [number for number, service in enumerate(services, 1) if service is None]:
            detail = f"APPRISE_URLS: number {unknown[0]} is not complete; see apprise's own page on it"
            return SendResult(ok=False, permanent=True, detail=detail)
        lacking = {
            number: [one for one in notifications if number not in self._accepted.get(one.id, ())]
            for number in range(len(services))
        }
        lacking = {number: share for number, share in lacking.items() if share}
        messages = [self._render_for(services[number], share) for number, share in lacking.items()]
        results = await asyncio.gather(
            *(_notify(services[number], *message) for number, message in zip(lacking, messages, strict=True))
        )
        refused = [number for number, is_ok in zip(lacking, results, strict=True) if not is_ok]
        if not refused:
            for one in notifications:
                self._accepted.pop(one.id, None)
            return SendResult(ok=True)
        for number in lacking.keys() - set(refused):
            self._remember(number, lacking[number])
        listed = ", ".join(str(number + 1) for number in refused)
        return SendResult(ok=False, detail=f"not accepted by number {listed} of APPRISE_URLS")

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
            asset = apprise.AppriseAsset(secure_logging=True, interpret_escapes=False, interpret_emojis=False)
            self._services = [
                apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True) for url in self._urls
            ]
        return self._services

    def _remember(self, number: int, notifications: Sequence[Notification]) -> None:
        """Remember that a service has *notifications*: others come with them when they are sent again."""
        for one in notifications:
            self._accepted.setdefault(one.id, set()).add(number)
            self._accepted.move_to_end(one.id)
        while len(self._accepted) > MAX_REMEMBERED:
            self._accepted.popitem(last=False)

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


async def _notify(service: Any, title: str, body: str) -> bool:
    """Return whether the service accepted in time. The library blocks, so it runs in a thread."""

    def blocking() -> bool:
        service.socket_connect_timeout = service.socket_read_timeout = POST_TIMEOUT_S / 2
        return bool(service.notify(title=title, body=body, body_format="text"))

    try:
        async with asyncio.timeout(POST_TIMEOUT_S):
            return await asyncio.to_thread(blocking)
    except Exception:  # noqa: BLE001  # a plugin may raise anything; its text may hold an address
        return False
