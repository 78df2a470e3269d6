"""One task as a person wrote it, with what is kept beside it, understood when somebody asks."""

from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from functions.rules.outcome import Run
from functions.rules.storage import Broken, Stored
from functions.rules.task import Task
from functions.store.hand_edits import Accepted, UnfitError, added, changed, fault_of
from functions.store.hand_parts import Part, kept_part, moment, revision_of, whole
from functions.store.json_text import digest

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # what nobody can read is due until somebody mends it


class Row:
    """One entry, under the name it is known by.

    Args:
        entries: What he wrote; more than one where an id is given twice.
        kept: What the scheduler keeps of it; None when it has not seen it yet.
        at: When he saved it: from then on a new task's, or an edited one's, schedule counts.
        nameless: It has neither id nor title; *name* is its place.
        place: Where it is kept, if that has a name of its own which no later task is given; else empty.
        fault: Why it can be no task, where that is known before anybody tries; else empty.
    """

    def __init__(
        self,
        name: str,
        entries: list[Any],
        kept: Part | None,
        *,
        at: datetime,
        nameless: bool = False,
        place: str = "",
        fault: str = "",
    ) -> None:
        self.name = name
        self.entries = entries
        self.kept = kept
        self.at = at
        self.nameless = nameless
        self.place = place
        self.fault = fault

    @cached_property
    def by_hand(self) -> bool:
        """Whether a person has added or edited it since the scheduler wrote last."""
        return self.kept is None or self.kept.get("seen") != digest(self.entries[0])

    @cached_property
    def understood(self) -> Accepted | Broken:
        """The task, with what is to be recorded of an edit, or why it is none."""
        try:
            return self._accepted(self.at)
        except UnfitError as exc:
            return Broken(self.name, str(exc))

    @cached_property
    def read(self) -> Stored | Broken:
        """The task at its revision, or why it is none."""
        one = self.understood
        return one if isinstance(one, Broken) else Stored(one.task, self.revision)

    @cached_property
    def revision(self) -> str:
        """Changes with every write of ours, and with every edit by hand; ends in the place."""
        return f"{revision_of(self.kept)}-{digest([self.entries, self.kept])}@{self.place}"

    @cached_property
    def due_at(self) -> datetime | None:
        """When it must be looked at; None when there is nothing to wait for."""
        if not self.by_hand and self.kept is not None and len(self.entries) == 1 and not self.fault:
            at = self.kept.get("nextRunAt")
            return None if at is None else (moment(at) or ALWAYS)
        one = self.understood
        return ALWAYS if isinstance(one, Broken) else one.task.next_run_at

    def accepted(self, revision: int, *, now: datetime) -> "tuple[Row, tuple[Run, ...]] | None":
        """The row with the state that a person's edit makes at *now*, and what is to be recorded of it.

        None when what he wrote is no task, or when he has not touched it.
        """
        if not self.by_hand or isinstance(self.understood, Broken):
            return None
        try:
            one = self._accepted(now)
        except UnfitError:
            return None
        kept = kept_part(one.task, self.entries[0], revision=revision)
        return Row(self.name, self.entries, kept, at=self.at, place=self.place), one.runs

    def _accepted(self, now: datetime) -> Accepted:
        written = self.entries[0]
        if self.fault:
            raise UnfitError(self.fault)
        if self.nameless or not isinstance(written, dict):
            raise UnfitError("id: is required; write an id, or a title to make it of")
        if len(self.entries) > 1:
            raise UnfitError("id: it is given twice; remove one of the two, or give it another id")
        if self.kept is None:
            return added(self.name, written, now=now)
        if self.by_hand:
            return changed(self.name, written, self.kept, now=now)
        try:  # as we wrote it, or a newer version of ours did: its fields are no slips of a person's pen
            return Accepted(Task.model_validate(whole(self.name, written, self.kept)))
        except ValidationError as exc:
            raise UnfitError(fault_of(exc)) from None
