"""What people may ask of a channel: quiet hours, maintenance, a rate; and whether it is open to a notice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from functions.domain.alerts.model import Notice, NoticeKind
from functions.domain.alerts.outbox import Holds
from functions.domain.alerts.subscriptions import DEFAULT
from functions.domain.types import Instant, Model, Priority, Tag, TaskId

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


# Where each notice goes now, where it waits, and what need not be said any more once the wait is over.

LONG = timedelta(hours=2)  # what was over sooner, while nobody was to be disturbed, is not worth a word

_WRONG: frozenset[NoticeKind] = frozenset({"failure", "reminder", "silent"})


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one notice.

    Attributes:
        send: Channels to tell now; empty for none.
        held: Until when others are closed to it.
    """

    send: tuple[str, ...]
    held: Holds = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switchboard:
    """All that is known of the channels.

    Attributes:
        settings: Of each channel there is.
        fingerprints: Of what each channel was set up with.
        busy: Until when channels take no message, whatever it is.
    """

    settings: Mapping[str, ChannelSettings]
    fingerprints: Mapping[str, str]
    busy: Mapping[str, datetime] = field(default_factory=dict)

    def is_open(self, name: str) -> bool:
        """Whether there is such a channel and anything may be said there."""
        return name in self.settings and self.settings[name].is_open(self.fingerprints.get(name, ""))


def route(notice: Notice, board: Switchboard, *, now: datetime) -> Route:
    """Where *notice* goes. Channels that are off are left out; names that no channel has are kept."""
    send: list[str] = []
    held: dict[str, datetime] = {}
    for name in _names(notice, board):
        if name not in board.settings:
            send.append(name)  # whoever sends says that there is no such channel
            continue
        if not board.is_open(name):
            continue
        until = held_until(board.settings[name], notice, now) or now
        until = max(until, board.busy.get(name, now))
        if until > now:
            held[name] = until
        else:
            send.append(name)
    return Route(tuple(send), held)


def still_worth_saying(pending: Sequence[Notice], routes: Sequence[Route]) -> list[Route]:
    """*routes* of one task's *pending* notices, without those that a later one has made idle.

    Of a failure that nobody was told of, because its channel was closed, the newest word stands for all. If
    it is over as well, only its end is told, and not even that if it lasted less than LONG.
    """
    kept = list(routes)
    for name in dict.fromkeys(name for one in routes for name in one.held):
        waiting: list[int] = []
        for number, notice in enumerate(pending):
            if name not in routes[number].held:
                continue
            if notice.kind in _WRONG:
                waiting = _dropped(kept, name, waiting, pending, since=notice.since)
                waiting.append(number)
            elif notice.kind == "recovery" and any(pending[one].since == notice.since for one in waiting):
                waiting = _dropped(kept, name, waiting, pending, since=notice.since)
                if notice.since is not None and notice.at - notice.since < LONG:
                    _drop(kept, name, number)
    return kept


def _names(notice: Notice, board: Switchboard) -> tuple[str, ...]:
    names: list[str] = []
    for name in notice.channels or (DEFAULT,):
        spelt_out = name == DEFAULT and name not in board.settings and bool(board.settings)
        names.extend(board.settings if spelt_out else (name,))
    return tuple(dict.fromkeys(names))


def _dropped(
    kept: list[Route], name: str, waiting: Sequence[int], pending: Sequence[Notice], *, since: datetime | None
) -> list[int]:
    """Drop those of *waiting* that tell of the failure that began at *since*; return the others."""
    for number in waiting:
        if pending[number].since == since:
            _drop(kept, name, number)
    return [number for number in waiting if pending[number].since != since]


def _drop(kept: list[Route], name: str, number: int) -> None:
    held = {other: until for other, until in kept[number].held.items() if other != name}
    kept[number] = replace(kept[number], held=held)


# A bound on how often something is done: a bucket that fills evenly and is emptied one by one.


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left of *per_minute* at *at*; never more than a minute's worth."""

    per_minute: int
    left: float
    at: datetime

    @classmethod
    def full(cls, per_minute: int, *, now: datetime) -> "Bucket":
        """A bucket nobody has taken from."""
        return cls(per_minute, per_minute, now)

    def free_at(self, now: datetime) -> datetime:
        """When the next one may be taken; *now* when it may be now."""
        missing = 1 - self._filled(now)
        return now if missing <= 0 else now + timedelta(minutes=missing / self.per_minute)

    def taken(self, now: datetime) -> "Bucket":
        """The bucket after one was taken."""
        return Bucket(self.per_minute, self._filled(now) - 1, now)

    def _filled(self, now: datetime) -> float:
        minutes = max((now - self.at) / timedelta(minutes=1), 0)
        return min(self.left + minutes * self.per_minute, self.per_minute)
