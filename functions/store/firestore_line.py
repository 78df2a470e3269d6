"""A connection to Firestore. The only module that touches the client library's private names."""

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from google.cloud.firestore_v1.types import firestore as wrapped

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

    They take and give the wire's own messages, and never try again by themselves: a second try of a
    guarded write whose answer was lost is refused by the first, which had been applied.

    Attributes:
        batch_write: Takes bytes, because the sender must know their number beforehand.
    """

    channel: grpc.aio.Channel
    run_query: Callable[[Any], AsyncIterable[Any]]
    run_aggregation_query: Callable[[Any], AsyncIterable[Any]]
    batch_get_documents: Callable[[Any], AsyncIterable[Any]]
    batch_write: Callable[[bytes], Awaitable[Any]]


def connect(project: str, database: str, host: str | None) -> Line:
    """Open a connection with the library's credentials and headers, and options of our own.

    `AsyncClient` knows the credentials, the emulator and the headers, but has neither BatchWrite nor
    messages without their wrappers, which cost 2-5 times the processor time.

    Args:
        host: `host:port` of an emulator; None asks FIRESTORE_EMULATOR_HOST, as the library does.
    """
    anybody = AnonymousCredentials() if host else None  # type: ignore[no-untyped-call]  # it has no types
    client = AsyncClient(project=project, database=database, credentials=anybody)
    emulator = host or client._emulator_host
    headers = [header for header in client._rpc_metadata if header != OWNER]
    if emulator:
        channel = grpc.aio.insecure_channel(emulator, options=OPTIONS)
        return _line(channel, client._database_string, [*headers, OWNER])
    channel = FirestoreGrpcAsyncIOTransport.create_channel(
        client._target, credentials=client._credentials, options=OPTIONS
    )
    return _line(channel, client._database_string, headers)


def _line(channel: grpc.aio.Channel, database: str, headers: Sequence[tuple[str, str]]) -> Line:
    to_database = (*headers, _routing("database", database))
    to_parent = (*headers, _routing("parent", f"{database}/documents"))

    def streamed(name: str, metadata: tuple[tuple[str, str], ...]) -> Callable[[Any], AsyncIterable[Any]]:
        call = channel.unary_stream(
            f"/google.firestore.v1.Firestore/{name}",
            request_serializer=getattr(wrapped, f"{name}Request").pb().SerializeToString,
            response_deserializer=getattr(wrapped, f"{name}Response").pb().FromString,
        )
        return lambda request: call(request, metadata=metadata)

    write = channel.unary_unary(
        "/google.firestore.v1.Firestore/BatchWrite",
        response_deserializer=wrapped.BatchWriteResponse.pb().FromString,
    )
    return Line(
        channel=channel,
        run_query=streamed("RunQuery", to_parent),
        run_aggregation_query=streamed("RunAggregationQuery", to_parent),
        batch_get_documents=streamed("BatchGetDocuments", to_database),
        batch_write=lambda request: write(request, metadata=to_database),
    )


def _routing(field: str, resource: str) -> tuple[str, str]:
    """The header by which Google's front end finds the database."""
    header: tuple[str, str] = to_grpc_metadata(((field, resource),))  # type: ignore[no-untyped-call]  # it has no types
    return header
