"""API keys and their principals, and the audit trail of what these changed."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.domain.lifecycle.permissions import UNRESTRICTED, Capabilities
from functions.domain.types import FIRST_INSTANT, Author, Instant, Model, format_instant, text_form
from functions.errors import NotAllowedError

Scope = Literal["read", "run", "write", "admin"]

KEY_PREFIX = "cf_"  # by which users, and scanners of leaked secrets, recognise a key
MAX_TOKEN_CHARS = 200  # nothing longer is worth hashing
MAX_KEY_ID_CHARS = 32
CHECK_CHARS = 6  # of 16 million guesses one passes; they are no secret, and prove nothing

_IMPLIED_SCOPES: dict[Scope, frozenset[Scope]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"read", "run"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset({"read", "run", "write", "admin"}),
}


class ApiKey(Model):
    """An API key as it is stored: everything but the key itself.

    Attributes:
        id: Its public name, the part between the prefix and the secret.
        name: The user's name for it: its holder or its purpose.
        scopes: What it may do. run and write include read; admin includes all.
        owner: It sees only the tasks of this owner; empty means all tasks.
        capabilities: What tasks saved with it may use, within what their owner may; None means all of that.
        created_by: The author, see `Principal.author`.
    """

    id: Annotated[str, text_form(r"^[a-z0-9]{8,32}$", "must be the id of a key")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    owner: Annotated[str, StringConstraints(max_length=100)] = ""
    capabilities: Capabilities | None = None
    created_at: Instant
    created_by: str = ""
    expires_at: Instant | None = None
    revoked_at: Instant | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at *now*."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


KeySignature = Literal["current", "previous", "invalid"]


class ListedKey(ApiKey):
    """A key as it is listed.

    Attributes:
        signature: current, or previous: by a secret being retired, until the key is used. A key whose row
            has no valid signature (it was made before rows were signed, with a secret that is gone, or by a
            writer of the store) is refused: revoke it and make another one.
    """

    signature: KeySignature


def row_mac(secret: bytes, row: Mapping[str, Any]) -> str:
    """Return the MAC of a key's *row*, all of its fields but the MAC itself, under *secret*."""
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(), sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller and its permissions.

    Attributes:
        id: The key's public name, by which its rate is limited.
        name: What its users call it.
        owner: It sees only the tasks of this owner; empty means all tasks.
        capabilities: What tasks saved by it may use, within what their owner may; None means all of that.
        expires_at: When its key ends; None for never.
        author: Who did it, in the audit trail. Owners name their keys as they like, so theirs say whose they
            are: `administrator (ann)` is a key that ann calls so.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    owner: str = ""
    capabilities: Capabilities | None = None
    expires_at: datetime | None = None
    author: str = field(init=False)

    def __post_init__(self) -> None:
        """Set the author."""
        object.__setattr__(self, "author", f"{self.name} ({self.owner})" if self.owner else self.name)

    def has_scope(self, scope: Scope) -> bool:
        """Whether *scope* is among its permissions."""
        return scope in self.scopes

    def require_scope(self, scope: Scope) -> None:
        """Return when *scope* is among its permissions.

        Raises:
            NotAllowedError: It is not.
        """
        if not self.has_scope(scope):
            raise NotAllowedError(f"This takes a key with the scope {scope}")

    def can_see(self, owner: str) -> bool:
        """Whether it may see what belongs to *owner*."""
        return self.owner in ("", owner)


ADMINISTRATOR = Principal("administrator", "administrator", _IMPLIED_SCOPES["admin"])


def principal_of(key: ApiKey) -> Principal:
    """The principal that holds *key*."""
    scopes = frozenset(implied for scope in key.scopes for implied in _IMPLIED_SCOPES[scope])
    return Principal(key.id, key.name, scopes, key.owner, key.capabilities, key.expires_at)


def excess_of(key: ApiKey, maker: Principal) -> str:
    """Return what *key* would have beyond the key of its *maker*, as field and reason; empty for nothing.

    A key that the maker revoked later is not the maker's any more: it stays, so that keys can be replaced.
    """
    if not all(_IMPLIED_SCOPES[scope] <= maker.scopes for scope in key.scopes):
        return "scopes: a key makes none with more scopes than its own"
    if maker.owner and key.owner != maker.owner:
        return f"owner: a key of {maker.owner} makes keys for {maker.owner} alone"
    if maker.expires_at is not None and (key.expires_at is None or key.expires_at > maker.expires_at):
        end = format_instant(maker.expires_at)
        return f"expiresAt: a key makes none that outlives it; its own end is {end}"
    if maker.capabilities is not None and (
        field := (key.capabilities or UNRESTRICTED).excess_over(maker.capabilities)
    ):
        return f"capabilities.{field}: a key makes none that may use more than it does"
    return ""


def format_token(key_id: str, secret: str) -> str:
    """The key in the form that is shown to its holder, once: `cf_<id>_<secret><check>`."""
    unchecked = f"{KEY_PREFIX}{key_id}_{secret}"
    return unchecked + _check_characters(unchecked)


def is_well_formed(token: str) -> bool:
    """Whether *token* may be a key: nothing else is worth a read of the store."""
    unchecked, check = token[:-CHECK_CHARS], token[-CHECK_CHARS:]
    return (
        token.startswith(KEY_PREFIX)
        and len(token) <= MAX_TOKEN_CHARS
        and check == _check_characters(unchecked)
    )


def key_id_of(token: str) -> str | None:
    """Return the public name of the key *token*; None when it cannot be a key."""
    if not is_well_formed(token):
        return None
    name = token.removeprefix(KEY_PREFIX).partition("_")[0]
    return name if name.isascii() and name.isalnum() and len(name) <= MAX_KEY_ID_CHARS else None


def _check_characters(unchecked: str) -> str:
    return sha256(b"check " + unchecked.encode("utf-8", "surrogatepass")).hexdigest()[:CHECK_CHARS]


def parse_bearer_token(authorization: Sequence[str]) -> str | None:
    """Return the token of all *authorization* headers of a request; None unless there is exactly one."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].strip().partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token or any(char.isspace() for char in token):
        return None
    return token


def hash_token(token: str) -> str:
    """The hash that is stored of a key. A plain one will do: a key is 256 random bits, not a password."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


AUDIT_RETENTION = timedelta(days=400)  # more than a year, so that the same day of last year is still there

AuditVerb = Literal[
    "created",
    "edited",
    "deleted",
    "restored",
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
    "link revoked",
    "page changed",
    "calendar changed",
    "calendar removed",
    "acknowledged",
]


class AuditEntry(Model):
    """One change.

    Attributes:
        subject: The id of the task that was changed, or `audit_subject` of what else was.
        by: The author, see `Principal.author`.
        fields: camelCase names of the fields that were changed, where they are known.
    """

    at: Instant
    verb: AuditVerb
    subject: Annotated[str, StringConstraints(max_length=200)]
    by: Author
    note: Annotated[str, StringConstraints(max_length=400)] = ""
    fields: tuple[str, ...] = ()


def audit_subject(kind: Literal["key", "channel", "owner", "tag", "calendar"], name: str) -> str:
    """The subject of entries about something else than a task, whose id has no colon."""
    return f"{kind}:{name}"[:200]


def audit_entry_id(entry: AuditEntry, suffix: str) -> str:
    """A document id that sorts the entries of one subject together, oldest first."""
    return f"{audit_id_prefix(entry.subject)}{entry.at:%Y%m%dT%H%M%S%f}.{suffix}"


TIMELINE = "@"  # begins the ids of the copies that sort all entries by time; no subject begins so
_LAST_MICROSECOND = 10**17  # later than any instant: what sorts newest first is what is left of it


def audit_timeline_id(entry: AuditEntry, suffix: str) -> str:
    """A document id that sorts the entries of all subjects together, newest first."""
    since = (entry.at - FIRST_INSTANT) // timedelta(microseconds=1)
    return f"{TIMELINE}{_LAST_MICROSECOND - since - 1:017d}.{suffix}"


def audit_id_prefix(subject: str) -> str:
    """The prefix of the ids of all entries of *subject*, and of no others.

    People give names with slashes, which no id of a document may have: `owner:ci/cd` is `owner:ci%2Fcd`.
    """
    return f"{subject.replace('%', '%25').replace('/', '%2F')}@"


def audit_expiry(entry: AuditEntry) -> datetime:
    """When the store may remove *entry*."""
    return entry.at + AUDIT_RETENTION
