"""Preferences of channels: cached for a minute for routing, changed by users, disabled on a refusal."""

import logging
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from pydantic import ValidationError

from functions.domain.alerts.model import Notification
from functions.domain.alerts.outbox import Undelivered, retry_wait
from functions.domain.alerts.routing import (
    ChannelPreferences,
    ChannelProblem,
    Disabled,
    Route,
    RoutingTable,
    route,
)
from functions.domain.alerts.subscriptions import unknown_channels
from functions.domain.storage import Document
from functions.domain.task import NotifyRule
from functions.domain.token_bucket import TokenBucket
from functions.domain.types import Priority
from functions.domain.validation import problems_of
from functions.errors import InputError, StoreError
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document
from functions.services.upkeep.lost_notices import record_lost

log = logging.getLogger(__name__)

CACHE_TTL = timedelta(minutes=1)  # after which a change by another process is read
REASON_CHARS = 300

Update = Callable[[ChannelPreferences], ChannelPreferences]


class ChannelService:
    """Routes notifications for a tick (`NotificationRouting`), and changes preferences for users.

    Args:
        config_hashes: Of each channel that is configured, by name; see `functions.notifications`.
        possible_names: Of all channels that could be configured.
    """

    def __init__(
        self,
        store: DocumentStore,
        config_hashes: Mapping[str, str],
        *,
        clock: Callable[[], datetime],
        possible_names: Sequence[str] = (),
    ) -> None:
        self._possible_names = tuple(possible_names)
        self._store = store
        self._config_hashes = dict(config_hashes)
        self._clock = clock
        self._cached = {name: ChannelPreferences() for name in config_hashes}
        self._cached_until: datetime | None = None
        self._failing_until: dict[str, datetime] = {}  # where it could not be stored
        self._rejected: dict[str, dict[str, str]] = {}
        self._unconfirmed: dict[str, set[str]] = {}
        self._lacking: dict[str, dict[str, tuple[str, ...]]] = {}
        self._buckets: dict[str, TokenBucket] = {}

    # -- routing -----------------------------------------------------------------------------------------

    async def route(self, notifications: Sequence[Notification]) -> list[Route]:
        """Return for each notification the channels that get it now, and those that hold it.

        While the store does not answer, the last known preferences count, at first the defaults: a message in
        quiet hours is better than none.
        """
        now = self._clock()
        if self._cached and (self._cached_until is None or now >= self._cached_until):
            try:
                await self._load()
            except StoreError as exc:
                log.warning("channels_unread", extra={"reason": str(exc)})
        routes = [route(notice, self._routing_table(now), now=now) for notice in notifications]
        for name in {name for one in routes for name in one.send_now} & self._buckets.keys():
            self._buckets[name] = self._buckets[name].take(now.timestamp())
        for notice, one in zip(notifications, routes, strict=True):
            if not (one.send_now or one.hold or one.failing or notice.delivered):
                extra = {"task_id": notice.task_id, "kind": notice.kind}
                detail = one.lost or "all its channels are switched off"
                log.warning("notice_dropped", extra=extra | {"detail": detail})
        return routes

    def undelivered(self) -> list[Notification]:
        """Return notifications that a channel was disabled, for the others that can be tried now."""
        failing = self.failing_until()
        notices = [
            _disabled_notification(name, settings.disabled, without=failing)
            for name, settings in self._cached.items()
            if settings.disabled and settings.disabled.undelivered and not self._is_cached_open(name)
        ]
        return [one for one in notices if one.channels]

    async def mark_delivered(
        self, notifications: Sequence[Notification], remaining: Sequence[tuple[str, ...]]
    ) -> None:
        """Store which channels still lack each notification. Never raises: a second delivery does no harm."""
        for notice, missing in zip(notifications, remaining, strict=True):
            done = frozenset(notice.channels) - frozenset(missing)
            await self._update_quietly(notice.title, partial(_without_delivered, done))

    async def disable_refused(self, name: str, reason: str) -> None:
        """Disable *name*, which its vendor refuses for good. Never raises: the next refusal repeats it."""
        others = tuple(other for other in self._cached if other != name and self._is_cached_open(other))
        disabled = Disabled(
            reason=reason[:REASON_CHARS],
            at=self._clock(),
            config_hash=self._config_hashes.get(name, ""),
            undelivered=others,
        )

        def decide(settings: ChannelPreferences) -> ChannelPreferences:
            off = not settings.is_open(disabled.config_hash)
            return settings if off else settings.model_copy(update={"disabled": disabled})

        if await self._update_quietly(name, decide):
            log.error("channel_disabled", extra={"channel": name, "reason": disabled.reason})

    async def record_success(self, name: str, loss: str) -> None:
        """Record that *name* takes messages; *loss* is what was lost of the last one, if anything."""
        self._failing_until.pop(name, None)
        if loss or self._cached_until is None or self._cached[name].problem is not None:
            await self._update_quietly(name, partial(_with_loss, loss[:REASON_CHARS], self._clock()))

    async def record_failure(self, name: str, reason: str, retry_after: timedelta | None) -> None:
        """Send nothing on *name* for a while: 1, 2, 4 ... 60 minutes, or as long as its vendor asks."""
        now, config_hash = self._clock(), self._config_hashes.get(name, "")
        problem = self._cached[name].problem
        known = problem if problem and problem.failures and problem.config_hash == config_hash else None
        wait = max(retry_wait(known.failures if known else 0), retry_after or timedelta())
        new = ChannelProblem(
            reason=reason[:REASON_CHARS] or "no reason given",
            since=known.since if known else now,
            failures=known.failures + 1 if known else 1,
            retry_at=now + wait,
            config_hash=config_hash,
        )
        if not await self._update_quietly(name, lambda old: old.model_copy(update={"problem": new})):
            self._failing_until[name] = now + wait

    def reject(self, notification_id: str, name: str, reason: str) -> None:
        """Remember that the vendor of *name* refuses one notification for what it holds."""
        self._rejected.setdefault(notification_id, {})[name] = reason

    def note_unconfirmed(self, notification_id: str, name: str) -> None:
        """Remember that a notification was sent on *name*, and no reply came."""
        self._unconfirmed.setdefault(notification_id, set()).add(name)

    def note_lacking(self, notification_id: str, name: str, recipients: tuple[str, ...]) -> None:
        """Remember that *recipients* of a channel have not got a notification that others have."""
        self._lacking.setdefault(notification_id, {})[name] = recipients

    def take_rejections(self, notification_id: str) -> Mapping[str, str]:
        """Return the channels that refuse the notification for what it holds, and forget them."""
        return self._rejected.pop(notification_id, {})

    def take_unconfirmed(self, notification_id: str) -> frozenset[str]:
        """Return the channels that the notification was sent on without a reply, and forget them."""
        return frozenset(self._unconfirmed.pop(notification_id, ()))

    def take_lacking(self, notification_id: str) -> Mapping[str, tuple[str, ...]]:
        """Return, by channel, the recipients that have not got the notification, and forget them."""
        return self._lacking.pop(notification_id, {})

    def failing_until(self) -> Mapping[str, datetime]:
        """Return until when channels that fail are not tried."""
        now = self._clock()
        stored = {
            name: settings.failing_until(self._config_hashes.get(name, "")) or now
            for name, settings in self._cached.items()
        }
        found = {name: max(at, self._failing_until.get(name, now)) for name, at in stored.items()}
        return {name: at for name, at in found.items() if at > now}

    def open_channels(self) -> tuple[str, ...]:
        """Return the channels that take messages, those that fail at present included."""
        return tuple(name for name in self._cached if self._is_cached_open(name))

    async def record_lost(self, undelivered: Sequence[Undelivered]) -> None:
        """Store which notifications reached nobody. Never raises: they are in the log as well."""
        await record_lost(self._store, undelivered, now=self._clock())

    # -- preferences -------------------------------------------------------------------------------------

    async def settings(self) -> Mapping[str, ChannelPreferences]:
        """Return the preferences of each configured channel, as stored now."""
        await self._load()
        return dict(self._cached)

    @property
    def config_hashes(self) -> Mapping[str, str]:
        """A hash of the settings of each configured channel, by name."""
        return self._config_hashes

    def is_open(self, name: str, settings: ChannelPreferences) -> bool:
        """Whether the channel sends anything with these preferences."""
        return settings.is_open(self._config_hashes.get(name, ""))

    def warnings(self, rules: Sequence[NotifyRule] | None) -> list[str]:
        """Return one sentence for each channel that *rules* name and that is not set up.

        Where no channel is set up, as on the machine of somebody who only writes task files, a name is wrong
        when no channel can have it.
        """
        return unknown_channels(rules or (), tuple(self._cached) or self._possible_names)

    async def enable(self, name: str) -> ChannelPreferences:
        """Enable *name*, whether a user or a refusal disabled it; it is tried at once."""
        self._failing_until.pop(name, None)
        return await self.update_settings(
            name, lambda old: old.model_copy(update={"enabled": True, "disabled": None, "problem": None})
        )

    async def disable(self, name: str) -> ChannelPreferences:
        """Disable *name* until a user enables it."""
        return await self.update_settings(name, lambda old: old.model_copy(update={"enabled": False}))

    async def update_settings(self, name: str, update: Update) -> ChannelPreferences:
        """Apply *update* to the stored preferences, again after a conflict; return the new ones.

        Raises:
            InputError: No such channel is configured.
            StoreUnavailableError: It is not known whether the change was made.
        """
        if name not in self._cached:
            there = ", ".join(self._cached) or "none: set FEISHU_WEBHOOK_URL or another channel's variable"
            raise InputError(f"there is no channel {name!r}; there is {there}")
        new = self._cached[name]

        def decide(document: Document | None) -> dict[str, object] | None:
            nonlocal new
            old = _parse_settings(name, document) if document else ChannelPreferences()
            new = update(old)
            return None if new == old else new.model_dump(mode="json", by_alias=True, exclude_defaults=True)

        await update_document(self._store, "channels", name, decide)
        self._cached[name] = new
        return new

    # -- cache -------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        found = await self._store.get_documents("channels", list(self._cached))
        documents = {document.id: document for document in found}
        for name in self._cached:
            document = documents.get(name)
            self._cached[name] = ChannelPreferences() if document is None else _parse_settings(name, document)
        self._cached_until = self._clock() + CACHE_TTL

    async def _update_quietly(self, name: str, update: Update) -> bool:
        """Apply *update*, log a failure; return whether it changed anything."""
        before = self._cached.get(name)
        try:
            return await self.update_settings(name, update) != before
        except (InputError, StoreError) as exc:
            log.warning("channel_not_noted", extra={"channel": name, "reason": str(exc)})
            return False

    def _routing_table(self, now: datetime) -> RoutingTable:
        busy: dict[str, datetime] = {}
        for name, settings in self._cached.items():
            rate = settings.rate_per_minute
            if rate is None:
                self._buckets.pop(name, None)
                continue
            bucket = self._buckets.get(name)
            if bucket is None or bucket.per_minute != rate:
                bucket = TokenBucket.full(capacity=rate, per_minute=rate, now=now.timestamp())
                self._buckets[name] = bucket
            if (free_at := now + timedelta(seconds=bucket.wait_s(now.timestamp()))) > now:
                busy[name] = max(free_at, busy.get(name, now))
        return RoutingTable(self._cached, self._config_hashes, busy, self.failing_until())

    def _is_cached_open(self, name: str) -> bool:
        return self.is_open(name, self._cached[name])


def _parse_settings(name: str, document: Document) -> ChannelPreferences:
    """Return the stored preferences; the defaults when unreadable, so that the channel keeps sending."""
    try:
        return ChannelPreferences.model_validate(document.data)
    except ValidationError as exc:
        places = sorted(problem.field for problem in problems_of(exc))
        log.warning("channel_unreadable", extra={"channel": name, "fields": places})
        return ChannelPreferences()


def _without_delivered(done: frozenset[str], settings: ChannelPreferences) -> ChannelPreferences:
    if settings.disabled is None:
        return settings
    left = tuple(name for name in settings.disabled.undelivered if name not in done)
    return settings.model_copy(
        update={"disabled": settings.disabled.model_copy(update={"undelivered": left})}
    )


def _with_loss(reason: str, now: datetime, settings: ChannelPreferences) -> ChannelPreferences:
    """Return *settings* of a channel that takes messages again, perhaps with a loss."""
    problem = ChannelProblem(reason=reason, since=now) if reason else None
    known = settings.problem
    if known and problem and (known.failures, known.reason) == (0, reason):
        return settings
    return settings.model_copy(update={"problem": problem})


def _disabled_notification(name: str, disabled: Disabled, *, without: Container[str]) -> Notification:
    return Notification.about_service(
        f"channel.{name}",
        "channel",
        at=disabled.at,
        title=name,
        summary=f"{disabled.reason}. Then: scheduler channels enable {name}",
        channels=tuple(other for other in disabled.undelivered if other not in without),
        priority=Priority.URGENT,
    )
