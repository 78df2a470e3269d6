"""What somebody who is signed in does to tasks: under his rights, guarded, and noted in the audit trail."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from functions import audit, control
from functions.errors import (
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    StoreUnavailable,
)
from functions.following import LinkStore, linked
from functions.repeats import is_repeated
from functions.rules.audit import Entry, Verb
from functions.rules.keys import Actor, Scope
from functions.rules.lifecycle import edited, first_look
from functions.rules.outcome import Run
from functions.rules.storage import Filter, Found, Operations, Result, Stored, Write
from functions.rules.task import TaskSpec


class DeskStore(LinkStore, Protocol):
    """Tasks, their history, and what is kept beside them."""

    def metered(self) -> AbstractContextManager[Operations]:
        """As in `Store`."""
        ...


class Desk:
    """The desk of one caller.

    Every method raises NotAllowedError without the scope it takes, NotFoundError for what is not there or
    not the caller's to know of, and StoreError as `Store` does.

    Args:
        origin: Where tasks made here are said to come from.
    """

    def __init__(
        self,
        store: DeskStore,
        actor: Actor,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        origin: str = "api",
    ) -> None:
        self._store = store
        self.actor = actor
        self._clock = clock
        self._new_id = new_id
        self._origin = origin

    async def tasks(self, which: Filter, *, after: str = "", limit: int = 100) -> Found:
        """Tasks by id that match *which* and are the caller's."""
        self._need("read")
        mine = replace(which, owner=self.actor.owner) if self.actor.owner else which
        if which.owner and not self.actor.sees(which.owner):
            return Found(())
        return await self._store.page(mine, after=after, limit=limit)

    async def task(self, task_id: str) -> Stored:
        """One task.

        Raises:
            InputError: Its document cannot be read.
        """
        self._need("read")
        stored = await control.read(self._store, task_id)
        if not self.actor.sees(stored.task.owner):
            raise NotFoundError(f"There is no task {task_id!r}")
        return stored

    async def runs(
        self, task_id: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Run]:
        """History of one task, newest first; without a task, of all, for whoever sees all."""
        self._need("read")
        if task_id:
            await self.task(task_id)
        elif self.actor.owner:
            raise InputError("task: a key that is bound to an owner must say which task's runs it wants")
        return await self._store.runs(task_id=task_id or None, since=since, before=before, limit=limit)

    async def trail(self, task_id: str, *, limit: int = 50) -> list[Entry]:
        """Who changed a task, when and why, newest first."""
        await self.task(task_id)
        return await audit.trail(self._store, task_id, limit=limit)

    async def create(self, spec: TaskSpec, *, idempotency_key: str = "") -> Stored:
        """Make a task. The same under the same *idempotency_key* within a day returns the task made first.

        Raises:
            ConflictError: There is a task of this id.
            InputError: The schedule has no occurrence left, or the key was used for another task.
        """
        self._need("write")
        spec = self._owned(spec)
        now = self._clock()
        repeated = bool(idempotency_key) and await is_repeated(
            self._store, f"{self.actor.id}\n{idempotency_key}", spec.model_dump_json(), now=now
        )
        task = first_look(spec, now=now, origin=self._origin)
        async with linked(self._store, spec, sees=self.actor.sees):
            [written] = await self._store.write([Write(task, None)])
        if written.result is Result.REFUSED:
            if repeated:
                return await self.task(spec.id)
            raise ConflictError(f"id: there is a task {spec.id!r} already")
        if written.result is Result.UNKNOWN:
            raise StoreUnavailable(f"The store did not say whether {spec.id} was made; look, and try again")
        await self._note("created", spec.id)
        return Stored(task, written.revision)

    async def edit(self, task_id: str, spec: TaskSpec, *, expected: str | None = None) -> Stored:
        """Give a task what *spec* says; its state and history stay.

        Args:
            expected: The revision the caller saw, as text; None changes whatever there is.

        Raises:
            ConflictError: It is another revision by now.
            InputError: The id differs, or the schedule has no occurrence left.
        """
        self._need("write")
        if spec.id != task_id:
            raise InputError(f"id: must be {task_id!r}, as in the address; an id never changes")
        spec = self._owned(spec)
        stored = await self._expected(task_id, expected)
        settlement = edited(stored.task, spec, now=self._clock())
        if not settlement.changes:
            return stored
        async with linked(self._store, spec, before=stored.task, sees=self.actor.sees):
            changed = await control.write_change(
                self._store, stored, settlement, now=self._clock(), new_id=self._new_id
            )
        if changed is None:
            raise ConflictError(f"{task_id} was changed at the same moment; read it again")
        names = {TaskSpec.model_fields[name].alias or name for name in settlement.changes if name in FIELDS}
        await self._note("edited", task_id, fields=tuple(sorted(names)))
        return changed

    async def delete(self, task_id: str, *, expected: str | None = None) -> None:
        """Remove a task; its history stays as long as any history does.

        Raises:
            ConflictError: It is another revision by now, or was changed at the same moment.
        """
        self._need("write")
        stored = await self._expected(task_id, expected)
        async with linked(self._store, None, before=stored.task):
            [written] = await self._store.write([Write(stored.task, stored.revision, delete=True)])
        if written.result is not Result.APPLIED:
            raise ConflictError(f"{task_id} was changed at the same moment; read it again")
        await self._note("deleted", task_id)

    async def pause(self, task_id: str, *, note: str = "", until: datetime | None = None) -> Stored:
        """Stop a task; see `lifecycle.paused`."""
        how = {"note": note, "until": until, "by": self.actor.name}
        return await self._steer("paused", task_id, control.pause, note=note, how=how)

    async def resume(self, task_id: str, *, catch_up: bool = False) -> Stored:
        """End a pause or a quarantine; see `lifecycle.resumed`."""
        return await self._steer("resumed", task_id, control.resume, how={"catch_up": catch_up})

    async def cancel(self, task_id: str) -> Stored:
        """End the occurrence in hand; see `lifecycle.cancelled`."""
        return await self._steer("cancelled", task_id, control.cancel)

    async def run(self, task_id: str) -> datetime:
        """Ask for a run at the next tick; return the instant that names it."""
        now = self._clock()
        await self._steer("run", task_id, control.run_now, now=now)
        return now

    async def backfill(
        self, task_id: str, *, first: datetime, until: datetime, dry_run: bool = False
    ) -> list[datetime]:
        """Ask for runs of past occurrences that have not succeeded; return those, oldest first."""
        self._need("read" if dry_run else "run")
        await self.task(task_id)
        wanted = await control.backfill(
            self._store,
            task_id,
            first=first,
            until=until,
            now=self._clock(),
            new_id=self._new_id,
            dry_run=dry_run,
        )
        if wanted and not dry_run:
            await self._note("backfilled", task_id, note=f"{len(wanted)} occurrences")
        return wanted

    def _need(self, scope: Scope) -> None:
        if not self.actor.may(scope):
            raise NotAllowedError(f"This takes a key with the scope {scope}")

    def _owned(self, spec: TaskSpec) -> TaskSpec:
        """*spec* with the caller's owner in it, when he is bound to one."""
        if not self.actor.owner or spec.owner == self.actor.owner:
            return spec
        if spec.owner:
            raise NotAllowedError(f"owner: this key makes tasks of {self.actor.owner} alone")
        return spec.model_copy(update={"owner": self.actor.owner})

    async def _steer(
        self,
        verb: Verb,
        task_id: str,
        change: Callable[..., Awaitable[object]],
        *,
        note: str = "",
        now: datetime | None = None,
        how: Mapping[str, Any] = MappingProxyType({}),
    ) -> Stored:
        """Do one of `control`'s changes, if the caller may and the task is his; return what it is then."""
        self._need("run")
        await self.task(task_id)
        await change(self._store, task_id, now=now or self._clock(), new_id=self._new_id, **how)
        await self._note(verb, task_id, note=note)
        return await self.task(task_id)

    async def _expected(self, task_id: str, expected: str | None) -> Stored:
        stored = await self.task(task_id)
        if expected is not None and str(stored.revision) != expected:
            raise ConflictError(f"{task_id} is no longer what you saw; read it again")
        return stored

    async def _note(self, verb: Verb, task_id: str, *, note: str = "", fields: Sequence[str] = ()) -> None:
        entry = Entry(
            at=self._clock(), verb=verb, subject=task_id, by=self.actor.name, note=note, fields=tuple(fields)
        )
        await audit.note(self._store, entry, new_id=self._new_id)


FIELDS = frozenset(TaskSpec.model_fields)
