"""What a person lays down for the bad days of a task: missed occurrences, failures, who is told."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from functions.rules.notice import Event
from functions.rules.words import Model


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

    on: tuple[Event, ...] = ("failure", "recovery")
    channels: tuple[str, ...] = ()
    after: Annotated[int, Field(ge=1, le=1000)] = 1
    remind: Literal["auto", "never"] | Annotated[int, Field(ge=60, le=31_536_000)] = "auto"
