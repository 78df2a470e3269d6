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

from functions.errors import StoreError, StoreUnavailableError
from functions.stores.firestore import messages_pb2 as wire

GOOGLE_HOST = "firestore.googleapis.com"

# gRPC waits up to 2 minutes before it looks for a lost server again; the next tick comes sooner.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
EMULATOR_AUTH = ("authorization", "Bearer owner")  # what an emulator takes for an administrator


@dataclass(frozen=True, slots=True)
class FirestoreStub:
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


def open_channel(database: str, emulator: str | None) -> FirestoreStub:
    """Open a connection to *database*, which is `projects/PROJECT/databases/NAME`.

    Args:
        emulator: `host:port` of an emulator; None means Google, with the credentials of this place.

    Raises:
        StoreError: There are no credentials.
    """
    if emulator:
        return _create_stub(
            grpc.aio.insecure_channel(emulator, options=CHANNEL_OPTIONS), database, EMULATOR_AUTH
        )
    # 60 ms, which an emulator does without

    return _create_stub(
        grpc.aio.secure_channel(GOOGLE_HOST, channel_credentials(GOOGLE_HOST), options=CHANNEL_OPTIONS),
        database,
    )


def _create_stub(channel: grpc.aio.Channel, database: str, *extra_headers: tuple[str, str]) -> FirestoreStub:
    headers = (("google-cloud-resource-prefix", database), *extra_headers)
    to_database = (*headers, _routing_header("database", database))
    to_parent = (*headers, _routing_header("parent", f"{database}/documents"))

    def streamed(name: str, answer: Any, metadata: tuple[tuple[str, str], ...]) -> Any:
        call = channel.unary_stream(
            f"/google.firestore.v1.Firestore/{name}",
            request_serializer=_serialize,
            response_deserializer=answer.FromString,
        )
        return lambda request: call(request, metadata=metadata)

    write = channel.unary_unary(
        "/google.firestore.v1.Firestore/BatchWrite",
        response_deserializer=wire.BatchWriteResponse.FromString,
    )
    return FirestoreStub(
        channel=channel,
        run_query=streamed("RunQuery", wire.RunQueryResponse, to_parent),
        run_aggregation_query=streamed("RunAggregationQuery", wire.RunAggregationQueryResponse, to_parent),
        batch_get_documents=streamed("BatchGetDocuments", wire.BatchGetDocumentsResponse, to_database),
        batch_write=lambda request: write(request, metadata=to_database),
    )


def _serialize(message: Any) -> bytes:
    body: bytes = message.SerializeToString()
    return body


def _routing_header(field: str, resource: str) -> tuple[str, str]:
    """The header by which Google's front end finds the database (https://google.aip.dev/client-libraries/4222)."""
    return "x-goog-request-params", f"{field}={quote(resource)}"


# -- calls: one connection per event loop, bounded in time, errors translated ---------------

T = TypeVar("T")

RETRY_DELAYS_S = (0.1, 0.4, 1.0)  # before a read is tried again

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


class FirestoreClient:
    """Makes calls to one database. Building it opens nothing, so it survives a fork.

    Args:
        database: `projects/PROJECT/databases/NAME`.
        emulator: `host:port` of an emulator; None means Google.
        read_timeout_s: Seconds one read may take, all its tries and pages together.
    """

    def __init__(self, database: str, *, emulator: str | None, read_timeout_s: float) -> None:
        self._read_timeout_s = read_timeout_s
        self._address = (database, emulator)
        self._stubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, FirestoreStub] = (
            weakref.WeakKeyDictionary()
        )

    @property
    def stub(self) -> FirestoreStub:
        """Return the running loop's connection; the first call makes it.

        Raises:
            StoreError: There are no credentials.
        """
        loop = asyncio.get_running_loop()
        line = self._stubs.get(loop)
        if line is None:
            line = self._stubs[loop] = open_channel(*self._address)
        return line

    async def close(self) -> None:
        """Close the running loop's connection. Those of other loops went with their loops."""
        line = self._stubs.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.channel.close()

    @asynccontextmanager
    async def limit_read_time(self) -> AsyncIterator[None]:
        """Bound everything inside by the time one read may take."""
        try:
            async with asyncio.timeout(self._read_timeout_s):
                yield
        except TimeoutError:
            raise StoreUnavailableError(
                f"Firestore did not answer within {self._read_timeout_s:g} s"
            ) from None

    async def read_with_retries(self, attempt: Callable[[FirestoreStub], Awaitable[T]]) -> T:
        """What *attempt* brings, tried again after a lost connection or a cut answer.

        Use it in `limit_read_time`.
        """
        for pause_s in (*RETRY_DELAYS_S, None):
            fault = StoreUnavailableError("Firestore is slow to answer")
            try:
                # A try that hangs leaves time for another.
                async with asyncio.timeout(self._read_timeout_s / 2):
                    return await attempt(self.stub)
            except TimeoutError:
                pass
            except grpc.aio.AioRpcError as error:
                fault = _raise_if_permanent(error)
            if pause_s is None:
                raise fault
            await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")


def to_store_error(error: grpc.aio.AioRpcError) -> StoreError:
    """Our error for the wire's. One that has a remedy will not mend by itself; all others may."""
    code, details = error.code(), (error.details() or "")[:300]
    if code in REMEDIES:
        return StoreError(f"Firestore refused the call ({code.name}): {REMEDIES[code]}. It said: {details}")
    return StoreUnavailableError(f"Firestore could not be reached ({code.name})")


def _raise_if_permanent(error: grpc.aio.AioRpcError) -> StoreUnavailableError:
    fault = to_store_error(error)
    if not isinstance(fault, StoreUnavailableError):
        raise fault from None
    return fault


# -- credentials: a service account, or a user who has logged in ----------------------------

# For accounts that must name some. A person's login keeps what it was given; a key file signs for itself.
SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/datastore")


def channel_credentials(host: str) -> grpc.ChannelCredentials:
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
