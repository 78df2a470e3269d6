"""The state of a task's alerts: the notification as a value, and what has been and must be delivered."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from functions.domain.types import Instant, Model, Priority, Tag, TaskId, TypeName, occurrence_id

if TYPE_CHECKING:
    from functions.domain.task import Task

NotificationTrigger = Literal[
    "failure", "recovery", "success", "paused", "news", "flapping", "late", "silent"
]
NotificationKind = (
    NotificationTrigger
    | Literal["reminder", "stable", "removed", "channel", "undelivered", "credits", "test"]
)


class Notification(Model):
    """One event worth a message, complete enough to be rendered later, by another process.

    Attributes:
        id: `<occurrence id>#<kind>`; the same for every attempt at delivery.
        summary: One sentence: what happened.
        channels: Names of the channels it must still be delivered to; empty means the default ones.
        since: When the present (or just ended) run of failures began; None when there was none.
        failures: Failed occurrences in a row, this one included.
        last_success_at: When the task last succeeded, as far as `Task.recent` reaches; None beyond it.
        attempt: Attempts made at the occurrence.
        items: What the run found; each with `title` and perhaps `url` and `text`.
        priority: The task's; what is urgent passes through quiet hours and maintenance.
        tags: The task's, by which maintenance may name it.
        delivered: Whether a channel has accepted it.
        unconfirmed: By channel: how often it was sent there and no reply came.
        lacking: By channel: which of its recipients have not got it, when others have; see `recipient_key`.
        dropped_before: Earlier notifications of the task that were dropped because too many waited.
    """

    id: str
    kind: NotificationKind
    task_id: TaskId
    title: str
    type: TypeName
    schedule: str
    timezone: str
    occurrence: Instant
    at: Instant
    summary: str
    channels: tuple[str, ...] = ()
    since: Instant | None = None
    failures: int = 0
    last_success_at: Instant | None = None
    attempt: int = 0
    duration_ms: int = 0
    next_run_at: Instant | None = None
    items: tuple[dict[str, str], ...] = ()
    priority: Priority = Priority.MEDIUM
    tags: tuple[Tag, ...] = ()
    delivered: bool = False
    unconfirmed: dict[str, int] = Field(default_factory=dict)
    lacking: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    dropped_before: int = 0

    @classmethod
    def about(
        cls,
        task: "Task",
        kind: NotificationKind,
        *,
        occurrence: datetime,
        now: datetime,
        summary: str,
        **details: Any,
    ) -> "Notification":
        """The notification of *kind* about *task*.

        Args:
            occurrence: The instant it belongs to, which makes its id.
            details: Further fields, and those that differ from the task's.
        """
        upcoming = task.next_occurrence
        fields: dict[str, Any] = {
            "id": f"{occurrence_id(task.id, occurrence)}#{kind}",
            "title": task.title,
            "schedule": task.schedule,
            "next_run_at": upcoming if upcoming and upcoming > now else None,
            "priority": task.priority,
            "tags": task.tags,
        }
        return cls(
            kind=kind,
            task_id=task.id,
            type=task.type,
            timezone=task.timezone,
            occurrence=occurrence,
            at=now,
            summary=summary,
            **fields | details,
        )

    @classmethod
    def about_service(
        cls, task_id: str, kind: NotificationKind, *, at: datetime, title: str, summary: str, **details: Any
    ) -> "Notification":
        """The notification of *kind* about something that is no task: a channel, or the scheduler itself.

        Args:
            task_id: Its name in place of a task's, such as `channel.slack`; what precedes a dot is its type.
            details: Further fields, and those that differ.
        """
        fields = {"id": f"{task_id}@{at.isoformat()}#{kind}", "occurrence": at, "at": at}
        return cls(
            kind=kind,
            task_id=task_id,
            title=title,
            type=task_id.partition(".")[0],
            schedule="",
            timezone="UTC",
            summary=summary,
            **fields | details,
        )


class AlertState(Model):
    """What has been said of a task, and what must still be delivered.

    Attributes:
        failing_since: When the present run of failures began; None while the task succeeds.
        notified: Whether a notification of the present failures exists, so that a recovery is news.
        notified_channels: The channels that have a notification of the last run of failures, present or over.
        failure_fingerprints: Of the failures notified of, oldest first, so that a changed error is noticed.
        pending: Notifications decided and not yet delivered. They are written with the result they are
            about, so a crash between run and delivery loses none.
        dropped: Notifications dropped since all that waited was last delivered, because too many waited.
        delivery_attempts: How often delivery of the pending notifications failed.
        retry_at: When to try again; None when nothing is pending.
        held_until: When the last of the channels that are closed to them opens; None when none is closed.
        first_notified_at: When the first notification of the present failures was made; reminders count
            from it.
        reminded_at: Reminders due until then were given, or were not needed.
        acknowledged_by: Who knows of the present failures; there are no reminders of them then. Empty for
            nobody, as after each recovery.
        outcome_history: The last occurrences, oldest first: `.` succeeded, `!` failed; empty while none
            failed.
        flapping: The channels notified that the task changes too often, which get nothing more until it is
            stable; empty while it does not.
        late_notified: Whether a notification says that the task starts late.
        missing_success_notified: Whether a notification says that a success is overdue.
        awaiting_since: Since when a success is awaited: the last one, or the end of a pause. None when
            there was neither, or when no success is expected within a time.
    """

    failing_since: Instant | None = None
    notified: bool = False
    notified_channels: tuple[str, ...] = ()
    failure_fingerprints: str = ""
    pending: tuple[Notification, ...] = ()
    dropped: int = 0
    delivery_attempts: int = 0
    retry_at: Instant | None = None
    held_until: Instant | None = None
    first_notified_at: Instant | None = None
    reminded_at: Instant | None = None
    acknowledged_by: str = ""
    outcome_history: str = ""
    flapping: tuple[str, ...] = ()
    late_notified: bool = False
    missing_success_notified: bool = False
    awaiting_since: Instant | None = None

    def failing(self, since: datetime) -> "AlertState":
        """Return the state while failures go on; those that begin now begin at *since*, unknown to all."""
        if self.failing_since is not None:
            return self
        return self.model_copy(update={"failing_since": since, "notified_channels": ()})
