"""Settings of agents: where a language model is asked, and what runs cost in credits."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from functions.setting_kinds import ADDRESS, Address, listed

_PRICE = re.compile(r"([a-z][a-z0-9_]{0,62})\s*=\s*(\d{1,6}(?:\.\d{1,3})?)")
_PRICES = "task types with credits, such as agent=5,http=0"


def _prices(value: object) -> object:
    """`agent=5,http=0` as a mapping; the text itself when it is no such list, to be refused."""
    if not isinstance(value, str):
        return value
    parts = listed(value)
    found = [_PRICE.fullmatch(part) for part in parts] if isinstance(parts, tuple) else [None]
    return {match[1]: float(match[2]) for match in found if match} if all(found) else value


class AgentSettings(BaseModel):
    """What agents are given.

    Attributes:
        llm_base_url: An OpenAI-compatible server, its version included; None means there are no agents.
        llm_api_key: Sent to that server alone; None for one that asks for none.
        llm_model: For tasks that name no model.
        credits_per_run: What an attempt costs, by task type; a type that is not named costs nothing.
        credits_per_1k_tokens: What a thousand tokens of a model cost, prompts and answers alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    llm_base_url: Address | None = Field(None, description=ADDRESS)
    llm_api_key: SecretStr | None = None
    llm_model: str | None = None
    credits_per_run: Annotated[Mapping[str, float], BeforeValidator(_prices)] = Field({}, description=_PRICES)
    credits_per_1k_tokens: float = Field(0.0, ge=0, le=1e6, description="a number of credits, 0 or more")
