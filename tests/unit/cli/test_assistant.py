"""Messages on standard input that are none: each is answered, as its caller would wait for ever."""

from typing import Any

import pytest
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from pydantic import ValidationError

from functions.cli.assistant import ReadableMessages

CALL = '{"jsonrpc": "2.0", "id": %s, "method": "tools/call", "params": %s}'


class Pipe:
    """Lines as the SDK reads them, and what was written meanwhile."""

    def __init__(self, *lines: str) -> None:
        self.lines = iter(lines)
        self.written: list[dict[str, Any]] = []

    async def __anext__(self) -> object:
        line = next(self.lines, None)
        if line is None:
            raise StopAsyncIteration
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValidationError as exc:
            return exc

    async def send(self, message: Any) -> None:
        self.written.append(message.message.model_dump(mode="json", exclude_unset=True))


@pytest.mark.parametrize(
    ("line", "id_", "said"),
    [
        (CALL % (7, '{"name": "list_tasks", "arguments": {"tag": "\\ud83d"}}'), 7, "arguments.tag: must not"),
        (CALL % ('"a"', '{"x": ' + "[" * 300 + "]" * 300 + "}"), "a", "more than 100 levels"),
        (CALL % (8, "[]"), 8, "one JSON-RPC message"),
        (f"[{CALL % (9, '{}')}]", None, "batches are not read"),
        ("Content-Length: 80", None, "not JSON"),
    ],
)
async def test_what_cannot_be_read_is_answered(line: str, id_: object, said: str) -> None:
    pipe = Pipe("\n", line, CALL % (1, "{}"))

    read: list[Any] = [one async for one in ReadableMessages(pipe, pipe)]

    assert [1] == [one.message.id for one in read]
    [answer] = pipe.written
    assert (id_, True) == (answer["id"], said in answer["error"]["message"])
