"""The PagerDuty channel: one incident per task, opened when it fails and resolved when it recovers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.alerts.outbox import ABOUT_DELIVERY
from functions.domain.types import Priority, format_instant
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostError, PostRequest
from functions.notifications.channel import SendResult, retry_after_header
from functions.notifications.json_webhook import (
    ClassifiedResponse,
    PostBody,
    json_poster,
    parse_json_object,
    to_json_bytes,
    web_page_instead,
)
from functions.notifications.rendering.digest import LIMITS, LOCALE_SETTINGS, Locale, to_plain_text
from functions.notifications.rendering.formatting import truncate
from functions.notifications.rendering.phrases import STYLES

SETTINGS = ("PAGERDUTY_ROUTING_KEY", *LOCALE_SETTINGS)
EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
KEY_CHARS = 32
SUMMARY_UNITS = 1024
DETAIL_UNITS = 2000
SOURCE = "cronfire"
CONCURRENCY = 20  # events at a time; PagerDuty takes some hundred a minute
# A report about delivery, or about the account, is no trouble of the task's: its recovery must not close it.
# Nothing ends a late start. The incident of the one or the other would swallow the failure that comes.
APART_FROM_THE_TASK = ABOUT_DELIVERY | {"late", "credits"}


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "PagerDutyChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: The setting is not an integration key.
    """
    key = settings.get("PAGERDUTY_ROUTING_KEY", "").strip()
    if not key:
        return None
    if len(key) != KEY_CHARS or not key.isalnum():
        raise SettingsError(
            f"PAGERDUTY_ROUTING_KEY: give the service's integration key (Events API v2), {KEY_CHARS} letters"
        )
    return PagerDutyChannel(key, Locale.from_settings(settings), post)


class PagerDutyChannel:
    """One PagerDuty service."""

    name = "pagerduty"
    recognises_repeats = True  # by `dedup_key`

    def __init__(self, key: str, locale: Locale, post: PostRequest) -> None:
        self._post_body: PostBody = json_poster(post, EVENTS_URL)
        self._key = key
        self._locale = locale

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send an event for each notification of a problem or of its end; others open no incident.

        An event sent twice changes nothing: an incident is identified by what it is about. When PagerDuty
        takes only so many, the result names those that it took: the next time begins with the others.
        """
        incidents: dict[str, dict[str, dict[str, Any]]] = {}
        ids: dict[str, list[str]] = {}
        for notification in sorted(notifications, key=attrgetter("at")):
            event = render(notification, self._locale, key=self._key)
            if event is None:
                continue
            subject = event["dedup_key"]
            actions = incidents.setdefault(subject, {})
            actions.pop(event["event_action"], None)  # only a newer event of the same kind replaces one
            actions[event["event_action"]] = event
            if notification.kind == "test":  # nothing else ends it, and while it is open no other is seen
                actions["resolve"] = _resolve(subject, key=self._key)
            ids.setdefault(subject, []).append(notification.id)
        waiting = iter(incidents.items())
        accepted: set[str] = set()

        async def work() -> SendResult:
            for subject, events in waiting:
                result = await self._send_in_order(events.values(), now)
                if not result.ok:
                    return result
                accepted.update(ids[subject])
            return SendResult(ok=True)

        results = await asyncio.gather(*(work() for _ in range(min(CONCURRENCY, len(incidents)))))
        problem = next((result for result in results if not result.ok), None)
        return replace(problem, accepted=frozenset(accepted)) if problem else SendResult(ok=True)

    async def _send_in_order(self, events: Iterable[Mapping[str, Any]], now: datetime) -> SendResult:
        """Send the events of one incident one after the other: a resolve must not overtake its trigger."""
        for event in events:
            try:
                response = await self._post_body(to_json_bytes(event))
            except PostError as exc:
                return SendResult(ok=False, unconfirmed=exc.is_sent, detail=str(exc))
            result = web_page_instead(response) or classify_response(response, now=now).result
            if not result.ok:
                return result
        return SendResult(ok=True)

    def __repr__(self) -> str:
        return "PagerDutyChannel()"


def render(notification: Notification, locale: Locale, *, key: str) -> dict[str, Any] | None:
    """Return the event of *notification*; None when it is neither a problem nor the end of one."""
    tone = STYLES[notification.kind].severity
    subject = (
        f"{notification.task_id}/{notification.kind}"
        if notification.kind in APART_FROM_THE_TASK
        else notification.task_id
    )
    subject = subject[:255]
    if tone == "good":
        return _resolve(subject, key=key)
    if tone not in ("bad", "warning") and notification.kind != "test":
        return None
    digest = locale.build_message([notification], LIMITS[0])
    severity = {"bad": "error", "warning": "warning"}.get(tone, "info")
    if tone == "bad" and notification.priority is Priority.URGENT:
        severity = "critical"
    page = digest.rows[0].page_url
    payload = {
        "summary": truncate(digest.headline, SUMMARY_UNITS),
        "source": SOURCE,
        "severity": severity,
        "timestamp": format_instant(notification.at),
        "component": notification.task_id,
        "class": notification.type,
        "custom_details": {"text": truncate(to_plain_text(digest), DETAIL_UNITS)},
    }
    event = {"routing_key": key, "dedup_key": subject, "event_action": "trigger", "client": "Cronfire"}
    links = {"client_url": page, "links": [{"href": page, "text": digest.link_label}]} if page else {}
    return event | {"payload": payload} | links


def _resolve(subject: str, *, key: str) -> dict[str, Any]:
    return {"routing_key": key, "dedup_key": subject, "event_action": "resolve"}


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read PagerDuty's response: 202 with `success` accepts."""
    body = parse_json_object(response.body)
    if response.status == 202 and body.get("status") == "success":
        return ClassifiedResponse.accepted()
    wait = retry_after_header(response, now=now)
    if response.status == 429 or body.get("status") == "throttle exceeded":
        return ClassifiedResponse.failed("HTTP 429: too many events", retry_after=wait)
    blames_key = "routing" in f"{body.get('message')} {body.get('errors')}".lower()
    if response.status in (400, 413) and not blames_key:
        detail = f"HTTP {response.status}: the event was not understood"
        return ClassifiedResponse.message_refused(detail)
    if response.status in (400, 401, 403, 404):
        hint = "the event was refused; check PAGERDUTY_ROUTING_KEY"
        return ClassifiedResponse.channel_refused(f"HTTP {response.status}: {hint}")
    return ClassifiedResponse.failed(f"HTTP {response.status}: PagerDuty has a fault", retry_after=wait)
