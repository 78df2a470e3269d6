"""What a test has go wrong on the way: refusals, silence, cut connections, and calls held at a gate."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from tests.fakes.bitable.refusals import Refusal, as_json


class Kind(Enum):
    """How a call goes wrong."""

    FAIL = "fail"  #: It is answered with an error.
    HANG = "hang"  #: It is never answered.
    DROP = "drop"  #: The connection is cut.


@dataclass(frozen=True)
class Fault:
    """What the next call with *path_part* in its path meets.

    Attributes:
        after_applying: Whether the call is carried out first; its caller cannot know.
        text: Sent instead of JSON, as by a gateway on the way.
    """

    path_part: str
    kind: Kind
    after_applying: bool = False
    status: int = 200
    answer: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def strike(self, request: web.Request, closing: asyncio.Event) -> web.Response:
        """Answer *request* as this fault does; who hangs hangs until *closing*."""
        if self.kind is Kind.FAIL and self.text is not None:
            return web.Response(status=self.status, text=self.text, headers=self.headers)
        if self.kind is Kind.FAIL:
            return web.json_response(dict(self.answer), status=self.status, headers=self.headers)
        if self.kind is Kind.HANG:
            await closing.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # to nobody


class Gate:
    """Holds one call just before it is carried out, so that a test can do something first.

    Attributes:
        reached: Set once a call stands at the gate.
    """

    def __init__(self, path_part: str) -> None:
        self.path_part = path_part
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    def release(self) -> None:
        """Let the call go on."""
        self._open.set()

    async def passed(self) -> None:
        """Stand at the gate."""
        self.reached.set()
        await self._open.wait()


class Mishaps:
    """What tests ask for, and the calls that meet it: one each, the oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._gates: list[Gate] = []

    def fail_next(
        self,
        path_part: str,
        *,
        code: int = 1255040,
        status: int | None = None,
        msg: str = "",
        after_applying: bool = False,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """Answer the next call with *path_part* in its path with an error; with *text* as a gateway would.

        The status and the words are those the vendor has for *code*, where they are not given.
        """
        no = Refusal(code)
        answer = as_json(code, msg or no.msg, msg or no.msg)
        fault = Fault(
            path_part,
            Kind.FAIL,
            after_applying=after_applying,
            status=no.status if status is None else status,
            answer=answer,
            text=text,
            headers=headers or {},
        )
        self._faults += [fault] * times

    def hang_next(self, path_part: str, *, after_applying: bool = False, times: int = 1) -> None:
        """Never answer the next call with *path_part* in its path."""
        self._faults += [Fault(path_part, Kind.HANG, after_applying=after_applying)] * times

    def drop_next(self, path_part: str, *, after_applying: bool = False, times: int = 1) -> None:
        """Cut the connection of the next call with *path_part* in its path."""
        self._faults += [Fault(path_part, Kind.DROP, after_applying=after_applying)] * times

    def hold_next(self, path_part: str) -> Gate:
        """Hold the next call with *path_part* in its path just before it is carried out, until released.

        A write that is held is under way: others meet a conflict.
        """
        self._gates.append(Gate(path_part))
        return self._gates[-1]

    def next_fault(self, path: str) -> Fault | None:
        """The oldest fault for *path*; it is used up."""
        for fault in self._faults:
            if fault.path_part in path:
                self._faults.remove(fault)
                return fault
        return None

    async def pass_gate(self, path: str) -> None:
        """Stand at the oldest gate for *path*, if there is one."""
        for gate in self._gates:
            if gate.path_part in path:
                self._gates.remove(gate)
                await gate.passed()
                return

    def open_gates(self) -> None:
        """Let nobody wait any more."""
        for gate in self._gates:
            gate.release()
        self._gates.clear()
