"""Makes a store match task files: plans what to create, update and remove, then writes the plan."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from functions.domain.alerts.routing import DailyDigest
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.edit import edit_task, new_task, spec_hash
from functions.domain.lifecycle.removal import notifications_left_by
from functions.domain.lifecycle.upcoming import next_run
from functions.domain.run import Run
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    InvalidDocument,
    RunBatch,
    TaskFilter,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import NotifyRule, TaskCalendar, TaskSpec
from functions.errors import (
    ConflictError,
    InputError,
    InvalidWriteError,
    StoreUnavailableError,
    UnreadableError,
)
from functions.interfaces import Store, TaskStore
from functions.services.access.limits import OwnerLimits
from functions.services.calendars.book import OwnedName, resolve_calendars
from functions.services.calendars.files import (
    calendars_for,
    changed_calendars,
    copy_days,
    others_with_new_days,
    write_calendar,
)
from functions.services.dependencies import link_problems, update_links, with_dependents
from functions.services.paging import all_tasks

SPEC_FIELDS = set(TaskSpec.model_fields)
FILE_ORIGIN = "file:"
APPLIED_BY = "apply"  # who changed a calendar that a file has, or removed what it has no more
MAX_NAMED = 10  # of tasks in a message


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What `apply_plan` did, or with `dry_run` would do, to one task.

    `orphaned` is a task that came from a file whose other tasks have moved to another one: nothing is done.

    Attributes:
        fields: camelCase names of the fields that differ; empty for a creation or a removal.
        before: The next wake-up before; None when there was none.
        after: The next wake-up after.
        drifted: Whether the task was changed by other means since a file was last applied to it.
        moved_from: The source that it came from until now, or is left of; empty when that is the same.
        timezone: Of the task, after the change.
    """

    id: str
    action: Literal["create", "update", "remove", "unchanged", "orphaned"]
    fields: tuple[str, ...] = ()
    before: datetime | None = None
    after: datetime | None = None
    drifted: bool = False
    moved_from: str = ""
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class TaskSource:
    """Where tasks come from: a file or folder by its name, so that several applications share one store.

    Attributes:
        origin: What is stored with each of its tasks; `apply_plan` removes what is of it and no longer in it.
        enclosing: Origins of folders around it: a task that is of one of these stays so.
    """

    origin: str
    enclosing: frozenset[str] = frozenset()

    @classmethod
    def named(cls, name: str, *, folders: Iterable[str] = ()) -> Self:
        """Return the source that people know by *name*, such as `shop/tasks.yaml`."""
        return cls(FILE_ORIGIN + name, frozenset(FILE_ORIGIN + folder for folder in folders))

    def takes_from(self, origin: str) -> bool:
        """Whether a task of *origin* becomes one of this source: files take tasks from files alone."""
        return (
            origin != self.origin
            and origin not in self.enclosing
            and origin.startswith("file")
            and self.origin.startswith(FILE_ORIGIN)
        )


@dataclass(frozen=True, slots=True)
class _PlannedWrite:
    """A change with what is written for it: nothing when the task is unchanged.

    Attributes:
        before_it: What delivers the notifications that a removed task owes, see `lifecycle.removal`.
    """

    change: PlannedChange
    write: ConditionalWrite | None = None
    runs: tuple[Run, ...] = ()
    before_it: ConditionalWrite | None = None


async def apply_plan(
    store: Store,
    specs: Sequence[TaskSpec],
    *,
    origin: str = "",
    sources: Mapping[str, TaskSource] | None = None,
    now: datetime,
    new_id: Callable[[], str],
    prune: bool = True,
    dry_run: bool = False,
    limits: OwnerLimits | None = None,
    calendars: Mapping[str, Sequence[str]] | None = None,
) -> list[PlannedChange]:
    """Make the store match *specs*; return what changed, by id.

    With *prune*, tasks of the same origins that are not in *specs* are removed; others never are.

    Args:
        origin: Where all specs come from that *sources* does not name.
        sources: Where specs come from, by id; names that are no ids are for sources without tasks.
        limits: What owners may use; None where the tasks have no owners, or an API checks each of them.
        calendars: Entries of calendars by name, for the owners of those of *specs* that name them; they are
            written before the tasks, and never removed.

    Raises:
        InputError: A spec's schedule has no occurrence left, a task that it runs after does not exist, or its
            owner may not have it; the text names every problem, and nothing was written.
        ConflictError: Another writer changed a task meanwhile; what was written before it stays.
        StoreUnavailableError: The store did not answer; what was written before it stays.
    """
    existing = {stored.task.id: stored for stored in await all_tasks(store, TaskFilter())}
    kept = {spec.id: spec for spec in specs}
    source_of = {spec.id: TaskSource(origin) for spec in specs} | dict(sources or {})
    origins = {origin, *(source.origin for source in source_of.values())} - {""}
    removed = _find_removed(existing, kept, origins) if prune else set()
    given = calendars_for(specs, calendars or {})
    days = await resolve_calendars(store, specs, given=given)
    plan, problems = _plan_specs(specs, existing, source_of, days, now=now)
    problems += await link_problems(store, kept, existing, removed)
    if limits is not None:
        problems += await _owner_problems(limits, specs, existing, removed)
    if problems:
        raise InputError("\n".join(problems))
    plan += [_plan_removal(existing[task_id], now=now) for task_id in sorted(removed)]
    plan += _find_orphans(existing, kept.keys() | removed, plan, now=now)
    changed = await changed_calendars(store, given)
    plan += [
        _PlannedWrite(PlannedChange(f"calendar:{name}", action)) for (_, name), action in changed.items()
    ]
    new_days = {key: given[key] for key, action in changed.items() if action != "unchanged"}
    plan += _plan_new_days(existing, plan, new_days, now=now)
    if not dry_run:
        for key, entries in new_days.items():
            await write_calendar(store, key, entries, by=APPLIED_BY, now=now)
        await _write_all(store, plan, kept, now=now, new_id=new_id)
        await update_links(store, kept, existing, removed)
        for key in new_days:
            await copy_days(store, key, now=now, new_id=new_id)
    return sorted((planned.change for planned in plan), key=lambda change: change.id)


def _find_removed(
    existing: Mapping[str, VersionedTask], kept: Collection[str], origins: Collection[str]
) -> set[str]:
    """Return the ids of the tasks that came from *origins*, and are not *kept*."""
    return {
        task_id
        for task_id, stored in existing.items()
        if stored.task.origin in origins and task_id not in kept
    }


async def _owner_problems(
    limits: OwnerLimits,
    specs: Sequence[TaskSpec],
    existing: Mapping[str, VersionedTask],
    removed: Collection[str],
) -> list[str]:
    """Return what the owners of *specs* may not have, and whose tasks would become too many."""
    before = {task_id: stored.task.owner for task_id, stored in existing.items()}
    after = {task_id: owner for task_id, owner in before.items() if task_id not in removed}
    after |= {spec.id: spec.owner for spec in specs}
    return await limits.plan_problems(specs, before=before, after=after)


def _find_orphans(
    existing: Mapping[str, VersionedTask],
    named: Collection[str],
    plan: Sequence[_PlannedWrite],
    *,
    now: datetime,
) -> list[_PlannedWrite]:
    """Return what else came from sources that lost a task to another one: a file that was moved, perhaps.

    Args:
        named: The ids of the tasks that are kept or removed.
    """
    emptied = {planned.change.moved_from for planned in plan}
    return [
        _PlannedWrite(
            PlannedChange(
                stored.task.id,
                "orphaned",
                before=next_run(stored.task, now=now),
                after=next_run(stored.task, now=now),
                moved_from=stored.task.origin,
                timezone=stored.task.timezone,
            )
        )
        for stored in existing.values()
        if stored.task.origin and stored.task.origin in emptied and stored.task.id not in named
    ]


def _plan_new_days(
    existing: Mapping[str, VersionedTask],
    plan: Sequence[_PlannedWrite],
    new_days: Mapping[OwnedName, Sequence[str]],
    *,
    now: datetime,
) -> list[_PlannedWrite]:
    """Return what calendars with *new_days* change in tasks that *plan* leaves; `copy_days` writes it."""
    named = {planned.change.id for planned in plan}
    others = [stored for task_id, stored in existing.items() if task_id not in named]
    return [
        _PlannedWrite(
            PlannedChange(
                stored.task.id,
                "update",
                fields=_days_alone(transition),
                before=next_run(stored.task, now=now),
                after=next_run(stored.task.model_copy(update=dict(transition.changes)), now=now),
                timezone=stored.task.timezone,
            )
        )
        for stored, transition in others_with_new_days(others, new_days, now=now)
    ]


def _plan_specs(
    specs: Sequence[TaskSpec],
    existing: Mapping[str, VersionedTask],
    source_of: Mapping[str, TaskSource],
    days: Mapping[str, tuple[TaskCalendar, ...]],
    *,
    now: datetime,
) -> tuple[list[_PlannedWrite], list[str]]:
    """Return what to write for each of *specs*, and the problems of those that cannot be written."""
    plan: list[_PlannedWrite] = []
    problems: list[str] = []
    for spec in specs:
        stored, calendars = existing.get(spec.id), days.get(spec.id, ())
        try:
            plan.append(
                _plan_creation(spec, calendars, origin=source_of[spec.id].origin, now=now)
                if stored is None
                else _plan_update(stored, spec, calendars, source_of[spec.id], now=now)
            )
        except InputError as exc:
            problems.append(f"{spec.id}: {exc}")
    return plan, problems


def _plan_creation(
    spec: TaskSpec, calendars: Sequence[TaskCalendar], *, origin: str, now: datetime
) -> _PlannedWrite:
    task = new_task(spec, now=now, origin=origin, calendars=calendars)
    task = task.model_copy(update={"applied_spec_hash": spec_hash(spec)})
    return _PlannedWrite(
        PlannedChange(spec.id, "create", after=next_run(task, now=now), timezone=spec.timezone),
        ConditionalWrite(task, None),
    )


def _plan_update(
    stored: VersionedTask,
    spec: TaskSpec,
    calendars: Sequence[TaskCalendar],
    source: TaskSource,
    *,
    now: datetime,
) -> _PlannedWrite:
    task = stored.task
    transition = edit_task(task, spec, now=now, calendars=calendars)
    moved: dict[str, str] = {"origin": source.origin} if source.takes_from(task.origin) else {}
    if not transition.changes and not moved:
        same = PlannedChange(
            spec.id,
            "unchanged",
            before=next_run(task, now=now),
            after=next_run(task, now=now),
            timezone=spec.timezone,
        )
        return _PlannedWrite(same)
    write = ConditionalWrite.for_changes(
        stored, transition.changes | moved | {"applied_spec_hash": spec_hash(spec)}
    )
    changed = [name for name in transition.changes if name in SPEC_FIELDS]
    change = PlannedChange(
        spec.id,
        "update",
        fields=tuple(sorted(TaskSpec.model_fields[name].alias or name for name in changed))
        or _days_alone(transition),
        before=next_run(task, now=now),
        after=next_run(write.task, now=now),
        drifted=task.applied_spec_hash not in ("", spec_hash(task)),
        moved_from=task.origin if moved else "",
        timezone=spec.timezone,
    )
    return _PlannedWrite(change, write, transition.runs)


def _days_alone(transition: Transition) -> tuple[str, ...]:
    """Return what changed of a task whose calendars alone have other days."""
    return ("except",) if "calendars" in transition.changes else ()


def _plan_removal(stored: VersionedTask, *, now: datetime) -> _PlannedWrite:
    task = stored.task
    change = PlannedChange(task.id, "remove", before=next_run(task, now=now), timezone=task.timezone)
    left = notifications_left_by(task, by=APPLIED_BY, now=now)
    return _PlannedWrite(
        change,
        ConditionalWrite(task, stored.revision, delete=True),
        before_it=None if left is None else ConditionalWrite(left, None),
    )


async def _write_all(
    store: TaskStore,
    plan: Sequence[_PlannedWrite],
    kept: Mapping[str, TaskSpec],
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> None:
    """Write the plan, a batch at a time.

    Raises:
        ConflictError: Another writer changed one of the tasks since it was read.
        StoreUnavailableError: The store gave no answer, and does not show one of the tasks.
        InvalidWriteError: The store never takes one of the tasks.
        UnreadableError: See `_not_in_effect`.
    """
    owed = {planned.change.id: planned.before_it for planned in plan if planned.before_it is not None}
    writes: list[tuple[ConditionalWrite, tuple[Run, ...]]] = [(write, ()) for write in owed.values()]
    writes += [
        (with_dependents(planned.write, kept), planned.runs) for planned in plan if planned.write is not None
    ]
    for start in range(0, len(writes), RUNS_PER_BATCH):
        part = writes[start : start + RUNS_PER_BATCH]
        runs = tuple(run for _, ended in part for run in ended)
        batch = RunBatch(f"{new_id()}.1", now, runs) if runs else None
        written = await store.write_with_runs(batch, [write for write, _ in part])
        if invalid := [
            write.task.id
            for (write, _), result in zip(part, written, strict=True)
            if result.status is WriteStatus.INVALID
        ]:
            await _withdraw(store, owed)
            raise InvalidWriteError(
                f"{name_some(invalid)}: the store does not take what it holds, which may be too large; "
                "make it smaller, and apply again"
            )
        not_applied = {
            write.task.id: (write, result.status)
            for (write, _), result in zip(part, written, strict=True)
            if result.status is not WriteStatus.APPLIED
        }
        if not_applied and (
            missing := await _not_in_effect(store, [write for write, _ in not_applied.values()])
        ):
            await _withdraw(store, owed)
            raise write_error({task_id: not_applied[task_id][1] for task_id in missing}, remedy="apply again")


async def _withdraw(store: TaskStore, owed: Mapping[str, ConditionalWrite]) -> None:
    """Remove what was to deliver the news of removals, by task, that did not come about."""
    if owed:
        left = [owed[one.task.id].task.id for one in (await store.get_tasks(list(owed))).tasks]
        found = await store.get_tasks(left)
        await store.write([ConditionalWrite(one.task, one.revision, delete=True) for one in found.tasks])


def unreadable_text(found: InvalidDocument) -> str:
    """Return what is wrong with a task that cannot be read, and what to do."""
    return f"{found.id} cannot be read: {found.reason}; correct it in the store, or scheduler rm {found.id}"


def write_error(statuses: Mapping[str, WriteStatus], *, remedy: str) -> ConflictError | StoreUnavailableError:
    """Return why tasks were not written, by what the store answered for each; no answer is no conflict."""
    names = name_some(list(statuses))
    if WriteStatus.CONFLICT in statuses.values():
        return ConflictError(f"{names}: changed by another writer meanwhile; {remedy}")
    return StoreUnavailableError(f"{names}: the store did not answer in time; {remedy}")


def name_some(names: Sequence[str]) -> str:
    """Return the first ten of *names*, and how many more there are."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


async def _not_in_effect(store: TaskStore, writes: Sequence[ConditionalWrite]) -> list[str]:
    """Return the ids of those *writes* that the store does not show: one without an answer may be applied.

    Raises:
        UnreadableError: A task of the same id is there, and cannot be read.
    """
    found = await store.get_tasks([write.task.id for write in writes])
    if found.invalid:
        raise UnreadableError("\n".join(unreadable_text(one) for one in found.invalid))
    stored = {one.task.id: one.task for one in found.tasks}
    return [
        write.task.id
        for write in writes
        if stored.get(write.task.id) != (None if write.delete else write.task)
    ]


# The daily digest of a channel: a briefing task that exists while the channel's preferences have one.


async def sync_digest_task(
    store: Store, name: str, digest: DailyDigest | None, *, now: datetime, new_id: Callable[[], str]
) -> None:
    """Create or change the digest task of channel *name*; a *digest* of None removes it.

    It is a task like any other: an idle tick pays nothing for it, an outage delays it, and its message says
    "0 problems" when there are none.

    Raises:
        StoreUnavailableError: It is not known whether the change was made.
    """
    specs = [] if digest is None else [_digest_spec(name, digest)]
    await apply_plan(store, specs, origin=f"digest.{name}", now=now, new_id=new_id)


def _digest_spec(name: str, digest: DailyDigest) -> TaskSpec:
    hour, minute = digest.at.split(":")
    return TaskSpec(
        id=f"digest.{name}",
        title=f"Daily digest for {name}",
        type="daily_briefing",
        params={"title": "Daily digest"},
        schedule=f"{int(minute)} {int(hour)} * * *",
        timezone=digest.timezone,
        notify=(NotifyRule(on=("news", "failure", "recovery"), channels=(name,)),),
    )
