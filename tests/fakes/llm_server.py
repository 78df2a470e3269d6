"""A server of OpenAI's chat completions on loopback: checks what it is asked as strictly as vendors do."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "c4nary-key-of-a-language-model"
MODEL = "little-model"
Answer = Callable[[web.Request, Mapping[str, Any]], Awaitable[web.StreamResponse]]


class LlmServer:
    """Gives the answers it was given, in order, the last one again and again.

    Args:
        newer: Whether the model knows `max_completion_tokens` alone, as OpenAI's newer ones do.

    Attributes:
        asked: The bodies of all requests that were well-formed, oldest first.
        faults: What was wrong with requests; a test that expects none should see none.
    """

    def __init__(self, *answers: Answer, newer: bool = False) -> None:
        self.answers = list(answers)
        self.newer = newer
        self.asked: list[dict[str, Any]] = []
        self.faults: list[str] = []
        app = web.Application(client_max_size=1 << 22)
        app.router.add_post("/v1/chat/completions", self._complete)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/v1"))

    @property
    def prompts(self) -> str:
        """All that the model was ever told."""
        return json.dumps(self.asked, ensure_ascii=False)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            given = request.headers.get("Authorization", "")
            return error(401, f"Incorrect API key provided: {given}", "invalid_api_key")
        body = await request.json()
        if self.newer and "max_tokens" in body:
            return error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if fault := _fault(body):
            self.faults.append(fault)
            return error(400, fault)
        if body["model"] != MODEL:
            return error(404, f"The model {body['model']} does not exist", "model_not_found")
        self.asked.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request, body)


def says(
    text: str,
    *,
    calls: tuple[tuple[str, Any], ...] = (),
    usage: tuple[int, int] | None = (100, 20),
    finish: str = "",
) -> Answer:
    """Answers with a text, and with wishes for tools: a name and arguments each."""

    async def answer(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = [_tool_call(number, *call) for number, call in enumerate(calls)]
        reason = finish or ("tool_calls" if calls else "stop")
        document: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        }
        if usage:
            document["usage"] = {
                "prompt_tokens": usage[0],
                "completion_tokens": usage[1],
                "total_tokens": sum(usage),
            }
        return web.json_response(document)

    return answer


def finds(*items: Mapping[str, Any], summary: str = "Found it", usage: tuple[int, int] = (100, 20)) -> Answer:
    """Answers as asked: JSON with items."""
    return says(json.dumps({"summary": summary, "items": items}), usage=usage)


def refuses(
    status: int, message: str = "no", *, code: str = "", headers: dict[str, str] | None = None
) -> Answer:
    """Answers with an error as vendors write it."""

    async def answer(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        return error(status, message, code, headers)

    return answer


def sends(body: bytes, *, content_type: str = "application/json", status: int = 200) -> Answer:
    """Answers with these bytes, whatever they are."""

    async def answer(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, status=status)

    return answer


def never(asked: asyncio.Event | None = None) -> Answer:
    """Answers not at all, until the other side hangs up."""

    async def answer(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        if asked is not None:
            asked.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody waits for ever")

    return answer


def error(
    status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


def _tool_call(number: int, name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": text}}


def _fault(body: Mapping[str, Any]) -> str:
    """What vendors refuse: no bound, messages out of order, answers to calls that were not made."""
    bounds = {"max_tokens", "max_completion_tokens"} & body.keys()
    if len(bounds) != 1 or not all(isinstance(body[name], int) and body[name] > 0 for name in bounds):
        return "one positive bound of tokens must be given"
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return "messages with role 'tool' must answer a preceding message with 'tool_calls'"
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            return "an assistant message with 'tool_calls' must be followed by tool messages"
        open_calls = {call["id"] for call in message.get("tool_calls", ())}
        if not message.get("content") and not open_calls:
            return "content must not be empty"
    if open_calls:
        return "an assistant message with 'tool_calls' must be followed by tool messages"
    if "tool_choice" in body and "tools" not in body:
        return "tool_choice is only allowed when tools are specified"
    return ""
