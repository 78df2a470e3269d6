"""The dispatcher: one message per channel, all channels at once, however many notifications there are."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from functions.domain.alerts.model import Notification, NotificationKind
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL, NO_CHANNEL
from functions.http_client import request_sent
from functions.http_client.trusted import PostError
from functions.notifications.channel import Channel, SendResult
from functions.notifications.rendering.digest import superseded_ids

log = logging.getLogger(__name__)

KINDS_BY_SEVERITY: tuple[NotificationKind, ...] = (  # the worst first
    "failure",
    "silent",
    "reminder",
    "paused",
    "flapping",
    "channel",
    "undelivered",
    "credits",
    "late",
    "recovery",
    "stable",
    "removed",
    "news",
    "success",
    "test",
)


class ChannelObserver(Protocol):
    """Receives what vendors request."""

    async def disable_refused(self, name: str, reason: str) -> None:
        """Record that a vendor refuses all messages, for *reason*, until a setting is changed."""
        ...

    async def record_success(self, name: str, loss: str) -> None:
        """Record that a channel takes messages; *loss* is what was lost of the last one, if anything."""
        ...

    async def record_failure(self, name: str, reason: str, retry_after: timedelta | None) -> None:
        """Record that a channel took no message, and how long its vendor asks to wait."""
        ...

    def reject(self, notification_id: str, name: str, reason: str) -> None:
        """Record that a vendor refuses one notification for what it holds."""
        ...

    def note_unconfirmed(self, notification_id: str, name: str) -> None:
        """Record that a notification was sent, and no reply came."""
        ...

    def note_lacking(self, notification_id: str, name: str, recipients: tuple[str, ...]) -> None:
        """Record which *recipients* of a channel have not got a notification that others have."""
        ...


MAX_MESSAGES = 16  # to one channel in one delivery, when messages are refused for what they hold
LEFT = SendResult(ok=False, detail="left for the next tick")  # says nothing of the channel


class _Delivery:
    """The messages to one channel in one delivery: how many may be sent, and what they have shown of it.

    Attributes:
        is_proven: Whether the channel has accepted one, so that a refusal of another is about its content.
        has_failed: Whether it took one neither that way nor refused it: the others are left for later.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.is_proven = self.has_failed = False
        self._left = MAX_MESSAGES

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0 and not self.has_failed

    def note(self, sent: SendResult) -> None:
        self.is_proven = self.is_proven or sent.ok or bool(sent.lacking)
        self.has_failed = self.has_failed or not (sent.ok or sent.rejected or sent.lacking)


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
        self._not_before: dict[
            str, datetime
        ] = {}  # by channel: the wait that its vendor asks for, if no observer has it
        self._has_logged_no_channels = False

    async def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        """Send *notifications*; return for each the channels that have not accepted it, () when done.

        Never raises for a fault of a channel. A refusal of the message counts as done and is reported to the
        observer; an unknown channel stands for the default ones.
        """
        if not notifications:
            return []
        redacted = [self._redact_notification(notification) for notification in notifications]
        targets = [self._channels_for(notification) for notification in redacted]
        self._log_unknown_channels(redacted)
        by_channel = {
            name: [one for one, names in zip(redacted, targets, strict=True) if name in names]
            for name in self._channels
        }
        used = [name for name, share in by_channel.items() if share]
        left = await asyncio.gather(*(self._deliver_to(name, by_channel[name], within) for name in used))
        pending = dict(zip(used, left, strict=True))
        return [
            tuple(name for name in names if one.id in pending.get(name, ()))
            for one, names in zip(redacted, targets, strict=True)
        ]

    async def test(self, name: str, *, within: timedelta) -> SendResult:
        """Send a test message to the channel, even if it is switched off; return the result.

        A channel that accepts it is tried again at once, if it is left alone because it failed.

        Raises:
            KeyError: No channel has this name.
        """
        sent = await self._send(self._channels[name], [self._test_notification(name)], _deadline(within))
        if sent.ok and self._observer is not None:
            await self._observer.record_success(name, sent.detail)
        return sent

    def _test_notification(self, name: str) -> Notification:
        summary = "Notices of your tasks will look like this"
        return Notification.about_service(
            f"channel.{name}", "test", at=self._clock(), title=name, summary=summary
        )

    def _channels_for(self, notification: Notification) -> tuple[str, ...]:
        """Return the channels of *notification*, each once, the default ones by name."""
        names: list[str] = []
        for name in notification.channels or (DEFAULT_CHANNEL,):
            is_known = name in self._channels or name == NO_CHANNEL
            names.extend((name,) if is_known else self._channels)
        return tuple(dict.fromkeys(names))

    def _log_unknown_channels(self, notifications: Sequence[Notification]) -> None:
        if not self._channels and not self._has_logged_no_channels:
            self._has_logged_no_channels = True
            log.info("no_channel_set_up", extra={"hint": "no channel is set up; no notification is sent"})
        named = {name for one in notifications for name in one.channels}
        for name in sorted(named - self._channels.keys() - {NO_CHANNEL, DEFAULT_CHANNEL}):
            detail = "no channel with this name is set up; the default channels stand for it"
            log.warning("channel_unknown", extra={"channel": name, "detail": detail})

    async def _deliver_to(
        self, name: str, notifications: Sequence[Notification], within: timedelta
    ) -> frozenset[str]:
        """Send *notifications* in one message; return the ids of those to send again.

        A message that is refused for what it holds is sent in halves, so that one bad notification does not
        stop the others. What a vendor blames is believed when a test message shows it, too. What only
        some recipients lack comes last, to those alone.
        """
        now = self._clock()
        if now < self._not_before.get(name, now):
            return frozenset(one.id for one in notifications)
        groups: dict[tuple[str, ...], list[Notification]] = {}
        for one in by_importance(notifications):
            groups.setdefault(one.lacking.get(name, ()), []).append(one)
        delivery = _Delivery(_deadline(within))
        parts = [
            part
            for _, group in sorted(groups.items())
            for part in await self._send_parts(name, group, delivery)
        ]
        for part, sent in parts:
            self._log_result(name, part, sent)
            self._report_part(name, part, sent)
        await self._report_health(name, [sent for _, sent in parts])
        waits = [sent.retry_after for _, sent in parts if sent.retry_after]
        if waits and self._observer is None:
            self._not_before[name] = now + max(waits)
        left = {one.id for part, sent in parts if not self._is_done(sent) for one in part}
        return frozenset(left.difference(*(sent.accepted for _, sent in parts)))

    async def _send_parts(
        self, name: str, notifications: Sequence[Notification], delivery: _Delivery
    ) -> list[tuple[Sequence[Notification], SendResult]]:
        if not delivery.take():
            return [(notifications, LEFT)]
        sent = await self._send(self._channels[name], notifications, delivery.deadline)
        is_alone = len(notifications) == 1
        if sent.permanent or (sent.rejected and is_alone and not delivery.is_proven):
            sent = await self._confirm_refusal(name, sent, delivery)
        delivery.note(sent)
        if not sent.rejected or is_alone:
            return [(notifications, sent)]
        middle = len(notifications) // 2
        return [
            *await self._send_parts(name, notifications[:middle], delivery),
            *await self._send_parts(name, notifications[middle:], delivery),
        ]

    async def _confirm_refusal(self, name: str, sent: SendResult, delivery: _Delivery) -> SendResult:
        """Return the refusal *sent* as what a test message shows it to be.

        When the test is accepted, the content was refused. When it is refused as well, so is the channel: for
        good if the vendor blames the channel itself, and otherwise until it takes messages again.
        """
        tested = await self._send(self._channels[name], [self._test_notification(name)], delivery.deadline)
        delivery.note(tested)
        if tested.ok:
            return replace(sent, permanent=False, rejected=True)
        return sent if sent.permanent and tested.permanent else replace(tested, rejected=False)

    def _log_result(self, name: str, notifications: Sequence[Notification], sent: SendResult) -> None:
        facts = {"channel": name, "notices": len(notifications), "detail": sent.detail}
        if sent.ok:
            log.log(logging.WARNING if sent.detail else logging.INFO, "notice_sent", extra=facts)
        else:
            refused = sent.permanent or sent.rejected
            log.warning("notice_refused" if refused else "notice_failed", extra=facts)

    def _report_part(self, name: str, notifications: Sequence[Notification], sent: SendResult) -> None:
        if self._observer is None or sent.ok:
            return
        for one in notifications:
            if sent.rejected:
                self._observer.reject(one.id, name, sent.detail)
            elif sent.lacking:
                self._observer.note_lacking(one.id, name, sent.lacking)
            elif sent.unconfirmed and not self._channels[name].recognises_repeats:
                self._observer.note_unconfirmed(one.id, name)

    async def _report_health(self, name: str, results: Sequence[SendResult]) -> None:
        """Report whether the channel works: one message that was accepted, or refused alone, proves it.

        So does one that some recipients have: others must not wait for the one whose mailbox is full.
        """
        if self._observer is None:
            return
        arrived = [sent for sent in results if sent.ok or sent.lacking]
        failed = [sent for sent in results if not (sent in arrived or sent.rejected or sent is LEFT)]
        if not failed:
            loss = next((sent.detail for sent in arrived if sent.detail), "")
            await self._observer.record_success(name, loss)
        elif failed[0].permanent:
            await self._observer.disable_refused(name, failed[0].detail)
        else:
            await self._observer.record_failure(name, failed[0].detail, failed[0].retry_after)

    def _is_done(self, sent: SendResult) -> bool:
        """Whether nothing is left to do. After a refusal of the channel, routing finds another one."""
        return sent.ok or sent.rejected or (sent.permanent and self._observer is None)

    async def _send(
        self, channel: Channel, notifications: Sequence[Notification], deadline: float
    ) -> SendResult:
        request_sent.set(True)  # unless a client knows better
        try:
            async with asyncio.timeout_at(deadline):
                return await channel.send(notifications, self._clock())
        except TimeoutError:
            is_sent = request_sent.get()
            detail = "no reply in time" if is_sent else "no connection in time"
            return SendResult(ok=False, unconfirmed=is_sent, detail=detail)
        except PostError as exc:
            return SendResult(ok=False, unconfirmed=exc.is_sent, detail=str(exc))
        except Exception as exc:  # noqa: BLE001  # a fault in one channel must not stop the others
            _log_crash(channel, exc)
            return SendResult(ok=False, rejected=True, detail=f"internal error ({type(exc).__name__})")

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


def _log_crash(channel: Channel, exc: Exception) -> None:
    """Log where *channel* failed, without the error's text, which may hold an address."""
    trace = "".join(traceback.format_tb(exc.__traceback__, limit=-10))
    log.error("channel_crashed", extra={"channel": channel.name, "error": type(exc).__name__, "trace": trace})


def _deadline(within: timedelta) -> float:
    return asyncio.get_running_loop().time() + within.total_seconds()


def by_importance(notifications: Sequence[Notification]) -> list[Notification]:
    """Return *notifications* in the order of a message: the worst first, then the oldest.

    What a later one supersedes comes last, whatever it was: after an outage of a channel a message begins
    with how things stand.
    """
    old = superseded_ids(notifications)

    def key(one: Notification) -> tuple[bool, int, datetime]:
        is_old = one.id in old
        return is_old, 0 if is_old else KINDS_BY_SEVERITY.index(one.kind), one.at

    return sorted(notifications, key=key)
