"""The Discord channel: a webhook, one message with an embed for each notice."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from functions.notices.channel import Answer, Post, Sent, wait_asked_for
from functions.notices.discord_embeds import message, plain_message, sound
from functions.notices.hook import Verdict, address, decoded, encoded, posting, say, wait_of
from functions.notices.wording.digest import Limits, fullest
from functions.notices.wording.voice import VOICE_SETTINGS, Voice
from functions.rules.notice import Notice

SETTINGS = ("DISCORD_WEBHOOK_URL", *VOICE_SETTINGS)

GONE = {
    10003: "the webhook's Discord channel is gone",
    10015: "the webhook is gone",
    50027: "the webhook's token is not valid",
}
REMEDY = "; make a new webhook and set DISCORD_WEBHOOK_URL"


def open_channel(settings: Mapping[str, str], post: Post) -> "DiscordChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address is not one.
    """
    url = address(settings, "DISCORD_WEBHOOK_URL")
    return DiscordChannel(answering(url), Voice.of(settings), post) if url else None


class DiscordChannel:
    """One webhook, which writes to one Discord channel or thread."""

    name = "discord"

    def __init__(self, url: str, voice: Voice, post: Post) -> None:
        self._request = posting(post, url)
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send one message of embeds; if Discord cannot read it, the same as plain text, once.

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
        return "DiscordChannel()"


def answering(url: str) -> str:
    """*url* with `wait=true`: Discord then answers with the message it made, not before it tried."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))


def render(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message, in all of Discord's limits; its letters are counted as Discord counts them."""

    def drawn(limits: Limits) -> dict[str, object]:
        return message(voice.digest(notices, limits))

    chosen = fullest(drawn, sound)
    return encoded(chosen)


def render_plain(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message without embeds."""

    def drawn(limits: Limits) -> dict[str, object]:
        return plain_message(voice.digest(notices, limits))

    chosen = fullest(drawn, sound)
    return encoded(chosen)


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What Discord says: the message it made, or a code.

    Ten thousand refused requests in ten minutes get an address banned, with all who share it: what cannot
    become better is permanent.
    """
    said = decoded(answer.body)
    code = said.get("code")
    if answer.status == 204 or (answer.status == 200 and "id" in said):
        return Verdict(Sent(ok=True))
    if answer.status == 429:
        wait = wait_of(said.get("retry_after")) or wait_asked_for(answer, now=now)
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many messages"))
    if code in GONE:
        return Verdict(Sent(ok=False, permanent=True, detail=f"code {code}: {GONE[code]}{REMEDY}"))
    if answer.status in (401, 404) or (answer.status == 403 and said):
        detail = f"HTTP {answer.status}: the webhook is gone or not valid{REMEDY}"
        return Verdict(Sent(ok=False, permanent=True, detail=detail))
    if answer.status in (400, 413):
        known = f"code {code}" if type(code) is int else f"HTTP {answer.status}"
        return Verdict(Sent(ok=False, detail=f"{known}: the message was not understood"), misread=True)
    wait = wait_asked_for(answer, now=now)
    return Verdict(
        Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: not an answer of Discord's")
    )
