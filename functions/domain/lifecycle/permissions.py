"""What tasks of an owner, or tasks saved with a key, may use: types, secrets, channels, GITHUB_TOKEN.

An owner who was given nothing has `Capabilities()`:

    Capabilities(secrets=("SHOP_TOKEN",))     params may say {{secret:SHOP_TOKEN}} as well
    Capabilities(types=("http", "command"))   these types alone; `command` because it is named
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from functions.domain.types import Model, text_form

CLOSED_TYPES = frozenset({"command", "python"})  # they run with all that this process may do
AGENT_TYPE = "agent"
OPERATOR_TOKEN_TYPE = "github_dispatch"  # noqa: S105  # the type that falls back on GITHUB_TOKEN
ANY = "*"
COMMON_CHANNELS = frozenset({"default", "nobody"})  # names of no channel in particular
DEFAULT_MAX_TASKS = 1000  # of an owner whose account says nothing else
MAX_NAMES = 100
ALLOWED_BY = "an administrator allows it: scheduler owners set"  # the remedy of what an owner may not

SECRET_REFERENCE = re.compile(r"\{\{\s*secret:\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")

Step = str | int
_NAME = text_form(
    r"^(\*|[A-Za-z_][A-Za-z0-9_.-]{0,99})$",
    "must be a name of letters, digits, dots, hyphens and underscores, or * for all",
)
Names = Annotated[
    tuple[Annotated[str, _NAME], ...],
    Field(max_length=MAX_NAMES),
]


class Capabilities(Model):
    """What may be used; `*` among names means all.

    Attributes:
        types: Task types; None means all but those of CLOSED_TYPES.
        secrets: Names of secrets that params may refer to.
        channels: Channels that `notify` may name; the default ones may be used by all.
        mcp_servers: MCP servers of the operator's that agents may use.
        operator_token: Whether GITHUB_TOKEN, the operator's, serves tasks without a token of their own.
    """

    types: Names | None = None
    secrets: Names = ()
    channels: Names = ()
    mcp_servers: Names = ()
    operator_token: bool = False

    def allows_type(self, name: str) -> bool:
        """Whether tasks may be of the type *name*."""
        return name not in CLOSED_TYPES if self.types is None else _is_among(name, self.types)

    def problem(self, task: Any) -> str:
        """Return why *task*, which is a spec, a stored task or a job, may not be; empty when it may.

        type: command is not allowed
        """
        if not self.allows_type(task.type):
            return f"type: {task.type} is not allowed"
        for name in secret_names(task.params):
            if not _is_among(name, self.secrets):
                return f"params: the secret {name} is not allowed"
        if task.type == OPERATOR_TOKEN_TYPE and not self.operator_token and not task.params.get("token"):
            return "params.token: is required, because the operator's token is not allowed"
        for name in task.params.get("mcpServers") or () if task.type == AGENT_TYPE else ():
            if not _is_among(str(name), self.mcp_servers):
                return f"params.mcpServers: the MCP server {name} is not allowed"
        for name in named_channels(task):
            if not _is_among(name, self.channels):
                return f"notify: the channel {name} is not allowed"
        return ""

    def excess_over(self, other: "Capabilities") -> str:
        """Return what this allows and *other* does not; empty for nothing."""
        if not self._types_within(other):
            return "types"
        for field, name in (("secrets", "secrets"), ("channels", "channels"), ("mcp_servers", "mcpServers")):
            allowed = getattr(other, field)
            if ANY not in allowed and not set(getattr(self, field)) <= set(allowed):
                return name
        return "operatorToken" if self.operator_token and not other.operator_token else ""

    def _types_within(self, other: "Capabilities") -> bool:
        if ANY in (other.types or ()) or self.types == other.types:
            return True
        return self.types is not None and ANY not in self.types and all(map(other.allows_type, self.types))

    def describe(self) -> str:
        """Return it in a few words, e.g. `types http, rss_watch; secrets SHOP_TOKEN; GITHUB_TOKEN`."""
        types = "types but command, python" if self.types is None else f"types {_list(self.types)}"
        named = [("secrets", self.secrets), ("channels", self.channels), ("MCP servers", self.mcp_servers)]
        others = [f"{what} {_list(names)}" for what, names in named if names]
        return "; ".join([types, *others, *(["GITHUB_TOKEN"] if self.operator_token else [])])


UNRESTRICTED = Capabilities.model_construct(
    types=(ANY,), secrets=(ANY,), channels=(ANY,), mcp_servers=(ANY,), operator_token=True
)


def _list(names: tuple[str, ...]) -> str:
    return "all" if ANY in names else ", ".join(names) or "none"


def named_channels(task: Any) -> tuple[str, ...]:
    """Return the channels that *task* names itself: a job has them by name, others in their rules."""
    rules = getattr(task, "notify", None)
    names = (
        getattr(task, "channels", ()) if rules is None else [one for rule in rules for one in rule.channels]
    )
    return tuple(dict.fromkeys(name for name in names if name not in COMMON_CHANNELS))


def _is_among(name: str, names: tuple[str, ...]) -> bool:
    return name in names or ANY in names


def secret_names(params: Any) -> tuple[str, ...]:
    """Return the names of the secrets that *params* refer to, each once, in order."""
    if not _has_braces(params):  # true of nearly all tasks
        return ()
    return tuple(
        dict.fromkeys(
            name for _, text in iter_texts(params) if "{{" in text for name in SECRET_REFERENCE.findall(text)
        )
    )


def _has_braces(given: Any) -> bool:
    if isinstance(given, str):
        return "{{" in given
    if not isinstance(given, (list, tuple)):  # before Mapping, which asks an abstract class
        if not isinstance(given, (dict, Mapping)):
            return False
        given = given.values()
    for one in given:  # noqa: SIM110  # a generator doubles the time
        if _has_braces(one):
            return True
    return False


def iter_texts(given: Any) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Yield each text in *given* with the way to it, in order.

    Without recursion: 20,000 texts a hundred levels deep would be passed on two million times.
    """
    waiting: list[tuple[tuple[Step, ...], Any]] = [((), given)]
    while waiting:
        steps, one = waiting.pop()
        if isinstance(one, str):
            yield steps, one
            continue
        if isinstance(one, (list, tuple)):
            inner: Iterable[tuple[Step, Any]] = enumerate(one)
        elif isinstance(one, (dict, Mapping)):
            inner = one.items()
        else:
            continue
        waiting += reversed([((*steps, step), value) for step, value in inner])
