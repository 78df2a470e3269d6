"""The conversation of an agent: a plan, rounds of tool calls, an answer; within tokens, steps and time."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from functions.parsing.errors import ParsingStoppedError
from functions.parsing.pool import Parse, parsing_time
from functions.parsing.replies import AgentResult, ModelReply, parse_result
from functions.task_types.agent import results
from functions.task_types.agent.model_api import ChatCompletionsClient, ModelError
from functions.task_types.agent.tools import AgentTools, ToolResult
from functions.task_types.support.limits import truncate

# Fitting messages into a number of tokens, estimated: the oldest tool results are left out first.

BYTES_PER_TOKEN = 3  # an overestimate for English, about right for Chinese
OMITTED_RESULT = "(An earlier finding, left out for want of room.)"
_TRUNCATION_NOTE = "\n(Cut short for want of room.)"
_MIN_CHARS = 200

ChatMessage = Mapping[str, Any]


def estimate_tokens(value: object) -> int:
    """Return the estimated number of tokens of *value* as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def fit_messages(messages: Sequence[ChatMessage], limit: int) -> list[ChatMessage]:
    """Return *messages* with tool results left out, oldest first, and the newest cut, to fit *limit* tokens.

    Other messages never change: when they alone are too long, the result exceeds *limit*.
    """
    fitted = list(messages)
    tool_places = [place for place, message in enumerate(fitted) if message.get("role") == "tool"]
    for place in tool_places[:-1]:
        if estimate_tokens(fitted) <= limit:
            return fitted
        fitted[place] = {**fitted[place], "content": OMITTED_RESULT}
    over = estimate_tokens(fitted) - limit
    if over > 0 and tool_places:
        last = fitted[tool_places[-1]]
        fitted[tool_places[-1]] = {**last, "content": _truncate_by_tokens(str(last.get("content", "")), over)}
    return fitted


def _truncate_by_tokens(text: str, tokens: int) -> str:
    """Return *text* shortened by about *tokens*, to no less than `_MIN_CHARS`."""
    max_bytes = len(text.encode("utf-8", "replace")) - (tokens + len(_TRUNCATION_NOTE)) * BYTES_PER_TOKEN
    head = text.encode("utf-8", "replace")[: max(max_bytes, _MIN_CHARS)].decode("utf-8", "ignore")
    return head + _TRUNCATION_NOTE


MAX_CONTEXT_TOKENS = 24_000  # of one request
MAX_REPLY_TOKENS = 8192  # of one reply, reasoning included
MIN_REPLY_TOKENS = 200  # fewer do not hold an answer
MAX_PLAN_TOKENS = 1024
MAX_CONCURRENT_CALLS = 4  # of one reply's tool calls; the model may repeat the others
REPLY_TIMEOUT_S = 120.0
MIN_TIMEOUT_S = 0.5
_MAX_PLAN_CHARS = 300


@dataclass(slots=True)
class Usage:
    """Tokens and steps used so far.

    Attributes:
        steps: Rounds of tool calls.
        refused_calls: Tool calls that the task does not allow; they were not made.
        is_estimated: Whether some tokens are estimated, as the server did not report them.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    refused_calls: int = 0
    is_estimated: bool = False
    plan: str = ""

    @property
    def tokens(self) -> int:
        """Prompts and replies together."""
        return self.prompt_tokens + self.completion_tokens

    def metrics(self) -> dict[str, Any]:
        """Return the usage as metrics of a run."""
        metrics: dict[str, Any] = {
            "promptTokens": self.prompt_tokens,
            "completionTokens": self.completion_tokens,
            "steps": self.steps,
        }
        optional = {
            "refusedCalls": self.refused_calls,
            "tokensEstimated": self.is_estimated,
            "plan": self.plan,
        }
        return metrics | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """The limits of one run.

    Attributes:
        max_tokens: Prompts and replies together.
        tokens_exceeded_reason: For the outcome when they are used up.
        deadline: By the loop's clock.
        max_items: In the answer.
    """

    max_tokens: int
    tokens_exceeded_reason: str
    max_steps: int
    deadline: float
    max_items: int


class AgentConversation:
    """One run of an agent.

    Attributes:
        usage: Current at all times, also when the run fails.
    """

    def __init__(
        self,
        client: ChatCompletionsClient,
        tools: AgentTools | None,
        messages: list[ChatMessage],
        limits: AgentLimits,
        parse: Parse,
    ) -> None:
        self.usage = Usage()
        self._client = client
        self._parse = parse
        self._tools = tools
        self._tool_schemas = tools.schemas() if tools else []
        self._messages = messages
        self._limits = limits

    async def run(self) -> AgentResult:
        """Run the model and return its result.

        Raises:
            ModelError: There is no result: no reply, no usable answer, no tokens or no time left.
        """
        if self._tools is not None:
            await self._request_plan()
        reply = await self._collect_results()
        for again in (True, False):
            result = await self._parse_result(reply.text)
            if result is not None:
                return result
            if not again or reply.finish_reason in ("length", "content_filter"):
                break
            prompt = results.ANSWER_NOW_PROMPT if reply.tool_calls else results.JSON_ONLY_PROMPT
            if reply.text:
                self._messages.append({"role": "assistant", "content": reply.text})
            self._messages.append(results.user_message(prompt))
            reply = await self._request_reply(can_call_tools=False)
        raise self._fail_without_answer(reply)

    async def _parse_result(self, text: str) -> AgentResult | None:
        try:
            return await self._parse(
                partial(parse_result, limit=self._limits.max_items),
                text.encode("utf-8", "replace"),
                timeout_s=parsing_time(self._seconds_left()),
            )
        except ParsingStoppedError as exc:
            raise ModelError(f"The model's answer could not be read {exc.why}") from None

    async def _request_plan(self) -> None:
        """Request a plan first: the model follows it, and users read it in the run's metrics."""
        self._messages.append(results.user_message(results.PLAN_PROMPT))
        reply = await self._request_reply(can_call_tools=False, max_tokens=MAX_PLAN_TOKENS)
        self.usage.plan = truncate(" ".join(reply.text.split()), _MAX_PLAN_CHARS)
        self._messages.append({"role": "assistant", "content": reply.text or "(no plan)"})
        self._messages.append(results.user_message(results.CONTINUE_PROMPT))

    async def _collect_results(self) -> ModelReply:
        """Run the model's tool calls; return its first reply without one, or the last reply allowed."""
        while True:
            may_call = (
                bool(self._tools) and self.usage.steps < self._limits.max_steps and self._can_afford_step()
            )
            if self._tools and not may_call:
                self._messages.append(results.user_message(results.ANSWER_NOW_PROMPT))
            reply = await self._request_reply(can_call_tools=may_call)
            if not may_call or not reply.tool_calls:
                return reply
            await self._run_tool_calls(reply)

    async def _run_tool_calls(self, reply: ModelReply) -> None:
        assert self._tools is not None  # without tools no call is allowed
        self.usage.steps += 1
        self._messages.append(reply.to_message())
        now, rest = reply.tool_calls[:MAX_CONCURRENT_CALLS], reply.tool_calls[MAX_CONCURRENT_CALLS:]
        answers = await asyncio.gather(
            *(self._tools.run(call, timeout_s=self._seconds_left()) for call in now)
        )
        answers += [ToolResult("Too many calls at once; ask again for this one")] * len(rest)
        for call, answer in zip(reply.tool_calls, answers, strict=True):
            self.usage.refused_calls += answer.is_refused
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": answer.text})

    async def _request_reply(self, *, can_call_tools: bool, max_tokens: int = MAX_REPLY_TOKENS) -> ModelReply:
        left = self._limits.max_tokens - self.usage.tokens
        overhead = estimate_tokens(self._tool_schemas) if self._tool_schemas else 0
        messages = fit_messages(self._messages, min(MAX_CONTEXT_TOKENS, left - MIN_REPLY_TOKENS) - overhead)
        prompt = estimate_tokens(messages) + overhead
        reply_tokens = min(max_tokens, left - prompt)
        if reply_tokens < min(max_tokens, MIN_REPLY_TOKENS):
            raise ModelError(
                f"Stopped after {self.usage.tokens} tokens: {self._limits.tokens_exceeded_reason}",
                permanent=True,
            )
        within_s = min(REPLY_TIMEOUT_S, self._seconds_left())
        started = asyncio.get_running_loop().time()
        try:
            reply = await self._client.complete(
                messages,
                tools=self._tool_schemas,
                can_call_tools=can_call_tools,
                max_tokens=reply_tokens,
                timeout_s=within_s,
            )
        except ModelError:
            if asyncio.get_running_loop().time() - started >= within_s:
                # The server may have produced the reply, and bill it.
                self._count_tokens(None, None, prompt=prompt, answer=reply_tokens)
            raise
        self._count_tokens(
            reply.prompt_tokens, reply.completion_tokens, prompt=prompt, answer=estimate_tokens(reply.text)
        )
        return reply

    def _count_tokens(
        self, prompt_tokens: int | None, completion_tokens: int | None, *, prompt: int, answer: int
    ) -> None:
        self.usage.is_estimated |= prompt_tokens is None or completion_tokens is None
        self.usage.prompt_tokens += prompt if prompt_tokens is None else prompt_tokens
        self.usage.completion_tokens += answer if completion_tokens is None else completion_tokens

    def _can_afford_step(self) -> bool:
        """Whether the tokens suffice for one more tool result and an answer after it."""
        return self._limits.max_tokens - self.usage.tokens >= 2 * (
            estimate_tokens(self._messages) + MIN_REPLY_TOKENS
        )

    def _seconds_left(self) -> float:
        left_s = self._limits.deadline - asyncio.get_running_loop().time()
        if left_s < MIN_TIMEOUT_S:
            raise ModelError(f"Stopped after {self.usage.steps} steps: the time is up (timeoutSeconds)")
        return left_s

    def _fail_without_answer(self, reply: ModelReply) -> ModelError:
        if reply.finish_reason == "length":
            return ModelError("The model's answer was cut off: it needs more maxTokens", permanent=True)
        if reply.finish_reason == "content_filter":
            return ModelError("The model's server withheld the answer (content filter)", permanent=True)
        if reply.tool_calls:
            return ModelError("The model called more tools than maxSteps allows, and gave no answer")
        return ModelError("The model's answer was not the required JSON, twice")
