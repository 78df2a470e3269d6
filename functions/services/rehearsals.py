"""Rehearsals of alert rules: what they would have sent for the outcomes that a task had.

A module of its own, as each tick loads its neighbours and none needs this.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

from pydantic import Field

from functions.domain.alerts.model import Notification
from functions.domain.alerts.routing import ChannelPreferences, Maintenance, QuietHours, RoutingTable
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL, channel_names, notify_rules
from functions.domain.heartbeat.model import HEARTBEAT
from functions.domain.history.rehearsal import Rehearsal, rehearse
from functions.domain.run import Run
from functions.domain.task import NotifyRule, Task, TaskSpec
from functions.domain.types import Model, Priority
from functions.services.access.view import OwnerView
from functions.services.channels import ChannelService

REHEARSED_FOR = timedelta(days=30)
MAX_RECORDS = 2000  # read for one rehearsal; to fold them takes 0.1 to 0.2 s, in a thread

NO_RECORDS = "There are no records of these days"
MORE_RECORDS = "There are more records: only the newest 2,000 were read"
PLAIN_CALLS = "Calls of a heartbeat that changed nothing leave no record, so that they do not count here"
OTHERS_CHANNELS = (
    "Quiet hours and maintenance of channels are not yours to see, so that they do not count here"
)
WOULD_PAUSE = "It would have been paused; what ran after that counts as if it had been resumed"


class ChannelPlan(Model):
    """Quiet hours and maintenance to rehearse with, in place of those of every channel; None for those."""

    quiet: Annotated[tuple[QuietHours, ...], Field(max_length=20)] | None = None
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=50)] | None = None


class ProposedRules(ChannelPlan):
    """What to rehearse; an absent field is as stored, null is the default.

    *quiet* and *maintenance* count for every channel, in place of its own.
    """

    notify: Annotated[tuple[NotifyRule, ...], Field(max_length=20)] | None = None
    pause_after_failures: Annotated[int, Field(ge=1, le=1000)] | None = None
    expect_seconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = None
    priority: Priority | None = None

    def changes(self) -> dict[str, Any]:
        """Return the fields of the task that are given, by their names in task files."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, include=RULE_FIELDS)

    def plan(self) -> ChannelPlan:
        """Return the hours of the channels."""
        return ChannelPlan(quiet=self.quiet, maintenance=self.maintenance)


RULE_FIELDS = {"notify", "pause_after_failures", "expect_seconds", "priority"}


@dataclass(frozen=True, slots=True)
class WordedMessage:
    """A message that would have been sent: when, where to, and in which words."""

    at: datetime
    channel: str
    kinds: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """What rules would have sent.

    Attributes:
        records: How many run records were read for it.
        present: How many messages the rules that are stored would have sent, with the channels as they are.
        held: In words, what would still wait for the end of quiet hours or maintenance.
        notes: What this cannot show, in a sentence each.
    """

    since: datetime
    until: datetime
    records: int
    messages: tuple[WordedMessage, ...]
    present: int
    held: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the report in one sentence."""
        count = len(self.messages)
        days = max(round((self.until - self.since) / timedelta(days=1)), 1)
        many = "1 message" if count == 1 else f"{count} messages"
        span = "day" if days == 1 else f"{days} days"
        return f"In the last {span} you would have had {many}; with the rules as they are {self.present}"


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels as the caller may know them.

    Attributes:
        preferences: By name.
        config_hashes: By name, of their settings.
        is_known: Whether these are the real ones; False for callers who may not know them.
    """

    preferences: Mapping[str, ChannelPreferences]
    config_hashes: Mapping[str, str]
    is_known: bool = True


class RehearsalDependencies(Protocol):
    """What a rehearsal needs of the scheduler."""

    @property
    def channels(self) -> ChannelService: ...

    @property
    def now(self) -> Callable[[], datetime]: ...

    def message_text(self, notifications: Sequence[Notification]) -> str: ...


async def rehearse_for(
    view: OwnerView,
    dependencies: RehearsalDependencies,
    task: Task,
    spec: TaskSpec,
    *,
    plan: ChannelPlan | None = None,
) -> RehearsalReport:
    """Return what *spec*, proposed for *task*, would have sent; channels are the operator's to know.

    Raises:
        NotFoundError: There is no such task in *view*.
    """
    if view.owner:
        channels = Channels({}, {}, is_known=False)
    else:
        service = dependencies.channels
        channels = Channels(await service.settings(), service.config_hashes)
    return await rehearse_rules(
        view,
        task,
        task.model_copy(update={name: getattr(spec, name) for name in TaskSpec.model_fields}),
        channels=channels,
        plan=plan,
        text_of=dependencies.message_text,
        now=dependencies.now(),
    )


async def rehearse_rules(
    view: OwnerView,
    task: Task,
    proposed: Task,
    *,
    channels: Channels,
    plan: ChannelPlan | None = None,
    text_of: Callable[[Sequence[Notification]], str],
    now: datetime,
) -> RehearsalReport:
    """Return what *proposed* would have sent for the outcomes of *task*, which is the same one as stored.

    It reads at most `MAX_RECORDS` run records of the last 30 days, and writes nothing.

    Args:
        plan: Quiet hours and maintenance to rehearse with.
        text_of: Returns the words of a message.

    Raises:
        NotFoundError: There is no such task in *view*.
    """
    since = max(now - REHEARSED_FOR, task.created_at)
    runs = await view.list_runs_of(task.id, since=since, limit=MAX_RECORDS)
    notes = [] if runs else [NO_RECORDS]
    if len(runs) == MAX_RECORDS:
        since = runs[-1].finished_at
        notes.append(MORE_RECORDS)
    if task.type == HEARTBEAT:
        notes.append(PLAIN_CALLS)
    if not channels.is_known:
        notes.append(OTHERS_CHANNELS)
    found = await _fold(proposed, runs, _table(channels, proposed, plan), since=since, now=now)
    if found.pauses:
        notes.append(WOULD_PAUSE)
    present = await _fold(task, runs, _table(channels, task, None), since=since, now=now)
    return RehearsalReport(
        since=since,
        until=now,
        records=len(runs),
        messages=tuple(
            WordedMessage(
                at=one.at,
                channel=one.channel,
                kinds=tuple(notice.kind for notice in one.notifications),
                text=text_of(one.notifications),
            )
            for one in found.messages
        ),
        present=len(present.messages),
        held=tuple(text_of([notice]) for notice in found.held),
        notes=tuple(notes),
    )


async def _fold(
    task: Task, runs: Sequence[Run], table: RoutingTable, *, since: datetime, now: datetime
) -> Rehearsal:
    return await asyncio.to_thread(rehearse, task, runs, table, since=since, now=now)


def _table(channels: Channels, task: Task, plan: ChannelPlan | None) -> RoutingTable:
    """Return the channels with the hours of *plan*; where none are known, those that the task names."""
    hours: dict[str, object] = {}
    if plan is not None:
        given = {"quiet": plan.quiet, "maintenance": plan.maintenance}
        hours = {name: value for name, value in given.items() if value is not None}
    preferences, hashes = channels.preferences, channels.config_hashes
    if not preferences and (hours or not channels.is_known):
        names = sorted({DEFAULT_CHANNEL, *channel_names(notify_rules(task))})
        preferences, hashes = dict.fromkeys(names, ChannelPreferences()), {}
    return RoutingTable({name: one.model_copy(update=hours) for name, one in preferences.items()}, hashes)
