"""What people know about a task, and what they must still be told: the state of its alerts."""

from typing import Literal

from functions.domain.types import Instant, Model, Priority, Tag, TaskId, TypeName

# A notice: something people should be told about a task, in no channel's own language yet.

NotificationTrigger = Literal[
    "failure", "recovery", "success", "paused", "news", "flapping", "late", "silent"
]
NotificationKind = NotificationTrigger | Literal["reminder", "stable", "channel", "credits", "test"]


class Notification(Model):
    """One event worth a message, complete enough to be rendered later, by another process.

    Attributes:
        id: `<occurrence id>#<kind>`; the same for every attempt at delivery.
        summary: One sentence: what happened.
        channels: Names of the channels still to be told; empty means the default ones.
        since: When the present (or just ended) run of failures began; None when there was none.
        failures: Failed occurrences in a row, this one included.
        last_good: When the task last succeeded, as far as its own notes reach; None when they do not.
        attempt: Attempts made at the occurrence.
        items: What was found, for people to read; each with `title` and perhaps `url` and `text`.
        priority: The task's; what is urgent passes through quiet hours and maintenance.
        tags: The task's, by which maintenance may name it.
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


class AlertState(Model):
    """What people know about this task, and what they must still be told.

    Attributes:
        failing_since: When the present run of failures began; None while all is well.
        told: Whether somebody was told of the present failures, so that a recovery is news.
        signature: What the last told failure looked like, to notice a changed error.
        pending: Notices decided and not yet delivered. Written with the result they tell of, so a
            crash between run and delivery loses none.
        tries: How often delivery of the pending notices failed.
        retry_at: When to try again; None when nothing is pending.
        held_until: When the last of the channels that are closed to them opens; None when none is closed.
        told_at: When the first word of the present failures was said, which reminders count from.
        reminded_at: Reminders due until then were given, or were not needed.
        course: The last occurrences, oldest first: `.` succeeded, `!` failed; empty while none failed.
        flapping: The channels told that the task changes too often, and told nothing more until it is
            steady; empty while it does not.
        late: Whether people know that the task starts late.
        silent: Whether people know that a success is overdue.
        awaiting_since: Since when a success is awaited: the last one, or the end of a pause. None when
            there was neither, or nobody waits for one.
    """

    failing_since: Instant | None = None
    notified: bool = False
    failure_fingerprints: str = ""
    pending: tuple[Notification, ...] = ()
    delivery_attempts: int = 0
    retry_at: Instant | None = None
    held_until: Instant | None = None
    first_notified_at: Instant | None = None
    reminded_at: Instant | None = None
    outcome_history: str = ""
    flapping: tuple[str, ...] = ()
    late_notified: bool = False
    missing_success_notified: bool = False
    awaiting_since: Instant | None = None
