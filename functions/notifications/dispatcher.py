"""The teller: one message per channel, all channels at once, however many notices there are."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from functions.domain.alerts.model import Notification, NotificationKind
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL, NO_CHANNEL
from functions.http_client.trusted import PostError
from functions.notifications.channel import Channel, SendResult

log = logging.getLogger(__name__)

KINDS_BY_SEVERITY: tuple[NotificationKind, ...] = (  # the worst first
    "failure",
    "silent",
    "reminder",
    "paused",
    "flapping",
    "channel",
    "credits",
    "late",
    "recovery",
    "stable",
    "news",
    "success",
    "test",
)


class ChannelObserver(Protocol):
    """Hears what vendors ask for."""

    async def disable_refused(self, name: str, reason: str) -> None:
        """A vendor takes no more, for the *reason*, until a setting is changed."""
        ...

    def back_off(self, name: str, until: datetime) -> None:
        """A vendor asked to be left alone until then."""
        ...


class NotificationDispatcher:
    """Delivers notices; fulfils the tick's `Tell`.

    Args:
        channels: By name; all of them are the default ones.
        redact: Masks secrets: the last wall before a text leaves the house.
        watch: None when nobody wants to hear what vendors ask for.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        clock: Callable[[], datetime],
        redact: Callable[[str], str],
        observer: ChannelObserver | None = None,
    ) -> None:
        self._channels = dict(channels)
        self._clock = clock
        self._redact = redact
        self._observer = observer
        self._not_before: dict[str, datetime] = {}  # channels that asked to be left alone until then
        self._has_logged_no_channels = False

    async def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        """Say *notices*; return for each the names of the channels still to be told, () when done.

        Never raises for a fault of a channel. A name no channel has, and a refusal that trying again
        cannot mend, count as done: they are in the log.
        """
        if not notifications:
            return []
        clean = [self._redact_notification(notice) for notice in notifications]
        wanted = [self._channels_for(notice) for notice in clean]
        self._log_unknown_channels(wanted)
        shares = {
            name: [notice for notice, names in zip(clean, wanted, strict=True) if name in names]
            for name in self._channels
        }
        busy = [name for name, share in shares.items() if share]
        done = await asyncio.gather(*(self._deliver_to(name, shares[name], within) for name in busy))
        left = {name for name, is_done in zip(busy, done, strict=True) if not is_done}
        return [tuple(name for name in names if name in left) for names in wanted]

    async def test(self, name: str, *, within: timedelta) -> SendResult:
        """Say on the channel that it works, once, whatever its settings; return what its vendor answers.

        Raises:
            KeyError: No channel has this name.
        """
        now = self._clock()
        notice = Notification(
            id=f"channel.{name}@{now.isoformat()}#test",
            kind="test",
            task_id=f"channel.{name}",
            title=name,
            type="channel",
            schedule="",
            timezone="UTC",
            occurrence=now,
            at=now,
            summary="Notices of your tasks will look like this",
        )
        return await self._send(self._channels[name], [notice], now, within)

    def _channels_for(self, notification: Notification) -> tuple[str, ...]:
        """The names *notice* asks for, each once, with the default channels spelt out."""
        names: list[str] = []
        for name in notification.channels or (DEFAULT_CHANNEL,):
            names.extend(
                self._channels if name == DEFAULT_CHANNEL and name not in self._channels else (name,)
            )
        return tuple(dict.fromkeys(names))

    def _log_unknown_channels(self, wanted: Sequence[tuple[str, ...]]) -> None:
        if not self._channels and not self._has_logged_no_channels:
            self._has_logged_no_channels = True
            log.info("notice_nowhere", extra={"hint": "no channel has its settings; nobody is told anything"})
        named = {name for names in wanted for name in names}
        for name in sorted(named - self._channels.keys() - {NO_CHANNEL}):
            log.warning(
                "notice_refused", extra={"channel": name, "detail": "no channel of this name is set up"}
            )

    async def _deliver_to(self, name: str, notifications: Sequence[Notification], within: timedelta) -> bool:
        """Send one message; return whether there is nothing left to do for this channel."""
        now = self._clock()
        if now < self._not_before.get(name, now):
            return False
        sent = await self._send(self._channels[name], sorted(notifications, key=_sort_key), now, within)
        if sent.retry_after:
            self._not_before[name] = now + sent.retry_after
            if self._observer is not None:
                self._observer.back_off(name, now + sent.retry_after)
        facts = {"channel": name, "notices": len(notifications), "detail": sent.detail}
        if sent.ok:
            log.log(logging.WARNING if sent.detail else logging.INFO, "notice_sent", extra=facts)
        else:
            log.warning("notice_refused" if sent.permanent else "notice_failed", extra=facts)
        if sent.permanent and not sent.ok and self._observer is not None:
            await self._observer.disable_refused(name, sent.detail)
        return sent.ok or sent.permanent

    async def _send(
        self, channel: Channel, notifications: Sequence[Notification], now: datetime, within: timedelta
    ) -> SendResult:
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await channel.send(notifications, now)
        except TimeoutError:
            return SendResult(ok=False, detail="the tick had no time left for it")
        except PostError as exc:
            return SendResult(ok=False, detail=str(exc))
        except Exception as exc:  # noqa: BLE001  # a fault in one channel must not silence the others
            return SendResult(ok=False, detail=f"a fault of ours ({type(exc).__name__})")

    def _redact_notification(self, notification: Notification) -> Notification:
        return notification.model_copy(
            update={
                "title": self._redact(notification.title),
                "summary": self._redact(notification.summary),
                "items": tuple(
                    {key: value if key == "url" else self._redact(value) for key, value in item.items()}
                    for item in notification.items
                ),
            }
        )


def _sort_key(notification: Notification) -> tuple[int, datetime]:
    return KINDS_BY_SEVERITY.index(notification.kind), notification.at
