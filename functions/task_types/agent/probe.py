"""Questions to the model's server and to MCP servers that cost nothing: could agents use them?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from functions.domain.json_depth import parse_json
from functions.http_client import FetchError, lower_first
from functions.http_client.httpx import httpx
from functions.task_types.agent.errors import ModelError
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.limits import truncate
from functions.task_types.support.mcp_servers import McpServer
from functions.task_types.support.responses import is_truncated

TIMEOUT_S = 10.0
MAX_LIST_BYTES = 4_194_304  # OpenRouter's list has several hundred models
_LISTS = {"openai": "/models", "anthropic": "/v1/models?limit=1000"}
_MAX_NAMED = 5
_CHECK_URL = "check LLM_BASE_URL, its version included"


@dataclass(frozen=True, slots=True)
class Probe:
    """What a server answered.

    Attributes:
        remedy: Empty when nothing is wrong.
        fails: Whether agents cannot use it; with a remedy and without this, they may.
    """

    text: str
    remedy: str = ""
    fails: bool = False


async def probe_model(model: LanguageModel) -> Probe:
    """Ask for the list of models, which no vendor bills, and look for the default one."""
    path = _LISTS.get(model.provider)
    if path is None:
        return Probe(f"not asked: LLM_PROVIDER={model.provider} has no list of models that is known here")
    try:
        response = await model.http.request(
            "GET",
            model.url.rstrip("/") + path,
            headers=_headers(model),
            follow_redirects=False,
            timeout=TIMEOUT_S,
            extensions={"max_body_bytes": MAX_LIST_BYTES},
        )
    except FetchError as exc:
        return Probe(f"its server cannot be used: {lower_first(exc.reason)}", _CHECK_URL, fails=True)
    status = response.status_code
    if status == 401:
        return Probe(f"its server refuses the key ({status})", "check LLM_API_KEY", fails=True)
    if 300 <= status < 400:
        return Probe(f"its server redirects ({status})", "set LLM_BASE_URL to the target", fails=True)
    names = _names_in(response) if response.is_success else None
    if names is None:  # some servers have no list, and some keys may not read it
        return Probe(
            f"its server answers {status}, without a list of models", f"if agents fail, {_CHECK_URL}"
        )
    return _look_for(model.default_model, names)


async def probe_mcp_server(name: str, server: McpServer, redact: Callable[[str], str]) -> Probe:
    """Begin a session and list the tools, as each run does; no tool is called."""
    from functions.task_types.agent.mcp import McpTools  # half a second, and most have no such server

    session = McpTools({name: server}, redact)
    try:
        tools = await session.open(timeout_s=TIMEOUT_S)
    except ModelError as exc:
        return Probe(exc.reason, "correct AGENT_MCP_SERVERS, or start that server", fails=True)
    finally:
        await session.close()
    count = "1 tool" if len(tools) == 1 else f"{len(tools)} tools"
    if session.left_out:
        text = f"{name} has {count}, and {session.left_out} more that do not fit into a run"
        return Probe(text, "offer fewer at that server, or with shorter descriptions")
    return Probe(f"{name} has {count}")


def _headers(model: LanguageModel) -> dict[str, str]:
    if model.provider == "anthropic":
        return {"x-api-key": model.api_key, "anthropic-version": "2023-06-01"}
    return {"Authorization": f"Bearer {model.api_key}"} if model.api_key else {}


def _names_in(response: httpx.Response) -> list[str] | None:
    """Return the names of the models; None where the answer is no list of them."""
    try:
        document: Any = None if is_truncated(response) else parse_json(response.content)
    except ValueError:
        return None
    listed = document.get("data") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    return [one["id"] for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)]


def _look_for(name: str, names: list[str]) -> Probe:
    if not name:
        return Probe(f"its server has {len(names)} models; LLM_MODEL names none, so each task must")
    known = {one.removeprefix("models/").removesuffix(":latest") for one in names}  # Gemini's, Ollama's
    if name.removesuffix(":latest") in known or name in names:
        return Probe(f"its server has {name}")
    shown = truncate(", ".join(names[:_MAX_NAMED]) or "none", 200)
    more = " ..." if len(names) > _MAX_NAMED else ""
    text = f"its server does not list {name}, but {shown}{more}"
    return Probe(text, "correct LLM_MODEL, unless it is another name that the server knows")
