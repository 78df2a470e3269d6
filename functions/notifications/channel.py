"""The contract of a channel, and the result of one delivery."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from functions.domain.alerts.model import Notification
from functions.http_client.responses import parse_retry_after
from functions.http_client.trusted import HttpResponse

POST_TIMEOUT_S = 10.0  # of one request to a vendor, however much time the tick has left
MAX_RETRY_AFTER = timedelta(hours=1)  # a longer wait that a vendor requests is cut to this


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of sending one message.

    Attributes:
        ok: The vendor's own response says that the message was accepted.
        permanent: The vendor refuses the channel itself: its address, its key or its account. A setting must
            be changed.
        rejected: The vendor refuses this message for what it holds or for its size: it will never be
            accepted, but others may be.
        unconfirmed: The message was sent and no reply came: it may have arrived.
        accepted: Ids of notifications that were accepted all the same, where each is sent by itself.
        lacking: Recipients that may accept it later, when others of the channel have it; see `recipient_key`.
        retry_after: The wait that the vendor requests; None when it requests none.
        detail: The vendor's code and the remedy, for the log; on success what was lost, if
            anything. Never an address, never a text that the vendor wrote.
    """

    ok: bool
    permanent: bool = False
    rejected: bool = False
    unconfirmed: bool = False
    accepted: frozenset[str] = frozenset()
    lacking: tuple[str, ...] = ()
    retry_after: timedelta | None = None
    detail: str = ""


class Channel(Protocol):
    """A destination of notifications. One message holds all of them, however many there are."""

    @property
    def name(self) -> str: ...

    @property
    def recognises_repeats(self) -> bool:
        """Whether a message that is sent twice reaches people once, by an id that stays the same."""
        ...

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send *notifications*, most important first, in one message; to those that all of them lack, if any.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        ...


def recipient_key(address: str) -> str:
    """Return what stands for a recipient in stored notifications: short, and no address or secret."""
    return hashlib.sha256(address.encode()).hexdigest()[:8]


def retry_after_header(response: HttpResponse, *, now: datetime) -> timedelta | None:
    """Return the wait of `Retry-After` (seconds or a date), at most an hour; None without a valid one."""
    wait = parse_retry_after(response.headers.get("retry-after", ""), now=now)
    return min(wait, MAX_RETRY_AFTER) if wait else None
