"""What a tick asks about credits: may these attempts be made, and what did those cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from functions.rules.notice import Notice
from functions.rules.outcome import Outcome
from functions.rules.storage import Stored
from functions.rules.values import value


@dataclass(frozen=True, slots=True)
class Granted:
    """An attempt that may be made, with the tokens it may use; None means no limit."""

    stored: Stored
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """An occurrence to be skipped, why, and what people are to be told besides."""

    stored: Stored
    reason: str
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of a wave of claims.

    Attributes:
        later: To be given back: a later tick may have credits for them, or be able to ask.
    """

    granted: Sequence[Granted]
    denied: Sequence[Denied] = ()
    later: Sequence[Stored] = ()


@value
class Charged:
    """An outcome with what it cost among its metrics, and what people are to be told besides."""

    outcome: Outcome
    notices: tuple[Notice, ...] = ()


class Spending(Protocol):
    """Keeps the accounts. Never raises; tasks that cost nothing cost no operation of the store either."""

    async def reserve(self, claimed: Sequence[Stored]) -> Reserved:
        """Set aside what the attempts may cost: one read and one write an owner, however many they are."""
        ...

    async def charge(self, done: Sequence[tuple[Stored, Outcome]]) -> list[Charged]:
        """Count what attempts really cost, each once; answer in the same order."""
        ...

    async def told(self, notices: Sequence[Notice]) -> None:
        """Take note that these are written with their tasks, and will be delivered."""
        ...


class Free:
    """The accounts of an installation without prices."""

    async def reserve(self, claimed: Sequence[Stored]) -> Reserved:
        """Everything may be attempted."""
        return Reserved([Granted(stored) for stored in claimed])

    async def charge(self, done: Sequence[tuple[Stored, Outcome]]) -> list[Charged]:
        """Nothing costs anything."""
        return [Charged(outcome) for _, outcome in done]

    async def told(self, notices: Sequence[Notice]) -> None:
        """There is nothing to note."""
