"""What an attempt came to, and the record kept of it. A failed task is a value here, not an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import Field

from functions.domain.events import Event
from functions.domain.types import (
    Instant,
    Model,
    OutcomeKind,
    SkipReason,
    TaskId,
    Trigger,
    instant_text,
    occurrence_id,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt. Build it with `succeeded` or `failed`; the tick makes the rest.

    Attributes:
        summary: One sentence a person understands. Never a secret, never a traceback.
        permanent: True when trying again cannot help.
        retry_after: The wait the other side asked for; None when it asked for none.
        metrics: Small numbers and words about the attempt, e.g. `{"latencyMs": 42}`.
        items: What was found, for people to read; each with `title` and perhaps `url` and `text`.
        memory: The type's notes to keep for its next run; None leaves them as they are.
        news: True when the summary and items are themselves the message, e.g. new feed entries.
        events: What other tasks are to hear of.
    """

    kind: OutcomeKind
    summary: str
    permanent: bool = False
    retry_after: timedelta | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Mapping[str, str], ...] = ()
    memory: Mapping[str, Any] | None = None
    news: bool = False
    events: tuple[Event, ...] = ()


def succeeded(
    summary: str,
    *,
    metrics: Mapping[str, Any] | None = None,
    items: tuple[Mapping[str, str], ...] = (),
    memory: Mapping[str, Any] | None = None,
    news: bool = False,
    events: tuple[Event, ...] = (),
) -> Outcome:
    """The action did what was asked."""
    return Outcome(
        OutcomeKind.SUCCEEDED,
        summary,
        metrics=metrics or {},
        items=items,
        memory=memory,
        news=news,
        events=events,
    )


def failed(
    reason: str,
    *,
    permanent: bool = False,
    retry_after: timedelta | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> Outcome:
    """The action did not do what was asked."""
    return Outcome(
        OutcomeKind.FAILED,
        reason,
        permanent=permanent,
        retry_after=retry_after,
        metrics=metrics or {},
    )


class Run(Model):
    """The record of one attempt, or of occurrences that were skipped, in the ledger.

    Attributes:
        occurrence: The instant attempted, or the first one skipped.
        last: The last one skipped, when the record stands for several; None otherwise.
        count: Occurrences this record stands for; 1 for an attempt.
        attempt: From 1; 0 for a skip.
        token: The claim the attempt was made under; empty for a skip.
        final: True when the occurrence is over with this record, False when a retry follows.
        summary: One sentence, at most 400 characters.
        news: True when the summary and items are themselves a message to people.
        cause: The type of the event that asked for it, and where that came from; empty for any other trigger.
        events: What the attempt sends to other tasks.
    """

    task_id: TaskId
    occurrence: Instant
    trigger: Trigger = Trigger.SCHEDULE
    attempt: int = 0
    token: str = ""
    outcome: OutcomeKind
    skip_reason: SkipReason | None = None
    final: bool = True
    summary: str = ""
    started_at: Instant
    finished_at: Instant
    last: Instant | None = None
    count: int = 1
    metrics: dict[str, Any] = Field(default_factory=dict)
    items: tuple[dict[str, str], ...] = ()
    news: bool = False
    cause: str = ""
    events: tuple[Event, ...] = ()

    @property
    def key(self) -> str:
        """What makes this record unique: writing it twice must leave one."""
        until = "" if self.last is None else f"-{instant_text(self.last)}"
        return f"{occurrence_id(self.task_id, self.occurrence)}#{self.attempt}{self.token}{until}"

    @property
    def only_decided(self) -> bool:
        """Whether nothing was done: a skip, a retry given up, a claim given up. No claim, or no result."""
        return not self.token or self.outcome is OutcomeKind.ABANDONED

    @property
    def duration_ms(self) -> int:
        """How long the attempt took, in milliseconds."""
        return round((self.finished_at - self.started_at).total_seconds() * 1000)

    @property
    def compact(self) -> str:
        """This record in one short line, as kept in `Task.recent`."""
        return f"{self.outcome} {self.duration_ms} {instant_text(self.started_at)}"
