"""What a task type is handed to do its work with. The types know these protocols, never a library."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from functions.actions.net.response import Response
from functions.actions.tools.limits import shown
from functions.rules.outcome import Run
from functions.rules.task import Task


class Http(Protocol):
    """The guarded way to an address a user gave us."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_redirects: int = 3,
        max_body_bytes: int = 65_536,
        timeout_s: float,
    ) -> Response:
        """Return the answer, whatever its status; its body cut at *max_body_bytes*.

        Raises:
            FetchError: There was no answer: refused address, no connection, no end in time.
        """
        ...


class Records(Protocol):
    """What a task type may know of the other tasks."""

    async def tasks(self) -> Sequence[Task]:
        """Return all tasks, in any order."""
        ...

    async def runs(self, since: datetime) -> Sequence[Run]:
        """Return the run records that finished at *since* or later, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A model's server, as the machine's owner set it up.

    Attributes:
        http: Reaches that server and no other; it may be a private one.
        url: Its address, version included, e.g. `https://api.openai.com/v1`.
        key: Empty when it asks for none.
        name: The model for tasks that name none; empty when they must.
    """

    http: Http
    url: str
    key: str = field(default="", repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything outside itself that a task type may use.

    Attributes:
        mask: Masks the secrets this job was given. A type that cuts a text masks it first.
        secrets: All secrets that tasks may refer to, by name; a type itself is handed none of them.
        allow_commands: Whether the machine's owner lets tasks run commands.
        command_environment: The variables a command starts with: never ours.
        python_tasks: Modules, packages and functions that tasks may call; empty means none.
        github_token: Used when a task brings none of its own; empty when there is none.
        github_api: Where GitHub, or an Enterprise server, is asked.
        model: The language model for agents; None when none is set up.
    """

    http: Http
    records: Records
    mask: Callable[[str], str] = shown
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_commands: bool = False
    command_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    python_tasks: tuple[str, ...] = ()
    github_token: str = field(default="", repr=False)
    github_api: str = "https://api.github.com"
    model: LanguageModel | None = None


__all__ = ["Http", "LanguageModel", "Records", "Response", "Tools"]
