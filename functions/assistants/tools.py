"""The tools: what an assistant may list, preview and change, with the rights of one principal.

All of it goes through `TaskService`, so that scopes, owners, capabilities, limits and the audit trail are
those of the API. What creates or changes a task says first what it would do, unless it is asked to do it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from functions.assistants import arguments as args
from functions.assistants.results import (
    MAX_RESULT_CHARS,
    UNTRUSTED,
    BoundedList,
    ToolResult,
    find_incomplete,
    refuse,
)
from functions.assistants.views import Dependencies, Views, instant, preview_to_json
from functions.domain.access import Principal
from functions.domain.history.tally import read_incidents
from functions.domain.json_depth import check_values
from functions.domain.lifecycle.edit import edit_task, new_task, spec_hash
from functions.domain.lifecycle.upcoming import describe_trigger, next_run
from functions.domain.schedule.describe import (
    PreviewBounds,
    build_preview,
)
from functions.domain.storage import TaskFilter
from functions.domain.task import Task, TaskSpec, why_never_started
from functions.domain.types import Model, OutcomeKind, format_instant
from functions.domain.validation import Problem, problems_of
from functions.errors import (
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    SchedulerError,
    StateError,
    StoreUnavailableError,
)
from functions.services.access.view import tolerate_missing_index
from functions.services.calendars.book import calendars_of
from functions.services.calendars.loading import load_holidays_for, load_holidays_for_text
from functions.services.calendars.preview import read_days
from functions.services.rehearsals import rehearse_for
from functions.services.tasks import TaskService
from functions.task_types.registry import example_params, type_names
from functions.taskfiles.schema import params_schema_of
from functions.taskfiles.validation import check_task, merge_fields

log = logging.getLogger(__name__)

ORIGIN = "mcp"  # of the tasks that are created, and in the audit trail beside the key's name
SEE_LOG = "the scheduler's log has the details"
MAX_SEARCHED = 500  # run records, or tasks, that one call reads
FAILED = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})


Handler = Callable[["AssistantTools", Any], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is offered.

    Attributes:
        arguments: The model of its arguments.
        reads_only: Whether it changes nothing, whatever it is called with.
    """

    name: str
    description: str
    arguments: type[Model]
    handler: Handler
    reads_only: bool = False

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its arguments."""
        return args.schema_of(self.arguments)


class AssistantTools:
    """The tools of one principal."""

    def __init__(self, dependencies: Dependencies, principal: Principal) -> None:
        self._dependencies = dependencies
        self._views = Views(dependencies)
        self._service = TaskService(
            dependencies.store,
            replace(principal, name=f"{principal.name} ({ORIGIN})"),
            clock=dependencies.now,
            new_id=dependencies.new_id,
            limits=dependencies.owner_limits,
            origin=ORIGIN,
        )

    async def call(self, name: str, given: Mapping[str, Any]) -> ToolResult:
        """Call the tool *name*; every refusal is a result with its reason and remedy."""
        tool = TOOLS.get(name)
        if tool is None:
            return refuse(f"there is no tool {name!r}", remedy=f"the tools are {', '.join(TOOLS)}")
        try:
            values = tool.arguments.model_validate(dict(given), by_alias=True, by_name=False)
        except ValidationError as exc:
            problems = problems_of(exc, dict(given), model=tool.arguments)
            return refuse(
                "the arguments cannot be used", problems, remedy="correct these fields, and call again"
            )
        try:
            _check_storable(given)
            return await tool.handler(self, values)
        except NotAllowedError as exc:
            return refuse(str(exc), remedy="ask the person who made the key for a wider one")
        except NotFoundError as exc:
            return refuse(str(exc), remedy="list_tasks shows what there is")
        except StateError as exc:  # which is about a task, and no field of the input
            return refuse(str(exc))
        except InputError as exc:
            return refuse(str(exc), [_problem_of(str(exc))])
        except ConflictError as exc:
            return refuse(str(exc), remedy="read the task again, and decide anew")
        except SchedulerError as exc:
            log.error("tool_failed", extra={"tool": name, "error": str(exc)})  # noqa: TRY400  # known
            if isinstance(exc, StoreUnavailableError):
                return refuse("the store could not be reached in time", remedy="try again in a minute")
            return refuse("the store refused it", remedy=SEE_LOG)
        except Exception as exc:  # the SDK would answer without a word in the log
            log.exception("tool_failed", extra={"tool": name, "error": type(exc).__name__})
            return refuse(f"the tool failed unexpectedly ({type(exc).__name__})", remedy=SEE_LOG)

    async def list_tasks(self, given: args.ListTasks) -> ToolResult:
        """Return a page of tasks, each in a few words."""
        which = TaskFilter(
            status=given.status, type=given.type or None, owner=given.owner or None, tag=given.tag or None
        )
        page = await self._service.list_tasks(which, after=given.after, limit=given.limit)
        ids = sorted([stored.task.id for stored in page.tasks] + [one.id for one in page.invalid])
        kept = BoundedList()
        for stored in page.tasks:
            if not kept.add(self._views.task_in_brief(stored.task)):
                ids = ids[: ids.index(stored.task.id)]  # it begins the next page
                break
        data: dict[str, Any] = {"tasks": kept.items}
        unreadable = sorted({one.id for one in page.invalid}.intersection(ids))
        if unreadable and not self._service.principal.owner:
            data["unreadable"] = unreadable
        if kept.is_cut or len(ids) >= given.limit:
            data["next"] = ids[-1]
        return ToolResult(data)

    async def get_task(self, given: args.OneTask) -> ToolResult:
        """Return one task, with its revision, next runs and warnings."""
        stored = await self._service.get_task(given.id)
        await load_holidays_for([stored.task])
        return ToolResult(await self._views.task_in_full(stored))

    async def describe_task_types(self, given: args.DescribeTypes) -> ToolResult:
        """Return the types, or the params of one."""
        if not given.type:
            return ToolResult({"types": {name: example_params(name) for name in type_names()}})
        return ToolResult(
            {
                "type": given.type,
                "params": params_schema_of(given.type),
                "example": example_params(given.type),
            }
        )

    async def preview_schedule(self, given: args.PreviewSchedule) -> ToolResult:
        """Return a schedule in words and its next runs, within its bounds."""
        store = self._dependencies.store
        days = await read_days(
            lambda: store, given.excluded, given.on_excluded, owner=self._service.principal.owner
        )
        found = build_preview(
            given.schedule,
            timezone=given.timezone or self._dependencies.default_timezone,
            task_id="preview",
            now=self._dependencies.now(),
            count=given.count,
            bounds=PreviewBounds(given.start_at, given.end_at, max_runs=given.max_runs).check(),
            days=days.rule,
            excluded=days.excluded,
        )
        return ToolResult(preview_to_json(found))

    async def create_task(self, given: args.CreateTask) -> ToolResult:
        """Create a task, or say what would be created."""
        await load_holidays_for_text(given.task.get("except"))
        spec = self._check(given.task)
        if isinstance(spec, ToolResult):
            return spec
        if not given.dry_run:
            created = await self._service.create(spec)
            return ToolResult({"done": f"{spec.id} is created", **await self._views.task_in_full(created)})
        await self._require_free(spec.id)
        spec = await self._service.check_saved(spec)
        calendars = await calendars_of(self._dependencies.store, spec)
        task = new_task(spec, now=self._dependencies.now(), origin=ORIGIN, calendars=calendars)
        return await self._plan(
            f"Would create {spec.id}, of type {spec.type}: {describe_trigger(task)} ({spec.timezone})",
            task,
            "create_task",
            {"task": dict(given.task) | {"id": spec.id}},
        )

    async def edit_task(self, given: args.EditTask) -> ToolResult:
        """Change fields of a task, or say what would change."""
        stored = await self._service.get_task(given.id)
        revision = spec_hash(stored.task)
        if given.revision and given.revision != revision:
            raise ConflictError(f"{given.id} is no longer what you saw; read it again")
        if place := find_incomplete(given.changes, "changes"):
            raise InputError(
                f"{place}: is cut or masked in what was shown; leave it out, and it stays as it is"
            )
        changes = _with_all_params(stored.task, given.changes)
        await load_holidays_for([stored.task])
        await load_holidays_for_text(changes.get("except"))
        spec = self._check(
            merge_fields(stored.task, changes), runs_when_asked=bool(why_never_started(stored.task))
        )
        if isinstance(spec, ToolResult):
            return spec
        if not given.dry_run:
            changed = await self._service.edit(given.id, spec, definition=revision)
            return ToolResult({"done": f"{given.id} is changed", **await self._views.task_in_full(changed)})
        if spec.id != given.id:
            raise InputError(f"id: must be {given.id!r}; an id never changes")
        spec = await self._service.check_saved(spec, before=stored.task)
        calendars = await calendars_of(self._dependencies.store, spec)
        transition = edit_task(stored.task, spec, now=self._dependencies.now(), calendars=calendars)
        task = stored.task.model_copy(update=dict(transition.changes))
        return await self._plan(
            f"Would change {given.id}" if transition.changes else f"Would change nothing of {given.id}",
            task,
            "edit_task",
            {"id": given.id, "changes": dict(given.changes), "revision": revision},
            changes=self._views.differences(stored.task, task),
        )

    async def rehearse_rules(self, given: args.RehearseRules) -> ToolResult:
        """Return what alert rules would have sent for the outcomes that a task had."""
        task = (await self._service.get_task(given.id)).task
        await load_holidays_for([task])
        spec = self._check(merge_fields(task, given.changes()), runs_when_asked=bool(why_never_started(task)))
        if isinstance(spec, ToolResult):
            return spec
        report = await rehearse_for(self._service.view, self._dependencies, task, spec, plan=given.plan())
        return ToolResult(self._views.rehearsal(report))

    async def pause_task(self, given: args.PauseTask) -> ToolResult:
        """Pause a task."""
        stored = await self._service.pause(given.id, note=given.note, until=given.until)
        until = f"until {format_instant(given.until)}" if given.until else "until it is resumed"
        return ToolResult({"done": f"{given.id} is paused {until}", "revision": spec_hash(stored.task)})

    async def resume_task(self, given: args.ResumeTask) -> ToolResult:
        """Resume a task."""
        stored = await self._service.resume(given.id, catch_up=given.catch_up)
        upcoming = next_run(stored.task, now=self._dependencies.now())
        return ToolResult({"done": f"{given.id} is resumed", "nextRun": instant(upcoming)})

    async def run_task(self, given: args.OneTask) -> ToolResult:
        """Request a run of a task."""
        at = await self._service.request_run(given.id)
        return ToolResult(
            {
                "done": f"{given.id} runs at the next tick; list_runs shows how it went",
                "occurrence": instant(at),
            }
        )

    async def list_runs(self, given: args.ListRuns) -> ToolResult:
        """Return runs, newest first."""
        limit = MAX_SEARCHED if given.outcome else given.limit
        found = await self._service.list_runs(given.task, since=given.since, limit=limit)
        matching = [run for run in found if given.outcome in (None, run.outcome)][: given.limit]
        kept = BoundedList()
        for run in matching:
            if not kept.add(self._views.run(run)):
                break
        data: dict[str, Any] = {"runs": kept.items}
        if kept.is_cut or (given.outcome and len(found) == MAX_SEARCHED):
            data["note"] = f"the newest {len(found)} records were looked at, and not all fit: narrow it"
        return ToolResult(data)

    async def list_incidents(self, given: args.ListIncidents) -> ToolResult:
        """Return what fails now, and what failed before."""
        tag = given.tag or None
        page = await self._service.list_tasks(TaskFilter(tag=tag), limit=MAX_SEARCHED)
        failed = self._service.list_tasks(TaskFilter(tag=tag, outcomes=FAILED), limit=given.limit)
        known = (*(await tolerate_missing_index(failed, page)).tasks, *page.tasks)
        failing = {one.task.id: one.task for one in known if one.task.is_failing}
        over = [
            {"task": stored.task.id, "since": instant(one.since), "until": instant(one.until)}
            | {"failures": one.failures}
            for stored in page.tasks
            for one in read_incidents(stored.task.incidents)
        ]
        kept = BoundedList(MAX_RESULT_CHARS // 2)
        for task in list(failing.values())[: given.limit]:
            if not kept.add(self._views.open_incident(task)):
                break
        data: dict[str, Any] = {
            "open": kept.items,
            "over": sorted(over, key=lambda one: str(one["until"]), reverse=True)[: given.limit],
        }
        if kept.is_cut or len(failing) > given.limit:
            data["note"] = f"{len(kept.items)} of those that fail now fit here: narrow it with a tag"
        elif len(page.tasks) + len(page.invalid) >= MAX_SEARCHED:
            data["note"] = f"only the first {MAX_SEARCHED} tasks were looked at: narrow it with a tag"
        return ToolResult(data)

    async def _require_free(self, task_id: str) -> None:
        try:
            await self._service.get_task(task_id)
        except NotFoundError:
            return
        raise ConflictError(f"id: there is a task {task_id!r} already; edit_task changes it")

    def _check(self, fields: Mapping[str, Any], *, runs_when_asked: bool = False) -> TaskSpec | ToolResult:
        found = check_task(
            dict(fields),
            default_timezone=self._dependencies.default_timezone,
            runs_when_asked=runs_when_asked,
        )
        if isinstance(found, TaskSpec):
            return found
        return refuse("the task cannot be saved so", found, remedy="correct these fields, and call again")

    async def _plan(
        self, text: str, task: Task, tool: str, call: Mapping[str, Any], *, changes: Sequence[Any] = ()
    ) -> ToolResult:
        """Return what would be done, and the call that does it."""
        data: dict[str, Any] = {"dryRun": True, "plan": text}
        if changes:
            data["changes"] = {UNTRUSTED: changes}
        return ToolResult(
            data
            | self._views.schedule_of(task)
            | {"warnings": await self._dependencies.find_warnings(task)}
            | {"toConfirm": {"tool": tool, "arguments": {**call, "dryRun": False}}}
        )


def _check_storable(given: Mapping[str, Any]) -> None:
    """Check that every store can hold *given*, as the API checks bodies.

    Raises:
        InputError: With the field.
    """
    try:
        for name, value in given.items():
            for inner, one in value.items() if isinstance(value, dict) else [("", value)]:
                place = f"{name}.{inner}" if inner else name
                check_values(one, place, any_json=inner == "params")
    except ValueError as exc:
        raise InputError(str(exc)) from None


def _with_all_params(task: Task, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return *changes* with the params that they do not name: an assistant may not have seen them whole."""
    params = changes.get("params")
    if not isinstance(params, Mapping) or changes.get("type", task.type) != task.type:
        return dict(changes)
    whole = {**task.params, **params}
    return {**changes, "params": {name: value for name, value in whole.items() if value is not None}}


def _problem_of(text: str) -> Problem:
    """Return *text*, an error of input, with the field that it begins with."""
    field, colon, reason = text.partition(": ")
    if colon and " " not in field:
        return Problem(tuple(field.split(".")), reason)
    return Problem((), text)


TOOLS: Mapping[str, Tool] = {
    one.name: one
    for one in (
        Tool("list_tasks", "List tasks, a page at a time.", args.ListTasks, AssistantTools.list_tasks, True),
        Tool("get_task", "Read one task whole.", args.OneTask, AssistantTools.get_task, True),
        Tool(
            "describe_task_types",
            "List the types of tasks with examples; with a type the JSON Schema of its params.",
            args.DescribeTypes,
            AssistantTools.describe_task_types,
            True,
        ),
        Tool(
            "preview_schedule",
            "Say a schedule in words, with its next runs and the changes of the clocks it meets.",
            args.PreviewSchedule,
            AssistantTools.preview_schedule,
            True,
        ),
        Tool(
            "create_task",
            "Create a task. By default a dry run: it answers with the plan, the next runs, warnings, and the "
            "call that confirms it. Show these to the user first.",
            args.CreateTask,
            AssistantTools.create_task,
        ),
        Tool(
            "edit_task",
            "Change fields of a task. By default a dry run, as of create_task.",
            args.EditTask,
            AssistantTools.edit_task,
        ),
        Tool(
            "rehearse_rules",
            "Say which messages alert rules would have sent for the outcomes that a task had in the last 30 "
            "days, and how many its present rules would have sent. Nothing is sent or saved.",
            args.RehearseRules,
            AssistantTools.rehearse_rules,
            True,
        ),
        Tool("pause_task", "Pause a task at once.", args.PauseTask, AssistantTools.pause_task),
        Tool("resume_task", "End a pause at once.", args.ResumeTask, AssistantTools.resume_task),
        Tool("run_task", "Run a task once, at the next tick.", args.OneTask, AssistantTools.run_task),
        Tool("list_runs", "List runs, newest first.", args.ListRuns, AssistantTools.list_runs, True),
        Tool(
            "list_incidents",
            "List what fails, or misses a success, now, and what failed before and recovered.",
            args.ListIncidents,
            AssistantTools.list_incidents,
            True,
        ),
    )
}
