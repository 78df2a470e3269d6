"""The channels of the settings, opened when there is something to send: most ticks have nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from functions.config.settings import Settings
from functions.http_client.trusted import PostRequest
from functions.interfaces import DocumentStore

if TYPE_CHECKING:
    from functions.domain.alerts.model import Notification
    from functions.domain.alerts.outbox import Undelivered
    from functions.domain.alerts.routing import Route
    from functions.notifications.channel import Channel
    from functions.notifications.dispatcher import NotificationDispatcher
    from functions.services.channels import ChannelService


class Notifications:
    """Fulfils a tick's `Notify` (as a call) and `NotificationRouting`, and holds what does the work.

    Args:
        redact: Masks secrets in what is sent.
    """

    def __init__(
        self,
        settings: Settings,
        store: DocumentStore,
        post: PostRequest,
        *,
        clock: Callable[[], datetime],
        redact: Callable[[str], str],
    ) -> None:
        self._settings = settings.channel_settings()
        self._store = store
        self._post = post
        self._clock = clock
        self._redact = redact

    async def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        """As in `Notify`."""
        return await self.dispatcher(notifications, within=within)

    async def route(self, notifications: Sequence[Notification]) -> list[Route]:
        """As in `NotificationRouting`."""
        return await self.channels.route(notifications)

    def undelivered(self) -> list[Notification]:
        """As in `NotificationRouting`."""
        return self.channels.undelivered()

    def take_rejections(self, notification_id: str) -> Mapping[str, str]:
        """As in `NotificationRouting`."""
        return self.channels.take_rejections(notification_id)

    def take_unconfirmed(self, notification_id: str) -> frozenset[str]:
        """As in `NotificationRouting`."""
        return self.channels.take_unconfirmed(notification_id)

    def take_lacking(self, notification_id: str) -> Mapping[str, tuple[str, ...]]:
        """As in `NotificationRouting`."""
        return self.channels.take_lacking(notification_id)

    def failing_until(self) -> Mapping[str, datetime]:
        """As in `NotificationRouting`."""
        return self.channels.failing_until()

    def open_channels(self) -> tuple[str, ...]:
        """As in `NotificationRouting`."""
        return self.channels.open_channels()

    async def record_lost(self, undelivered: Sequence[Undelivered]) -> None:
        """As in `NotificationRouting`."""
        await self.channels.record_lost(undelivered)

    async def problem(self) -> str:
        """Return in a sentence which notices reached nobody of late; empty when all did."""
        from functions.services.upkeep.lost_notices import recently_lost  # no tick needs it

        return await recently_lost(self._store, now=self._clock())

    def message_text(self, notifications: Sequence[Notification]) -> str:
        """Return the message that *notifications*, at least one, make, as plain text."""
        from functions.notifications.dispatcher import by_importance  # no tick needs it
        from functions.notifications.rendering.digest import LIMITS, Locale, to_plain_text

        locale = Locale.from_settings(self._settings)
        return self._redact(to_plain_text(locale.build_message(by_importance(notifications), LIMITS[0])))

    async def mark_delivered(
        self, notifications: Sequence[Notification], remaining: Sequence[tuple[str, ...]]
    ) -> None:
        """As in `NotificationRouting`."""
        await self.channels.mark_delivered(notifications, remaining)

    @cached_property
    def channels(self) -> ChannelService:
        """The preferences of the channels, and which of them are disabled."""
        from functions.notifications import (
            channel_config_hashes,
            channel_names,
        )  # a tick without news imports no channel
        from functions.services.channels import ChannelService

        hashes = channel_config_hashes(self._settings, self._opened)
        return ChannelService(self._store, hashes, clock=self._clock, possible_names=channel_names())

    @cached_property
    def dispatcher(self) -> NotificationDispatcher:
        """What sends messages."""
        from functions.notifications.dispatcher import NotificationDispatcher

        return NotificationDispatcher(
            self._opened, clock=self._clock, redact=self._redact, observer=self.channels
        )

    @cached_property
    def _opened(self) -> dict[str, Channel]:
        from functions.notifications import create_channels

        return create_channels(self._settings, self._post)
