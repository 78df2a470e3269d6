"""A notice: something people should be told about a task, in no channel's own language yet."""

from typing import Literal

from functions.rules.words import Instant, Model, Priority, Tag, TaskId, TypeName

Event = Literal["failure", "recovery", "success", "paused", "news", "flapping", "late", "silent"]
NoticeKind = Event | Literal["reminder", "stable", "channel", "credits", "test"]


class Notice(Model):
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
    kind: NoticeKind
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
    last_good: Instant | None = None
    attempt: int = 0
    duration_ms: int = 0
    next_run_at: Instant | None = None
    items: tuple[dict[str, str], ...] = ()
    priority: Priority = Priority.MEDIUM
    tags: tuple[Tag, ...] = ()
