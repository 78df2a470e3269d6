"""What people may ask of a channel: quiet hours, maintenance, a rate; and whether it is open to a notice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from functions.domain.alerts.model import Notification, NotificationKind
from functions.domain.alerts.outbox import ChannelHolds
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL
from functions.domain.types import Instant, Model, Priority, Tag, TaskId, TimezoneName

MAX_ADJOINING_WINDOWS = 50  # that follow one another without a gap; then the notice is let through
NEVER_HELD_KINDS = frozenset({"channel", "test"})  # said about channels, to who looks after them

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietHours(Model):
    """Hours of each day in which a channel says nothing that can wait.

    Attributes:
        start: Named `from` outside Python; on a clock in *timezone*.
        end: Named `to`; on the next day when it is not later than *start*.
        days: On which such hours begin; empty means every day.
    """

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    timezone: TimezoneName = "UTC"
    days: tuple[Weekday, ...] = ()


class Maintenance(Model):
    """A span of time in which tasks may fail without a word, and are run all the same.

    Attributes:
        start: Named `from` outside Python.
        end: Named `to`; what is still wrong then is told.
        tasks: Ids it is about; with *tags* empty as well it is about all.
        tags: It is also about tasks with one of these.
    """

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    note: Annotated[str, StringConstraints(max_length=400)] = ""
    tasks: Annotated[tuple[TaskId, ...], Field(max_length=200)] = ()
    tags: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _check_end_after_start(self) -> Self:
        if self.end <= self.start:
            raise ValueError("to must be later than from")
        return self


class DailyDigest(Model):
    """A summary each day, also of a day on which all was well."""

    at: TimeOfDay = "08:00"
    timezone: TimezoneName = "UTC"


class Disabled(Model):
    """Why the vendor will take no more.

    Attributes:
        fingerprint: Of the settings that were refused; other settings are tried again.
        untold: Channels that have not been told of it yet.
    """

    reason: Annotated[str, StringConstraints(max_length=400)]
    at: Instant
    config_hash: str = ""
    undelivered: tuple[str, ...] = ()


class ChannelPreferences(Model):
    """A document of kind `channels`; a channel without one has these defaults.

    Attributes:
        enabled: False when a person wants nothing said here.
        disabled: Set when the vendor refused for good; None while it does not.
        rate_per_minute: Messages; None means as many as there are, which is one a tick.
        digest: None when nobody asked for a daily summary.
    """

    model_config = ConfigDict(extra="ignore")  # a newer version's field must not silence a channel

    enabled: bool = True
    disabled: Disabled | None = None
    quiet: Annotated[tuple[QuietHours, ...], Field(max_length=20)] = ()
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=50)] = ()
    rate_per_minute: Annotated[int, Field(ge=1, le=600)] | None = None
    digest: DailyDigest | None = None

    def is_open(self, config_hash: str) -> bool:
        """Whether anything may be said here, with the settings of this fingerprint."""
        return self.enabled and (self.disabled is None or self.disabled.config_hash != config_hash)


def earliest_send_time(
    channel: ChannelPreferences, notification: Notification, now: datetime
) -> datetime | None:
    """When *notice* may be said at the earliest; None when it may be said now.

    What is urgent waits for nothing, and neither does what is said about channels themselves.
    """
    if notification.priority is Priority.URGENT or notification.kind in NEVER_HELD_KINDS:
        return None
    at = now
    for _ in range(MAX_ADJOINING_WINDOWS):
        end = max(_window_ends(channel, notification, at), default=at)
        if end <= at:
            break
        at = end
    return at if at > now else None


def _window_ends(channel: ChannelPreferences, notification: Notification, at: datetime) -> Iterator[datetime]:
    """The ends of all windows that *at* is in."""
    for window in channel.maintenance:
        if window.start <= at < window.end and _applies_to(window, notification):
            yield window.end
    for hours in channel.quiet:
        yield from _quiet_hours_ends(hours, at)


def _applies_to(window: Maintenance, notification: Notification) -> bool:
    if not window.tasks and not window.tags:
        return True
    return notification.task_id in window.tasks or not set(window.tags).isdisjoint(notification.tags)


def _quiet_hours_ends(hours: QuietHours, at: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(hours.timezone)
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if hours.days and WEEKDAYS[day.weekday()] not in hours.days:
            continue
        begins = datetime.combine(day, start, zone)
        ends = datetime.combine(day if end > start else day + timedelta(days=1), end, zone)
        # Compared as instants: two moments of one zone are compared by their clocks, whatever the offset.
        if begins.timestamp() <= at.timestamp() < ends.timestamp():
            yield ends.astimezone(at.tzinfo)


# Where each notice goes now, where it waits, and what need not be said any more once the wait is over.

MIN_RECOVERED_FAILURE = timedelta(
    hours=2
)  # what was over sooner, while nobody was to be disturbed, is not worth a word

_FAILURE_KINDS: frozenset[NotificationKind] = frozenset({"failure", "reminder", "silent"})


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one notice.

    Attributes:
        send: Channels to tell now; empty for none.
        held: Until when others are closed to it.
    """

    send_now: tuple[str, ...]
    hold: ChannelHolds = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All that is known of the channels.

    Attributes:
        settings: Of each channel there is.
        fingerprints: Of what each channel was set up with.
        busy: Until when channels take no message, whatever it is.
    """

    preferences: Mapping[str, ChannelPreferences]
    config_hashes: Mapping[str, str]
    backed_off_until: Mapping[str, datetime] = field(default_factory=dict)

    def is_open(self, name: str) -> bool:
        """Whether there is such a channel and anything may be said there."""
        return name in self.preferences and self.preferences[name].is_open(self.config_hashes.get(name, ""))


def route(notification: Notification, table: RoutingTable, *, now: datetime) -> Route:
    """Where *notice* goes. Channels that are off are left out; names that no channel has are kept."""
    send: list[str] = []
    held: dict[str, datetime] = {}
    for name in _channel_names(notification, table):
        if name not in table.preferences:
            send.append(name)  # whoever sends says that there is no such channel
            continue
        if not table.is_open(name):
            continue
        until = earliest_send_time(table.preferences[name], notification, now) or now
        until = max(until, table.backed_off_until.get(name, now))
        if until > now:
            held[name] = until
        else:
            send.append(name)
    return Route(tuple(send), held)


def drop_superseded(pending: Sequence[Notification], routes: Sequence[Route]) -> list[Route]:
    """*routes* of one task's *pending* notices, without those that a later one has made idle.

    Of a failure that nobody was told of, because its channel was closed, the newest word stands for all. If
    it is over as well, only its end is told, and not even that if it lasted less than LONG.
    """
    kept = list(routes)
    for name in dict.fromkeys(name for one in routes for name in one.hold):
        waiting: list[int] = []
        for number, notice in enumerate(pending):
            if name not in routes[number].hold:
                continue
            if notice.kind in _FAILURE_KINDS:
                waiting = _remove_superseded(kept, name, waiting, pending, since=notice.since)
                waiting.append(number)
            elif notice.kind == "recovery" and any(pending[one].since == notice.since for one in waiting):
                waiting = _remove_superseded(kept, name, waiting, pending, since=notice.since)
                if notice.since is not None and notice.at - notice.since < MIN_RECOVERED_FAILURE:
                    _remove_channel(kept, name, number)
    return kept


def _channel_names(notification: Notification, table: RoutingTable) -> tuple[str, ...]:
    names: list[str] = []
    for name in notification.channels or (DEFAULT_CHANNEL,):
        spelt_out = name == DEFAULT_CHANNEL and name not in table.preferences and bool(table.preferences)
        names.extend(table.preferences if spelt_out else (name,))
    return tuple(dict.fromkeys(names))


def _remove_superseded(
    kept: list[Route],
    name: str,
    waiting: Sequence[int],
    pending: Sequence[Notification],
    *,
    since: datetime | None,
) -> list[int]:
    """Drop those of *waiting* that tell of the failure that began at *since*; return the others."""
    for number in waiting:
        if pending[number].since == since:
            _remove_channel(kept, name, number)
    return [number for number in waiting if pending[number].since != since]


def _remove_channel(kept: list[Route], name: str, number: int) -> None:
    held = {other: until for other, until in kept[number].hold.items() if other != name}
    kept[number] = replace(kept[number], hold=held)
