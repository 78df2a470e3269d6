"""The work of an agent: a short plan, at most so many rounds of tools, an answer; within tokens and time."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.task_types.agent import results
from functions.task_types.agent.model_api import ChatCompletionsClient, ModelError, ModelReply
from functions.task_types.agent.results import AgentResult, parse_result
from functions.task_types.agent.tools import AgentTools, ToolResult
from functions.task_types.support.limits import truncate

# The talk with a model as it fits into a number of tokens, estimated: old findings give way first.

BYTES_PER_TOKEN = 3  # on the safe side for English, about right for Chinese
OMITTED_RESULT = "(An earlier finding, left out for want of room.)"
_TRUNCATION_NOTE = "\n(Cut short for want of room.)"
_MIN_CHARS = 200

ChatMessage = Mapping[str, Any]


def estimate_tokens(value: object) -> int:
    """About how many tokens *value*, written as JSON, takes."""
    text = json.dumps(value, ensure_ascii=False)
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def fit_messages(messages: Sequence[ChatMessage], limit: int) -> list[ChatMessage]:
    """*messages* with findings left out, oldest first, then the newest cut, until they take *limit* tokens.

    What was asked is never touched: where that alone is too long, more than *limit* is returned.
    """
    kept = list(messages)
    findings = [place for place, message in enumerate(kept) if message.get("role") == "tool"]
    for place in findings[:-1]:
        if estimate_tokens(kept) <= limit:
            return kept
        kept[place] = {**kept[place], "content": OMITTED_RESULT}
    over = estimate_tokens(kept) - limit
    if over > 0 and findings:
        last = kept[findings[-1]]
        kept[findings[-1]] = {**last, "content": _truncate_by_tokens(str(last.get("content", "")), over)}
    return kept


def _truncate_by_tokens(text: str, tokens: int) -> str:
    """*text* with at least *tokens* fewer, where it has so many."""
    room = len(text.encode("utf-8", "replace")) - (tokens + len(_TRUNCATION_NOTE)) * BYTES_PER_TOKEN
    head = text.encode("utf-8", "replace")[: max(room, _MIN_CHARS)].decode("utf-8", "ignore")
    return head + _TRUNCATION_NOTE


MAX_CONTEXT_TOKENS = 24_000  # of one request: the oldest findings give way
MAX_REPLY_TOKENS = 8192  # of one reply, its thoughts included
MIN_REPLY_TOKENS = 200  # fewer are no answer
MAX_PLAN_TOKENS = 1024
MAX_CONCURRENT_CALLS = 4  # of the tools a reply asks for; the others it may ask for again
REPLY_TIMEOUT_S = 120.0
MIN_TIMEOUT_S = 0.5
_MAX_PLAN_CHARS = 300


@dataclass(slots=True)
class Usage:
    """What was used so far.

    Attributes:
        steps: Rounds of tools.
        refused_calls: Calls of tools that were not made, as the task does not allow them.
        is_estimated: Whether the server left some tokens uncounted, so that they were estimated.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    refused_calls: int = 0
    is_estimated: bool = False
    plan: str = ""

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens

    def metrics(self) -> dict[str, Any]:
        """As metrics of a run."""
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
    """How far the work may go.

    Attributes:
        max_tokens: In all, prompts and answers.
        tokens_exceeded_reason: What is told when they are used up.
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
        usage: Kept up to date, so that a run that fails has used what it used.
    """

    def __init__(
        self,
        client: ChatCompletionsClient,
        tools: AgentTools | None,
        messages: list[ChatMessage],
        limits: AgentLimits,
    ) -> None:
        self.usage = Usage()
        self._client = client
        self._tools = tools
        self._tool_schemas = tools.schemas() if tools else []
        self._messages = messages
        self._limits = limits

    async def run(self) -> AgentResult:
        """Do the work and return what it came to.

        Raises:
            ModelError: It came to nothing: no reply, no usable answer, no tokens or no time left.
        """
        if self._tools is not None:
            await self._request_plan()
        reply = await self._collect_results()
        for again in (True, False):
            result = parse_result(reply.text, limit=self._limits.max_items)
            if result is not None:
                return result
            if not again or reply.finish_reason in ("length", "content_filter"):
                break
            wish = results.ANSWER_NOW_PROMPT if reply.tool_calls else results.JSON_ONLY_PROMPT
            self._messages += [*([{"role": "assistant", "content": reply.text}] if reply.text else [])]
            self._messages += [results.user_message(wish)]
            reply = await self._request_reply(can_call_tools=False)
        raise self._fail_without_answer(reply)

    async def _request_plan(self) -> None:
        """Let the model say what it is up to: it keeps to it better, and people can read it afterwards."""
        self._messages.append(results.user_message(results.PLAN_PROMPT))
        reply = await self._request_reply(can_call_tools=False, max_tokens=MAX_PLAN_TOKENS)
        self.usage.plan = truncate(" ".join(reply.text.split()), _MAX_PLAN_CHARS)
        self._messages.append({"role": "assistant", "content": reply.text or "(no plan)"})
        self._messages.append(results.user_message(results.CONTINUE_PROMPT))

    async def _collect_results(self) -> ModelReply:
        """Let the model use its tools; return its first reply without a wish for one, or the last allowed."""
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
        assert self._tools is not None  # without tools no call is let through
        self.usage.steps += 1
        self._messages.append(reply.to_message())
        now, rest = reply.tool_calls[:MAX_CONCURRENT_CALLS], reply.tool_calls[MAX_CONCURRENT_CALLS:]
        found = await asyncio.gather(*(self._tools.run(call, timeout_s=self._seconds_left()) for call in now))
        found += [ToolResult("Too many calls at once; ask again for this one")] * len(rest)
        for call, one in zip(reply.tool_calls, found, strict=True):
            self.usage.refused_calls += one.is_refused
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": one.text})

    async def _request_reply(self, *, can_call_tools: bool, max_tokens: int = MAX_REPLY_TOKENS) -> ModelReply:
        left = self._limits.max_tokens - self.usage.tokens
        overhead = estimate_tokens(self._tool_schemas) if self._tool_schemas else 0
        messages = fit_messages(self._messages, min(MAX_CONTEXT_TOKENS, left - MIN_REPLY_TOKENS) - overhead)
        prompt = estimate_tokens(messages) + overhead
        room = min(max_tokens, left - prompt)
        if room < min(max_tokens, MIN_REPLY_TOKENS):
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
                max_tokens=room,
                timeout_s=within_s,
            )
        except ModelError:
            if asyncio.get_running_loop().time() - started >= within_s:
                self._count_tokens(
                    None, None, prompt=prompt, answer=room
                )  # it may well have been made, and be billed
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
        """Whether there are tokens for one more finding and an answer after it."""
        return self._limits.max_tokens - self.usage.tokens >= 2 * (
            estimate_tokens(self._messages) + MIN_REPLY_TOKENS
        )

    def _seconds_left(self) -> float:
        left_s = self._limits.deadline - asyncio.get_running_loop().time()
        if left_s < MIN_TIMEOUT_S:
            raise ModelError(f"Stopped after {self.usage.steps} steps: the time was up (timeoutSeconds)")
        return left_s

    def _fail_without_answer(self, reply: ModelReply) -> ModelError:
        if reply.finish_reason == "length":
            return ModelError("The model's answer was cut off: it needs more maxTokens", permanent=True)
        if reply.finish_reason == "content_filter":
            return ModelError("The model's server withheld the answer (content filter)", permanent=True)
        if reply.tool_calls:
            return ModelError("The model asked for more tools than maxSteps allows, and gave no answer")
        return ModelError("The model's answer was not the JSON that was asked for, twice")
