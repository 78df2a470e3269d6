"""A connection to Firestore: where it goes, which headers it carries, which methods it has.

It is made of gRPC and of messages of our own (`firestore_messages.proto`). Google's client would open it as
well, but has neither BatchWrite nor messages without wrappers, and takes 0.3 s to import.
"""

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc  # type: ignore[import-untyped]  # it ships no types

from functions.store import firestore_messages_pb2 as wire

GOOGLE = "firestore.googleapis.com"

# gRPC waits up to 2 minutes before it looks for a lost server again; the next tick comes sooner.
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
OWNER = ("authorization", "Bearer owner")  # what an emulator takes for an administrator


@dataclass(frozen=True, slots=True)
class Line:
    """A connection, good for the event loop that made it, with the methods this store calls.

    They never try again by themselves: a second try of a guarded write whose answer was lost is refused by
    the first, which had been applied.

    Attributes:
        batch_write: Takes bytes, because the sender must know their number beforehand.
    """

    channel: grpc.aio.Channel
    run_query: Callable[[wire.RunQueryRequest], AsyncIterable[wire.RunQueryResponse]]
    run_aggregation_query: Callable[
        [wire.RunAggregationQueryRequest], AsyncIterable[wire.RunAggregationQueryResponse]
    ]
    batch_get_documents: Callable[
        [wire.BatchGetDocumentsRequest], AsyncIterable[wire.BatchGetDocumentsResponse]
    ]
    batch_write: Callable[[bytes], Awaitable[wire.BatchWriteResponse]]


def connect(database: str, emulator: str | None) -> Line:
    """Open a connection to *database*, which is `projects/PROJECT/databases/NAME`.

    Args:
        emulator: `host:port` of an emulator; None means Google, with the credentials of this place.

    Raises:
        StoreError: There are no credentials.
    """
    if emulator:
        return _line(grpc.aio.insecure_channel(emulator, options=OPTIONS), database, OWNER)
    from functions.store.firestore_credentials import credentials  # 60 ms, which an emulator does without

    return _line(grpc.aio.secure_channel(GOOGLE, credentials(GOOGLE), options=OPTIONS), database)


def _line(channel: grpc.aio.Channel, database: str, *owner: tuple[str, str]) -> Line:
    headers = (("google-cloud-resource-prefix", database), *owner)
    to_database = (*headers, _routing("database", database))
    to_parent = (*headers, _routing("parent", f"{database}/documents"))

    def streamed(name: str, answer: Any, metadata: tuple[tuple[str, str], ...]) -> Any:
        call = channel.unary_stream(
            f"/google.firestore.v1.Firestore/{name}",
            request_serializer=_bytes_of,
            response_deserializer=answer.FromString,
        )
        return lambda request: call(request, metadata=metadata)

    write = channel.unary_unary(
        "/google.firestore.v1.Firestore/BatchWrite",
        response_deserializer=wire.BatchWriteResponse.FromString,
    )
    return Line(
        channel=channel,
        run_query=streamed("RunQuery", wire.RunQueryResponse, to_parent),
        run_aggregation_query=streamed("RunAggregationQuery", wire.RunAggregationQueryResponse, to_parent),
        batch_get_documents=streamed("BatchGetDocuments", wire.BatchGetDocumentsResponse, to_database),
        batch_write=lambda request: write(request, metadata=to_database),
    )


def _bytes_of(message: Any) -> bytes:
    body: bytes = message.SerializeToString()
    return body


def _routing(field: str, resource: str) -> tuple[str, str]:
    """The header by which Google's front end finds the database (https://google.aip.dev/client-libraries/4222)."""
    return "x-goog-request-params", f"{field}={quote(resource)}"
