"""Flow control: how many attempts of a group of tasks may run at once, and how many may start in a minute.

What a group's tasks share is a small document: who holds a slot until when, and how many have started in the
present minute. The limits are each task's own, as QStash has them with each message.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from functions.domain.task import Group, Task
from functions.domain.types import format_instant, parse_stored_instant


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """An attempt that wants to start.

    Attributes:
        token: Of the claim that is to be made.
        until: When that claim expires, and the slot with it.
        due_at: Since when the attempt is due; the oldest goes first.
    """

    token: str
    until: datetime
    due_at: datetime
    limits: Group


@dataclass(frozen=True, slots=True)
class WaitReason:
    """Why an attempt may not start.

    Attributes:
        count: Attempts of the group that run, or with *is_rate* that have started in this minute.
        limit: How many may.
    """

    group: str
    count: int
    limit: int
    is_rate: bool

    def __str__(self) -> str:
        what = "started this minute" if self.is_rate else "run"
        return f"It waits for the group {self.group}: {self.count} of {self.limit} {what}"


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What became of an exchange.

    Attributes:
        refused: The tokens that may not start, each with the reason.
        failed: The groups whose slots could not be written: nothing of them was freed or given.
    """

    refused: Mapping[str, str]
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the attempts of a group share.

    Attributes:
        holders: When each slot expires, by the token of its claim: one whose process died is free by then.
        minute: The calendar minute that *started* counts.
        started: Attempts that have started in it.
    """

    holders: Mapping[str, datetime]
    minute: datetime | None = None
    started: int = 0

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read a stored document. What cannot be read in it counts for nothing."""
        holders, started = data.get("holders"), data.get("started")
        read = {
            str(token): parse_stored_instant(until)
            for token, until in (holders.items() if isinstance(holders, Mapping) else ())
        }
        return cls(
            {token: until for token, until in read.items() if until is not None},
            parse_stored_instant(data.get("minute")),
            started if isinstance(started, int) and started > 0 else 0,
        )

    def to_data(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "holders": {token: format_instant(until) for token, until in self.holders.items()},
            "minute": format_instant(self.minute) if self.minute else None,
            "started": self.started,
        }


def group_id(task: Task) -> str:
    """Return the id of the document of the group of *task*. Owners share no group, whatever they call it."""
    assert task.group is not None  # the caller asks only for tasks of groups
    whose = hashlib.sha256(task.owner.encode()).hexdigest()[:16] if task.owner else "all"
    return f"{whose}.{task.group.name}"


def exchange_slots(
    state: GroupState,
    wanted: Sequence[SlotRequest],
    *,
    ended: Collection[str] = (),
    unused: Collection[str] = (),
    now: datetime,
) -> tuple[GroupState, dict[str, str]]:
    """Free the slots of *ended*, then give slots to *wanted*; return the refused tokens, with the reasons.

    The oldest goes first. After the first that does not fit none is admitted: a younger one with wider limits
    would otherwise take each slot that the older waits for.

        maxConcurrent 2, one runs, three want to start    the oldest is admitted, two are refused
        perMinute 30, 30 have started since 12:04:00      all are refused until 12:05:00

    Args:
        unused: Tokens that were admitted and never started: they give back their start as well.
    """
    minute = now.replace(second=0, microsecond=0)
    started = state.started if state.minute == minute else 0
    given_back = [token for token in unused if token in state.holders]
    holders = {
        token: until
        for token, until in state.holders.items()
        if until > now and token not in ended and token not in unused
    }
    started = max(0, started - len(given_back))
    refused: dict[str, str] = {}
    reason: WaitReason | None = None
    for request in sorted(wanted, key=lambda one: (one.due_at, one.token)):
        if request.token in holders:  # a write without an answer had been applied
            continue
        reason = reason or why_refused(request.limits, running=len(holders), started=started)
        if reason is not None:
            refused[request.token] = str(reason)
            continue
        holders[request.token] = request.until
        started += 1
    return GroupState(holders, minute if started else None, started), refused


def why_refused(limits: Group, *, running: int, started: int) -> WaitReason | None:
    """Why no further attempt may start; None when one may."""
    if limits.max_concurrent is not None and running >= limits.max_concurrent:
        return WaitReason(limits.name, running, limits.max_concurrent, is_rate=False)
    if limits.per_minute is not None and started >= limits.per_minute:
        return WaitReason(limits.name, started, limits.per_minute, is_rate=True)
    return None


def why_waiting(task: Task, state: GroupState, *, now: datetime) -> WaitReason | None:
    """Why *task*, which is due, has not started, as far as its group is the reason."""
    if task.group is None or task.claim is not None or task.next_run_at is None or task.next_run_at > now:
        return None
    running = sum(until > now for until in state.holders.values())
    is_now = state.minute == now.replace(second=0, microsecond=0)
    return why_refused(task.group, running=running, started=state.started if is_now else 0)
