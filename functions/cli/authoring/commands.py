"""The handlers of `create`, `edit` and `rm`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from functions.cli.authoring.document import changed_fields, render_document, spec_fields
from functions.cli.authoring.editor import EDITORS, Draft
from functions.cli.authoring.fields import FieldOptions
from functions.cli.authoring.writer import TaskWriter, WrittenTask, task_writer
from functions.cli.options import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    UsageError,
    format_local,
    relative_time,
)
from functions.cli.session import CliContext
from functions.cli.tasks import task_to_json
from functions.domain.lifecycle.upcoming import next_run
from functions.domain.task import Task, TaskSpec, why_never_started
from functions.errors import ConflictError, InputError, NotFoundError, SchedulerError
from functions.taskfiles.validation import check_task

FILE_ORIGIN = "file:"  # of tasks that `apply` made, and will change back


async def create_task(context: CliContext, *, fields: FieldOptions) -> int:
    """Create one task from options.

    Raises:
        ConflictError: A task of this id exists.
    """
    spec = _check(context, fields.apply_to({}))
    if spec is None:
        return EXIT_USAGE
    written = await task_writer(context).create(spec)
    _show(context, written, f"{spec.id} is created")
    return EXIT_OK


async def edit_task(context: CliContext, *, task_id: str, fields: FieldOptions) -> int:
    """Change one task, by options, or without any in the user's editor. What is not touched stays."""
    writer = task_writer(context)
    stored = await writer.read(task_id)
    spec = _spec_of(stored.task)
    if fields:
        new = _check_edit(context, spec, fields.apply_to(spec_fields(spec)))
        return await _replace(context, writer, stored.task, new)
    with _open_draft(context, spec) as draft:
        new = await _edit(context, spec, draft)
        code = await _replace(context, writer, stored.task, new)
        draft.is_saved = new is not None
        return code


async def _replace(context: CliContext, writer: TaskWriter, before: Task, new: TaskSpec | None) -> int:
    """Write what is *new* of a task, None for what is wrong and shown already; return the exit code."""
    if new is None:
        return EXIT_USAGE
    if new == _spec_of(before):
        context.screen.show(task_to_json(before), [f"{before.id}: nothing is changed"])
        return EXIT_OK
    _show(context, await writer.replace(new, before=before), f"{before.id} is changed")
    if before.origin.startswith(FILE_ORIGIN):
        file = before.origin.removeprefix(FILE_ORIGIN)
        context.screen.warn(f"{before.id} came from {file}: the next apply of it changes it back")
    return EXIT_OK


@contextmanager
def _open_draft(context: CliContext, spec: TaskSpec) -> Iterator[Draft]:
    """Yield *spec* as a text to edit; what was typed is kept, and its place shown, when it is not saved."""
    if not (context.screen.can_ask or any(context.environment.get(name) for name in EDITORS)):
        raise UsageError("edit: nobody is here to edit it; give options, such as --schedule hourly")
    draft = Draft(spec.id, render_document(spec))
    try:
        yield draft
    finally:
        if draft.is_saved or not draft.is_changed:
            draft.discard()
        else:
            context.screen.error(f"what you wrote is not saved; it is in {draft.path}")


async def _edit(context: CliContext, spec: TaskSpec, draft: Draft) -> TaskSpec | None:
    """Return *spec* as it comes from the editor; None when it has errors, which are shown."""
    while True:
        after = await draft.edit(context.environment)
        new = _read_draft(context, spec, draft.before, after)
        if new is not None:
            return new
        if context.screen.confirm("Edit it again?", default=True) is not True:
            return None


def _read_draft(context: CliContext, spec: TaskSpec, before: str, after: str) -> TaskSpec | None:
    """Return *spec* with what differs between both texts; None when that is wrong, which is shown."""
    try:
        fields = changed_fields(spec, before, after)
    except InputError as exc:
        context.screen.error(str(exc))
        return None
    return spec if fields is None else _check_edit(context, spec, fields)


async def remove_tasks(context: CliContext, *, task_ids: Sequence[str], yes: bool) -> int:
    """Remove tasks, all of which must exist; their history stays until it expires."""
    ids = list(dict.fromkeys(task_ids))
    writer = task_writer(context)
    found = {task_id: await _read(writer, task_id) for task_id in ids}
    if not yes:
        names = ", ".join(
            f"{task_id} ({one.title if isinstance(one, Task) else one})" for task_id, one in found.items()
        )
        answer = context.screen.confirm(f"Remove {names}?", default=False)
        if answer is None:
            raise UsageError("rm: nobody is here to confirm it; say --yes")
        if not answer:
            context.screen.error("nothing was removed")
            return EXIT_FAILED
    for task_id in _followers_first(found):
        await writer.delete(task_id)
    lines = [f"{task_id} is removed; scheduler runs {task_id} still shows its history" for task_id in ids]
    context.screen.show([{"id": task_id, "removed": True} for task_id in ids], lines)
    return EXIT_OK


async def _read(writer: TaskWriter, task_id: str) -> Task | SchedulerError:
    """Return the task, or why it cannot be read: such a one may be removed as well."""
    try:
        return (await writer.read(task_id)).task
    except NotFoundError:
        raise
    except (InputError, ConflictError) as exc:  # the latter over the API, which has one status for both
        return exc


def _followers_first(tasks: Mapping[str, Task | SchedulerError]) -> Iterator[str]:
    """Yield the ids, each behind those of *tasks* that run after it: while one does, it stays."""
    left = {
        name: {one.task for one in task.after} if isinstance(task, Task) else set()
        for name, task in tasks.items()
    }
    while left:
        name = next((one for one in left if not any(one in after for after in left.values())), min(left))
        del left[name]
        yield name


def _check_edit(context: CliContext, spec: TaskSpec, fields: dict[str, Any]) -> TaskSpec | None:
    """As `_check`, of *spec* with changes: what nothing started before needs no schedule now."""
    if fields.get("id") != spec.id:
        context.screen.error(f"id: must stay {spec.id!r}; an id never changes")
        return None
    return _check(context, fields, runs_when_asked=bool(why_never_started(spec)))


def _check(context: CliContext, fields: dict[str, Any], *, runs_when_asked: bool = False) -> TaskSpec | None:
    """Return the task that *fields* describes; None when it has problems, which are all shown."""
    spec = check_task(
        fields, default_timezone=context.settings.default_timezone, runs_when_asked=runs_when_asked
    )
    if isinstance(spec, TaskSpec):
        return spec
    context.screen.error("\n".join(f"{one.field}: {one.reason}" if one.field else one.reason for one in spec))
    return None


def _spec_of(task: Task) -> TaskSpec:
    return TaskSpec.model_construct(**{name: getattr(task, name) for name in TaskSpec.model_fields})


def _show(context: CliContext, written: WrittenTask, text: str) -> None:
    task, now = written.task, context.now()
    upcoming = next_run(task, now=now)
    if upcoming is not None:
        text += f"; next run {format_local(upcoming, task.timezone)} ({relative_time(upcoming, now)})"
    context.screen.show(task_to_json(task), [text])
    for warning in written.warnings:
        context.screen.warn(f"{task.id}: {warning}")
    context.show_store()
