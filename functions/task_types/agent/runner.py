"""One run of an agent: a plan, rounds of tool calls, an answer. The conversation itself is pydantic-ai's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent, AgentRetries, ModelRetry, RunContext, TextOutput, Tool
from pydantic_ai.exceptions import (
    ContentFilterError,
    OutputTokenLimitExceeded,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.messages import ModelMessage
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from functions.domain.task import Job
from functions.parsing.errors import ParsingStoppedError
from functions.parsing.pool import Parse, parsing_time
from functions.parsing.replies import AgentResult, parse_result
from functions.task_types.agent import results
from functions.task_types.agent.dialect import Dialect
from functions.task_types.agent.errors import ModelError
from functions.task_types.agent.model import MAX_REPLY_TOKENS, AgentLimits, LimitedModel, Usage
from functions.task_types.agent.providers import OPENAI, completions_model, provider_model
from functions.task_types.agent.tools import TOOL_PARAMETERS, AgentTools, ToolResult
from functions.task_types.agent.transport import CompletionsTransport, ModelTransport
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.limits import truncate

if TYPE_CHECKING:
    from functions.task_types.agent.mcp import McpTool, McpTools

_MAX_SHOWN_CHARS = 160  # of an answer that is no result
_MAX_PLAN_CHARS = 300
_MAX_TOOL_RETRIES = 50  # maxSteps ends them before
_EXTRA_REQUESTS = 4  # beside those that call tools: the plan, the answer, the answer again


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a run, and what earlier runs learned of it.

    Attributes:
        model: Where it is.
        name: Of the model.
        token_field: Its name for the limit of a reply; empty while unknown.
    """

    model: LanguageModel
    name: str
    token_field: str


class AgentRun:
    """One run.

    Attributes:
        usage: Current at all times, also when the run fails.

    Raises:
        ModelError: The model cannot be set up.
    """

    def __init__(
        self,
        server: Server,
        job: Job,
        tools: AgentTools | None,
        limits: AgentLimits,
        parse: Parse,
        mcp: "McpTools | None" = None,
    ) -> None:
        self._transport: CompletionsTransport | None = None
        transport: ModelTransport
        if server.model.provider == OPENAI:
            dialect = Dialect.from_token_field(server.token_field)
            transport = self._transport = CompletionsTransport(server.model, dialect, parse)
            wrapped = completions_model(server.model, server.name, transport)
        else:
            transport = ModelTransport(server.model)
            wrapped = provider_model(server.model, server.name, transport)
        self._model = LimitedModel(
            wrapped,
            limits,
            transport,
            name=server.name,
            api_key=server.model.api_key,
            started_at=job.started_at,
        )
        self._tools = tools
        self._mcp = mcp
        self._limits = limits
        self._parse = parse
        self._has_tools = tools is not None or mcp is not None
        self._answer = ""

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        return self._model.usage

    def notes(self) -> dict[str, Any]:
        """Return what was learned of the server, for the task's memory."""
        shorter = self._model.reply_tokens
        notes: dict[str, Any] = {"replyTokens": shorter} if shorter < MAX_REPLY_TOKENS else {}
        if self._transport is not None:
            notes["tokenField"] = self._transport.dialect.token_field
        return notes

    async def run(self, instructions: str, task: str) -> AgentResult:
        """Run the model and return its result.

        Raises:
            ModelError: There is no result: no reply, no usable answer, no tokens or no time left.
        """
        if self._mcp is None:
            return await self._run(instructions, task, [])
        try:
            found = await self._mcp.open(timeout_s=self._model.seconds_left())
            self.usage.left_out_tools = self._mcp.left_out
            return await self._run(instructions, task, [self._mcp_tool(one) for one in found])
        finally:
            await self._mcp.close()

    async def _run(self, instructions: str, task: str, more_tools: list[Tool[None]]) -> AgentResult:
        own_tools = [self._tool(name) for name in self._tools.names] if self._tools else []
        tools = [*own_tools, *more_tools]
        agent: Agent[None, AgentResult] = Agent(
            self._model,
            instructions=instructions,
            output_type=TextOutput[AgentResult](self._read_answer),
            tools=tools,
            retries=AgentRetries(tools=_MAX_TOOL_RETRIES, output=1),
        )
        limits = UsageLimits(request_limit=self._limits.max_steps + _EXTRA_REQUESTS)
        try:
            history: list[ModelMessage] | None = None
            if tools:  # the model follows its plan, and users read it in the run's metrics
                plan = await agent.run(
                    f"{task}\n\n{results.PLAN_PROMPT}",
                    output_type=str,
                    model_settings=ModelSettings(tool_choice="none"),
                    usage_limits=limits,
                )
                self.usage.plan = truncate(" ".join(plan.output.split()), _MAX_PLAN_CHARS)
                task, history = results.CONTINUE_PROMPT, plan.all_messages()
            found = await agent.run(task, message_history=history, usage_limits=limits)
        except ContentFilterError as exc:
            raise self._withheld() from exc
        except OutputTokenLimitExceeded:
            raise self._cut_off() from None
        except (UnexpectedModelBehavior, UsageLimitExceeded):
            raise self._no_answer() from None
        return found.output

    async def _read_answer(self, text: str) -> AgentResult:
        self._answer = text
        try:
            result = await self._parse(
                partial(parse_result, limit=self._limits.max_items),
                text.encode("utf-8", "replace"),
                timeout_s=parsing_time(self._model.seconds_left()),
            )
        except ParsingStoppedError as exc:
            raise ModelError(f"The model's answer could not be read {exc.why}") from None
        if result is not None:
            return result
        if self._model.finish_reason == "length":
            raise self._cut_off()
        if self._model.finish_reason == "content_filter":
            raise self._withheld()
        overrun = self._model.is_overrun
        raise ModelRetry(results.ANSWER_NOW_PROMPT if overrun else results.JSON_ONLY_PROMPT)

    def _tool(self, name: str) -> Tool[None]:
        assert self._tools is not None
        return Tool.from_schema(
            self._caller(partial(self._tools.run, name)),
            name,
            self._tools.description(name),
            dict(TOOL_PARAMETERS),
        )

    def _mcp_tool(self, tool: "McpTool") -> Tool[None]:
        assert self._mcp is not None
        caller = self._caller(partial(self._mcp.run, tool))

        async def call(context: RunContext[None], /, **arguments: Any) -> str:
            if context.tool_call_id in self._model.unreadable_calls:  # it might do something without them
                return "It was not called: the arguments were no JSON object, or were cut off"
            return await caller(**arguments)

        return Tool.from_schema(call, tool.name, tool.description, dict(tool.parameters), takes_ctx=True)

    def _caller(self, run: Callable[..., Awaitable[ToolResult]]) -> Callable[..., Awaitable[str]]:
        async def call(**arguments: Any) -> str:
            if self._model.calls_left <= 0:
                return "Too many calls at once; ask again for this one"
            self._model.calls_left -= 1
            result = await run(arguments, timeout_s=self._model.seconds_left())
            self.usage.refused_calls += result.is_refused
            return result.text

        return call

    def _no_answer(self) -> ModelError:
        if self._model.is_overrun:
            called = "more tools than maxSteps allows" if self._has_tools else "tools, which the task has not"
            return ModelError(f"The model called {called}, and gave no answer")
        words = truncate(self._model.without_key(self._answer), _MAX_SHOWN_CHARS)
        what = f"it was “{words}”" if words else "it was empty, but for what the model thought"
        return ModelError(f"The model's answer was not the required JSON, twice: {what}")

    def _cut_off(self) -> ModelError:
        return ModelError("The model's answer was cut off: it needs more maxTokens", permanent=True)

    def _withheld(self) -> ModelError:
        return ModelError("The model's server withheld the answer (content filter)", permanent=True)
