"""A Firestore that fails on demand: a gRPC server that passes calls on to the emulator, or does not.

async with faulty_firestore(emulator_host) as faulty:
    store = FirestoreStore("project", emulator=faulty.host)
    faulty.next("BatchWrite", drop_reply)
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types

STREAMED = {"RunQuery", "RunAggregationQuery", "BatchGetDocuments"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        code: What the caller is told instead of an answer; None passes the answer on.
        after_messages: Messages of a streamed answer that arrive before the fault; None means that
            the call does not even reach the store.
        applied: The store does what it is asked, and the answer is lost on the way back.
        delay_s: How long the call is held up first.
        hangs: Nothing is ever answered.
    """

    code: Any = None
    after_messages: int | None = None
    applied: bool = False
    delay_s: float = 0.0
    hangs: bool = False


def refuse(code: Any = grpc.StatusCode.UNAVAILABLE) -> Fault:
    """The call does not reach the store."""
    return Fault(code=code)


def drop_reply(code: Any = grpc.StatusCode.UNAVAILABLE) -> Fault:
    """The store does what it is asked; the caller never learns."""
    return Fault(code=code, applied=True)


def cut_after(messages: int, code: Any = grpc.StatusCode.UNAVAILABLE) -> Fault:
    """A streamed answer breaks off."""
    return Fault(code=code, after_messages=messages)


def delay(seconds: float) -> Fault:
    """The call is held up, then goes its way."""
    return Fault(delay_s=seconds)


def hang(*, applied: bool = False) -> Fault:
    """The caller waits for ever."""
    return Fault(hangs=True, applied=applied)


class FaultyFirestore:
    """Passes calls on, save those that a fault was planned for.

    Attributes:
        host: Where it listens, `host:port`.
        calls: The methods called so far, in order, e.g. `["RunQuery", "BatchWrite"]`.
        requests: What they were called with, as bytes of the wire.
        headers: And with which metadata.
        seconds_left: How long each call might still take when it arrived; None means for ever.
        answers: The messages of streamed answers that came from the store, each with its method.
    """

    def __init__(self, upstream: grpc.aio.Channel) -> None:
        self.host = ""
        self.calls: list[str] = []
        self.requests: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.seconds_left: list[float | None] = []
        self.answers: list[tuple[str, bytes]] = []
        self._upstream = upstream
        self._planned: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._for_ever = asyncio.Event()

    def next(self, method: str, *faults: Fault) -> None:
        """Have the next calls of *method* meet *faults*, one each; a `Fault()` lets a call pass."""
        self._planned[method].extend(faults)

    async def unary(self, method: str, request: bytes, context: Any) -> bytes:
        """Answer one call that has one answer."""
        fault = await self._met(method, request, context)
        reply: bytes = await self._upstream.unary_unary(_path(method))(request, metadata=_headers(context))
        await self._lost(fault, context)
        return reply

    async def streamed(self, method: str, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Answer one call that has many answers."""
        fault = await self._met(method, request, context)
        passed = 0
        async for message in self._upstream.unary_stream(_path(method))(request, metadata=_headers(context)):
            if passed == fault.after_messages:
                break
            self.answers.append((method, message))
            yield message
            passed += 1
        await self._lost(fault, context)

    async def _met(self, method: str, request: bytes, context: Any) -> Fault:
        self.calls.append(method)
        self.requests.append(request)
        self.headers.append(dict(context.invocation_metadata()))
        self.seconds_left.append(context.time_remaining())
        fault = self._planned[method].popleft() if self._planned[method] else Fault()
        await asyncio.sleep(fault.delay_s)
        if not fault.applied and fault.after_messages is None:
            await self._lost(fault, context)
        return fault

    async def _lost(self, fault: Fault, context: Any) -> None:
        if fault.hangs:
            await self._for_ever.wait()
        if fault.code is not None:
            await context.abort(fault.code, "a planned fault")


@asynccontextmanager
async def faulty_firestore(upstream_host: str) -> AsyncIterator[FaultyFirestore]:
    """A faulty store in front of the emulator at *upstream_host*, while inside."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(upstream_host, options=options) as upstream:
        faulty = FaultyFirestore(upstream)
        server = grpc.aio.server(options=options)
        server.add_generic_rpc_handlers((_Handlers(faulty),))
        faulty.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield faulty
        finally:
            await server.stop(None)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, faulty: FaultyFirestore) -> None:
        self._faulty = faulty

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        if method in STREAMED:
            return grpc.unary_stream_rpc_method_handler(_named(self._faulty.streamed, method))
        return grpc.unary_unary_rpc_method_handler(_named(self._faulty.unary, method))


def _named(behaviour: Callable[[str, bytes, Any], Any], method: str) -> Callable[[bytes, Any], Any]:
    if method in STREAMED:

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            async for message in behaviour(method, request, context):
                yield message

        return stream

    async def single(request: bytes, context: Any) -> bytes:
        answer: Awaitable[bytes] = behaviour(method, request, context)
        return await answer

    return single


def _path(method: str) -> str:
    return f"/google.firestore.v1.Firestore/{method}"


def _headers(context: Any) -> tuple[tuple[str, str], ...]:
    kept = {"authorization", "google-cloud-resource-prefix", "x-goog-request-params"}
    return tuple((key, value) for key, value in context.invocation_metadata() if key in kept)
