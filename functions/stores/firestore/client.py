"""A connection to Firestore: where it goes, which headers it carries, which methods it has.

It is made of gRPC and of messages of our own (`firestore_messages.proto`). Google's client would open it as
well, but has neither BatchWrite nor messages without wrappers, and takes 0.3 s to import.
"""

import asyncio
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import google.auth
import grpc  # type: ignore[import-untyped]  # it ships no types
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request

from functions.errors import StoreError, StoreUnavailable
from functions.stores.firestore import messages_pb2 as wire

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
    # 60 ms, which an emulator does without

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


# Calls to Firestore: one connection per event loop, every call bounded in time, every error translated.

T = TypeVar("T")

PAUSES_S = (0.1, 0.4, 1.0)  # before a read is tried again

REMEDIES = {
    grpc.StatusCode.PERMISSION_DENIED: "give the service account the role roles/datastore.user",
    grpc.StatusCode.UNAUTHENTICATED: (
        "give the function a service account, or renew your own credentials with "
        "`gcloud auth application-default login`"
    ),
    grpc.StatusCode.NOT_FOUND: "create the database (native mode), or correct STORE_URL",
    grpc.StatusCode.FAILED_PRECONDITION: "apply the Terraform of infra/, which makes the indexes",
    grpc.StatusCode.INVALID_ARGUMENT: "a document or a name is more than Firestore takes (1 MiB a document)",
    grpc.StatusCode.UNIMPLEMENTED: "use a database in native mode",
}


class Calls:
    """Makes calls to one database. Building it opens nothing, so it survives a fork.

    Args:
        database: `projects/PROJECT/databases/NAME`.
        emulator: `host:port` of an emulator; None means Google.
        read_timeout_s: Seconds one read may take, all its tries and pages together.
    """

    def __init__(self, database: str, *, emulator: str | None, read_timeout_s: float) -> None:
        self._read_timeout_s = read_timeout_s
        self._address = (database, emulator)
        self._lines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = weakref.WeakKeyDictionary()

    @property
    def line(self) -> Line:
        """The running loop's connection, made when first asked for.

        Raises:
            StoreError: There are no credentials.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = connect(*self._address)
        return line

    async def close(self) -> None:
        """Close the running loop's connection. Those of other loops went with their loops."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.channel.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Bound everything inside by the time one read may take."""
        try:
            async with asyncio.timeout(self._read_timeout_s):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"Firestore did not answer within {self._read_timeout_s:g} s") from None

    async def read(self, attempt: Callable[[Line], Awaitable[T]]) -> T:
        """What *attempt* brings, tried again after a lost connection or a cut answer. Use it in `reading`."""
        for pause_s in (*PAUSES_S, None):
            fault = StoreUnavailable("Firestore is slow to answer")
            try:
                # A try that hangs leaves time for another.
                async with asyncio.timeout(self._read_timeout_s / 2):
                    return await attempt(self.line)
            except TimeoutError:
                pass
            except grpc.aio.AioRpcError as error:
                fault = _passing(error)
            if pause_s is None:
                raise fault
            await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")


def translated(error: grpc.aio.AioRpcError) -> StoreError:
    """Our error for the wire's. One that has a remedy will not mend by itself; all others may."""
    code, details = error.code(), (error.details() or "")[:300]
    if code in REMEDIES:
        return StoreError(f"Firestore refused the call ({code.name}): {REMEDIES[code]}. It said: {details}")
    return StoreUnavailable(f"Firestore could not be reached ({code.name})")


def _passing(error: grpc.aio.AioRpcError) -> StoreUnavailable:
    fault = translated(error)
    if not isinstance(fault, StoreUnavailable):
        raise fault from None
    return fault


# Who this place is to Google: a service account, or a person who has logged in.

# For accounts that must name some. A person's login keeps what it was given; a key file signs for itself.
SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/datastore")


def credentials(host: str) -> grpc.ChannelCredentials:
    """TLS, and with each call a token of this place's own, which is renewed in a thread when it ends.

    Args:
        host: Who is called; a key file signs its tokens for it, and needs nobody else.

    Raises:
        StoreError: There are no credentials.
    """
    try:
        found, _ = google.auth.default(default_scopes=SCOPES)
    except GoogleAuthError:
        raise StoreError(
            "No Google credentials: give the function a service account, run "
            "`gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST"
        ) from None  # the cause names files of this machine
    plugin = AuthMetadataPlugin(found, Request(), default_host=host)  # type: ignore[no-untyped-call]  # it has no types
    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin)
    )
