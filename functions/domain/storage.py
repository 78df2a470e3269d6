"""The values that pass between the scheduler and a store: what was read, what is to be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal

from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import FIRST_INSTANT, Status

RUNS_PER_BATCH = 100  # keeps a batch of long summaries well under a store's limit of 1 MiB a document
RUN_RETENTION = timedelta(days=90)  # after that a batch of runs may be removed
QUERY_LIMIT = 1000  # due tasks that a tick reads at once


@dataclass(frozen=True, slots=True)
class VersionedTask:
    """A task as read, with the revision its next write must match.

    The names of the fields that its document had (`model_fields_set`) are emptied where many are read or
    copied: they decide nothing of a stored task, and take 2 KB of its 5.

    Attributes:
        revision: Opaque; changes with every write that is applied to the document. That of a document which
            was removed is never one of a later document with its id.
        unwritten: The Python names of fields that the document does not hold yet, because they follow from
            what is on record (see `lifecycle.deferral`); the next write has them as well.
    """

    task: Task
    revision: Any
    unwritten: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InvalidDocument:
    """A document that cannot be read as a task. It is reported and left alone.

    Attributes:
        reason: Field and fault in one sentence; never the document's values.
        revision: As of a `VersionedTask`, for its removal; None where it is not known.
    """

    id: str
    reason: str
    revision: Any = None


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The result of a query: the readable tasks in order, and the documents that are not."""

    tasks: tuple[VersionedTask, ...]
    invalid: tuple[InvalidDocument, ...] = ()


TaskOrder = Literal["title", "nextRunAt"]  # beside that of ids; those without a value are last, by id


@dataclass(frozen=True, slots=True)
class OrderPosition:
    """A place in a `TaskOrder`: behind the task with this id and this title or instant."""

    value: str | datetime | None
    id: str

    @classmethod
    def of(cls, order: TaskOrder, task: Task) -> "OrderPosition":
        """The place behind *task*."""
        return cls(task.title if order == "title" else task.next_run_at, task.id)


@dataclass(frozen=True, slots=True)
class OrderedPage:
    """A page of tasks in a `TaskOrder`, without documents that cannot be read as one.

    Attributes:
        following: Where the next page begins; None on the last.
    """

    tasks: tuple[VersionedTask, ...]
    following: OrderPosition | None = None


@dataclass(frozen=True, slots=True)
class DuePosition:
    """A place among the due tasks, which are in the order of `next_run_at` and id.

    Attributes:
        id: Of the task before this place; empty for the place before all tasks of the same instant.
    """

    at: datetime
    id: str = ""

    @classmethod
    def of(cls, task: Task) -> "DuePosition":
        """The place behind *task*, which is due."""
        assert task.next_run_at is not None  # what is due has one
        return cls(task.next_run_at, task.id)


@dataclass(frozen=True, slots=True)
class ConditionalWrite:
    """One conditional write of one task's document.

    Attributes:
        task: The whole task as it is to be.
        fields: The Python names that differ from what was read; a store may write just these.
            None means all of them.
        revision: What the document's revision must be; None means that the document must not exist.
        delete: True to remove the document instead.
    """

    task: Task
    revision: Any
    fields: frozenset[str] | None = None
    delete: bool = False

    @classmethod
    def for_removal(cls, invalid: InvalidDocument) -> "ConditionalWrite":
        """The removal of a document that cannot be read: of its task, stores look at the id alone."""
        task = Task.model_construct(
            id=invalid.id, title="", type="", created_at=FIRST_INSTANT, updated_at=FIRST_INSTANT
        )
        return cls(task, invalid.revision, delete=True)

    @classmethod
    def for_changes(cls, versioned: VersionedTask, changes: Mapping[str, Any]) -> "ConditionalWrite":
        """*versioned* with *changes* applied, on condition that its revision is still the one read."""
        before = versioned.task.__dict__
        differing = [name for name, now in changes.items() if before[name] is not now]
        task = versioned.task.model_copy(update=changes)
        task.model_fields_set.clear()  # see `VersionedTask`
        return cls(
            task=task,
            revision=versioned.revision,
            fields=versioned.unwritten.union(differing or changes),
        )


class WriteStatus(Enum):
    """The result of one conditional write."""

    APPLIED = "applied"
    CONFLICT = "conflict"  #: The precondition failed: changed, created or deleted by another writer.
    INVALID = "invalid"  #: The store will never take the document; others of the call are not affected.
    UNKNOWN = "unknown"  #: The store did not answer; the write may have been applied. Re-read, compare.


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The status of one `ConditionalWrite`. *revision* is the document's new one when applied."""

    status: WriteStatus
    revision: Any = None


@dataclass(frozen=True, slots=True)
class RunBatch:
    """The runs of one flush.

    Attributes:
        id: `<tick id>.<number of the flush>`. Writing the same batch twice leaves one.
        runs: At most RUNS_PER_BATCH.
    """

    id: str
    at: datetime
    runs: tuple[Run, ...]


# Of a document that is no task, which a person named at will: a page that ends with it goes on behind it,
# and it can be removed. Firestore allows no longer name, and counts bytes of UTF-8: `is_key`.
MAX_DOCUMENT_ID_CHARS = 1_500


def is_key(text: str) -> bool:
    """Whether stores can look for *text*, as an id or a filter; what they cannot look for is not there.

    A caller may ask for any text: one with half of a surrogate pair, or one longer than any that is kept.
    """
    try:
        return len(text.encode()) <= MAX_DOCUMENT_ID_CHARS
    except UnicodeEncodeError:
        return False


# What one page or one briefing reads at most; each task is a read in Firestore, of runs a hundred together.
MAX_TASKS_READ = 5_000
MAX_RUNS_READ = 20_000

DocumentKind = Literal["owners", "channels", "keys", "audit", "meta", "listeners", "groups", "calendars"]


@dataclass(frozen=True, slots=True)
class Document:
    """A small document beside the tasks: an owner's credits, a channel's state, an API key.

    Attributes:
        id: Unique within its kind. The program's own are letters, digits, `.`, `_`, `-`, `@`, at most 200 of
            them; a person may have added another by hand, which can be read and removed.
        data: JSON values, at most 64 KB of them.
        revision: As in `VersionedTask`; None for a document that is to be created.
        expire_at: When the store may remove it by itself; None means never.
        is_readable: False for one that is stored and holds no JSON object; its *data* is empty.
    """

    kind: DocumentKind
    id: str
    data: Mapping[str, Any]
    revision: Any = None
    expire_at: datetime | None = None
    is_readable: bool = True


COUNTED_STATUSES = (Status.SCHEDULED, Status.RUNNING, Status.RETRYING)  # those of `StoreStats.scheduled`


@dataclass(frozen=True, slots=True)
class StoreStats:
    """The figures of `GET /status`.

    Attributes:
        scheduled: Tasks that wait, run or retry: all that will be due again.
        due: Tasks that are due now, unreadable ones included.
        last_tick_at: When a tick, or a call of a heartbeat, last wrote runs; None when none did.
    """

    scheduled: int
    due: int
    last_tick_at: datetime | None


@dataclass(slots=True)
class OperationCounts:
    """Operations as a bill counts them: one for each document read, written or deleted."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a listing is about; None or empty means any.

    Attributes:
        outcomes: What the last attempt came to.
    """

    status: str | None = None
    type: str | None = None
    owner: str | None = None
    tag: str | None = None
    origin: str | None = None
    ids: frozenset[str] = field(default_factory=frozenset)
    outcomes: frozenset[str] = field(default_factory=frozenset)

    @property
    def has_keys(self) -> bool:
        """Whether all it names `is_key`; if not, no task matches, and no store need be asked."""
        named = (self.status, self.type, self.owner, self.tag, self.origin, *self.outcomes)
        return all(is_key(each) for each in named if each)

    def matches(self, task: Task) -> bool:
        """Whether *task* is one of them; for a list that no store filters."""
        expected = {"status": self.status, "type": self.type, "owner": self.owner, "origin": self.origin}
        return (
            all(not value or getattr(task, name) == value for name, value in expected.items())
            and (not self.tag or self.tag in task.tags)
            and (not self.ids or task.id in self.ids)
            and (not self.outcomes or task.last_outcome in self.outcomes)
        )
