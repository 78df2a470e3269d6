"""What the API needs of the rest of the program."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from functions.announcing import Announced
from functions.channels import Channels
from functions.desk import DeskStore
from functions.owners import Owners
from functions.rules.events import Event
from functions.rules.hours import Budget


class Answered(Protocol):
    """What a vendor said of a test message."""

    @property
    def ok(self) -> bool: ...

    @property
    def permanent(self) -> bool: ...

    @property
    def detail(self) -> str: ...


class Tests(Protocol):
    """Sends test messages."""

    async def test(self, name: str, *, within: timedelta) -> Answered:
        """Say on the channel *name* that it works."""
        ...


class ApiParts(Protocol):
    """The wired program, as far as requests of people go.

    Raises, from every method:
        StoreUnavailable: The store could not be reached in time.
        StoreError: The store refused.
    """

    @property
    def store(self) -> DeskStore: ...

    @property
    def channels(self) -> Channels:
        """The channels that are set up, and their settings."""
        ...

    @property
    def owners(self) -> Owners:
        """The owners' accounts."""
        ...

    @property
    def teller(self) -> "Tests":
        """What can send a test message."""
        ...

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

    async def announce(self, event: Event, *, forward: bool = True) -> Announced:
        """Let tasks hear *event* and, with *forward*, the topic for programs outside."""
        ...

    async def metrics(self) -> str:
        """The figures of `GET /metrics`, as text."""
        ...

    async def status(self) -> Mapping[str, object]:
        """The figures of `GET /status`."""
        ...
