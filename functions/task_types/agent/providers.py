"""Models of pydantic-ai, each over the client that reaches the one server that the settings name."""

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.providers.openai import OpenAIProvider

from functions.http_client.httpx import httpx
from functions.parsing.completions import THOUGHTS
from functions.task_types.agent.errors import ModelError
from functions.task_types.agent.transport import CompletionsTransport, ModelTransport
from functions.task_types.support.context import LanguageModel

OPENAI = "openai"
_USUAL = f"for a server with chat completions, which most vendors have, set LLM_PROVIDER={OPENAI}"
_NO_KEY = "none"  # the SDKs want one; the transport sends none
# The transport names the field, knows the roles that the server accepts, and whether it wants thoughts back.
_PROFILE = OpenAIModelProfile(
    openai_chat_supports_max_completion_tokens=False,
    openai_chat_thinking_field=THOUGHTS,
    openai_chat_send_back_thinking_parts="field",
    openai_system_prompt_role="system",
)


def completions_model(model: LanguageModel, name: str, transport: CompletionsTransport) -> Model:
    """Return the model *name* of a server with OpenAI's chat completions."""
    provider = OpenAIProvider(
        base_url=model.url.rstrip("/"),
        api_key=model.api_key or _NO_KEY,
        http_client=httpx.AsyncClient(transport=transport, trust_env=False),
    )
    return OpenAIChatModel(name, provider=provider, profile=_PROFILE)


def provider_model(model: LanguageModel, name: str, transport: ModelTransport) -> Model:
    """Return the model *name* of another provider that pydantic-ai knows, at the address of the settings.

    Raises:
        ModelError: There is no such provider, its SDK is not installed, or it takes no address or client.
    """
    client = httpx.AsyncClient(transport=transport, trust_env=False)

    def provider_of(kind: str) -> Provider[object]:
        make = infer_provider_class(kind)
        return make(  # type: ignore[call-arg]  # most providers take these three, and the others raise TypeError
            api_key=model.api_key or _NO_KEY, base_url=model.url.rstrip("/"), http_client=client
        )

    kind = model.provider
    try:
        return infer_model(f"{kind}:{name}", provider_factory=provider_of)
    except ImportError:
        reason = f"the package of its SDK is not installed: pip install 'pydantic-ai-slim[{kind}]'"
    except (ValueError, UserError):
        reason = "no provider of this name is known, or it has no such model"
    except TypeError:
        reason = "it cannot be given an address and a guarded client"
    raise ModelError(f"LLM_PROVIDER={kind}: {reason}; {_USUAL}", permanent=True)
