"""The task: what the user writes (`TaskSpec`), that with the scheduler's state (`Task`), and its `Job`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from unicodedata import combining, normalize

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from functions.domain.alerts.model import AlertState, NotificationTrigger
from functions.domain.costs.task_budget import CreditLimit, Spending
from functions.domain.events import After, Dependent, Event, OnEvent, Outbox
from functions.domain.heartbeat.model import HEARTBEAT, HeartbeatState
from functions.domain.json_depth import check_values
from functions.domain.schedule.base import MAX_SCHEDULE_CHARS, ScheduleError
from functions.domain.schedule.days.entries import (
    MAX_ENTRIES,
    MAX_ENTRY_CHARS,
    canonical_entries,
    split_entries,
)
from functions.domain.sharding import SHARDS
from functions.domain.types import (
    Author,
    Instant,
    Model,
    OutcomeKind,
    Priority,
    Status,
    Tag,
    TaskId,
    Trigger,
    TypeName,
    short_name,
)


class Misfire(Model):
    """What becomes of occurrences for which no tick came in time.

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
    def _check_backoff_order(self) -> Self:
        if self.max_backoff_seconds < self.min_backoff_seconds:
            raise ValueError("maxBackoffSeconds must not be smaller than minBackoffSeconds")
        return self


class NotifyRule(Model):
    """Which notifications go to which channels.

    Attributes:
        on: The kinds of notification this rule asks for.
        channels: Names of channels; empty means the default ones.
        after: Failures in a row before the first notification.
        remind: Seconds between reminders while a failure lasts; auto is 1 h, 4 h and 12 h after the first
            notification, then each day, and each day only while the task does not run.
    """

    on: tuple[NotificationTrigger, ...] = ("failure", "recovery")
    channels: tuple[str, ...] = ()
    after: Annotated[int, Field(ge=1, le=1000)] = 1
    remind: Literal["auto", "never"] | Annotated[int, Field(ge=60, le=31_536_000)] = "auto"


MAX_RECENT_OUTCOMES = 20  # outcomes in the task itself, for a sparkline without reading the runs
MAX_RUNS = 1_000_000_000_000  # of a task that may have so many and no more; Python's counters end at 2**63
MAX_SUMMARY_CHARS = 400
DayEntry = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ENTRY_CHARS)]


FORMER_NAMES = {"recent": "recent"}  # of fields in documents of 0.2.0; a write of the field removes them

# One text: twenty of their own would take two fifths of a task's memory. Lists are read as well: documents of
# 0.2.0 have one, as `recent`. The text is stored under another name: 0.2.0 reads no task with a text as
# `recent`, and whoever goes back to it would find none that has run.
if TYPE_CHECKING:
    OutcomeLines = str
else:
    OutcomeLines = str | Annotated[tuple[str, ...], AfterValidator("\n".join)]


class Group(Model):
    """Tasks that share a limit, such as those that call one service, and the limits that this task keeps to.

    Attributes:
        name: The same in all its tasks; the tasks of each owner are a group of their own.
        max_concurrent: Attempts of the group that may run at once, in all processes.
        per_minute: Attempts of the group that may start in a calendar minute, in all processes.
    """

    name: Annotated[str, short_name(63)]
    max_concurrent: Annotated[int, Field(ge=1, le=500)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_name_alone(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise ValueError(  # noqa: TRY004  # pydantic collects these alone
                "must be its limits, such as {name: shop, perMinute: 30}; groups: is of task files"
            )
        return given

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.max_concurrent is None and self.per_minute is None:
            raise ValueError(
                "a group needs maxConcurrent, perMinute or both; files may have them under groups:"
            )
        return self


class TaskCalendar(Model):
    """The days of a calendar as they were when the task was saved, so that no tick reads the calendar.

    Attributes:
        revision: Of the calendar; another one now means that the task's are out of date.
    """

    name: str
    revision: str
    entries: tuple[str, ...]


class TaskFields(Model):
    """What the user decides about a task: what to do, when, and how to treat failure.

    Attributes:
        schedule: Five cron fields, a macro, `every 15m`, or `at 2026-12-01T09:00`; several
            with semicolons between them. May be left out by a task
            that starts `after` others or `on_event`, or only when a user asks for a run.
        timezone: IANA name of the zone the schedule is read in.
        excluded: Days of the task's zone on which it does not run: dates, yearly dates, ranges, weekdays,
            weekends, holidays:LV, calendar:NAME; public name `except`.
        on_excluded: skip leaves out what would run on such a day; next and previous move it, and what would
            run in a weekend, to the business day after or before.
        start_at: No occurrence before this instant; also the anchor of an interval.
        end_at: No occurrence after this instant.
        max_runs: Scheduled runs after which the task has ended; None means no limit.
        jitter_seconds: A run starts up to this much after its occurrence, the same for each try.
        timeout_seconds: Total time one attempt may take.
        group: The limits it shares with others; None means that it waits for nobody.
        delivery: at_most_once never tries an occurrence a second time, whatever became of the first.
        pause_after_failures: Failed occurrences in a row after which the task pauses itself; None means
            never, and 5 for the types that cost most, see `complete.DEFAULT_PAUSE_AFTER_FAILURES`.
        budget: The credits it may spend; None means all that its owner has.
        expect_seconds: So long without a success causes a notification, even if nothing ever ran; None means
            never.
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
    schedule: Annotated[str, StringConstraints(max_length=MAX_SCHEDULE_CHARS)] = ""
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    excluded: Annotated[tuple[DayEntry, ...], Field(alias="except", max_length=MAX_ENTRIES)] = ()
    on_excluded: Literal["skip", "next", "previous"] = "skip"
    start_at: Instant | None = None
    end_at: Instant | None = None
    max_runs: Annotated[int, Field(ge=1, le=MAX_RUNS)] | None = None
    jitter_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    misfire: Misfire = Misfire.model_construct()
    overlap: Literal["skip", "queue_one", "queue_all"] = "skip"
    priority: Priority = Priority.MEDIUM
    timeout_seconds: Annotated[float, Field(gt=0, le=3000)] = 20.0
    retry: Retry = Retry.model_construct()
    group: Group | None = None
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    pause_after_failures: Annotated[int, Field(ge=1, le=1000)] | None = None
    budget: CreditLimit | None = None
    expect_seconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = None
    notify: tuple[NotifyRule, ...] | None = None
    enabled: bool = True

    @property
    def has_event_triggers(self) -> bool:
        """Whether an event or another task can start it."""
        return bool(self.after or self.on_event)


class TaskSpec(TaskFields):
    """A task as the user writes it, checked as a whole; what is stored was checked before.

    Whether anything ever starts it is checked where tasks are written, see `why_never_started`.
    """

    @model_validator(mode="before")
    @classmethod
    def _id_from_title(cls, given: Any) -> Any:
        """Derive the id of a task without one from its title."""
        if isinstance(given, dict) and "id" not in given and isinstance(given.get("title"), str):
            return {**given, "id": slugify(given["title"])}
        return given

    @field_validator("excluded", mode="before")
    @classmethod
    def _split_days(cls, given: Any) -> Any:
        return split_entries(given)

    @field_validator("excluded")
    @classmethod
    def _canonical_days(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return canonical_entries(given)
        except ScheduleError as exc:
            raise ValueError(str(exc)) from None

    @model_validator(mode="after")
    def _check_days_have_schedule(self) -> Self:
        if not self.schedule and (self.excluded or self.on_excluded != "skip"):
            name = "except" if self.excluded else "onExcluded"
            raise ValueError(f"{name} is of the days of a schedule, and there is none; remove it")
        return self

    @field_validator("params")
    @classmethod
    def _check_params(cls, given: dict[str, Any]) -> dict[str, Any]:
        check_values(given, any_json=True)
        return given

    @model_validator(mode="after")
    def _check_end_after_start(self) -> Self:
        if self.start_at and self.end_at and self.end_at < self.start_at:
            raise ValueError("endAt must not be earlier than startAt")
        return self

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        """Refuse what would start a heartbeat: it runs elsewhere, and its schedule says when it calls."""
        if self.type == HEARTBEAT:
            given = {
                "after": self.after,
                "onEvent": self.on_event,
                "jitterSeconds": self.jitter_seconds,
                "maxRuns": self.max_runs,
            }
            if wrong := [name for name, value in given.items() if value]:
                raise ValueError(
                    f"{wrong[0]} is not for a heartbeat, which nothing here starts; remove it "
                    "(params.graceSeconds says how late a call may be)"
                )
        return self


NEVER_STARTED = (
    "is required; only a task with after or onEvent can do without, or one that is run as it is made "
    "(scheduler run --file, POST /api/tasks?run=true)"
)


def why_never_started(spec: TaskFields) -> str:
    """Why nothing would ever start *spec*, as a reason for its `schedule`; empty when something does."""
    return "" if spec.schedule or spec.has_event_triggers else NEVER_STARTED


class Claim(Model):
    """The exclusive, expiring right to make one attempt.

    Attributes:
        token: `<tick id>.<number>`, fresh for each claim: the precondition of later writes.
        until: When the right expires; also the task's `nextRunAt` until then.
    """

    token: str
    until: Instant
    started_at: Instant


class Pause(Model):
    """Why a task is paused. `until` None means until a user resumes it."""

    note: Annotated[str, StringConstraints(max_length=400)] = ""
    until: Instant | None = None
    by: Author = ""
    at: Instant | None = None


class SkippedRange(Model):
    """Occurrences that are skipped together; first and last included.

    Attributes:
        tick_came: Whether a tick ran while the last of them was due; then the scheduler had no room for it.
    """

    count: Annotated[int, Field(ge=1)]
    first: Instant
    last: Instant
    tick_came: bool = False


class QueuedRun(Model):
    """An occurrence that waits beside the schedule's next one, with the event that caused it, if any."""

    at: Instant
    trigger: Trigger
    event: Event | None = None


class Task(TaskFields):
    """A task as it is stored: the spec and the scheduler's state, in one flat document.

    Attributes:
        origin: Where the task came from, e.g. `file:shop/tasks.yaml`; `apply` removes only what came from
            the same.
        applied_spec_hash: Of the spec that a file last applied; another hash now means that it was changed
            elsewhere since.
        calendars: The days of the calendars that `excluded` names.
        next_occurrence: The schedule's next one not yet run, skipped or queued; None when it has ended.
        next_run_at: When the task is due next: for an occurrence (with its jitter), a retry, the expiry of a
            claim, the end of a pause, an undelivered notification; None when there is nothing to wait for.
        occurrence: The current occurrence, while running or retrying.
        attempt: Attempts begun at the current occurrence.
        retry_at: When to try the current occurrence again; None unless retrying.
        expired_claims: Attempts in a row whose claim expired without a result.
        interruptions: Attempts at the current occurrence that were cut short from outside: by the end of
            their tick or of their process. They count for no `maxAttempts`.
        backlog: Occurrences waiting beside the schedule, oldest first.
        missed: Skipped occurrences for which the current one stands in; recorded with it.
        event: The event that caused the current occurrence.
        dependents: The tasks that run after this one.
        seen_event_ids: Of the last events that started it; one of these that is sent again is ignored.
        outbox: Its events that are not delivered yet.
        credits_spent: In this month, where it has a budget.
        recent: The last outcomes, oldest first, a line each: `<outcome> <duration in ms> <instant>`.
        tally: Successes and failures of the last hours and days; see `history.tally`.
        incidents: The last times in which it failed, each `<first failure> <recovery> <failures>`.
        memory: The task type's own data, e.g. ids of feed items already seen.
        heartbeat: What is known of the program that a heartbeat stands for; None for any other task.
    """

    model_config = ConfigDict(extra="ignore")  # a newer version's field must not stop an older tick

    origin: str = ""
    applied_spec_hash: str = ""
    created_at: Instant
    updated_at: Instant
    shard: Annotated[int, Field(ge=0, lt=SHARDS)] = 0
    status: Status = Status.SCHEDULED
    pause: Pause | None = None
    calendars: tuple[TaskCalendar, ...] = ()
    next_occurrence: Instant | None = None
    next_run_at: Instant | None = None
    occurrence: Instant | None = None
    trigger: Trigger = Trigger.SCHEDULE
    attempt: int = 0
    retry_at: Instant | None = None
    claim: Claim | None = None
    cancel_requested: bool = False
    expired_claims: int = 0
    interruptions: int = 0
    backlog: tuple[QueuedRun, ...] = ()
    missed: SkippedRange | None = None
    event: Event | None = None
    dependents: tuple[Dependent, ...] = ()
    seen_event_ids: tuple[str, ...] = ()
    outbox: Outbox = Outbox.model_construct()
    last_run_at: Instant | None = None
    last_outcome: OutcomeKind | None = None
    last_result_summary: str = ""
    last_error: str = ""
    last_duration_ms: int | None = None
    consecutive_failures: int = 0
    run_count: int = 0
    memory: dict[str, Any] = Field(default_factory=dict)
    credits_spent: Spending = Spending.model_construct()
    recent: OutcomeLines = Field("", alias="recentOutcomes")
    tally: str = ""
    incidents: tuple[str, ...] = ()
    alert: AlertState = AlertState.model_construct()
    heartbeat: HeartbeatState | None = None

    @property
    def is_failing(self) -> bool:
        """Whether it fails, misses a success, or skips and was notified of: what may have reminders."""
        alert = self.alert
        return bool(self.consecutive_failures or alert.missing_success_notified or alert.first_notified_at)


def slugify(title: str) -> str:
    """The id derived from *title*: lower case, words joined by hyphens; empty when nothing is left.

    Letters lose their accents however they are written, e.g. `Café` is `cafe` composed and decomposed.
    """
    plain = "".join(letter for letter in normalize("NFKD", title) if not combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")[:60].strip("-")


def default_title(task_id: str) -> str:
    """The title of a task that was given none."""
    return task_id.replace("-", " ").replace("_", " ").strip().capitalize() or task_id


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one occurrence, seen from the task type's side.

    Attributes:
        idempotency_key: The occurrence's id, the same for each attempt, e.g. `ping@2026-11-20T12:00:00Z`.
        scheduled_at: The instant the schedule meant, without jitter or lateness.
        started_at: When this attempt began: the only "now" a task type needs.
        attempt: From 1.
        missed: Occurrences this one stands in for; None when there are none.
        event: The event that caused this occurrence, if any.
        memory: The type's own data from its last successful run; empty at first.
        timeout_s: Seconds this attempt may take; the tick ends it then, whatever it is doing.
        max_tokens: Tokens of a model that credits allow it; None means no limit.
        owner: The task's owner; empty for one of the operator's.
        channels: The channels that its rules name, where it has an owner.
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
    missed: SkippedRange | None
    memory: Mapping[str, Any]
    timeout_s: float
    max_tokens: int | None = None
    event: Event | None = None
    owner: str = ""
    channels: tuple[str, ...] = ()
