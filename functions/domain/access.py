"""API keys: what one may do, whom it belongs to, and what is kept of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from functions.domain.types import Instant, Model

Scope = Literal["read", "run", "write", "admin"]

PREFIX = "cf_"  # so that people, and scanners of leaked secrets, know one when they see it
TOKEN_CHARS = 200  # nothing longer is worth hashing

_IMPLIED: dict[Scope, frozenset[Scope]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"read", "run"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset({"read", "run", "write", "admin"}),
}


class Key(Model):
    """An API key as it is kept: everything but the key itself.

    Attributes:
        id: Its public name, the part between the prefix and the secret.
        name: What people call it: whose it is, or what for.
        scopes: What it may do. run and write include read; admin includes all.
        owner: Whose tasks it sees; empty means everybody's.
        created_by: The name of the key that made it.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{8,32}$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    owner: Annotated[str, StringConstraints(max_length=100)] = ""
    created_at: Instant
    created_by: str = ""
    expires_at: Instant | None = None
    revoked_at: Instant | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything at *now*."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is doing something, and what he may do.

    Attributes:
        id: The key's public name: what its rate is counted by.
        name: For the audit trail.
        owner: Whose tasks he sees; empty means everybody's.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    owner: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether he may do what takes *scope*."""
        return scope in self.scopes

    def sees(self, owner: str) -> bool:
        """Whether what belongs to *owner* is his to know of."""
        return self.owner in ("", owner)


ADMINISTRATOR = Actor("administrator", "administrator", _IMPLIED["admin"])


def actor_of(key: Key) -> Actor:
    """Who comes with *key*."""
    scopes = frozenset(implied for scope in key.scopes for implied in _IMPLIED[scope])
    return Actor(key.id, key.name, scopes, key.owner)


def token_of(key_id: str, secret: str) -> str:
    """The key as its holder gets it, once."""
    return f"{PREFIX}{key_id}_{secret}"


def digest_of(token: str) -> str:
    """What a key is found by. A plain hash will do: a key is 256 random bits, not a password."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# The audit trail: who changed what, when, and the note he left.

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
