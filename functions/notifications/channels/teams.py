"""The Microsoft Teams channel: a webhook of Workflows, which posts an Adaptive Card."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import HttpResponse
from functions.notifications.channel import retry_after_header
from functions.notifications.json_webhook import (
    ClassifiedResponse,
    JsonWebhookChannel,
    parse_json_object,
    to_json_bytes,
)
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Limits,
    Locale,
    Message,
    Row,
    fit_to_limit,
    to_plain_text,
)
from functions.notifications.rendering.phrases import Severity

SETTINGS = ("TEAMS_WEBHOOK_URL", *LOCALE_SETTINGS)
MAX_BYTES = 24_000  # Teams takes 28 KB with what Workflows adds
COLOURS: dict[Severity, str] = {
    "bad": "attention",
    "warning": "warning",
    "good": "good",
    "news": "accent",
    "calm": "default",
}
REMEDY = "; make a new webhook in Workflows and set TEAMS_WEBHOOK_URL"

PERMANENT_ERRORS = frozenset(
    {
        "DirectApiAuthorizationRequired",
        "DirectApiInvalidAuthorizationScheme",
        "WorkflowNotFound",
        "WorkflowTriggerIsNotEnabled",
        "WorkflowTriggerNotFound",
    }
)

Element = dict[str, Any]


def render(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message as an Adaptive Card of at most 24 KB.

    Foreign text is only in text runs, which Teams does not parse.
    """

    def render_within(limits: Limits) -> bytes:
        return _post_body(card(locale.build_message(notifications, limits)))

    return fit_to_limit(render_within, max_bytes=MAX_BYTES)


def render_plain(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message as a card of text alone, without links."""

    def render_within(limits: Limits) -> bytes:
        lines = to_plain_text(locale.build_message(notifications, limits)).splitlines()
        return _post_body(_card([_line(_text_run(line)) for line in lines]))

    return fit_to_limit(render_within, max_bytes=MAX_BYTES)


def _post_body(content: Element) -> bytes:
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return to_json_bytes({"type": "message", "attachments": [attachment]})


def card(message: Message) -> Element:
    """Return *message* as an Adaptive Card of version 1.4."""
    body: list[Element] = []
    if len(message.rows) > 1:
        body.append(_line(_text_run(message.headline, weight="Bolder", size="Large")))
    for number, row in enumerate(message.rows):
        body += _row(row, separator=bool(number or body), link_label=message.link_label)
    if message.omitted:
        body.append(_line(_text_run(message.omitted, isSubtle=True)))
    return _card(body) | {"fallbackText": message.headline, "msteams": {"width": "Full"}}


def _card(body: list[Element]) -> Element:
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read the response of Workflows, which accepts a card before Teams has seen it."""
    wait = retry_after_header(response, now=now)
    if response.status in (200, 202):
        return _classify_accepted(response.body, wait)
    if response.status == 429:
        return ClassifiedResponse.failed("HTTP 429: too many messages", retry_after=wait)
    error = parse_json_object(response.body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if response.status in (400, 413) and code not in PERMANENT_ERRORS:
        known = f"HTTP {response.status}: the message was not understood"
        return ClassifiedResponse.unreadable(known)
    if response.status in (400, 401, 403, 404, 405, 410):
        hint = "the workflow is gone, switched off, or its address is not whole"
        return ClassifiedResponse.channel_refused(f"HTTP {response.status}: {hint}{REMEDY}")
    return ClassifiedResponse.failed(f"HTTP {response.status}: Workflows has a fault", retry_after=wait)


def _classify_accepted(body: bytes, wait: timedelta | None) -> ClassifiedResponse:
    """Read a success. A connector of the older kind says in its text what Teams answered to it."""
    answer = body[:500].decode("utf-8", "replace")
    if answer.lstrip().startswith("<"):  # a page to sign in, of a proxy or of Microsoft's
        detail = "a web page answered, not Workflows"
        return ClassifiedResponse.failed(detail, retry_after=wait)
    if "returned HTTP error" not in answer:
        return ClassifiedResponse.accepted()
    if "HTTP error 413" in answer:
        return ClassifiedResponse.unreadable("Teams: HTTP 413")
    return ClassifiedResponse.failed("Teams did not take what the connector passed on", retry_after=wait)


def _row(row: Row, *, separator: bool, link_label: str) -> list[Element]:
    title = _text_run(f"{row.icon} {row.sentence}", weight="Bolder", color=COLOURS[row.severity])
    elements = [_line(title) | ({"separator": True} if separator else {})]
    elements += [_line(_text_run(row.summary))] if row.summary else []
    elements += [_line(_text_run(row.details, isSubtle=True))] if row.details else []
    for item in row.items:
        elements.append(
            _line(_text_run(f"{item.marker} "), _text_run(item.title, **_open_url_action(item.url)))
        )
        elements += [_line(_text_run(item.text, isSubtle=True))] if item.text else []
    elements += [_line(_text_run(row.omitted, isSubtle=True))] if row.omitted else []
    elements += [_line(_text_run(link_label, **_open_url_action(row.page_url)))] if row.page_url else []
    return elements


def _line(*runs: Element) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _text_run(plain: str, **look: Any) -> Element:
    return {"type": "TextRun", "text": plain} | look


def _open_url_action(url: str) -> Element:
    return {"selectAction": {"type": "Action.OpenUrl", "url": url}} if url else {}


class TeamsChannel(JsonWebhookChannel):
    """One workflow, which posts to one chat or channel."""

    name = "teams"
    url_setting = "TEAMS_WEBHOOK_URL"
    renderings = (render, render_plain)
    classify_response = staticmethod(classify_response)


create_channel = TeamsChannel.from_settings
