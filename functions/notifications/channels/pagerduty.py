"""The PagerDuty channel: an incident a task, opened when it fails and closed when it is back."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notice
from functions.domain.types import Priority, instant_text
from functions.errors import SettingsError
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import Request, Sent, Verdict, decoded, encoded, posting, wait_asked_for
from functions.notifications.rendering.digest import LIMITS, VOICE_SETTINGS, Voice, text
from functions.notifications.rendering.formatting import clipped
from functions.notifications.rendering.phrases import LOOKS

SETTINGS = ("PAGERDUTY_ROUTING_KEY", *VOICE_SETTINGS)
EVENTS = "https://events.pagerduty.com/v2/enqueue"
KEY_CHARS = 32
SUMMARY_UNITS = 1024
DETAIL_UNITS = 2000
SOURCE = "cronfire"


def open_channel(settings: Mapping[str, str], post: Post) -> "PagerDutyChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The key is no integration key.
    """
    key = settings.get("PAGERDUTY_ROUTING_KEY", "").strip()
    if not key:
        return None
    if len(key) != KEY_CHARS or not key.isalnum():
        raise SettingsError(
            f"PAGERDUTY_ROUTING_KEY: give the service's integration key (Events API v2), {KEY_CHARS} letters"
        )
    return PagerDutyChannel(key, Voice.of(settings), post)


class PagerDutyChannel:
    """One service."""

    name = "pagerduty"

    def __init__(self, key: str, voice: Voice, post: Post) -> None:
        self._request: Request = posting(post, EVENTS)
        self._key = key
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send an event for each notice of a problem or of its end; news wake nobody up.

        One that was sent before changes nothing when it is sent again: incidents go by the task's id.

        Raises:
            PostError: No answer came; events may have arrived.
        """
        latest = {notice.task_id: notice for notice in sorted(notices, key=lambda notice: notice.at)}
        events = [
            event
            for notice in latest.values()
            if (event := render(notice, self._voice, key=self._key)) is not None
        ]
        answers = await asyncio.gather(*(self._request(encoded(event)) for event in events))
        verdicts = [judge(answer, now=now).sent for answer in answers]
        return next((sent for sent in verdicts if not sent.ok), Sent(ok=True))

    def __repr__(self) -> str:
        return "PagerDutyChannel()"


def render(notice: Notice, voice: Voice, *, key: str) -> dict[str, Any] | None:
    """The event of *notice*; None when it is neither a problem nor the end of one."""
    tone = LOOKS[notice.kind].tone
    event: dict[str, Any] = {"routing_key": key, "dedup_key": notice.task_id[:255]}
    if tone == "good":
        return event | {"event_action": "resolve"}
    if tone not in ("bad", "warning") and notice.kind != "test":
        return None
    digest = voice.digest([notice], LIMITS[0])
    severity = {"bad": "error", "warning": "warning"}.get(tone, "info")
    if tone == "bad" and notice.priority is Priority.URGENT:
        severity = "critical"
    page = digest.rows[0].page
    payload = {
        "summary": clipped(digest.headline, SUMMARY_UNITS),
        "source": SOURCE,
        "severity": severity,
        "timestamp": instant_text(notice.at),
        "component": notice.task_id,
        "class": notice.type,
        "custom_details": {"text": clipped(text(digest), DETAIL_UNITS)},
    }
    event |= {"event_action": "trigger", "client": "Cronfire", "payload": payload}
    return event | ({"client_url": page, "links": [{"href": page, "text": digest.read_on}]} if page else {})


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What PagerDuty says: 202, and `success`."""
    body = decoded(answer.body)
    if answer.status == 202 and body.get("status") == "success":
        return Verdict(Sent(ok=True))
    wait = wait_asked_for(answer, now=now)
    if answer.status == 429:
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many events"))
    if answer.status in (400, 403, 404):
        hint = "the event was refused; check PAGERDUTY_ROUTING_KEY"
        return Verdict(Sent(ok=False, permanent=True, detail=f"HTTP {answer.status}: {hint}"))
    return Verdict(Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: PagerDuty has a fault"))
