"""Commands on tasks. `TaskService` carries them out for a principal: authorized, conditional and audited."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial

from functions.domain.access import AuditEntry, AuditVerb, Principal
from functions.domain.lifecycle.complete import Transition, cancel, pause, resume
from functions.domain.lifecycle.edit import acknowledge, edit_task, new_task, queue_runs, spec_hash
from functions.domain.run import Run
from functions.domain.storage import (
    MAX_RUNS_READ,
    ConditionalWrite,
    OrderedPage,
    OrderPosition,
    QueryResult,
    TaskFilter,
    TaskOrder,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import Task, TaskSpec
from functions.domain.types import Status, Trigger
from functions.errors import (
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    StoreUnavailableError,
    UnreadableError,
)
from functions.interfaces import Store
from functions.services.access import audit
from functions.services.access.limits import OwnerLimits
from functions.services.access.view import OwnerView, list_entries_of
from functions.services.calendars.book import calendars_of, with_current_days
from functions.services.compare_and_set import (
    OvertakenError,
    hiding_unreadable,
    repeat_overtaken,
    update_task,
    write_transition,
)
from functions.services.dependencies import check_links, sync_links
from functions.services.heartbeats import revoke_address
from functions.services.meta import find_first_request
from functions.services.removal import keep_removed, remove_stored
from functions.services.task_commands import backfill_task

NEXT_HORIZON = timedelta(days=7)  # how far ahead what is due next is looked for
STARTING_VERBS: frozenset[AuditVerb] = frozenset({"run", "resumed"})
NO_LONGER = "{} is no longer what you saw; read it again"


class TaskService:
    """The commands and queries on tasks that one principal may use.

    Every method raises NotAllowedError without its scope, NotFoundError for a task that does not exist or
    that the caller may not see, and StoreError as `Store` does.

    Args:
        limits: What owners may use, and how many tasks they may have.
        origin: The origin of the tasks created here.
    """

    def __init__(
        self,
        store: Store,
        principal: Principal,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        limits: OwnerLimits | None = None,
        origin: str = "api",
    ) -> None:
        self._store = store
        self.principal = principal
        self._clock = clock
        self._new_id = new_id
        self._origin = origin
        self._limits = limits or OwnerLimits(store, clock=clock)

    @cached_property
    def view(self) -> OwnerView:
        """What the principal may see."""
        return OwnerView(self._store, self.principal.owner)

    def now(self) -> datetime:
        """Return the current instant."""
        return self._clock()

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Return the tasks by id that match *which* and that the caller may see."""
        self.principal.require_scope("read")
        return await self.view.list_page(which, after=after, limit=limit)

    async def get_task(self, task_id: str) -> VersionedTask:
        """Return a task.

        Raises:
            UnreadableError: Its document cannot be read; see `OwnerView.find_task`.
        """
        self.principal.require_scope("read")
        return await self.view.find_task(task_id)

    async def list_runs(
        self, task_id: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Run]:
        """Return the run records of one task, newest first; with an empty *task_id* those of all tasks.

        The runs of a task that was removed are kept, and shown to every key that is bound to no owner.

        Raises:
            NotFoundError: There is neither such a task nor a run of it.
        """
        self.principal.require_scope("read")
        removed: NotFoundError | None = None
        if task_id:
            try:
                return await self.view.list_runs_of(task_id, since=since, before=before, limit=limit)
            except NotFoundError as exc:
                removed = exc
        if self.principal.owner:  # whose a removed task was nobody knows
            raise removed or InputError(
                "task: a key that is bound to an owner must say which task's runs it wants"
            )
        found = await self._store.runs(task_id=task_id or None, since=since, before=before, limit=limit)
        if removed and not found and not await self._store.runs(task_id=task_id, limit=1):
            raise removed
        return found

    async def list_next(self, *, limit: int) -> list[Task]:
        """Return the tasks that are due next, the soonest first; for keys that are bound to no owner.

        What is due now is first, however late it is.
        """
        self.principal.require_scope("read")
        if self.principal.owner:  # the queue is everybody's
            raise NotAllowedError("This takes a key that is bound to no owner")
        found = await self._store.list_due(self._clock() + NEXT_HORIZON, limit=limit)
        return [stored.task for stored in found.tasks]

    async def list_ordered(self, order: TaskOrder, *, after: OrderPosition | None, limit: int) -> OrderedPage:
        """Return a page of all tasks in *order*; for keys that are bound to no owner."""
        self.principal.require_scope("read")
        if self.principal.owner:  # where a page ends would name a task of somebody else
            raise NotAllowedError("This takes a key that is bound to no owner")
        return await self._store.list_ordered(order, after=after, limit=limit)

    async def audit_trail(self, task_id: str, *, limit: int = 50) -> list[AuditEntry]:
        """Return who changed a task, when and why, newest first."""
        return await list_entries_of(self._store, (await self.get_task(task_id)).task, limit=limit)

    async def check_new(self, spec: TaskSpec) -> TaskSpec:
        """Return *spec* as it would be created, with its owner; nothing is written.

        Raises:
            NotAllowedError: The caller, or the owner, may not have such a task.
        """
        self.principal.require_scope("write")
        spec = self._with_owner(spec)
        await self._limits.check(spec, self.principal)
        return spec

    async def check_saved(self, spec: TaskSpec, *, before: Task | None = None) -> TaskSpec:
        """Return *spec* as it would be saved in place of *before*, or as a new task; nothing is written.

        Raises:
            NotAllowedError: As `check_new`, or the owner has as many tasks already.
            InputError: A task that it runs after does not exist for the caller, or runs after it.
        """
        spec = await self.check_new(spec)
        await check_links(self._store, [spec], known={spec.id: spec}, can_see=self.principal.can_see)
        async with self._limits.one_more("" if before and before.owner == spec.owner else spec.owner):
            return spec

    async def create(
        self, spec: TaskSpec, *, idempotency_key: str = "", run_now: bool = False
    ) -> VersionedTask:
        """Create a task. The same request under the same *idempotency_key* within a day returns that task.

        Args:
            run_now: Whether a run of the occurrence `createdAt` waits in it, see `new_task`.

        Raises:
            ConflictError: A task of this id exists.
            InputError: The schedule has no occurrence left, or the key was used for another task.
        """
        self.principal.require_scope("write")
        if run_now:
            self.principal.require_scope("run")
        spec = self._with_owner(spec)
        now = self._clock()
        first_at: datetime | None = None
        if idempotency_key:
            first_at = await self._find_first_request(idempotency_key, spec.model_dump_json(), now=now)
        if first_at and (known := await self._find_made(spec.id, since=first_at)):
            return known
        calendars = await calendars_of(self._store, spec)
        task = new_task(spec, now=now, origin=self._origin, run_now=run_now, calendars=calendars)
        await self._limits.check(spec, self.principal)
        async with self._limits.one_more(spec.owner) as is_exceeded:
            try:
                created = await self._write_new(task, spec)
            except ConflictError:
                # the first of two requests at once may have written it meanwhile
                if first_at and (known := await self._find_made(spec.id, since=first_at)):
                    return known
                raise
            if await is_exceeded():
                await self._remove(created)
                raise NotAllowedError(f"owner: other tasks of {spec.owner} took the last places; try again")
        await self._audit("created", spec.id)
        if run_now:
            await self._audit("run", spec.id)
        return await with_current_days(self._store, created, now=now, new_id=self._new_id)

    async def _find_made(self, task_id: str, *, since: datetime) -> VersionedTask | None:
        """Return the task, if it was created at *since* or later: an older one is no repeated request's."""
        known = await self.view.find_visible(task_id)
        return known if known and known.task.created_at >= since else None

    async def _write_new(self, task: Task, spec: TaskSpec) -> VersionedTask:
        async with sync_links(self._store, spec, can_see=self.principal.can_see):
            [written] = await self._store.write([ConditionalWrite(task, None)])
        if written.status is WriteStatus.CONFLICT:
            raise ConflictError(f"id: there is a task {spec.id!r} already")
        if written.status is WriteStatus.UNKNOWN:
            raise StoreUnavailableError(
                f"The store did not say whether {spec.id} was made; look, and try again"
            )
        return VersionedTask(task, written.revision)

    async def edit(
        self, task_id: str, spec: TaskSpec, *, expected: str | None = None, definition: str | None = None
    ) -> VersionedTask:
        """Give a task the fields of *spec*; its state and history stay.

        A tick that settles a run of the task meanwhile is no conflict, unless there is *expected*.

        Args:
            expected: The revision the caller saw, as text; None changes whatever there is.
            definition: The `spec_hash` of the task that *spec* was made from; None for any.

        Raises:
            ConflictError: The task is another revision now, or was edited meanwhile.
            InputError: The id differs, or the schedule has no occurrence left.
        """
        self.principal.require_scope("write")
        if spec.id != task_id:
            raise InputError(f"id: must be {task_id!r}, as in the address; an id never changes")
        spec = self._with_owner(spec)

        async def attempt() -> VersionedTask:
            stored = await self._check_revision(task_id, expected)
            if definition not in (None, spec_hash(stored.task)):
                raise ConflictError(NO_LONGER.format(task_id))
            return await self._write_edit(stored, spec)

        return await repeat_overtaken(attempt, subject=task_id, once=expected is not None)

    async def _write_edit(self, stored: VersionedTask, spec: TaskSpec) -> VersionedTask:
        calendars = await calendars_of(self._store, spec)
        transition = edit_task(stored.task, spec, now=self._clock(), calendars=calendars)
        if not transition.changes:
            return stored
        await self._limits.check(spec, self.principal)
        async with (
            self._limits.one_more(spec.owner if spec.owner != stored.task.owner else ""),
            sync_links(self._store, spec, before=stored.task, can_see=self.principal.can_see),
        ):
            changed = await write_transition(
                self._store, stored, transition, now=self._clock(), new_id=self._new_id
            )
            if changed is None:  # raised in here: the links of the task as it is stay
                raise OvertakenError(f"{spec.id} was changed at the same moment; read it again")
        names = {
            TaskSpec.model_fields[name].alias or name for name in transition.changes if name in SPEC_FIELDS
        }
        await self._audit("edited", spec.id, fields=tuple(sorted(names)))
        return await with_current_days(self._store, changed, now=self._clock(), new_id=self._new_id)

    async def delete(self, task_id: str, *, expected: str | None = None) -> None:
        """Delete a task; its run records stay until they expire. See `removal` for how to undo it.

        One that cannot be read is deleted for good, by who is bound to no owner.

        Args:
            expected: As in `edit`.

        Raises:
            ConflictError: The task is another revision now.
            StoreUnavailableError: It is not known whether the task was deleted.
        """
        self.principal.require_scope("write")

        async def attempt() -> bool:
            try:
                stored = await self._check_revision(task_id, expected)
            except UnreadableError:
                found = await self._store.get_tasks([task_id])
                for invalid in found.invalid:
                    [written] = await self._store.write([ConditionalWrite.for_removal(invalid)])
                    _check_removed(task_id, written.status)
            else:
                await keep_removed(self._store, stored.task, by=self.principal.author, now=self._clock())
                await self._remove(stored)
            return True

        await repeat_overtaken(attempt, subject=task_id, once=expected is not None)
        await self._audit("deleted", task_id)

    async def _remove(self, stored: VersionedTask) -> None:
        async with sync_links(self._store, None, before=stored.task):
            by, now = self.principal.author, self._clock()
            _check_removed(stored.task.id, await remove_stored(self._store, stored, by=by, now=now))

    async def pause(self, task_id: str, *, note: str = "", until: datetime | None = None) -> VersionedTask:
        """Stop a task; see `lifecycle.complete.pause`."""
        decide = partial(pause, note=note, until=until, by=self.principal.author, now=self._clock())
        return await self._update("paused", task_id, decide, note=note)

    async def resume(self, task_id: str, *, catch_up: bool = False) -> VersionedTask:
        """End a pause or a quarantine; see `lifecycle.complete.resume`."""
        decide = partial(resume, catch_up=catch_up, now=self._clock())
        return await self._update("resumed", task_id, decide)

    async def acknowledge(self, task_id: str) -> VersionedTask:
        """Stop the reminders of a task's present failures; see `lifecycle.edit.acknowledge`."""
        return await self._update("acknowledged", task_id, partial(acknowledge, by=self.principal.author))

    async def revoke_address(self, task_id: str) -> VersionedTask:
        """Give a heartbeat another address to call; see `heartbeats.revoke_address`."""
        self.principal.require_scope("write")
        return await self._update("edited", task_id, revoke_address, note="another address to call")

    async def cancel(self, task_id: str) -> VersionedTask:
        """End the current occurrence; see `lifecycle.complete.cancel`."""
        return await self._update("cancelled", task_id, partial(cancel, now=self._clock()))

    async def request_run(self, task_id: str, *, idempotency_key: str = "") -> datetime:
        """Request a run at the next tick; return the instant that names its occurrence.

        The same request under the same *idempotency_key* within a day is about the same occurrence, which
        runs once. One that was recorded and not carried out is carried out then.
        """
        self.principal.require_scope("run")
        at = now = self._clock()
        if idempotency_key:
            await self.get_task(task_id)  # before anything is recorded
            first_at = await self._find_first_request(idempotency_key, f"run {task_id}", now=now)
            at = first_at or now
            if first_at and await self.find_run(task_id, at):
                return at
        await self._update(
            "run", task_id, partial(queue_runs, instants=[at], trigger=Trigger.MANUAL, now=now)
        )
        return at

    async def find_run(self, task_id: str, occurrence: datetime) -> Run | None:
        """Return the newest attempt at *occurrence*; None when none has ended yet."""
        runs = await self.list_runs(task_id, since=occurrence, limit=MAX_RUNS_READ)
        return next((run for run in runs if run.occurrence == occurrence), None)

    async def _find_first_request(self, key: str, request: str, *, now: datetime) -> datetime | None:
        return await find_first_request(self._store, f"{self.principal.id}\n{key}", request, now=now)

    async def backfill(
        self, task_id: str, *, first: datetime, until: datetime, dry_run: bool = False
    ) -> list[datetime]:
        """Request runs of past occurrences that have not succeeded; return those, oldest first."""
        self.principal.require_scope("read" if dry_run else "run")
        self._require_capabilities((await self.get_task(task_id)).task)
        missed = await backfill_task(
            self._store,
            task_id,
            first=first,
            until=until,
            now=self._clock(),
            new_id=self._new_id,
            dry_run=dry_run,
        )
        if missed and not dry_run:
            await self._audit("backfilled", task_id, note=f"{len(missed)} occurrences")
        return missed

    def _with_owner(self, spec: TaskSpec) -> TaskSpec:
        """Return *spec* with the caller's owner, if the caller is bound to one."""
        if not self.principal.owner or spec.owner == self.principal.owner:
            return spec
        if spec.owner:
            raise NotAllowedError(f"owner: this key makes tasks of {self.principal.owner} alone")
        return spec.model_copy(update={"owner": self.principal.owner})

    async def _update(
        self, verb: AuditVerb, task_id: str, decide: Callable[[Task], Transition], *, note: str = ""
    ) -> VersionedTask:
        """Write the transition that *decide* returns, if the caller may see the task; return the new task."""
        self.principal.require_scope("run")

        def decide_if_visible(task: Task) -> Transition:
            self._require_visible(task)
            if verb in STARTING_VERBS:
                self._require_capabilities(task)
            return decide(task)

        with hiding_unreadable(task_id, owner=self.principal.owner):
            changed = await update_task(
                self._store, task_id, decide_if_visible, now=self._clock(), new_id=self._new_id
            )
        await self._audit(verb, task_id, note=note)
        return changed

    def _require_capabilities(self, task: Task) -> None:
        """Check that the key may use what *task* does, before it starts it."""
        own = self.principal.capabilities
        if own is not None and (found := own.problem(task)):
            raise NotAllowedError(f"{found} to this key")

    def _require_visible(self, task: Task) -> None:
        if not self.principal.can_see(task.owner):
            raise NotFoundError(f"There is no task {task.id!r}")

    async def _check_revision(self, task_id: str, expected: str | None) -> VersionedTask:
        stored = await self.get_task(task_id)
        if expected is not None and str(stored.revision) != expected:
            raise ConflictError(NO_LONGER.format(task_id))
        return stored

    async def _audit(
        self, verb: AuditVerb, task_id: str, *, note: str = "", fields: Sequence[str] = ()
    ) -> None:
        await audit.record_change(
            self._store,
            verb,
            task_id,
            by=self.principal.author,
            at=self._clock(),
            new_id=self._new_id,
            note=note,
            fields=fields,
        )


SPEC_FIELDS = frozenset(TaskSpec.model_fields)


def _check_removed(task_id: str, status: WriteStatus) -> None:
    if status is WriteStatus.UNKNOWN:
        raise StoreUnavailableError(
            f"The store did not say whether {task_id} was deleted; look, and try again"
        )
    if status is WriteStatus.CONFLICT:
        raise OvertakenError(f"{task_id} was changed at the same moment; read it again")


# Commands on all tasks with a tag.

MAX_TASKS_PER_REQUEST = 1000


async def pause_by_tag(
    service: TaskService, tag: str, *, note: str = "", until: datetime | None = None
) -> list[str]:
    """Stop all tasks with *tag* that are not stopped; return their ids.

    Raises:
        InputError: There are too many, or none has the tag. As `TaskService.pause` otherwise.
    """
    tasks = await _find_by_tag(service, tag)
    ids = [task.id for task in tasks if task.pause is None and task.status is not Status.ENDED]
    for task_id in ids:
        await service.pause(task_id, note=note, until=until)
    return ids


async def resume_by_tag(service: TaskService, tag: str, *, catch_up: bool = False) -> list[str]:
    """End the pauses of all tasks with *tag*; return their ids.

    Raises:
        InputError: There are too many, or none has the tag. As `TaskService.resume` otherwise.
    """
    ids = [task.id for task in await _find_by_tag(service, tag) if task.pause is not None]
    for task_id in ids:
        await service.resume(task_id, catch_up=catch_up)
    return ids


async def _find_by_tag(service: TaskService, tag: str) -> list[Task]:
    found = await service.list_tasks(TaskFilter(tag=tag), limit=MAX_TASKS_PER_REQUEST + 1)
    if not found.tasks:
        raise InputError(f"tag: no task has the tag {tag!r}")
    if len(found.tasks) > MAX_TASKS_PER_REQUEST:
        raise InputError(f"tag: more than {MAX_TASKS_PER_REQUEST} tasks have it; use narrower tags")
    return [stored.task for stored in found.tasks]
