"""What a channel is, what it needs, and what it says of a delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from functions.rules.notice import Notice

POST_TIMEOUT_S = 10.0  # for one call to a vendor, whatever the tick has left
LONGEST_WAIT = timedelta(hours=1)  # a vendor that asks for more is asked again after this


class PostError(Exception):
    """No answer came. The text never holds the address, which is often the secret itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor answered.

    Attributes:
        headers: By lower-case name.
        body: At most the first 64 KiB.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Post(Protocol):
    """Send *body* to *url* once, following no redirect.

    Raises:
        PostError: No answer within *timeout_s* seconds, or none at all.
    """

    async def __call__(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message.

    Attributes:
        ok: The vendor itself says that it took the message.
        permanent: Trying again cannot help; somebody must change a setting.
        retry_after: The wait the vendor asked for; None when it asked for none.
        detail: The vendor's code and what to do about it, for the log; on success what was lost, if
            anything. Never an address, never a text of the vendor's.
    """

    ok: bool
    permanent: bool = False
    retry_after: timedelta | None = None
    detail: str = ""


class Channel(Protocol):
    """A way to people. One message holds all notices, however many."""

    @property
    def name(self) -> str: ...

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Say *notices*, most important first, in one message.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        ...


def wait_asked_for(answer: Answer, *, now: datetime) -> timedelta | None:
    """The wait of `Retry-After` (seconds or a date), at most an hour; None when there is no sensible one."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), LONGEST_WAIT.total_seconds()))
    from email.utils import parsedate_to_datetime  # a package of 20 ms, for a header hardly ever sent

    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(wait, LONGEST_WAIT) if wait > timedelta(0) else None
