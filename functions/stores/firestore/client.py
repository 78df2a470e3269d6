"""A connection to Firestore by google-cloud-firestore: one client per event loop, each call bounded in time.

The client is `FirestoreAsyncClient`, the library's own form of Firestore's interface: its `AsyncClient` has
no BatchWrite.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypedDict, TypeVar

import google.auth
import grpc  # type: ignore[import-untyped]  # it ships no types
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport

from functions.errors import MissingIndexError, StoreError, StoreUnavailableError

# gRPC waits up to 2 minutes before it looks for a lost server again; the next tick comes sooner.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
EMULATOR_AUTH = ("authorization", "Bearer owner")  # what an emulator takes for an administrator
RETRY_DELAYS_S = (0.1, 0.4, 1.0)  # before a read is tried again

INDEXES = "apply the Terraform of infra/, which makes the indexes"
REMEDIES = {
    grpc.StatusCode.PERMISSION_DENIED: "give the service account the role roles/datastore.user",
    grpc.StatusCode.UNAUTHENTICATED: (
        "give the function a service account, or renew your own credentials with "
        "`gcloud auth application-default login`"
    ),
    grpc.StatusCode.NOT_FOUND: "create the database (native mode), or correct STORE_URL",
    grpc.StatusCode.FAILED_PRECONDITION: INDEXES,
    grpc.StatusCode.INVALID_ARGUMENT: "a document or a name is more than Firestore takes (1 MiB a document)",
    grpc.StatusCode.UNIMPLEMENTED: "use a database in native mode",
}

NATIVE_MODE = REMEDIES[grpc.StatusCode.UNIMPLEMENTED]
# Where the code says too little: words of Google's message, and what to do.
REMEDIES_BY_WORDS = {
    "API is not available for": NATIVE_MODE,  # "... for Firestore in Datastore Mode database ..."
    "Database mode": NATIVE_MODE,  # of an emulator
    "has not been used in project": "enable the Cloud Firestore API",
    "requires billing": "enable billing for the project",
    # Google does not say whether there is such a project; a project's name looks like an id.
    "Permission denied on resource project": "correct the project in STORE_URL: its id, not its name",
}
PLUGIN_FAILED = "metadata from plugin failed"  # so gRPC says, as UNAVAILABLE, that a call has no token
MAX_DETAILS = 1000  # a link that creates a missing index has some 600 characters

T = TypeVar("T")


class CallOptions(TypedDict):
    """The keyword arguments of every call to Google's client.

    Attributes:
        retry: None: the library does not repeat the call. A second try of a guarded write whose response
            was lost is refused by the first, which had been applied.
        timeout: Seconds the call may take.
    """

    retry: None
    timeout: float
    metadata: Sequence[tuple[str, str]]


class FirestoreConnection:
    """Opens and closes Google's clients of one database, and bounds and repeats reads.

    Building it opens nothing, so it survives a fork. Each event loop gets a client of its own.

    Args:
        database: `projects/PROJECT/databases/NAME`.
        emulator: `host:port` of an emulator; None means Google, with the credentials of this place.
        read_timeout_s: Seconds one read may take, all its tries and pages together.
    """

    def __init__(self, database: str, *, emulator: str | None, read_timeout_s: float) -> None:
        self._read_timeout_s = read_timeout_s
        self._emulator = emulator
        database_header = ("google-cloud-resource-prefix", database)
        self._metadata = (database_header, EMULATOR_AUTH) if emulator else (database_header,)
        self._clients: dict[asyncio.AbstractEventLoop, FirestoreAsyncClient] = {}

    async def client(self) -> FirestoreAsyncClient:
        """Return the running loop's client; the first call makes it.

        Raises:
            StoreError: There are no credentials.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            # The search for credentials may wait seconds for a metadata server that does not exist.
            credentials = (
                AnonymousCredentials()  # type: ignore[no-untyped-call]  # it has no types
                if self._emulator
                else await asyncio.to_thread(find_credentials)
            )
            if loop not in self._clients:  # another call may have opened it meanwhile
                self._clients = {
                    each: client for each, client in self._clients.items() if not each.is_closed()
                }
                self._clients[loop] = open_client(credentials, self._emulator)
        return self._clients[loop]

    def call_options(self, timeout_s: float) -> CallOptions:
        """Return the keyword arguments of a call that may take *timeout_s* seconds."""
        return {"retry": None, "timeout": timeout_s, "metadata": self._metadata}

    async def close(self) -> None:
        """Close the running loop's client. Those of other loops went with their loops."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.transport.close()  # type: ignore[no-untyped-call]  # it has no types

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

    async def read_with_retries(
        self, attempt: Callable[[FirestoreAsyncClient, CallOptions], Awaitable[T]]
    ) -> T:
        """Return what *attempt* returns, tried again after a lost connection or a cut response.

        Use it in `limit_read_time`.
        """
        timeout_s = self._read_timeout_s / 2  # a try that hangs leaves time for another
        for pause_s in (*RETRY_DELAYS_S, None):
            fault = StoreUnavailableError("Firestore is slow to answer")
            try:
                async with asyncio.timeout(timeout_s):
                    return await attempt(await self.client(), self.call_options(timeout_s))
            except TimeoutError:
                pass
            except GoogleAPICallError as error:
                fault = _raise_if_permanent(error)
            if pause_s is None:
                raise fault
            await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")


def open_client(credentials: Credentials, emulator: str | None) -> FirestoreAsyncClient:
    """Open a client for the running loop; it connects with its first call.

    Args:
        emulator: `host:port` of an emulator; None means Google.
    """
    channel = partial(_open_emulator_channel, emulator) if emulator else _open_google_channel
    transport = partial(FirestoreGrpcAsyncIOTransport, channel=channel)
    return FirestoreAsyncClient(credentials=credentials, transport=transport)


def find_credentials() -> Credentials:
    """Return the application default credentials: a key file, a user's login, or the function's account.

    Raises:
        StoreError: There are none.
    """
    try:
        credentials, _ = google.auth.default(default_scopes=FirestoreGrpcAsyncIOTransport.AUTH_SCOPES)
    except (GoogleAuthError, OSError, ValueError) as exc:
        raise StoreError(_credentials_problem(exc)) from None  # the cause names files of this machine
    return credentials


def _credentials_problem(error: Exception) -> str:
    """Return what to do about *error* of the search for credentials."""
    words = ("File ", "Failed to load")  # of the library, about a file that was named
    if isinstance(error, OSError | ValueError) or any(one in str(error) for one in words):
        return (
            "The file of GOOGLE_APPLICATION_CREDENTIALS is not there, cannot be read or holds no key: "
            "correct the path (a mount of a missing file makes a folder), or unset it and run "
            "`gcloud auth application-default login`"
        )
    return (
        "No Google credentials: give the function a service account, run "
        "`gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST"
    )


def to_store_error(error: GoogleAPICallError) -> StoreError:
    """Return our error for Google's. One that has a remedy will not mend by itself; all others may."""
    code = error.grpc_status_code or grpc.StatusCode.UNKNOWN
    said = error.message or ""
    if code in REMEDIES:
        found = (remedy for words, remedy in REMEDIES_BY_WORDS.items() if words in said)
        remedy = next(found, REMEDIES[code])
        return (MissingIndexError if remedy == INDEXES else StoreError)(
            f"Firestore refused the call ({code.name}): {remedy}. It said: {said[:MAX_DETAILS]}"
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return StoreUnavailableError(
            f"A quota of Firestore is used up ({code.name}): the free one of a day begins anew at midnight "
            "in California; with billing enabled there is none"
        )
    if PLUGIN_FAILED in said:  # the rest of it may name files of this machine
        remedy = REMEDIES[grpc.StatusCode.UNAUTHENTICATED]
        return StoreUnavailableError(f"Google gave no token for Firestore ({code.name}): {remedy}")
    return StoreUnavailableError(f"Firestore could not be reached ({code.name})")


def _raise_if_permanent(error: GoogleAPICallError) -> StoreUnavailableError:
    fault = to_store_error(error)
    if not isinstance(fault, StoreUnavailableError):
        raise fault from None
    return fault


def _open_google_channel(host: str, **arguments: Any) -> grpc.aio.Channel:
    """Open the library's channel (TLS, a token with each call) with our options."""
    return FirestoreGrpcAsyncIOTransport.create_channel(host, **arguments | {"options": CHANNEL_OPTIONS})


def _open_emulator_channel(emulator: str, _: str, **__: Any) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(emulator, options=CHANNEL_OPTIONS)
