"""The queries this store asks, and the indexes and the policy that they and the runs need.

The emulator answers every query without an index; Firestore does not. A change of a query changes
`INDEXES` with it, and the infrastructure's test compares the two.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from google.cloud.firestore_v1.types import Cursor, StructuredAggregationQuery, Value
from google.cloud.firestore_v1.types import StructuredQuery as Query
from google.protobuf.wrappers_pb2 import Int32Value

from functions.domain.storage import COUNTED_STATUSES, DocumentKind, TaskFilter, TaskOrder, is_key
from functions.errors import SettingsError
from functions.stores.firestore.codec import RawDocument, to_value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_SHARDS_PER_QUERY = 30  # values that one IN may have


@dataclass(frozen=True, slots=True)
class CollectionIndexes:
    """What a collection must have in Firestore. The prefix of collection names is to be added.

    Attributes:
        single: Fields indexed alone, with their modes. All others are exempt (a rule for `*`), which
            halves the latency of a write and keeps large notes out of the indexes.
        composite: Indexes over several fields, in this order.
        ttl: The timestamp after which Firestore removes a document; None means never.
    """

    single: Mapping[str, tuple[str, ...]]
    composite: tuple[tuple[tuple[str, str], ...], ...] = ()
    ttl: str | None = None


INDEXES: Mapping[str, CollectionIndexes] = {
    "tasks": CollectionIndexes(
        single={
            "nextRunAt": ("ASCENDING",),
            "status": ("ASCENDING",),
            "type": ("ASCENDING",),
            "owner": ("ASCENDING",),
            "origin": ("ASCENDING",),
            "lastOutcome": ("ASCENDING",),
            "title": ("ASCENDING",),
            "tags": ("CONTAINS",),
        },
        composite=((("shard", "ASCENDING"), ("nextRunAt", "ASCENDING")),),
    ),
    "runs": CollectionIndexes(
        single={"at": ("DESCENDING",)},
        composite=(
            (("latestAt", "DESCENDING"), ("earliestAt", "DESCENDING")),
            (("taskIds", "CONTAINS"), ("latestAt", "DESCENDING"), ("earliestAt", "DESCENDING")),
        ),
        ttl="expireAt",
    ),
    **{kind: CollectionIndexes(single={}, ttl="expireAt") for kind in get_args(DocumentKind)},
}


def due_query(collection: str, now: datetime, *, shards: Sequence[int] = ()) -> Query:
    """Return the query for the tasks that are due, earliest first. Null is no instant, so it is never due.

    Args:
        shards: Those alone; at most `MAX_SHARDS_PER_QUERY` of them. Empty means all.
    """
    filters = [_field_filter("nextRunAt", "LESS_THAN_OR_EQUAL", now)]
    if shards:
        filters.insert(0, _field_filter("shard", "IN", shards))
    return _build_query(collection, filters, ("nextRunAt", "ASCENDING"), ("__name__", "ASCENDING"))


def start_at_due(query: Query, at: datetime, path: str | None) -> None:
    """Let a `due_query` begin behind the document *path*, which is due *at*; None: with all due then."""
    values = [Value(timestamp_value=at), *([Value(reference_value=path)] if path else [])]
    query.start_at = Cursor(values=values, before=path is None)


def chunk_shards(shards: tuple[int, int]) -> list[list[int]]:
    """The shards from the first to the last of *shards*, as many at a time as one query may name."""
    first, last = shards
    return [
        list(range(some, min(some + MAX_SHARDS_PER_QUERY, last + 1)))
        for some in range(first, last + 1, MAX_SHARDS_PER_QUERY)
    ]


def active_tasks_query(collection: str) -> Query:
    """Tasks that wait, run or retry."""
    return _build_query(collection, [_field_filter("status", "IN", COUNTED_STATUSES)])


def list_query(collection: str, which: TaskFilter, *, after: str | None) -> Query:
    """Tasks by name, after the document named *after* (None: from the first).

    Firestore filters by equalities (answered from the single-field indexes, merged) or, when there is no
    other filter, by the tag; a tag beside others would need an index for each pair.
    """
    filters = [_field_filter(*each) for each in _filter_terms(which)]
    query = _build_query(collection, filters, ("__name__", "ASCENDING"))
    if after is not None:
        query.start_at = behind_name(after)
    return query


def order_query(collection: str, order: TaskOrder) -> Query:
    """Tasks by their title or their next run; a task without one is not among them."""
    first: Any = "" if order == "title" else EPOCH
    terms = [_field_filter(order, "GREATER_THAN_OR_EQUAL", first)]
    return _build_query(collection, terms, (order, "ASCENDING"), ("__name__", "ASCENDING"))


def without_run_query(collection: str) -> Query:
    """Tasks that have no next run, by name."""
    is_null = Query.UnaryFilter(field=_field("nextRunAt"), op="IS_NULL")
    return _build_query(collection, [Query.Filter(unary_filter=is_null)], ("__name__", "ASCENDING"))


def start_behind(query: Query, value: Any, path: str) -> None:
    """Let an `order_query` begin behind the document *path*, which has *value*."""
    query.start_at = Cursor(values=[to_value(value), Value(reference_value=path)])


def behind_name(path: str) -> Cursor:
    """The place behind the document *path* in a query by name."""
    return Cursor(values=[Value(reference_value=path)])


def is_fully_filtered(which: TaskFilter) -> bool:
    """Whether `list_query` leaves nothing of *which* to be filtered afterwards."""
    return not which.tag or not _equality_terms(which)


def batches_between_query(collection: str, first: str, end: str) -> Query:
    """Run batches whose names are not before *first* and before *end*."""
    filters = [_name_filter("GREATER_THAN_OR_EQUAL", first), _name_filter("LESS_THAN", end)]
    return _build_query(collection, filters, ("__name__", "ASCENDING"))


def batches_query(collection: str, *, task_id: str | None, since: datetime | None, before: datetime) -> Query:
    """Run batches with a run finished before *before* and one not before *since*, newest first."""
    filters = [] if task_id is None else [_field_filter("taskIds", "ARRAY_CONTAINS", task_id)]
    filters.append(_field_filter("earliestAt", "LESS_THAN", before))
    if since is not None:
        filters.append(_field_filter("latestAt", "GREATER_THAN_OR_EQUAL", since))
    newest_first = (("latestAt", "DESCENDING"), ("earliestAt", "DESCENDING"), ("__name__", "DESCENDING"))
    return _build_query(collection, filters, *newest_first)


def newest_batch_query(collection: str) -> Query:
    """The run batch written last."""
    query = _build_query(collection, [], ("at", "DESCENDING"))
    query.limit = Int32Value(value=1)
    return query


def count_query(query: Query, alias: str) -> StructuredAggregationQuery:
    """How many documents *query* finds; the number is in the result's field *alias*."""
    count = StructuredAggregationQuery.Aggregation.Count()
    aggregation = StructuredAggregationQuery.Aggregation(alias=alias, count=count)
    return StructuredAggregationQuery(structured_query=query, aggregations=[aggregation])


def start_after(query: Query, document: RawDocument) -> None:
    """Have *query*, which is ordered by name at last, begin behind *document*."""
    fields = [order.field.field_path for order in query.order_by]
    query.start_at = Cursor(
        values=[
            Value(reference_value=document.name) if field == "__name__" else document.fields[field]
            for field in fields
        ]
    )


def matching_tasks_query(collection: str, which: TaskFilter) -> Query:
    """Tasks that match *which*, in no order; for `is_fully_filtered` ones."""
    return _build_query(collection, [_field_filter(*each) for each in _filter_terms(which)])


def _filter_terms(which: TaskFilter) -> list[tuple[str, str, Any]]:
    equal = _equality_terms(which)
    return equal if equal or not which.tag else [("tags", "ARRAY_CONTAINS", which.tag)]


def _equality_terms(which: TaskFilter) -> list[tuple[str, str, Any]]:
    given = {"status": which.status, "type": which.type, "owner": which.owner, "origin": which.origin}
    terms: list[tuple[str, str, Any]] = [
        (field, "EQUAL", condition) for field, condition in given.items() if condition
    ]
    return terms + ([("lastOutcome", "IN", sorted(which.outcomes))] if which.outcomes else [])


def _build_query(collection: str, filters: Sequence[Query.Filter], *order: tuple[str, str]) -> Query:
    """Documents of *collection* that pass all *filters*, by the fields of *order* with their directions."""
    query = Query(
        from_=[Query.CollectionSelector(collection_id=collection)],
        order_by=[Query.Order(field=_field(name), direction=direction) for name, direction in order],
    )
    if len(filters) == 1:
        query.where = filters[0]
    elif filters:
        both = Query.CompositeFilter(op="AND", filters=filters)
        query.where = Query.Filter(composite_filter=both)
    return query


def _field_filter(field: str, operator: str, value: Any) -> Query.Filter:
    return _comparison_filter(field, operator, to_value(value))


def _name_filter(operator: str, name: str) -> Query.Filter:
    return _comparison_filter("__name__", operator, Value(reference_value=name))


def _comparison_filter(field: str, operator: str, value: Any) -> Query.Filter:
    return Query.Filter(field_filter=Query.FieldFilter(field=_field(field), op=operator, value=value))


def _field(name: str) -> Query.FieldReference:
    return Query.FieldReference(field_path=name)


# -- names of documents, and which names Firestore accepts ----------------------------------

PROJECT_PATTERN = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{1,61}[a-z0-9]")
DATABASE_PATTERN = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")
PREFIX_PATTERN = re.compile(r"[A-Za-z0-9_-]{0,100}")
DOCUMENT_ID_PATTERN = re.compile(r"(?!__.*__$)(?!\.{1,2}$)[^/]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ResourcePaths:
    """The names within one database. Collections carry a prefix, so that two schedulers may share it."""

    database: str
    prefix: str

    @property
    def task_collection(self) -> str:
        """The collection of tasks."""
        return f"{self.prefix}tasks"

    @property
    def run_collection(self) -> str:
        """The collection of run batches."""
        return f"{self.prefix}runs"

    @property
    def documents_root(self) -> str:
        """The parent of all collections."""
        return f"{self.database}/documents"

    def task_path(self, task_id: str) -> str:
        """The full name of a task's document."""
        return f"{self.database}/documents/{self.task_collection}/{task_id}"

    def document_path(self, kind: str, document_id: str) -> str:
        """The full name of a small document beside the tasks."""
        return f"{self.database}/documents/{self.prefix}{kind}/{document_id}"

    def run_batch_path(self, batch_id: str) -> str:
        """The full name of a run batch's document."""
        return f"{self.database}/documents/{self.run_collection}/{batch_id}"


def resource_paths(project: str, database: str, prefix: str) -> ResourcePaths:
    """The names within *database* of *project*.

    Raises:
        SettingsError: One of them is no name Google gives. An upper-case letter in a project, above
            all: calls would fail one by one, with an error that says nothing.
    """
    if not PROJECT_PATTERN.fullmatch(project):
        raise SettingsError(
            "STORE_URL: the project must be a Google Cloud project id: lower-case letters, digits and "
            "hyphens, beginning with a letter"
        )
    if not DATABASE_PATTERN.fullmatch(database):
        raise SettingsError(
            "STORE_URL: the database must be (default), or 4 to 63 lower-case letters, digits and hyphens, "
            "beginning with a letter"
        )
    if not PREFIX_PATTERN.fullmatch(prefix) or prefix.startswith("__"):
        raise SettingsError("The prefix of collections must be letters, digits, hyphens and underscores")
    return ResourcePaths(f"projects/{project}/databases/{database}", prefix)


def is_document_id(given: str) -> bool:
    """Whether a document can have this id; asking for another is an error, not a missing document."""
    return is_key(given) and DOCUMENT_ID_PATTERN.fullmatch(given) is not None
