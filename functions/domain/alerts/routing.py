"""Routing: which channels a notification goes to now, where it is held, and when it is superseded."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from functions.domain.alerts.model import Notification, NotificationKind
from functions.domain.alerts.outbox import ABOUT_DELIVERY, END_KINDS, ChannelHolds
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL, NO_CHANNEL
from functions.domain.schedule.base import instant_at, second_at_or_before
from functions.domain.schedule.timezones import DAY, PlaceName, load_clock
from functions.domain.types import Instant, Model, Priority, Tag, TaskId, TimezoneName, text_form

MAX_ADJOINING_WINDOWS = 50  # that follow one another without a gap; then the notification is sent
NEVER_HELD_KINDS = ABOUT_DELIVERY

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TIME_OF_DAY_WORDS = "must be a time of day with hours and minutes, such as 22:00 or 07:30"
TimeOfDay = Annotated[str, text_form(r"^([01]\d|2[0-3]):[0-5]\d$", TIME_OF_DAY_WORDS)]


class QuietHours(Model):
    """Hours of each day in which a channel sends nothing but urgent notifications.

    Attributes:
        start: Named `from` outside Python; on a clock in *timezone*.
        end: Named `to`; on the next day when it is not later than *start*.
        days: The days on which they begin; empty means every day.
    """

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    timezone: TimezoneName = "UTC"
    days: tuple[Weekday, ...] = ()


class Maintenance(Model):
    """A span of time in which tasks run as usual and their notifications are held.

    Attributes:
        start: Named `from` outside Python.
        end: Named `to`; what is still wrong then is sent.
        tasks: Ids it applies to; with *tags* empty as well it applies to all.
        tags: It also applies to tasks with one of these.
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
    timezone: PlaceName = "UTC"


class Disabled(Model):
    """Why and when a channel was disabled: its vendor refused for good.

    Attributes:
        config_hash: Of the settings that were refused; with other settings the channel is open again.
        undelivered: Channels that the notification of it must still be delivered to.
    """

    reason: Annotated[str, StringConstraints(max_length=400)]
    at: Instant
    config_hash: str = ""
    undelivered: tuple[str, ...] = ()


class ChannelProblem(Model):
    """What the last messages of a channel met.

    Attributes:
        reason: The vendor's code and the remedy.
        since: When the first of them met it.
        failures: Messages in a row that were not accepted; 0 when they are, and something was lost.
        retry_at: Until when nothing is sent; None when messages are accepted.
        config_hash: Of the settings at that time; with other settings the channel is tried at once.
    """

    reason: Annotated[str, StringConstraints(max_length=400)]
    since: Instant
    failures: int = 0
    retry_at: Instant | None = None
    config_hash: str = ""


class ChannelPreferences(Model):
    """A document of kind `channels`; a channel without one has these defaults.

    Attributes:
        enabled: False when a user switched it off.
        disabled: Set when the vendor refused for good; None otherwise.
        problem: Set while messages fail, or are accepted with a loss; None otherwise.
        rate_per_minute: Messages; None means no limit, which is one a tick.
        digest: None for no daily summary.
    """

    model_config = ConfigDict(extra="ignore")  # a newer version's field must not silence a channel

    enabled: bool = True
    disabled: Disabled | None = None
    problem: ChannelProblem | None = None
    quiet: Annotated[tuple[QuietHours, ...], Field(max_length=20)] = ()
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=50)] = ()
    rate_per_minute: Annotated[int, Field(ge=1, le=600)] | None = None
    digest: DailyDigest | None = None

    def is_open(self, config_hash: str) -> bool:
        """Whether it takes messages, with the settings of this hash."""
        return self.enabled and not self.is_refused(config_hash)

    def is_refused(self, config_hash: str) -> bool:
        """Whether its vendor refuses it, with the settings of this hash."""
        return self.disabled is not None and self.disabled.config_hash == config_hash

    def failing_until(self, config_hash: str) -> datetime | None:
        """Until when it is not tried because it fails, with the settings of this hash; None when it is."""
        problem = self.problem
        return problem.retry_at if problem and problem.config_hash == config_hash else None


def earliest_send_time(
    channel: ChannelPreferences, notification: Notification, now: datetime
) -> datetime | None:
    """When *channel* may send *notification* at the earliest; None when it may now.

    What is urgent is never held, nor are notifications about channels themselves. At 23:00, quiet hours from
    22:00 to 07:00 and maintenance from 06:30 to 08:00 hold the others until 08:00.
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
    """The ends of all windows that contain *at*."""
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
    clock = load_clock(hours.timezone)
    start, end = _second_of_day(hours.start), _second_of_day(hours.end)
    now = second_at_or_before(at)
    today = (now + clock.offset_period(now).offset) // DAY
    for day in (today - 1, today):
        if hours.days and WEEKDAYS[instant_at(day * DAY).weekday()] not in hours.days:
            continue
        begins = clock.utc_second(day * DAY + start)
        ends = clock.utc_second((day if end > start else day + 1) * DAY + end)
        if begins <= now < ends:
            yield instant_at(ends)


def _second_of_day(time_of_day: str) -> int:
    hour, minute = time_of_day.split(":")
    return int(hour) * 3600 + int(minute) * 60


MIN_RECOVERED_FAILURE = timedelta(hours=2)  # a shorter failure that was over while held is not sent

_FAILURE_KINDS: frozenset[NotificationKind] = frozenset({"failure", "reminder", "silent"})


@dataclass(frozen=True, slots=True)
class Route:
    """The route of one notification.

    Attributes:
        send_now: Channels to send it to now; empty for none.
        hold: Until when others are closed to it.
        failing: Until when others are not tried because they fail.
        lost: Why no channel is left for it though it has not been delivered; empty otherwise.
    """

    send_now: tuple[str, ...]
    hold: ChannelHolds = field(default_factory=dict)
    failing: ChannelHolds = field(default_factory=dict)
    lost: str = ""


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """The state of all channels.

    Attributes:
        preferences: Of each channel there is.
        config_hashes: Of the settings of each channel.
        busy_until: Until when channels take no message because their rate is used up.
        failing_until: Until when channels are not tried because they fail.
    """

    preferences: Mapping[str, ChannelPreferences]
    config_hashes: Mapping[str, str]
    busy_until: Mapping[str, datetime] = field(default_factory=dict)
    failing_until: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def open_channels(self) -> tuple[str, ...]:
        """All channels that take messages."""
        return tuple(name for name in self.preferences if self.is_open(name))

    def is_refused(self, name: str) -> bool:
        """Whether there is such a channel and its vendor refuses it."""
        hash_ = self.config_hashes.get(name, "")
        return name in self.preferences and self.preferences[name].is_refused(hash_)

    def is_open(self, name: str) -> bool:
        """Whether there is such a channel and it takes messages."""
        return name in self.preferences and self.preferences[name].is_open(self.config_hashes.get(name, ""))


def route(notification: Notification, table: RoutingTable, *, now: datetime) -> Route:
    """The route of *notification*, without channels that are off.

    A name without a channel stands for the default ones. What no channel has taken yet goes to the open ones
    instead when the vendors of all that are named refuse them.
    """
    names = _channel_names(notification, table)
    reachable = [name for name in names if name not in table.preferences or table.is_open(name)]
    refused = [name for name in names if table.is_refused(name)]
    if refused and not reachable and not notification.delivered:
        reachable = list(table.open_channels)
        if not reachable:
            return Route((), lost=f"{', '.join(refused)} refused, and no other channel is open")
    send: list[str] = []
    held: dict[str, datetime] = {}
    failing: dict[str, datetime] = {}
    for name in reachable:
        if name not in table.preferences:
            send.append(name)  # the dispatcher reports that there is no such channel
            continue
        until = earliest_send_time(table.preferences[name], notification, now) or now
        until = max(until, table.busy_until.get(name, now))
        if until > now:
            held[name] = until
        elif table.failing_until.get(name, now) > now:
            failing[name] = table.failing_until[name]
        else:
            send.append(name)
    return Route(tuple(send), held, failing)


def drop_superseded(
    pending: Sequence[Notification], routes: Sequence[Route], *, notified: Collection[str] = ()
) -> list[Route]:
    """*routes* of one task's *pending* notifications, without those that a later one supersedes.

    While a channel is closed, the newest notification of a failure stands for all of it; a recovery stands
    for them, and is itself dropped if the failure lasted less than MIN_RECOVERED_FAILURE and the channel has
    no notification of it. Held all night:

        failure 1:00, reminder 5:00                    the reminder is left
        failure 1:00, reminder 5:00, recovery 5:30     the recovery is left
        failure 1:00, recovery 1:20                    nothing is left; the recovery, if a failure was sent

    Args:
        notified: The channels that have a notification of the last run of failures.
    """
    remaining = list(routes)
    for name in dict.fromkeys(name for one in routes for name in one.hold):
        waiting: list[int] = []
        for number, notice in enumerate(pending):
            if name not in routes[number].hold:
                continue
            if notice.kind in _FAILURE_KINDS:
                waiting = _remove_superseded(remaining, name, waiting, pending, since=notice.since)
                waiting.append(number)
            elif notice.kind in END_KINDS and any(pending[one].since == notice.since for one in waiting):
                waiting = _remove_superseded(remaining, name, waiting, pending, since=notice.since)
                is_short = notice.since is not None and notice.at - notice.since < MIN_RECOVERED_FAILURE
                if is_short and name not in notified:
                    _remove_channel(remaining, name, number)
    return remaining


def _channel_names(notification: Notification, table: RoutingTable) -> tuple[str, ...]:
    names: list[str] = []
    for name in notification.channels or (DEFAULT_CHANNEL,):
        is_known = name in table.preferences or name == NO_CHANNEL or not table.preferences
        names.extend((name,) if is_known else table.preferences)
    return tuple(dict.fromkeys(names))


def _remove_superseded(
    remaining: list[Route],
    name: str,
    waiting: Sequence[int],
    pending: Sequence[Notification],
    *,
    since: datetime | None,
) -> list[int]:
    """Drop those of *waiting* about the failure that began at *since*; return the others."""
    for number in waiting:
        if pending[number].since == since:
            _remove_channel(remaining, name, number)
    return [number for number in waiting if pending[number].since != since]


def _remove_channel(remaining: list[Route], name: str, number: int) -> None:
    held = {other: until for other, until in remaining[number].hold.items() if other != name}
    remaining[number] = replace(remaining[number], hold=held)
