"""What an agent remembers between runs: items that people have seen, and its last result."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from functions.actions.agents.answers import Item, Result

SEEN = 1000
_PREVIOUS_ITEMS = 20
_PREVIOUS_TEXT = 200


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of one task.

    Attributes:
        seen: Marks of items that were told, newest first.
        previous: The last result as JSON values; empty before the first.
        token_field: See `Endpoint`; empty while unknown.
    """

    seen: tuple[str, ...] = ()
    previous: Mapping[str, Any] | None = None
    token_field: str = ""

    @classmethod
    def from_memory(cls, memory: Mapping[str, Any]) -> Self:
        """The notes in a task's memory; what cannot be understood is left out."""
        seen, previous = memory.get("seen"), memory.get("previous")
        return cls(
            seen=tuple(str(mark) for mark in seen) if isinstance(seen, list) else (),
            previous=previous if isinstance(previous, Mapping) else None,
            token_field=str(memory.get("tokenField", "")),
        )

    def fresh(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Those of *items* that were never told, in their order."""
        known = set(self.seen)
        return tuple(item for item in items if mark(item) not in known)

    def after(self, result: Result, *, token_field: str) -> dict[str, Any]:
        """The task's memory once *result* is told."""
        marks = dict.fromkeys([*(mark(item) for item in result.items), *self.seen])
        previous = {
            "summary": result.summary,
            "items": [
                {"title": item.title, "url": item.url, "text": item.text[:_PREVIOUS_TEXT]}
                for item in result.items[:_PREVIOUS_ITEMS]
            ],
        }
        return {"seen": list(marks)[:SEEN], "previous": previous, "tokenField": token_field}


def mark(item: Item) -> str:
    """Short and stable: a hash of the item's address, else of its title, whatever its case."""
    name = item.url.rstrip("/") if item.url else " ".join(item.title.casefold().split())
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12]
