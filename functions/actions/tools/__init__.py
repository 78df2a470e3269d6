"""What a task type is handed to do its work with. The types know these protocols, never a library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from functions.actions.net.response import Response
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
class Tools:
    """Everything outside itself that a task type may use."""

    http: Http
    records: Records


__all__ = ["Http", "Records", "Response", "Tools"]
