"""API keys: what one may do, whom it belongs to, and what is kept of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from functions.domain.types import Instant, Model

Scope = Literal["read", "run", "write", "admin"]

KEY_PREFIX = "cf_"  # so that people, and scanners of leaked secrets, know one when they see it
MAX_TOKEN_CHARS = 200  # nothing longer is worth hashing

_IMPLIED_SCOPES: dict[Scope, frozenset[Scope]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"read", "run"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset({"read", "run", "write", "admin"}),
}


class ApiKey(Model):
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

    def is_active(self, now: datetime) -> bool:
        """Whether it opens anything at *now*."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Principal:
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

    def has_scope(self, scope: Scope) -> bool:
        """Whether he may do what takes *scope*."""
        return scope in self.scopes

    def can_see(self, owner: str) -> bool:
        """Whether what belongs to *owner* is his to know of."""
        return self.owner in ("", owner)


ADMINISTRATOR = Principal("administrator", "administrator", _IMPLIED_SCOPES["admin"])


def principal_of(key: ApiKey) -> Principal:
    """Who comes with *key*."""
    scopes = frozenset(implied for scope in key.scopes for implied in _IMPLIED_SCOPES[scope])
    return Principal(key.id, key.name, scopes, key.owner)


def format_token(key_id: str, secret: str) -> str:
    """The key as its holder gets it, once."""
    return f"{KEY_PREFIX}{key_id}_{secret}"


def hash_token(token: str) -> str:
    """What a key is found by. A plain hash will do: a key is 256 random bits, not a password."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# The audit trail: who changed what, when, and the note he left.

AUDIT_RETENTION = timedelta(days=400)  # more than a year, so that last year's same day can be looked up

AuditVerb = Literal[
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


class AuditEntry(Model):
    """One change.

    Attributes:
        subject: The id of the task (key, channel, owner) that was changed.
        by: The name of whoever did it.
        fields: camelCase names of what was changed, where that can be said.
    """

    at: Instant
    verb: AuditVerb
    subject: Annotated[str, StringConstraints(max_length=200)]
    by: Annotated[str, StringConstraints(max_length=200)]
    note: Annotated[str, StringConstraints(max_length=400)] = ""
    fields: tuple[str, ...] = ()


def audit_entry_id(entry: AuditEntry, suffix: str) -> str:
    """A document id by which the entries of one subject lie together, oldest first."""
    return f"{entry.subject}@{entry.at:%Y%m%dT%H%M%S%f}.{suffix}"


def audit_id_prefix(subject: str) -> str:
    """What all ids of *subject*'s entries come after, and those of nobody before it."""
    return f"{subject}@"


def audit_expiry(entry: AuditEntry) -> datetime:
    """When the store may forget it."""
    return entry.at + AUDIT_RETENTION
