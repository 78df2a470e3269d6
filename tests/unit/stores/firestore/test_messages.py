"""Our messages are Google's: the same numbers, kinds and choices, in every field that we know."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.firestore_v1.types import firestore as theirs

from functions.stores.firestore import client
from functions.stores.firestore import messages_pb2 as ours

CALLS = ("RunQuery", "RunAggregationQuery", "BatchGetDocuments", "BatchWrite")
SPOKEN = [f"{name}{kind}" for name in CALLS for kind in ("Request", "Response")]


def differences(mine: Any, google: Any, path: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Where the message *mine* would be read as something else by whoever knows *google*."""
    if (mine.full_name, google.full_name) in seen:
        return
    seen.add((mine.full_name, google.full_name))
    for field in mine.fields:
        there = google.fields_by_number.get(field.number)
        where = f"{path}.{field.name}"
        if there is None or shape(field) != shape(there):
            yield f"{where}: {shape(field)}, Google has {there and shape(there)}"
        elif field.message_type is not None:
            yield from differences(field.message_type, there.message_type, where, seen)


def shape(field: Any) -> dict[str, Any]:
    values = field.enum_type and {value.name: value.number for value in field.enum_type.values}
    return {
        "name": field.name.rstrip("_"),
        "type": field.type,
        "repeated": field.is_repeated,
        "one of": field.containing_oneof and field.containing_oneof.name,
        "values": values,
    }


@pytest.mark.parametrize("name", SPOKEN)
def test_every_field_is_googles(name: str) -> None:
    google = getattr(theirs, name).pb().DESCRIPTOR

    assert [] == list(differences(getattr(ours, name).DESCRIPTOR, google, name, set()))


def test_the_comparison_goes_down_to_the_values_and_finds_a_wrong_number() -> None:
    """Else nothing above would mean anything."""
    seen: set[tuple[str, str]] = set()
    query = theirs.RunQueryResponse.pb().DESCRIPTOR
    assert [] == list(differences(ours.RunQueryResponse.DESCRIPTOR, query, "", seen))

    assert "cronfire.store.firestore.MapValue" in {mine for mine, _ in seen}
    assert list(differences(ours.Cursor.DESCRIPTOR, theirs.RunQueryRequest.pb().DESCRIPTOR, "", set()))


@pytest.mark.parametrize("database", ["(default)", "blue"])
def test_the_header_that_finds_the_database_is_googles(database: str) -> None:
    resource = f"projects/my-project/databases/{database}"

    their_header = to_grpc_metadata((("database", resource),))  # type: ignore[no-untyped-call]  # it has none
    assert their_header == client._routing("database", resource)
