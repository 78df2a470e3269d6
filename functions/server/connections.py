"""Bounds connections that occupy the server without a request, or take no response.

uvicorn has no such bound: its keep-alive timeout begins after a response and ends with the next byte, so that
a client that sends nothing, or a byte of a header now and then, keeps its connection for ever.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, one per connection, with deadlines.

    A connection waits while no request of it is in progress: from its start, and from the end of a response,
    until all headers of the next request are there. What arrives meanwhile extends nothing, so that the rest
    of a body that nobody reads counts as well. The time of a body that is read is the application's matter.

    Attributes:
        REQUEST_TIMEOUT_S: The longest wait; that of bodies is the same (`BODY_TIMEOUT` of the application).
        MAX_WAITING: Connections that may wait, in this process; the one that has waited longest is closed for
            a new one, so that silent connections use up no descriptors that tasks need.
        RESPONSE_STEP_S: How often a response that is not taken is looked at.
        RESPONSE_STEP_BYTES: What a client takes in that time at least.
        SLICE_BYTES: What is parsed of one connection in a round of the loop. Each chunk of a body takes its
            time, and may be one byte: the 256 KB that arrive at once took a second.
    """

    REQUEST_TIMEOUT_S: ClassVar[float] = 10.0
    MAX_WAITING: ClassVar[int] = 256
    RESPONSE_STEP_S: ClassVar[float] = 30.0
    RESPONSE_STEP_BYTES: ClassVar[int] = 16_384
    SLICE_BYTES: ClassVar[int] = 4096

    _waiting: ClassVar[dict["BoundedProtocol", asyncio.TimerHandle]] = {}  # longest wait first

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._response_timer: asyncio.TimerHandle | None = None
        self._unparsed = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's is so
        """Begin the first wait."""
        super().connection_made(transport)
        self._update_wait()
        if len(self._waiting) > self.MAX_WAITING:
            next(iter(self._waiting)).end_wait()

    def data_received(self, data: bytes) -> None:
        """Handle *data*, which may complete the headers of a request."""
        if not self._unparsed and len(data) <= self.SLICE_BYTES:
            self._parse(data)
            return
        if not self._unparsed:
            self.loop.call_soon(self._parse_slice)
        self._unparsed += data
        self.transport.pause_reading()

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        self._update_wait()

    def _parse_slice(self) -> None:
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        data = bytes(self._unparsed[: self.SLICE_BYTES])
        del self._unparsed[: self.SLICE_BYTES]
        self._parse(data)
        if self._unparsed:
            self.loop.call_soon(self._parse_slice)
        elif not self.flow.read_paused:
            self.transport.resume_reading()

    def on_response_complete(self) -> None:
        """Begin the wait for the next request, unless it has arrived before."""
        super().on_response_complete()
        self._update_wait()

    def pause_writing(self) -> None:
        """Begin to watch how the client takes the response."""
        super().pause_writing()
        self._watch_response()

    def resume_writing(self) -> None:
        """Stop to watch, now that nearly all is taken; before the connection closes all of it must be."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_watching_response()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_wait()
        self._stop_watching_response()
        super().connection_lost(exc)

    def _update_wait(self) -> None:
        is_waiting = self.cycle is None or self.cycle.response_complete
        if not is_waiting:
            self._forget_wait()
        elif self not in self._waiting and not self.transport.is_closing():
            self._waiting[self] = self.loop.call_later(self.REQUEST_TIMEOUT_S, self.end_wait)

    def _forget_wait(self) -> None:
        if timer := self._waiting.pop(self, None):
            timer.cancel()

    def end_wait(self) -> None:
        """Close the connection, which waits."""
        self._forget_wait()
        if self.transport.get_write_buffer_size():
            self.transport.close()  # sends the rest of the last response, which `_watch_response` bounds
            self._watch_response()
        else:
            self.transport.abort()

    def _watch_response(self) -> None:
        self._stop_watching_response()
        self._response_timer = self.loop.call_later(
            self.RESPONSE_STEP_S, self._check_response, self.transport.get_write_buffer_size()
        )

    def _check_response(self, size_before: int) -> None:
        if self.transport.get_write_buffer_size() > size_before - self.RESPONSE_STEP_BYTES:
            self.transport.abort()
        else:
            self._watch_response()

    def _stop_watching_response(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None
