"""Task type `agent`: a language model does a task, with tools that only read, and reports ranked items."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from functions.domain.costs.credits import DEFAULT_MAX_TOKENS, MaxTokens
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, text_form
from functions.parsing.replies import AgentResult
from functions.task_types.agent.errors import ModelError
from functions.task_types.agent.results import SeenItems, instructions, task_message
from functions.task_types.agent.tools import AgentTools
from functions.task_types.support.context import LanguageModel, Missing, Tools
from functions.task_types.support.limits import truncate
from functions.task_types.support.mcp_servers import unknown_server

if TYPE_CHECKING:
    from functions.task_types.agent.runner import AgentRun

NO_REFERENCES = ("goal", "prompt", "system")  # the model's server reads prompts
EXAMPLE: dict[str, Any] = {
    "goal": "Which of today's stories matter to somebody who runs a small web shop? Say why.",
    "tools": ["rss_read"],
    "hosts": ["example.com"],
    "maxItems": 5,
}
_TIME_MARGIN = 0.1  # of the time, reserved for the end, so that the tokens used are recorded
_MAX_TIME_MARGIN_S = 1.0
_MAX_MODEL_CHARS = 80

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16_000)]
_Host = Annotated[
    str,
    text_form(
        r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$",
        "must be the name of a host, such as example.com or *.example.com",
        max_length=253,
    ),
    StringConstraints(to_lower=True),
]


def _check_server(name: str) -> str:
    if reason := unknown_server(name):
        raise ValueError(reason)
    return name


_Server = Annotated[str, StringConstraints(max_length=24), AfterValidator(_check_server)]


class Params(Model):
    """The goal, the model, and the limits of the run.

    Attributes:
        goal: What to find out or decide; *prompt* is another name for it.
        system: Added to the scheduler's own instructions.
        model: None for LLM_MODEL.
        max_steps: Rounds of tool calls; 0 means an answer without tools.
        max_tokens: Of one run, prompts and replies together.
        tools: What the model may call. All of them only read.
        mcp_servers: Names of AGENT_MCP_SERVERS, whose tools the model may call, too.
        hosts: The hosts that tools may reach: names, or `*.example.com` for all below one.
        use_previous_result: Show the model the result of the last run.
        silent_when_nothing_new: Leave out items reported before; without new ones no notification is sent.
    """

    goal: _Text | None = None
    prompt: _Text | None = None
    system: Annotated[str, StringConstraints(max_length=8000)] = ""
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    max_steps: Annotated[int, Field(ge=0, le=15)] = 5
    max_tokens: MaxTokens = DEFAULT_MAX_TOKENS
    max_items: Annotated[int, Field(ge=1, le=20)] = 10
    tools: Annotated[tuple[Literal["http_get", "rss_read"], ...], Field(max_length=2)] = ()
    mcp_servers: Annotated[tuple[_Server, ...], Field(max_length=5)] = ()
    hosts: Annotated[tuple[_Host, ...], Field(max_length=50)] = ()
    use_previous_result: bool = False
    silent_when_nothing_new: bool = True

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if (self.goal is None) == (self.prompt is None):
            raise ValueError("give either goal or prompt")
        if bool(self.tools) != bool(self.hosts):
            raise ValueError(
                "tools and hosts go together: what the model may call, and the hosts it may reach"
            )
        return self


def find_missing(params: Params, tools: Tools) -> Missing | None:
    """Return what is not set up here for a task with *params*."""
    if tools.model is None:
        return Missing("no model is set up", "set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY)")
    if not (params.model or tools.model.default_model):
        return Missing("no model is named", "set LLM_MODEL, or params.model")
    for name in params.mcp_servers:
        if name not in tools.mcp_servers:
            return Missing(f"there is no MCP server {name}", "list it in AGENT_MCP_SERVERS")
    return None


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Run the model within its limits, and report what it found."""
    model = tools.model
    name = params.model or (model.default_model if model else "")
    if model is None or not name:
        return failed("Set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY): no model is set up", permanent=True)
    if absent := next((name for name in params.mcp_servers if name not in tools.mcp_servers), ""):
        return failed(f"List {absent} in AGENT_MCP_SERVERS: there is no such MCP server", permanent=True)
    seen_items = SeenItems.from_memory(job.memory)
    base_metrics = {"model": truncate(name, _MAX_MODEL_CHARS)}
    started = asyncio.get_running_loop().time()
    for server in params.mcp_servers:
        tools.mcp_servers[server].open_http()
    tools.http, model.http  # noqa: B018  # imported here, not in the thread: others wait for an import under way
    run: AgentRun | None = None
    try:
        run = await asyncio.to_thread(_build_run, job, params, tools, model, name, seen_items, started)
        result = await run.run(instructions(params.system), _task(job, params, seen_items))
    except ModelError as exc:
        metrics = base_metrics | (run.usage.metrics() if run else {"promptTokens": 0, "completionTokens": 0})
        return failed(exc.reason, permanent=exc.permanent, retry_after=exc.retry_after, metrics=metrics)
    memory = seen_items.with_items(result, run.notes(), tools.redact)
    return _to_outcome(result, params, seen_items, run, base_metrics, memory)


def _build_run(
    job: Job,
    params: Params,
    tools: Tools,
    model: LanguageModel,
    name: str,
    seen_items: SeenItems,
    started: float,
) -> "AgentRun":
    """Return the run; called in a thread, as the first call imports pydantic-ai and an SDK, for seconds."""
    from functions.task_types.agent.model import MAX_REPLY_TOKENS, AgentLimits
    from functions.task_types.agent.runner import AgentRun, Server

    toolbox = None
    if params.tools and params.max_steps:
        names = tuple(dict.fromkeys(params.tools))
        toolbox = AgentTools(tools.http, tools.parse, names, params.hosts, tools.redact)
    margin_s = min(_MAX_TIME_MARGIN_S, job.timeout_s * _TIME_MARGIN)
    max_tokens, tokens_exceeded_reason = params.max_tokens, "maxTokens allows no more"
    if job.max_tokens is not None and job.max_tokens < max_tokens:
        max_tokens, tokens_exceeded_reason = job.max_tokens, "the credits for this run are used up"
    limits = AgentLimits(
        max_tokens=max_tokens,
        tokens_exceeded_reason=tokens_exceeded_reason,
        max_steps=params.max_steps,
        started=started,
        deadline=started + job.timeout_s - margin_s,
        max_items=params.max_items,
        reply_tokens=seen_items.reply_tokens or MAX_REPLY_TOKENS,
    )
    mcp_tools = None
    if params.mcp_servers and params.max_steps:
        from functions.task_types.agent.mcp import McpTools  # half a second, and most use none

        chosen = {name: tools.mcp_servers[name] for name in params.mcp_servers}
        mcp_tools = McpTools(chosen, tools.redact)
    server = Server(model, name, seen_items.token_field)
    return AgentRun(server, job, toolbox, limits, tools.parse, mcp_tools)


def _task(job: Job, params: Params, seen_items: SeenItems) -> str:
    return task_message(
        params.goal or params.prompt or "",
        at=job.scheduled_at,
        timezone=job.timezone,
        limit=params.max_items,
        previous=seen_items.previous_result if params.use_previous_result else None,
        event=job.event.to_cloud_event().to_structured_json() if job.event else None,
    )


def _to_outcome(
    result: AgentResult,
    params: Params,
    seen_items: SeenItems,
    run: "AgentRun",
    base_metrics: dict[str, Any],
    memory: dict[str, Any],
) -> Outcome:
    new = seen_items.unseen(result.items)
    reported = new if params.silent_when_nothing_new else result.items
    has_news = bool(reported) or not params.silent_when_nothing_new
    count = len(result.items)
    quiet = f"Nothing new: {count} found, all reported before" if count else f"Nothing new: {result.summary}"
    return succeeded(
        result.summary if has_news else quiet,
        metrics=base_metrics | run.usage.metrics() | {"items": count, "new": len(new)},
        items=tuple(item.to_json() for item in reported),
        memory=memory,
        has_news=has_news,
    )
