"""What a task is: the part a person writes (`TaskSpec`), and that with what the scheduler keeps (`Task`)."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from functions.domain.alerts.model import Alert, NotificationTrigger
from functions.domain.events import After, Event, Follower, OnEvent, Outbox
from functions.domain.task_budget import Spent, TaskBudget
from functions.domain.types import (
    Instant,
    Model,
    OutcomeKind,
    Priority,
    Status,
    Tag,
    TaskId,
    Trigger,
    TypeName,
)

# What a person lays down for the bad days of a task: missed occurrences, failures, who is told.


class Misfire(Model):
    """What becomes of occurrences nobody pinged for.

    Attributes:
        policy: run_once runs the newest and records the rest as skipped; run_all runs each;
            skip runs only what is still within the grace.
        grace_seconds: Lateness that still counts as on time; auto is half the period, 120 s to 2 h.
    """

    policy: Literal["run_once", "run_all", "skip"] = "run_once"
    grace_seconds: Annotated[int, Field(ge=0, le=604_800)] | Literal["auto"] = "auto"


class Retry(Model):
    """How often, and how soon, a failed occurrence is tried again.

    Attributes:
        max_attempts: All attempts at one occurrence, the first included. 1 means never again.
        min_backoff_seconds: No wait is shorter than this.
        max_backoff_seconds: No wait is longer than this. A wait is drawn at random between the least
            and a ceiling that doubles with each attempt.
    """

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    min_backoff_seconds: Annotated[int, Field(ge=1, le=86_400)] = 10
    max_backoff_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_backoff_seconds < self.min_backoff_seconds:
            raise ValueError("maxBackoffSeconds must not be smaller than minBackoffSeconds")
        return self


class NotifyRule(Model):
    """Who is told of what.

    Attributes:
        on: The kinds of event this rule listens to.
        channels: Names of channels; empty means the default ones.
        after: Failures in a row before the first word of them.
        remind: Seconds between reminders while a failure lasts; auto is 1 h, 4 h and 12 h after the first
            word, then each day, and each day only while the task does not run.
    """

    on: tuple[NotificationTrigger, ...] = ("failure", "recovery")
    channels: tuple[str, ...] = ()
    after: Annotated[int, Field(ge=1, le=1000)] = 1
    remind: Literal["auto", "never"] | Annotated[int, Field(ge=60, le=31_536_000)] = "auto"


SHARDS = 64  # virtual shards; fixed for ever, so that growing needs no migration of data
RECENT_RUNS = 20  # outcomes kept in the task itself, for a sparkline without reading the ledger
SUMMARY_CHARS = 400


class TaskFields(Model):
    """What a person decides about a task: what to do, when, and how to treat failure.

    Attributes:
        schedule: Five cron fields, a macro, `every 15m`, or `at 2026-12-01T09:00`; may be left out by a task
            that starts `after` others or `on_event`.
        timezone: IANA name of the zone the schedule is read in.
        start_at: No occurrence before this moment; also the anchor of an interval.
        end_at: No occurrence after this moment.
        max_runs: Scheduled runs after which the task has ended; None means no limit.
        jitter_seconds: A run starts up to this much after its occurrence, the same for each try.
        timeout_seconds: Total time one attempt may take.
        delivery: at_most_once never tries an occurrence a second time, whatever became of the first.
        pause_after_failures: Failed occurrences in a row after which the task pauses itself; None means
            never, and 5 for the types that cost most, see `settlement.BREAKERS`.
        budget: The credits it may spend; None means all that its owner has.
        expect_seconds: People are told when so long passed without a success, even if nothing ever ran;
            None means never.
        notify: None means the default channels on all but success.
    """

    id: TaskId
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    owner: Annotated[str, StringConstraints(max_length=100)] = ""
    tags: Annotated[tuple[Tag, ...], Field(max_length=10)] = ()
    type: TypeName
    params: dict[str, Any] = Field(default_factory=dict)
    after: Annotated[tuple[After, ...], Field(max_length=10)] = ()
    on_event: Annotated[tuple[OnEvent, ...], Field(max_length=10)] = ()
    schedule: Annotated[str, StringConstraints(max_length=200)] = ""
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    start_at: Instant | None = None
    end_at: Instant | None = None
    max_runs: Annotated[int, Field(ge=1)] | None = None
    jitter_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    misfire: Misfire = Misfire.model_construct()
    overlap: Literal["skip", "queue_one", "queue_all"] = "skip"
    priority: Priority = Priority.MEDIUM
    timeout_seconds: Annotated[float, Field(gt=0, le=3000)] = 20.0
    retry: Retry = Retry.model_construct()
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    pause_after_failures: Annotated[int, Field(ge=1, le=1000)] | None = None
    budget: TaskBudget | None = None
    expect_seconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = None
    notify: tuple[NotifyRule, ...] | None = None
    enabled: bool = True

    @property
    def listens(self) -> bool:
        """Whether something else than its schedule can start it."""
        return bool(self.after or self.on_event)


class TaskSpec(TaskFields):
    """A task as a person writes it, checked as a whole. What is stored was checked before it was."""

    schedule: Annotated[str, StringConstraints(max_length=200), Field(validate_default=True)] = ""

    @model_validator(mode="before")
    @classmethod
    def _id_from_title(cls, given: Any) -> Any:
        """A task without an id is named after its title."""
        if isinstance(given, dict) and "id" not in given and isinstance(given.get("title"), str):
            return {**given, "id": slug(given["title"])}
        return given

    @field_validator("schedule")
    @classmethod
    def _starts_somehow(cls, given: str, others: ValidationInfo) -> str:
        if not given and not others.data.get("after") and not others.data.get("on_event"):
            raise ValueError("is required; only a task with after or onEvent can do without")
        return given

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.start_at and self.end_at and self.end_at < self.start_at:
            raise ValueError("endAt must not be earlier than startAt")
        return self


class Claim(Model):
    """The exclusive, expiring right to make one attempt.

    Attributes:
        token: `<tick id>.<number>`, fresh for each claim: what later writes are fenced by.
        until: When the right expires; also the task's `nextRunAt` until then.
    """

    token: str
    until: Instant
    started_at: Instant


class Pause(Model):
    """Why a task stands still. `until` None means until somebody resumes it."""

    note: Annotated[str, StringConstraints(max_length=400)] = ""
    until: Instant | None = None
    by: Annotated[str, StringConstraints(max_length=100)] = ""
    at: Instant | None = None


class Missed(Model):
    """Occurrences that came and went while nobody pinged; first and last included."""

    count: Annotated[int, Field(ge=1)]
    first: Instant
    last: Instant


class Extra(Model):
    """An occurrence that waits its turn beside the schedule's next one, with the event that asked for it."""

    at: Instant
    trigger: Trigger
    event: Event | None = None


class Task(TaskFields):
    """A task as it is stored: the spec and what the scheduler keeps beside it, in one flat document.

    Attributes:
        origin: Where the task came from, e.g. `file`; only tasks from files are removed by `apply`.
        applied: The fingerprint of what a file last said of it; another one now means that somebody else
            has changed it since.
        upcoming: The schedule's next occurrence not yet run, skipped or queued; None when it has ended.
        next_run_at: The next moment the scheduler must look at this task: an occurrence (with its
            jitter), a retry, the expiry of a claim, the end of a pause, an undelivered notice; None when
            there is nothing to wait for.
        occurrence: The occurrence in hand while running or retrying.
        attempt: Attempts begun at the occurrence in hand.
        retry_at: When to try the occurrence in hand again; None unless retrying.
        crashes: Attempts in a row whose claim expired without a result.
        backlog: Occurrences waiting beside the schedule, oldest first.
        missed: What the occurrence in hand stands in for; recorded with it.
        event: The event that asked for the occurrence in hand.
        followers: The tasks that run after this one.
        heard: The last events it was started by: one that comes again is not heard again.
        outbox: What others are to hear of it.
        spent: The credits it has spent this month, where it has a budget.
        recent: The last outcomes, oldest first, each `<outcome> <duration in ms> <instant>`.
        memory: The task type's own notes, e.g. ids of feed items already seen.
    """

    model_config = ConfigDict(extra="ignore")  # a newer version's field must not stop an older tick

    origin: str = ""
    applied: str = ""
    created_at: Instant
    updated_at: Instant
    shard: Annotated[int, Field(ge=0, lt=SHARDS)] = 0
    status: Status = Status.SCHEDULED
    pause: Pause | None = None
    upcoming: Instant | None = None
    next_run_at: Instant | None = None
    occurrence: Instant | None = None
    trigger: Trigger = Trigger.SCHEDULE
    attempt: int = 0
    retry_at: Instant | None = None
    claim: Claim | None = None
    cancel_requested: bool = False
    crashes: int = 0
    backlog: tuple[Extra, ...] = ()
    missed: Missed | None = None
    event: Event | None = None
    followers: tuple[Follower, ...] = ()
    heard: tuple[str, ...] = ()
    outbox: Outbox = Outbox.model_construct()
    last_run_at: Instant | None = None
    last_outcome: OutcomeKind | None = None
    last_result_summary: str = ""
    last_error: str = ""
    last_duration_ms: int | None = None
    consecutive_failures: int = 0
    run_count: int = 0
    memory: dict[str, Any] = Field(default_factory=dict)
    spent: Spent = Spent.model_construct()
    recent: tuple[str, ...] = ()
    alert: Alert = Alert.model_construct()


def slug(title: str) -> str:
    """The id a title makes: lower case, words joined by hyphens; empty when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")


def shard_of(task_id: str) -> int:
    """Which of the virtual shards a task belongs to, for ever."""
    return zlib.crc32(task_id.encode()) % SHARDS


# A job: what a task type is handed when it is asked to do its work once.


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one occurrence, seen from the task type's side.

    Attributes:
        idempotency_key: The occurrence's id, the same for each attempt, e.g. `ping@2026-11-20T12:00:00Z`.
        scheduled_at: The instant the schedule meant, without jitter or lateness.
        started_at: When this attempt began: the only "now" a task type needs.
        attempt: From 1.
        missed: Occurrences this one stands in for; None when there are none.
        event: What asked for this occurrence, where an event did.
        memory: The type's own notes from its last successful run; empty at first.
        timeout_s: Seconds this attempt may take; the tick ends it then, whatever it is doing.
        max_tokens: Tokens of a model that credits allow it; None means no limit.
    """

    task_id: str
    title: str
    type: str
    params: Mapping[str, Any]
    timezone: str
    idempotency_key: str
    scheduled_at: datetime
    started_at: datetime
    attempt: int
    trigger: Trigger
    missed: Missed | None
    memory: Mapping[str, Any]
    timeout_s: float
    max_tokens: int | None = None
    event: Event | None = None
