"""Links between tasks: which tasks run after which, and which start on events of which types.

A task stores its own `after` and `onEvent`. The opposite direction is stored as well, so that the end of a
run costs nothing without dependents: `dependents` in the task before it, and a document of kind `listeners`,
the subscribers, for each event type and owner.

    report  {"after": [{"task": "backup"}]}     ->  backup     {"dependents": [{"task": "report"}]}
    report  {"onEvent": [{"type": "shop.sold"}]} ->  listeners  shop.sold {"tasks": ["report"]}

Each owner has a document, so that none can take the room of others: that of the tasks of ann is
`shop.sold@` and a hash of her name.

A link too many does no harm, because the task itself decides whether an event starts it. So links are added
before the task is written, and removed after it.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256

from functions.domain.events import MAX_SUBSCRIBERS, Audience, Dependent, find_cycle
from functions.domain.storage import ConditionalWrite, Document, VersionedTask, WriteStatus
from functions.domain.task import Task, TaskFields, TaskSpec
from functions.errors import InputError, StateError
from functions.interfaces import DocumentStore, Store, TaskStore
from functions.services.compare_and_set import compare_and_set
from functions.services.paging import iter_documents

MAX_SEARCHED_TASKS = 200  # tasks read in search of a cycle


async def check_links(
    store: TaskStore,
    specs: Sequence[TaskSpec],
    *,
    known: Mapping[str, TaskFields],
    removed: Collection[str] = (),
    can_see: Callable[[str], bool] = lambda owner: True,
) -> None:
    """Check that the tasks that *specs* run after exist, have the same owner, and do not run after them.

    Args:
        known: Tasks that need not be read, such as those of the same files; *specs* included.
        removed: Ids of tasks that are about to be removed.
        can_see: Whether the caller may see the tasks of an owner; other tasks do not exist for the caller.

    Raises:
        InputError: A task to run after does not exist or is of another owner, or tasks start one another in a
            cycle.
    """
    graph, owners = await _read_predecessors(store, specs, known, removed=removed, can_see=can_see)
    for spec in specs:
        for number, one in enumerate(spec.after):
            if one.task not in owners:
                raise InputError(f"after.{number}.task: there is no task {one.task!r}")
            if owners[one.task] not in (None, spec.owner):
                raise InputError(
                    f"after.{number}.task: {one.task!r} has another owner; a task runs after tasks of "
                    "its own. Give both the same owner, or send an event with reach: all"
                )
    if cycle := find_cycle(graph):
        raise InputError(f"after: these tasks would start one another in a circle: {' -> '.join(cycle)}")


async def _read_predecessors(
    store: TaskStore,
    specs: Sequence[TaskSpec],
    known: Mapping[str, TaskFields],
    *,
    removed: Collection[str],
    can_see: Callable[[str], bool],
) -> tuple[dict[str, list[str]], dict[str, str | None]]:
    """Follow `after` from *specs*, one read a level; return the tasks that each runs after, and their owners.

    For "report after backup" with backup stored as "after mount", and mount not stored:
    `({"report": ["backup"], "backup": ["mount"]}, {"report": "", "backup": ""})`. The owner of a task that
    cannot be read is None.
    """
    graph = {spec.id: [one.task for one in spec.after] for spec in known.values() if spec.after}
    owners: dict[str, str | None] = {spec.id: spec.owner for spec in known.values() if spec.id not in removed}
    unread = {one.task for spec in specs for one in spec.after} - known.keys() - set(removed)
    while unread and len(graph) < MAX_SEARCHED_TASKS:
        found = await store.get_tasks(sorted(unread))
        visible = {stored.task.id: stored.task for stored in found.tasks if can_see(stored.task.owner)}
        owners |= {task.id: task.owner for task in visible.values()}
        if can_see(""):  # one that cannot be read is for who sees all: whose it is nobody knows
            owners |= {document.id: None for document in found.invalid}
        graph |= {task.id: [one.task for one in task.after] for task in visible.values()}
        unread = {one.task for task in visible.values() for one in task.after} - known.keys() - graph.keys()
    return graph, owners


async def _find_dependents(store: TaskStore, task: Task) -> list[str]:
    """Return the ids of the tasks that run after *task*, and of those of its links that cannot be read.

    They are asked themselves: a link stays behind when the write that it was added for was refused.
    """
    if not task.dependents:
        return []
    found = await store.get_tasks(sorted({one.task for one in task.dependents}))
    following = [stored.task.id for stored in found.tasks if _runs_after(stored.task, task.id)]
    return sorted([*following, *(document.id for document in found.invalid)])


async def add_links(store: Store, spec: TaskFields, *, before: TaskFields | None = None) -> None:
    """Add the links that *spec* needs and *before* did not. Call it before the task is written."""
    for task_id in sorted({one.task for one in spec.after}):
        ours = tuple(Dependent(task=spec.id, on=one.on) for one in spec.after if one.task == task_id)
        await _update_dependent(store, task_id, spec.id, ours)
    known = {one.type for one in before.on_event} if before and before.owner == spec.owner else set()
    for type_ in sorted({one.type for one in spec.on_event} - known):
        await _update_subscribers(store, Audience(type_, spec.owner), lambda ids: ids | {spec.id})


async def remove_links(store: Store, before: TaskFields, *, spec: TaskSpec | None = None) -> None:
    """Remove the links that *before* needed and *spec* does not. Call it after the task was written."""
    kept = {one.task for one in spec.after} if spec else set()
    for task_id in sorted({one.task for one in before.after} - kept):
        await _update_dependent(store, task_id, before.id, ())
    types = {one.type for one in spec.on_event} if spec and spec.owner == before.owner else set()
    for type_ in sorted({one.type for one in before.on_event} - types):
        await _update_subscribers(store, Audience(type_, before.owner), lambda ids: ids - {before.id})


@asynccontextmanager
async def sync_links(
    store: Store,
    spec: TaskSpec | None,
    *,
    before: Task | None = None,
    can_see: Callable[[str], bool] = lambda owner: True,
) -> AsyncIterator[None]:
    """Keep the links right around a write of *spec* in place of *before*, or a removal of *before*.

    Raises:
        InputError: See `check_links`; or other tasks run after *before*, which changes its owner.
        StateError: Other tasks run after *before*, which is removed.
    """
    dependents = ""
    if before is not None and (spec is None or spec.owner != before.owner):
        dependents = ", ".join(await _find_dependents(store, before))
    if spec is not None:
        await check_links(store, [spec], known={spec.id: spec}, can_see=can_see)
        if dependents:
            raise InputError(f"owner: {dependents} run after it, and are not of {spec.owner or 'nobody'}")
        await add_links(store, spec, before=before)
    elif before is not None and dependents:
        raise StateError(f"{before.id}: {dependents} run after it; change or remove them first")
    yield
    if before is not None:
        await remove_links(store, before, spec=spec)


async def link_problems(
    store: Store,
    kept: Mapping[str, TaskSpec],
    existing: Mapping[str, VersionedTask],
    removed: Collection[str],
) -> list[str]:
    """Return the problems of links once *kept* is written and *removed* is deleted."""
    known: dict[str, TaskFields] = {id_: one.task for id_, one in existing.items() if id_ not in removed}
    known |= kept
    problems = []
    try:
        await check_links(store, list(kept.values()), known=known, removed=removed)
    except InputError as exc:
        problems.append(str(exc))
    for task_id in sorted(kept.keys() & existing.keys()):
        for dependent in sorted({one.task for one in existing[task_id].task.dependents} - set(removed)):
            after = known.get(dependent)
            if after and _runs_after(after, task_id) and after.owner != kept[task_id].owner:
                problems.append(f"{task_id}: owner: {dependent} runs after it, and has another owner")
    for task_id in sorted(removed):
        dependents = {one.task for one in existing[task_id].task.dependents if one.task in known}
        left = [id_ for id_ in sorted(dependents - kept.keys()) if _runs_after(known[id_], task_id)]
        if left:
            problems.append(f"{task_id}: {', '.join(left)} run after it; change or remove them as well")
    return problems


def with_dependents(write: ConditionalWrite, kept: Mapping[str, TaskSpec]) -> ConditionalWrite:
    """Return *write* with the dependents among *kept* already in a task that it creates."""
    if write.revision is not None or write.delete:
        return write
    mine = tuple(
        Dependent(task=spec.id, on=one.on)
        for spec in kept.values()
        for one in spec.after
        if one.task == write.task.id
    )
    return replace(write, task=write.task.model_copy(update={"dependents": mine})) if mine else write


async def update_links(
    store: Store,
    kept: Mapping[str, TaskSpec],
    before: Mapping[str, VersionedTask],
    removed: Collection[str],
) -> None:
    """Add and remove the links of all that was written, and those that a crash left undone."""
    for spec in kept.values():
        if spec.has_event_triggers:
            await add_links(store, spec)
    for task_id in sorted((kept.keys() | removed) & before.keys()):
        if before[task_id].task.has_event_triggers:
            await remove_links(store, before[task_id].task, spec=kept.get(task_id))


async def subscribers(
    store: DocumentStore, audiences: Collection[Audience]
) -> Mapping[Audience, Collection[str]]:
    """Return the ids of the tasks that may receive events of these audiences.

    One read an audience; for all owners one read an owner with subscribers.
    """
    names = {_subscribers_id(one): one for one in audiences if not one.all_owners}
    found = {
        names[document.id]: set(_subscriber_ids(document))
        for document in await store.get_documents("listeners", sorted(names))
    }
    for audience in audiences:
        if audience.all_owners:
            own = await store.get_documents("listeners", [audience.type])
            others = [one async for one in iter_documents(store, "listeners", prefix=f"{audience.type}@")]
            found[audience] = {
                task_id for document in (*own, *others) for task_id in _subscriber_ids(document)
            }
    return {audience: tuple(sorted(ids)) for audience, ids in found.items()}


async def all_subscribers(store: DocumentStore, owner: str = "") -> Mapping[str, Collection[str]]:
    """Return every event type that some task may start on, with the ids of these tasks.

    Args:
        owner: Only the tasks of this owner; empty means those of all.
    """
    found: dict[str, set[str]] = {}
    async for document in iter_documents(store, "listeners"):
        type_, ids = document.id.partition("@")[0], _subscriber_ids(document)
        if ids and (not owner or document.id == _subscribers_id(Audience(type_, owner))):
            found.setdefault(type_, set()).update(ids)
    return {type_: tuple(sorted(ids)) for type_, ids in sorted(found.items())}


def _subscribers_id(audience: Audience) -> str:
    """The name of the document of one owner's subscribers. A type of events has no @."""
    if not audience.owner:
        return audience.type
    return f"{audience.type}@{sha256(audience.owner.encode('utf-8', 'replace')).hexdigest()[:24]}"


async def _update_dependent(
    store: TaskStore, task_id: str, dependent_id: str, links: Iterable[Dependent]
) -> None:
    """Make *links* the only entries for *dependent_id* among the dependents of *task_id*."""

    async def attempt() -> bool | None:
        found = await store.get_tasks([task_id])
        if not found.tasks:
            return True
        stored = found.tasks[0]
        dependents = (*(one for one in stored.task.dependents if one.task != dependent_id), *links)
        if dependents == stored.task.dependents:
            return True
        if len(dependents) > MAX_SUBSCRIBERS:
            raise InputError(f"after: {task_id} is followed by {MAX_SUBSCRIBERS} tasks already")
        [written] = await store.write([ConditionalWrite.for_changes(stored, {"dependents": dependents})])
        return True if written.status is WriteStatus.APPLIED else None

    await compare_and_set(attempt, subject=task_id)


async def _update_subscribers(
    store: DocumentStore, audience: Audience, update: Callable[[set[str]], set[str]]
) -> None:
    """Apply *update* to the ids of one owner's tasks that start on a type of events; delete what is empty."""
    name = _subscribers_id(audience)

    async def attempt() -> bool | None:
        found = await store.get_documents("listeners", [name])
        before = set(_subscriber_ids(found[0])) if found else set()
        after = update(before)
        if after == before:
            return True
        if len(after) > MAX_SUBSCRIBERS:
            raise InputError(f"onEvent: {MAX_SUBSCRIBERS} tasks subscribe to {audience.type} already")
        revision = found[0].revision if found else None
        document = Document("listeners", name, {"tasks": sorted(after)}, revision)
        [written] = await (store.put_documents([document]) if after else store.delete_documents([document]))
        return True if written.status is WriteStatus.APPLIED else None

    await compare_and_set(attempt, subject=f"the subscribers of {audience.type}")


def _subscriber_ids(document: Document) -> tuple[str, ...]:
    given = document.data.get("tasks", ())
    return tuple(str(one) for one in given) if isinstance(given, list | tuple) else ()


def _runs_after(spec: TaskFields, task_id: str) -> bool:
    return any(one.task == task_id for one in spec.after)
