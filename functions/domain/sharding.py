"""Assignments of due work to workers: shards or tasks, and the key that identifies duplicates."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any

from functions.errors import InputError

SHARDS = 64  # virtual shards; fixed for ever, so that growing needs no migration of data
MAX_TASKS = 500
ASSIGNMENT_FIELDS = {"shards", "tasks", "part"}
DEDUP_KEY_CHARS = 40  # of a hash: no two assignments collide


@dataclass(frozen=True, slots=True)
class WorkerAssignment:
    """The part of the due work that one worker runs.

    Attributes:
        shards: The first and the last shard of it.
        tasks: Ids of its tasks; empty means all in the shards.
        part: From 0; one more for each worker that left a rest to the next one.
    """

    shards: tuple[int, int] = (0, SHARDS - 1)
    tasks: tuple[str, ...] = ()
    part: int = 0

    @property
    def is_unrestricted(self) -> bool:
        """Whether it covers all tasks."""
        return not self.tasks and self.shards == (0, SHARDS - 1)

    def to_json(self) -> dict[str, Any]:
        """The JSON that `parse_assignment` reads."""
        what: dict[str, Any] = {"tasks": list(self.tasks)} if self.tasks else {"shards": list(self.shards)}
        return what | ({"part": self.part} if self.part else {})

    def next_part(self) -> "WorkerAssignment":
        """The rest of it, for the next worker."""
        return replace(self, part=self.part + 1)

    def dedup_key(self, *, window: str) -> str:
        """The key of this work in the time *window*: the same from every tick that hands it over."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return sha256(f"{window}|{text}".encode()).hexdigest()[:DEDUP_KEY_CHARS]


def parse_assignment(body: bytes) -> WorkerAssignment:
    """Return the assignment in *body*; an empty body, or `{}`, means all tasks.

    Raises:
        InputError: It is no assignment; the text names the field.
    """
    try:
        given = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise InputError("body: must be JSON") from None
    if not isinstance(given, Mapping) or given.keys() - ASSIGNMENT_FIELDS:
        raise InputError(
            f"body: must be an object with {', '.join(sorted(ASSIGNMENT_FIELDS))} and nothing else"
        )
    if "shards" in given and "tasks" in given:
        raise InputError("shards, tasks: give one or the other")
    part = given.get("part", 0)
    if type(part) is not int or not 0 <= part < 1_000_000:
        raise InputError("part: must be a whole number from 0")
    shards = _parse_shards(given["shards"]) if "shards" in given else (0, SHARDS - 1)
    return WorkerAssignment(shards, _parse_tasks(given["tasks"]) if "tasks" in given else (), part)


def split(count: int) -> list[WorkerAssignment]:
    """All tasks in *count* assignments of nearly the same number of shards."""
    count = max(1, min(count, SHARDS))
    edges = [SHARDS * number // count for number in range(count + 1)]
    return [WorkerAssignment((first, beyond - 1)) for first, beyond in pairwise(edges)]


def dedup_window(now: datetime, *, seconds: int) -> str:
    """The name of the window of *seconds* that holds *now*: work handed over twice in it runs once."""
    return str(int(now.timestamp()) // seconds)


def _parse_shards(given: Any) -> tuple[int, int]:
    if isinstance(given, Sequence) and len(given) == 2 and all(type(each) is int for each in given):
        first, last = given
        if 0 <= first <= last < SHARDS:
            return first, last
    raise InputError(f"shards: must be [first, last], from 0 to {SHARDS - 1}")


def _parse_tasks(given: Any) -> tuple[str, ...]:
    if isinstance(given, list) and 0 < len(given) <= MAX_TASKS and all(type(one) is str for one in given):
        return tuple(dict.fromkeys(given))
    raise InputError(f"tasks: must be a list of 1 to {MAX_TASKS} ids")


def shard_of(task_id: str) -> int:
    """Which of the virtual shards a task belongs to, for ever."""
    return zlib.crc32(task_id.encode()) % SHARDS
