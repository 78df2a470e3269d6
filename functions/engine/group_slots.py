"""The slots of groups in one tick: which attempts have one, and which tasks wait for one."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.capacity.flow_control import SlotRequest, group_id
from functions.domain.storage import VersionedTask
from functions.interfaces import FlowControl

log = logging.getLogger(__name__)

Start = tuple[VersionedTask, Mapping[str, Any]]


class GroupSlots:
    """Keeps the attempts of a tick to the limits of their groups.

    A slot is taken before the claim, and expires with it. A task that gets none is not written: it stays due,
    so that the due query, which is oldest first, finds it again, here or in another process.

    Attributes:
        waiting: Tasks that got no slot; they are tried again when an attempt of this tick frees one.
    """

    def __init__(self, flow_control: FlowControl, *, clock: Callable[[], datetime]) -> None:
        self._flow_control = flow_control
        self._clock = clock
        self._held: dict[str, str] = {}  # the group of each token that has a slot
        self._starting: set[str] = set()  # admitted, and on the way to their claims
        self._unused: set[str] = set()
        self._full: dict[str, datetime] = {}  # groups that refused, by the minute in which they did
        self.waiting: list[VersionedTask] = []

    async def admit(self, starts: Sequence[Start], *, running: Collection[str]) -> list[Start]:
        """Return those of *starts* that may be claimed now; the others are added to `waiting`.

        Args:
            running: The tokens of all attempts that run in this tick; slots of others are freed.
        """
        wanted: dict[str, list[SlotRequest]] = defaultdict(list)
        now = self._clock()
        groups = {changes["claim"].token: group_id(one.task) for one, changes in starts if one.task.group}
        for stored, changes in starts:
            claim = changes["claim"]
            if stored.task.group is not None and not self._is_full(groups[claim.token], now=now):
                due_at = stored.task.next_run_at or now
                request = SlotRequest(claim.token, claim.until, due_at, stored.task.group)
                wanted[groups[claim.token]].append(request)
        refused = await self._exchange(wanted, running=running)
        asked = {request.token for requests in wanted.values() for request in requests}
        admitted: list[Start] = []
        for stored, changes in starts:
            token = changes["claim"].token
            if token not in groups:
                admitted.append((stored, changes))
            elif token in asked and token not in refused:
                admitted.append((stored, changes))
                self._held[token] = groups[token]
                self._starting.add(token)
            else:
                self.waiting.append(stored)
                self._full[groups[token]] = now.replace(second=0, microsecond=0)
        if refused:
            reasons = sorted(set(refused.values()))
            log.info("waiting_for_groups", extra={"tasks": len(refused), "reasons": reasons})
        return admitted

    def _is_full(self, group: str, *, now: datetime) -> bool:
        """Whether *group* has refused in this minute, and no slot has been freed here since."""
        return self._full.get(group) == now.replace(second=0, microsecond=0)

    def mark_unused(self, starts: Sequence[Start], *, running: Collection[str]) -> None:
        """Note which of *starts*, all admitted, do not run: their claims were lost, or released."""
        tokens = {changes["claim"].token for _, changes in starts} & self._starting
        self._starting -= tokens
        self._unused |= {token for token in tokens if token not in running}

    def has_free_slots(self, running: Collection[str]) -> bool:
        """Whether an attempt has ended whose slot is not free yet."""
        return any(self._is_over(token, running) for token in self._held)

    def _is_over(self, token: str, running: Collection[str]) -> bool:
        return token not in running and token not in self._starting

    async def free_ended(self, *, running: Collection[str]) -> None:
        """Free the slots of all attempts but those in *running*."""
        if self.has_free_slots(running):
            await self._exchange({}, running=running)

    def take_waiting(self) -> list[VersionedTask]:
        """Return the tasks that wait, oldest first, and forget them."""
        tasks, self.waiting = self.waiting, []
        self._full.clear()
        return sorted(tasks, key=lambda one: (one.task.next_run_at or self._clock(), one.task.id))

    async def _exchange(
        self, wanted: Mapping[str, Sequence[SlotRequest]], *, running: Collection[str]
    ) -> Mapping[str, str]:
        ended: dict[str, list[str]] = defaultdict(list)
        unused: dict[str, list[str]] = defaultdict(list)
        for token, group in self._held.items():
            if token in self._unused:
                unused[group].append(token)
            elif self._is_over(token, running):
                ended[group].append(token)
        if not wanted and not ended and not unused:
            return {}
        answer = await self._flow_control.exchange(wanted, ended=ended, unused=unused)
        for freed in (ended, unused):
            for group, tokens in freed.items():
                if group not in answer.failed:  # a slot that is not freed expires with its claim
                    for token in tokens:
                        self._held.pop(token, None)
        self._unused &= self._held.keys()
        return answer.refused
