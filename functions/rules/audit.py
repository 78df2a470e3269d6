"""The audit trail: who changed what, when, and the note he left."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import StringConstraints

from functions.rules.words import Instant, Model

KEPT = timedelta(days=400)  # more than a year, so that last year's same day can be looked up

Verb = Literal[
    "created",
    "edited",
    "deleted",
    "paused",
    "resumed",
    "cancelled",
    "run",
    "backfilled",
    "key issued",
    "key revoked",
    "channel tested",
    "channel changed",
    "owner changed",
]


class Entry(Model):
    """One change.

    Attributes:
        subject: The id of the task (key, channel, owner) that was changed.
        by: The name of whoever did it.
        fields: camelCase names of what was changed, where that can be said.
    """

    at: Instant
    verb: Verb
    subject: Annotated[str, StringConstraints(max_length=200)]
    by: Annotated[str, StringConstraints(max_length=200)]
    note: Annotated[str, StringConstraints(max_length=400)] = ""
    fields: tuple[str, ...] = ()


def entry_id(entry: Entry, unique: str) -> str:
    """A document id by which the entries of one subject lie together, oldest first."""
    return f"{entry.subject}@{entry.at:%Y%m%dT%H%M%S%f}.{unique}"


def first_id(subject: str) -> str:
    """What all ids of *subject*'s entries come after, and those of nobody before it."""
    return f"{subject}@"


def expires(entry: Entry) -> datetime:
    """When the store may forget it."""
    return entry.at + KEPT
