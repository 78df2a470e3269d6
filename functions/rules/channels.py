"""What people may ask of a channel: quiet hours, maintenance, a rate; and whether it is open to a notice."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from functions.rules.notice import Notice
from functions.rules.words import Instant, Model, Priority, Tag, TaskId

WINDOWS_MET = 50  # that follow one another without a gap; then the notice is let through
SINGLED_OUT = frozenset({"channel", "test"})  # said about channels, to who looks after them

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
HourAndMinute = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError("must be the name of a time zone, such as Europe/Riga") from None
    return name


Zone = Annotated[str, AfterValidator(_zone)]


class Quiet(Model):
    """Hours of each day in which a channel says nothing that can wait.

    Attributes:
        start: Named `from` outside Python; on a clock in *timezone*.
        end: Named `to`; on the next day when it is not later than *start*.
        days: On which such hours begin; empty means every day.
    """

    start: HourAndMinute = Field(alias="from")
    end: HourAndMinute = Field(alias="to")
    timezone: Zone = "UTC"
    days: tuple[Day, ...] = ()


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
    def _ends_after_it_starts(self) -> Self:
        if self.end <= self.start:
            raise ValueError("to must be later than from")
        return self


class DailyDigest(Model):
    """A summary each day, also of a day on which all was well."""

    at: HourAndMinute = "08:00"
    timezone: Zone = "UTC"


class Disabled(Model):
    """Why the vendor will take no more.

    Attributes:
        fingerprint: Of the settings that were refused; other settings are tried again.
        untold: Channels that have not been told of it yet.
    """

    reason: Annotated[str, StringConstraints(max_length=400)]
    at: Instant
    fingerprint: str = ""
    untold: tuple[str, ...] = ()


class ChannelSettings(Model):
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
    quiet: Annotated[tuple[Quiet, ...], Field(max_length=20)] = ()
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=50)] = ()
    rate_per_minute: Annotated[int, Field(ge=1, le=600)] | None = None
    digest: DailyDigest | None = None

    def is_open(self, fingerprint: str) -> bool:
        """Whether anything may be said here, with the settings of this fingerprint."""
        return self.enabled and (self.disabled is None or self.disabled.fingerprint != fingerprint)


def held_until(channel: ChannelSettings, notice: Notice, now: datetime) -> datetime | None:
    """When *notice* may be said at the earliest; None when it may be said now.

    What is urgent waits for nothing, and neither does what is said about channels themselves.
    """
    if notice.priority is Priority.URGENT or notice.kind in SINGLED_OUT:
        return None
    at = now
    for _ in range(WINDOWS_MET):
        end = max(_ends(channel, notice, at), default=at)
        if end <= at:
            break
        at = end
    return at if at > now else None


def _ends(channel: ChannelSettings, notice: Notice, at: datetime) -> Iterator[datetime]:
    """The ends of all windows that *at* is in."""
    for window in channel.maintenance:
        if window.start <= at < window.end and _is_about(window, notice):
            yield window.end
    for hours in channel.quiet:
        yield from _quiet_ends(hours, at)


def _is_about(window: Maintenance, notice: Notice) -> bool:
    if not window.tasks and not window.tags:
        return True
    return notice.task_id in window.tasks or not set(window.tags).isdisjoint(notice.tags)


def _quiet_ends(hours: Quiet, at: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(hours.timezone)
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if hours.days and DAYS[day.weekday()] not in hours.days:
            continue
        begins = datetime.combine(day, start, zone)
        ends = datetime.combine(day if end > start else day + timedelta(days=1), end, zone)
        # Compared as instants: two moments of one zone are compared by their clocks, whatever the offset.
        if begins.timestamp() <= at.timestamp() < ends.timestamp():
            yield ends.astimezone(at.tzinfo)
