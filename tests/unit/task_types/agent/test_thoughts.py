"""Servers that want back what their model thought, DeepSeek's and Kimi's, and those that refuse it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from functions.domain.types import OutcomeKind
from tests.fakes.llm_server import Answer, sends
from tests.unit.task_types.agent.conftest import Agent
from tests.unit.task_types.agent.test_servers import LOOKS, TEXT, completion, events, sent, wants

MakeAgent = Callable[..., Awaitable[Agent]]


def calls(number: int) -> list[dict[str, Any]]:
    function = {"name": "http_get", "arguments": "{}"}
    signature = {"google": {"thought_signature": f"signed-{number}"}}
    return [{"index": 0, "id": f"c{number}", "function": function, "extra_content": signature}]


def replies(field: str, reply: Callable[[dict[str, Any]], Answer]) -> list[Answer]:
    """A plan, three rounds of tools and an answer, each with a thought."""
    said: list[dict[str, Any]] = [
        {"content": "plan"},
        *({"tool_calls": calls(number)} for number in range(3)),
        {"content": TEXT},
    ]
    return [reply({field: f"thought {number}"} | one) for number, one in enumerate(said)]


def whole(message: dict[str, Any]) -> Answer:
    return sent(completion(message))


def streamed(message: dict[str, Any]) -> Answer:
    return sends(events(message).encode(), content_type="text/event-stream")


def said_by_model(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [message for message in body["messages"] if message["role"] == "assistant"]


@pytest.mark.slow
@pytest.mark.parametrize("reply", [whole, streamed])
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(
    "refusal",
    [
        # DeepSeek's, now and before, and Kimi's
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "Missing `reasoning_content` field in the assistant message at message index 2",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 4",
    ],
)
async def test_a_server_that_wants_thoughts_back_gets_them(
    agent: MakeAgent, refusal: str, field: str, reply: Callable[[dict[str, Any]], Answer]
) -> None:
    def has_thoughts(body: Mapping[str, Any]) -> bool:
        return all(message.get("reasoning_content") for message in said_by_model(body))

    document = {"error": {"message": refusal}}
    one = await agent(*(wants(has_thoughts, 400, document, then) for then in replies(field, reply)))
    # A refused request takes no reply: the server has its next one for the request that follows.
    one.model.answers.insert(1, one.model.answers[1])

    outcome = await one.run(LOOKS)

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    thoughts = [message["reasoning_content"] for message in said_by_model(one.model.asked[-1])]
    assert [" ", "thought 1", "thought 2", "thought 3"] == thoughts
    assert 6 == len(one.model.asked)


@pytest.mark.slow
@pytest.mark.parametrize("reply", [whole, streamed])
async def test_no_other_server_does_but_signatures_of_calls_are_returned(
    agent: MakeAgent, reply: Callable[[dict[str, Any]], Answer]
) -> None:
    """Gemini refuses calls without their signature; others refuse a field that they do not know."""
    one = await agent(*replies("reasoning_content", reply))

    outcome = await one.run(LOOKS)

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert "thought 1" not in one.model.prompts
    returned = [
        call for message in said_by_model(one.model.asked[-1]) for call in message.get("tool_calls", ())
    ]
    signatures = [call["extra_content"]["google"]["thought_signature"] for call in returned]
    assert ["signed-0", "signed-1", "signed-2"] == signatures
