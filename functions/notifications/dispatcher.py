"""The dispatcher: one message per channel, all channels at once, however many notifications there are."""

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
    """Receives what vendors request."""

    async def disable_refused(self, name: str, reason: str) -> None:
        """Record that a vendor refuses all messages, for *reason*, until a setting is changed."""
        ...

    def back_off(self, name: str, until: datetime) -> None:
        """Record that a vendor accepts no message before *until*."""
        ...


class NotificationDispatcher:
    """Delivers the notifications of a tick.

    Args:
        channels: By name; all of them are the default ones.
        redact: Masks secrets in every text that leaves the program.
        observer: Receives waits and refusals; None when they are not recorded.
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
        self._not_before: dict[str, datetime] = {}  # by the name of a channel whose vendor requested a wait
        self._has_logged_no_channels = False

    async def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        """Send *notifications*; return for each the channels that have not accepted it, () when done.

        Never raises for a fault of a channel. An unknown channel and a permanent refusal count as done:
        they are in the log.
        """
        if not notifications:
            return []
        redacted = [self._redact_notification(notification) for notification in notifications]
        targets = [self._channels_for(notification) for notification in redacted]
        self._log_unknown_channels(targets)
        by_channel = {
            name: [one for one, names in zip(redacted, targets, strict=True) if name in names]
            for name in self._channels
        }
        used = [name for name, share in by_channel.items() if share]
        done = await asyncio.gather(*(self._deliver_to(name, by_channel[name], within) for name in used))
        pending = {name for name, is_done in zip(used, done, strict=True) if not is_done}
        return [tuple(name for name in names if name in pending) for names in targets]

    async def test(self, name: str, *, within: timedelta) -> SendResult:
        """Send a test message to the channel, even if it is switched off; return the result.

        Raises:
            KeyError: No channel has this name.
        """
        now = self._clock()
        notification = Notification(
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
        return await self._send(self._channels[name], [notification], now, within)

    def _channels_for(self, notification: Notification) -> tuple[str, ...]:
        """Return the channels of *notification*, each once, the default ones by name."""
        names: list[str] = []
        for name in notification.channels or (DEFAULT_CHANNEL,):
            names.extend(
                self._channels if name == DEFAULT_CHANNEL and name not in self._channels else (name,)
            )
        return tuple(dict.fromkeys(names))

    def _log_unknown_channels(self, targets: Sequence[tuple[str, ...]]) -> None:
        if not self._channels and not self._has_logged_no_channels:
            self._has_logged_no_channels = True
            log.info("no_channel_set_up", extra={"hint": "no channel is set up; no notification is sent"})
        named = {name for names in targets for name in names}
        for name in sorted(named - self._channels.keys() - {NO_CHANNEL}):
            log.warning(
                "notice_refused", extra={"channel": name, "detail": "no channel with this name is set up"}
            )

    async def _deliver_to(self, name: str, notifications: Sequence[Notification], within: timedelta) -> bool:
        """Send one message; return whether this channel is done: accepted, or refused for good."""
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
            return SendResult(ok=False, detail="the tick had no time left")
        except PostError as exc:
            return SendResult(ok=False, detail=str(exc))
        except Exception as exc:  # noqa: BLE001  # a fault in one channel must not stop the others
            return SendResult(ok=False, detail=f"internal error ({type(exc).__name__})")

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
