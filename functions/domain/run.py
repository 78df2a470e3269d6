"""The outcome of an attempt and its record, the run. A task that fails is a value, not an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import ConfigDict, Field

from functions.domain.events import Event
from functions.domain.types import (
    Instant,
    Model,
    OutcomeKind,
    SkipReason,
    TaskId,
    Trigger,
    format_instant,
    occurrence_id,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt. Build it with `succeeded` or `failed`; the tick makes the rest.

    Attributes:
        summary: One sentence for the user. Never a secret, never a traceback.
        permanent: True when trying again cannot help.
        retry_after: The wait the other side asked for; None when it asked for none.
        metrics: Small numbers and words about the attempt, e.g. `{"latencyMs": 42}`.
        items: What was found, for users to read; each with `title` and perhaps `url` and `text`.
        memory: The type's data for its next run; None leaves them as they are.
        has_news: True when the summary and items are themselves the message, e.g. new feed entries.
        events: To send to other tasks.
    """

    kind: OutcomeKind
    summary: str
    permanent: bool = False
    retry_after: timedelta | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Mapping[str, str], ...] = ()
    memory: Mapping[str, Any] | None = None
    has_news: bool = False
    events: tuple[Event, ...] = ()


def succeeded(
    summary: str,
    *,
    metrics: Mapping[str, Any] | None = None,
    items: tuple[Mapping[str, str], ...] = (),
    memory: Mapping[str, Any] | None = None,
    has_news: bool = False,
    events: tuple[Event, ...] = (),
) -> Outcome:
    """The outcome of an attempt that did what was asked."""
    return Outcome(
        OutcomeKind.SUCCEEDED,
        summary,
        metrics=metrics or {},
        items=items,
        memory=memory,
        has_news=has_news,
        events=events,
    )


def failed(
    reason: str,
    *,
    permanent: bool = False,
    retry_after: timedelta | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> Outcome:
    """The outcome of an attempt that did not do what was asked.

    Args:
        retry_after: The wait the other side asked for. A number, of a type that no checker has seen, is
            seconds.
    """
    return Outcome(
        OutcomeKind.FAILED,
        reason,
        permanent=permanent,
        retry_after=retry_after,
        metrics=metrics or {},
    )


class Run(Model):
    """The record of one attempt, or of occurrences that were skipped.

    Attributes:
        occurrence: The instant attempted, or the first one skipped.
        last: The last one skipped, when the record stands for several; None otherwise.
        count: Occurrences this record stands for; 1 for an attempt.
        attempt: From 1; 0 for a skip.
        token: The claim the attempt was made under; empty for a skip.
        final: True when the occurrence is over with this record, False when a retry follows.
        summary: One sentence, at most 400 characters.
        has_news: True when the summary and items are themselves a message to users.
        cause: The type and source of the event that caused it; empty for any other trigger.
        events: What the attempt sends to other tasks.
        deferred: Whether the task's document was left as it was claimed: its next write has what follows.
        task_created_at: When the task was created: another task may have had its id before. None in records
            that do not say so.
    """

    # A record that a newer version wrote says what happened: hidden from an older tick, its attempt would
    # count as abandoned, and be made again.
    model_config = ConfigDict(extra="ignore")

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
    has_news: bool = False
    cause: str = ""
    events: tuple[Event, ...] = ()
    deferred: bool = False
    task_created_at: Instant | None = None

    @property
    def key(self) -> str:
        """The unique key of this record: writing it twice leaves one."""
        until = "" if self.last is None else f"-{format_instant(self.last)}"
        return f"{occurrence_id(self.task_id, self.occurrence)}#{self.attempt}{self.token}{until}"

    @property
    def has_no_result(self) -> bool:
        """Whether there is no result: a skip, a dropped retry, an abandoned claim."""
        return not self.token or self.outcome is OutcomeKind.ABANDONED

    @property
    def shows_tick(self) -> bool:
        """Whether a tick must have come: what users ask for runs without one, and calls have no claim."""
        return bool(self.token) and self.trigger is not Trigger.MANUAL

    @property
    def duration_ms(self) -> int:
        """How long the attempt took, in milliseconds."""
        return round((self.finished_at - self.started_at).total_seconds() * 1000)

    @property
    def outcome_line(self) -> str:
        """This record in one short line of `Task.recent`, which `OutcomeLine` reads."""
        return f"{self.outcome} {self.duration_ms} {format_instant(self.started_at)}"
