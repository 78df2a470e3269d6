"""The settings of agents, the language model and its servers, and of what runs cost in credits."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from functions.config.mcp_servers import MCP_SERVERS, McpServerSetting, parse_servers
from functions.config.types import HTTP_URL, ONE_WORD, HttpUrl, SettingsGroup, Token, split_list
from functions.domain.costs.task_budget import Credits
from functions.domain.lifecycle.permissions import DEFAULT_MAX_TASKS

_PRICE = re.compile(r"([a-z][a-z0-9_]{0,62})\s*=\s*(\d{1,6}(?:\.\d{1,3})?)")
_PRICES = "task types with credits, such as agent=5,http=0"


def _parse_prices(value: object) -> object:
    """Return `agent=5,http=0` as a mapping; any other text unchanged, for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    parts = split_list(value)
    found = [_PRICE.fullmatch(part) for part in parts] if isinstance(parts, tuple) else [None]
    return {match[1]: float(match[2]) for match in found if match} if all(found) else value


class AgentSettings(SettingsGroup):
    """The variables of agents, of credits and of what owners may have.

    Attributes:
        llm_base_url: The server of the model, its version included; None means there are no agents.
        llm_api_key: Sent to that server alone; None for a server without keys.
        llm_model: For tasks that name no model.
        llm_provider: Whose protocol the server speaks: `openai` for any with chat completions.
        agent_mcp_servers: The MCP servers that agents may use, by name.
        credits_per_run: What an attempt costs, by task type; a type that is not named costs nothing.
        credits_per_1k_tokens: What a thousand tokens of a model cost, prompts and answers alike.
        max_tasks_per_owner: How many tasks an owner may have whose account says nothing else.
    """

    llm_base_url: HttpUrl | None = Field(None, description=HTTP_URL)
    llm_api_key: Token | None = Field(None, description=ONE_WORD)
    llm_model: str | None = None
    llm_provider: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")] = Field(
        "openai", description="openai (any server with chat completions), anthropic, or another provider"
    )
    agent_mcp_servers: Annotated[Mapping[str, McpServerSetting], BeforeValidator(parse_servers)] = Field(
        {}, description=MCP_SERVERS
    )
    credits_per_run: Annotated[Mapping[str, Credits], BeforeValidator(_parse_prices)] = Field(
        {}, description=_PRICES
    )
    credits_per_1k_tokens: float = Field(0.0, ge=0, le=1e6, description="a number of credits, 0 or more")
    max_tasks_per_owner: int = Field(
        DEFAULT_MAX_TASKS, ge=0, le=100_000, description="a whole number from 0 to 100000"
    )
