"""The basic types: instants, time zones, ids, states, outcomes. Everything else is built from these."""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import cache, lru_cache
from operator import methodcaller
from pathlib import Path
from typing import Annotated, NamedTuple, Self
from unicodedata import category
from zoneinfo import ZoneInfo

import tzdata
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

# Far enough inside of what a datetime can hold that no zone and no wait leads out of it.
FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(9000, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
MAX_DURATION_DIGITS = 12  # of milliseconds: thirty years, with which times can be computed
OUT_OF_RANGE = "is out of range; use a year from 1970 to 9000"
# The only zone data that is read. The machine's own may be older, and then shows other times than it runs at.
TZDATA_DIR = Path(tzdata.__file__).parent


def check_instant(at: datetime) -> datetime:
    """*at*, which is aware, in UTC: what `Instant` does, for an instant that no model reads.

    Raises:
        ValueError: It lies before the year 1970 or after the year 9000.
    """
    try:
        instant = at.astimezone(UTC)  # itself, where it is in UTC already
    except OverflowError:
        raise ValueError(OUT_OF_RANGE) from None
    if not FIRST_INSTANT <= instant <= LAST_INSTANT:
        raise ValueError(OUT_OF_RANGE)
    return instant


def parse_stored_instant(text: object) -> datetime | None:
    """The instant that *text* names, in UTC; None for anything else. Stores are edited by hand."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if at is None or at.tzinfo is None else check_instant(at)
    except ValueError:
        return None


# Checked by pydantic itself: with `check_instant` as its validator the instants of a task take half again as
# long to read (30 us in place of 20 for eight).
Instant = Annotated[
    AwareDatetime,
    Field(ge=FIRST_INSTANT, le=LAST_INSTANT),
    AfterValidator(methodcaller("astimezone", UTC)),
]


_words_of_patterns: dict[str, str] = {}


def text_form(pattern: str, words: str, *, max_length: int | None = None) -> StringConstraints:
    """Constraints of a text that matches *pattern*; the error for another one says *words*, "must be ...".

    A regular expression says nothing to most people. See `words_of_pattern`.
    """
    _words_of_patterns[pattern] = words
    return StringConstraints(pattern=pattern, max_length=max_length)


def words_of_pattern(pattern: str) -> str | None:
    """What `text_form` was given for *pattern*."""
    return _words_of_patterns.get(pattern)


def short_name(max_length: int) -> StringConstraints:
    """Constraints of a name that stands in addresses and on command lines."""
    return text_form(
        f"^[a-z0-9][a-z0-9._-]{{0,{max_length - 1}}}$",
        "must be lower-case letters, digits, dots, hyphens and underscores, begin with a letter or digit, "
        f"and have at most {max_length} characters",
    )


TaskId = Annotated[str, short_name(100)]
TYPE_NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
TypeName = Annotated[
    str, text_form(TYPE_NAME_PATTERN, "must be the name of a task type, such as health_check_url")
]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Author = Annotated[str, StringConstraints(max_length=250)]  # who did it: see `Principal.author`
SHOWS_NOTHING = "must have a letter, a digit or another sign that can be seen"
NOT_A_NAME = "must be printable characters, without spaces at its beginning and end"


# Letters and symbols by category, and empty all the same: a Braille cell, fillers of Hangul, a null note.
_BLANKS = frozenset("\u2800\u115f\u1160\u3164\uffa0\U0001d159")


def shows_something(text: str) -> bool:
    """Whether anything of *text* can be seen: a letter, a digit, or another sign that stands by itself."""
    return any(category(character)[0] in "LNPS" and character not in _BLANKS for character in text)


def is_owner_name(text: str) -> bool:
    """Whether *text* may name an owner: no other owner's name looks the same."""
    return text.isprintable() and text == text.strip()


@lru_cache(maxsize=1024)
def find_timezone(name: str) -> ZoneInfo | None:
    """The time zone called *name*; None when there is none. Any zone that local times can be shown in.

    This function alone opens zones. A schedule asks for more (a place, no offset or abbreviation): see
    `schedule.timezones.load_zone`.
    """
    if name not in timezone_names():
        return None
    with (TZDATA_DIR / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def timezone_names() -> frozenset[str]:
    """All IANA names, links and legacy ones included."""
    return frozenset((TZDATA_DIR / "zones").read_text(encoding="utf-8").split())


def timezone_or_utc(name: str) -> ZoneInfo:
    """The time zone called *name*; UTC when there is none: a stored document may name a zone that is gone."""
    found = find_timezone(name) or find_timezone("UTC")
    assert found is not None  # tzdata has UTC
    return found


def _check_timezone(name: str) -> str:
    if find_timezone(name) is None:
        raise ValueError("must be the name of a time zone, such as Europe/Riga")
    return name


def to_local(at: datetime, zone: tzinfo) -> datetime:
    """*at* on the clock of *zone*, for readers; unchanged where a datetime cannot hold it. Never raises."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


TimezoneName = Annotated[str, AfterValidator(_check_timezone)]


class Model(BaseModel):
    """A frozen value that is camelCase outside Python and snake_case inside.

    Its validator is built when it is first needed: a cold start with nothing due needs hardly any of them.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        defer_build=True,
    )

    def __eq__(self, other: object) -> bool:
        """Return at once for a value and itself: each write compares defaults with themselves."""
        return self is other or super().__eq__(other)


class Priority(StrEnum):
    """How urgent a task is when a tick cannot start everything."""

    URGENT = "urgent"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Status(StrEnum):
    """The state of a task."""

    SCHEDULED = "scheduled"  #: Waits for its next occurrence.
    RUNNING = "running"  #: Claimed; when the claim expires the task is due again.
    RETRYING = "retrying"  #: An attempt failed; the same occurrence is tried again at `retry_at`.
    PAUSED = "paused"  #: A user, or too many failures, stopped it.
    ENDED = "ended"  #: Its schedule yields no further occurrence.
    QUARANTINED = "quarantined"  #: It took the process down too often; only a user can resume it.


class Trigger(StrEnum):
    """Why an occurrence exists."""

    SCHEDULE = "schedule"  #: The schedule implied it.
    CATCH_UP = "catch_up"  #: The schedule implied it while no tick came; run late, one by one.
    QUEUED = "queued"  #: It became due during an earlier run and waited for its end.
    MANUAL = "manual"  #: A user asked for a run now.
    BACKFILL = "backfill"  #: A user asked for the runs of a span of the past.
    EVENT = "event"  #: An event caused it, or the end of another task.
    PING = "ping"  #: The program that a heartbeat stands for called.


class OutcomeKind(StrEnum):
    """The outcome of an attempt, or of an occurrence without one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"  #: Cut short from outside: its tick ended, or its process.
    SKIPPED = "skipped"


class OutcomeLine(NamedTuple):
    """A line of `Task.recent`, one attempt, e.g. `succeeded 42 2026-11-20T12:00:00Z`; see `Run.outcome_line`.

    All is as it is written, since stores are edited by hand; empty where the line ends before.
    """

    outcome: str
    milliseconds: str
    started_at: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read any text as such a line."""
        outcome, _, rest = line.partition(" ")
        milliseconds, _, started_at = rest.partition(" ")
        return cls(outcome, milliseconds, started_at)

    @property
    def duration_ms(self) -> int | None:
        """How long the attempt took; None for what is no such number."""
        text = self.milliseconds
        return int(text) if text.isdecimal() and len(text) <= MAX_DURATION_DIGITS else None


class SkipReason(StrEnum):
    """Why an occurrence was not attempted."""

    OVERLAP = "overlap"
    MISFIRE = "misfire"  #: No tick came in time.
    CAPACITY = "capacity"  #: Ticks came, and had no room for it in time.
    PAUSED = "paused"
    BUDGET = "budget"
    CONFIG = "config"
    ENDED = "ended"


def occurrence_id(task_id: str, at: datetime) -> str:
    """The name of an occurrence and its idempotency key, e.g. `ping@2026-11-20T12:00:00Z`."""
    return f"{task_id}@{format_instant(at)}"


@lru_cache(maxsize=1024)  # an occurrence is named four times in a run, and a minute's tasks share it
def format_instant(at: datetime) -> str:
    """*at* in UTC as RFC 3339, with a fraction only where there is one."""
    text = to_local(at, UTC).isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def earliest(instants: Iterable[datetime | None]) -> datetime | None:
    """The first of those that are known; None when none is. Beyond the last instant means never."""
    first = None
    for instant in instants:
        if instant is not None and instant <= LAST_INSTANT and (first is None or instant < first):
            first = instant
    return first
