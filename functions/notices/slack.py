"""The Slack channel: an incoming webhook, one message of blocks; plain text when Slack refuses those."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.notices.channel import Answer, Post, Sent, wait_asked_for
from functions.notices.hook import Verdict, address, encoded, posting, say
from functions.notices.slack_blocks import message, plain_message
from functions.notices.wording.digest import Limits, fullest
from functions.notices.wording.voice import VOICE_SETTINGS, Voice
from functions.rules.notice import Notice

SETTINGS = ("SLACK_WEBHOOK_URL", *VOICE_SETTINGS)
MAX_CHARS = 12_000  # of the whole message; from about 13,200 on Slack says msg_blocks_too_long
PLAIN_CHARS = 3_800  # Slack advises not to exceed 4,000

GONE = {
    "action_prohibited": "a rule of the workspace forbids the message",
    "channel_is_archived": "the webhook's Slack channel is archived",
    "channel_not_found": "the webhook's Slack channel is gone",
    "invalid_token": "the webhook is not valid",
    "no_active_hooks": "the webhook is switched off",
    "no_service": "the webhook is gone or switched off",
    "no_service_id": "the webhook's address is not complete",
    "no_team": "the workspace is gone",
    "posting_to_general_channel_denied": "who made the webhook may not write to #general",
    "team_disabled": "the workspace is gone",
    "token_revoked": "the app was removed from the workspace",
    "user_not_found": "the webhook's user is gone",
}
REMEDY = "; make a new webhook and set SLACK_WEBHOOK_URL"
MISREAD = frozenset(
    {
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_payload",
        "missing_text_or_fallback_or_attachments",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)


def open_channel(settings: Mapping[str, str], post: Post) -> "SlackChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address is not one.
    """
    url = address(settings, "SLACK_WEBHOOK_URL")
    return SlackChannel(url, Voice.of(settings), post) if url else None


class SlackChannel:
    """One incoming webhook, which writes to one Slack channel."""

    name = "slack"

    def __init__(self, url: str, voice: Voice, post: Post) -> None:
        self._request = posting(post, url)
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send one message of blocks; if Slack cannot read it, the same as plain text, once.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        return await say(
            self._request,
            lambda answer: judge(answer, now=now),
            lambda: render(notices, self._voice),
            lambda: render_plain(notices, self._voice),
        )

    def __repr__(self) -> str:
        return "SlackChannel()"


def render(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message in at most 12,000 characters."""

    def drawn(limits: Limits) -> bytes:
        return encoded(message(voice.digest(notices, limits)))

    return fullest(drawn, lambda body: len(body.decode()) <= MAX_CHARS)


def render_plain(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message without blocks."""

    def drawn(limits: Limits) -> bytes:
        return encoded(plain_message(voice.digest(notices, limits)))

    return fullest(drawn, lambda body: len(body.decode()) <= PLAIN_CHARS)


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What Slack says: the word `ok`, or another word that names the fault."""
    word = answer.body[:80].decode("ascii", "replace").strip()
    if answer.status == 200 and word == "ok":
        return Verdict(Sent(ok=True))
    if answer.status == 429:
        wait = wait_asked_for(answer, now=now)
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many messages"))
    if word in GONE:
        return Verdict(Sent(ok=False, permanent=True, detail=f"{word}: {GONE[word]}{REMEDY}"))
    if word in MISREAD:
        return Verdict(Sent(ok=False, detail=f"{word}: the message was not understood"), misread=True)
    if answer.status in (404, 410):
        return Verdict(
            Sent(ok=False, permanent=True, detail=f"HTTP {answer.status}: no webhook here{REMEDY}")
        )
    if answer.status == 400:
        return Verdict(Sent(ok=False, detail="HTTP 400: the message was not understood"), misread=True)
    wait = wait_asked_for(answer, now=now)
    return Verdict(Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: not an answer of Slack's"))
