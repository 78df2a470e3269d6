"""The Microsoft Teams channel: a webhook of Workflows, which posts an Adaptive Card."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notice
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import Sent, Verdict, address, encoded, posting, say, wait_asked_for
from functions.notifications.rendering.digest import VOICE_SETTINGS, Digest, Limits, Row, Voice, fitting
from functions.notifications.rendering.phrases import Tone

SETTINGS = ("TEAMS_WEBHOOK_URL", *VOICE_SETTINGS)
MAX_BYTES = 24_000  # Teams takes 28 KB with what Workflows adds
COLOURS: dict[Tone, str] = {
    "bad": "attention",
    "warning": "warning",
    "good": "good",
    "news": "accent",
    "calm": "default",
}
REMEDY = "; make a new webhook in Workflows and set TEAMS_WEBHOOK_URL"

Element = dict[str, Any]


def open_channel(settings: Mapping[str, str], post: Post) -> "TeamsChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address is not one.
    """
    url = address(settings, "TEAMS_WEBHOOK_URL")
    return TeamsChannel(url, Voice.of(settings), post) if url else None


class TeamsChannel:
    """One workflow, which posts to one chat or channel."""

    name = "teams"

    def __init__(self, url: str, voice: Voice, post: Post) -> None:
        self._request = posting(post, url)
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send one card.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        return await say(
            self._request, lambda answer: judge(answer, now=now), lambda: render(notices, self._voice)
        )

    def __repr__(self) -> str:
        return "TeamsChannel()"


def render(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message as an Adaptive Card of at most 24 KB. Foreign text is only in runs, which nobody parses."""

    def drawn(limits: Limits) -> bytes:
        content = card(voice.digest(notices, limits))
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": content,
        }
        return encoded({"type": "message", "attachments": [attachment]})

    return fitting(drawn, max_bytes=MAX_BYTES)


def card(digest: Digest) -> Element:
    """*digest* as an Adaptive Card of version 1.4."""
    body: list[Element] = []
    if len(digest.rows) > 1:
        body.append(_line(_run(digest.headline, weight="Bolder", size="Large")))
    for number, row in enumerate(digest.rows):
        body += _row(row, separator=bool(number or body), read_on=digest.read_on)
    if digest.more:
        body.append(_line(_run(digest.more, isSubtle=True)))
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": digest.headline,
        "msteams": {"width": "Full"},
        "body": body,
    }


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What Workflows says. It answers before Teams has seen the card: a yes means that it was taken."""
    if answer.status in (200, 202):
        return Verdict(Sent(ok=True))
    wait = wait_asked_for(answer, now=now)
    if answer.status == 429:
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many messages"))
    if answer.status in (400, 401, 403, 404, 405, 410):
        hint = "the workflow is gone, switched off, or its address is not whole"
        return Verdict(Sent(ok=False, permanent=True, detail=f"HTTP {answer.status}: {hint}{REMEDY}"))
    return Verdict(Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: Workflows has a fault"))


def _row(row: Row, *, separator: bool, read_on: str) -> list[Element]:
    title = _run(f"{row.icon} {row.sentence}", weight="Bolder", color=COLOURS[row.tone])
    elements = [_line(title) | ({"separator": True} if separator else {})]
    elements += [_line(_run(row.summary))] if row.summary else []
    elements += [_line(_run(row.details, isSubtle=True))] if row.details else []
    for item in row.items:
        elements.append(_line(_run(f"{item.mark} "), _run(item.title, **_opening(item.url))))
        elements += [_line(_run(item.text, isSubtle=True))] if item.text else []
    elements += [_line(_run(row.more, isSubtle=True))] if row.more else []
    elements += [_line(_run(read_on, **_opening(row.page)))] if row.page else []
    return elements


def _line(*runs: Element) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(plain: str, **look: Any) -> Element:
    return {"type": "TextRun", "text": plain} | look


def _opening(url: str) -> Element:
    return {"selectAction": {"type": "Action.OpenUrl", "url": url}} if url else {}
