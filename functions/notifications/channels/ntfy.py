"""The ntfy channel: one topic on ntfy.sh or a server of one's own, published to as JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from functions.domain.alerts.model import Notice
from functions.domain.types import Priority
from functions.errors import SettingsError
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import (
    JSON_HEADERS,
    Sent,
    Verdict,
    address,
    decoded,
    encoded,
    posting,
    say,
    wait_asked_for,
)
from functions.notifications.rendering.digest import VOICE_SETTINGS, Limits, Voice, fullest, text
from functions.notifications.rendering.formatting import broken, clipped
from functions.notifications.rendering.phrases import Tone

SETTINGS = ("NTFY_URL", "NTFY_TOKEN", *VOICE_SETTINGS)
MAX_BYTES = 4_000  # of the message; from 4,096 on ntfy makes an attachment of it
TITLE_UNITS = 200

LOUDNESS: dict[Tone, int] = {"bad": 4, "warning": 4, "good": 3, "news": 3, "calm": 2}
LOUDEST = 5  # rings through a phone's silence: for problems of urgent tasks


def open_channel(settings: Mapping[str, str], post: Post) -> "NtfyChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address names no topic.
    """
    url = address(settings, "NTFY_URL")
    if not url:
        return None
    parts = urlsplit(url)
    folder, _, topic = parts.path.rstrip("/").rpartition("/")
    if not topic:
        raise SettingsError(
            "NTFY_URL: give the address of a topic, such as https://ntfy.sh/a-name-nobody-guesses"
        )
    server = urlunsplit((parts.scheme, parts.netloc, f"{folder}/", "", ""))
    return NtfyChannel(server, topic, settings.get("NTFY_TOKEN", "").strip(), Voice.of(settings), post)


class NtfyChannel:
    """One topic."""

    name = "ntfy"

    def __init__(self, server: str, topic: str, token: str, voice: Voice, post: Post) -> None:
        signed = {"Authorization": f"Bearer {token}"} if token else {}
        self._request = posting(post, server, JSON_HEADERS | signed)
        self._topic = topic
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Publish one message.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        return await say(
            self._request,
            lambda answer: judge(answer, now=now),
            lambda: render(notices, self._voice, topic=self._topic),
        )

    def __repr__(self) -> str:
        return "NtfyChannel()"


def render(notices: Sequence[Notice], voice: Voice, *, topic: str) -> bytes:
    """The message; its text has at most 4,000 bytes."""

    def drawn(limits: Limits) -> dict[str, object]:
        digest = voice.digest(notices, limits)
        problem = digest.tone in ("bad", "warning")
        urgent = problem and any(notice.priority is Priority.URGENT for notice in notices)
        message: dict[str, object] = {
            "topic": topic,
            "title": clipped(broken(digest.headline), TITLE_UNITS),
            "message": broken(text(digest)),
            "priority": LOUDEST if urgent else LOUDNESS[digest.tone],
        }
        page = digest.rows[0].page
        return message | ({"click": page} if page else {})

    chosen = fullest(
        drawn, lambda message: len(str(message["message"]).encode(errors="replace")) <= MAX_BYTES
    )
    return encoded(chosen)


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What ntfy says: the message with its id, or a code."""
    body = decoded(answer.body)
    if answer.status == 200 and body.get("id"):
        return Verdict(Sent(ok=True))
    wait = wait_asked_for(answer, now=now)
    if answer.status == 429:
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many messages"))
    if answer.status in (401, 403):
        hint = "the topic is not ours to write to; check NTFY_TOKEN"
        return Verdict(Sent(ok=False, permanent=True, detail=f"HTTP {answer.status}: {hint}"))
    if answer.status in (400, 404, 405, 410):
        hint = "no ntfy topic at this address; check NTFY_URL"
        return Verdict(Sent(ok=False, permanent=True, detail=f"HTTP {answer.status}: {hint}"))
    return Verdict(Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: not an answer of ntfy's"))
