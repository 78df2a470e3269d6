"""What the API needs of the rest of the program."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from functions.desk import DeskStore
from functions.rules.hours import Budget


class ApiParts(Protocol):
    """The wired program, as far as requests of people go.

    Raises, from every method:
        StoreUnavailable: The store could not be reached in time.
        StoreError: The store refused.
    """

    @property
    def store(self) -> DeskStore: ...

    @property
    def default_timezone(self) -> str:
        """The zone of a task that names none."""
        ...

    def now(self) -> datetime:
        """The present moment."""
        ...

    def new_id(self) -> str:
        """A fresh name: 64 random bits, lower-case letters and digits."""
        ...

    def new_secret(self) -> str:
        """256 random bits as text that a header can carry."""
        ...

    async def tick_only(self, ids: Collection[str], budget: Budget) -> Mapping[str, object]:
        """Run those of the tasks that are due, now."""
        ...

    async def metrics(self) -> str:
        """The figures of `GET /metrics`, as text."""
        ...

    async def status(self) -> Mapping[str, object]:
        """The figures of `GET /status`."""
        ...
