"""Calls to Firestore: one connection per event loop, every call bounded in time, every error translated."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc  # type: ignore[import-untyped]  # it ships no types

from functions.errors import StoreError, StoreUnavailable
from functions.store.firestore_line import Line, connect

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
