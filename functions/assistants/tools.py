"""The tools: what an assistant may list, preview and change, with the rights of one principal.

All of it goes through `TaskService`, so that scopes, owners, capabilities, limits and the audit trail are
those of the API. What creates or changes a task says first what it would do, unless it is told to do it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from functions.assistants import arguments as args
from functions.assistants.results import UNTRUSTED, BoundedList, ToolResult, bound, refuse
from functions.domain.access import Principal
from functions.domain.history.tally import read_incidents
from functions.domain.json_depth import check_values
from functions.domain.lifecycle.edit import edit_task, new_task
from functions.domain.lifecycle.upcoming import describe_trigger, next_run, preview_task
from functions.domain.run import Run
from functions.domain.schedule.describe import (
    PreviewBounds,
    SchedulePreview,
    build_preview,
)
from functions.domain.storage import TaskFilter, VersionedTask
from functions.domain.task import Task, TaskFields, TaskSpec, why_never_started
from functions.domain.types import Model, OutcomeKind, format_instant
from functions.domain.validation import Problem, problems_of
from functions.errors import (
    ConflictError,
    InputError,
    NotAllowedError,
    NotFoundError,
    SchedulerError,
    StoreUnavailableError,
)
from functions.interfaces import Store
from functions.services.access.limits import OwnerLimits
from functions.services.tasks import TaskService
from functions.task_types.registry import example_params, type_names
from functions.taskfiles.schema import params_schema_of
from functions.taskfiles.validation import check_task, merge_fields

ORIGIN = "mcp"  # of the tasks that are created, and in the audit trail beside the key's name
MAX_NAME_CHARS = 190  # of who did it, in the trail
NEXT_RUNS = 5
MAX_SEARCHED = 500  # run records, or tasks, that one call reads
FAILED = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})
OWN_TEXTS = ("title", "description", "tags", "params", "notify")  # of a task, as its users wrote them


class Dependencies(Protocol):
    """What the tools need of the scheduler."""

    @property
    def store(self) -> Store: ...

    @property
    def owner_limits(self) -> OwnerLimits: ...

    @property
    def default_timezone(self) -> str: ...

    @property
    def now(self) -> Callable[[], datetime]: ...

    @property
    def new_id(self) -> Callable[[], str]: ...

    def task_warnings(self, task: TaskFields) -> list[str]: ...


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
        return self.arguments.model_json_schema(by_alias=True)


class AssistantTools:
    """The tools of one principal."""

    def __init__(self, dependencies: Dependencies, principal: Principal) -> None:
        self._dependencies = dependencies
        self._service = TaskService(
            dependencies.store,
            replace(principal, name=f"{principal.name[:MAX_NAME_CHARS]} ({ORIGIN})"),
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
            return refuse(str(exc), remedy="ask whoever made the key for a wider one")
        except NotFoundError as exc:
            return refuse(str(exc), remedy="list_tasks shows what there is")
        except InputError as exc:
            return refuse(str(exc), [_problem_of(str(exc))])
        except ConflictError as exc:
            return refuse(str(exc), remedy="read the task again, and decide anew")
        except StoreUnavailableError:
            return refuse("the store could not be reached in time", remedy="try again in a minute")
        except SchedulerError:
            return refuse("the store refused it", remedy="the scheduler's log has the details")

    async def list_tasks(self, given: args.ListTasks) -> ToolResult:
        """Return a page of tasks, each in a few words."""
        which = TaskFilter(
            status=given.status, type=given.type or None, owner=given.owner or None, tag=given.tag or None
        )
        page = await self._service.list_tasks(which, after=given.after, limit=given.limit)
        ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
        data: dict[str, Any] = {"tasks": [self._in_brief(stored.task) for stored in page.tasks]}
        if page.invalid and not self._service.principal.owner:
            data["unreadable"] = sorted(one.id for one in page.invalid)
        if len(ids) >= given.limit:
            data["next"] = max(ids)
        return ToolResult(data)

    async def get_task(self, given: args.OneTask) -> ToolResult:
        """Return one task, with its revision, next runs and warnings."""
        stored = await self._service.get_task(given.id)
        return ToolResult(self._in_full(stored))

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
        found = build_preview(
            given.schedule,
            timezone=given.timezone or self._dependencies.default_timezone,
            task_id="preview",
            now=self._dependencies.now(),
            count=given.count,
            bounds=PreviewBounds(given.start_at, given.end_at, max_runs=given.max_runs).check(),
        )
        return ToolResult(_preview_to_json(found))

    async def create_task(self, given: args.CreateTask) -> ToolResult:
        """Create a task, or say what would be created."""
        spec = self._check(given.task)
        if isinstance(spec, ToolResult):
            return spec
        if not given.dry_run:
            created = await self._service.create(spec)
            return ToolResult({"done": f"{spec.id} is created", **self._in_full(created)})
        spec = await self._service.check_new(spec)
        await self._require_free(spec.id)
        task = new_task(spec, now=self._dependencies.now(), origin=ORIGIN)
        return self._plan(
            f"Would create {spec.id}, of type {spec.type}: {describe_trigger(task)} ({spec.timezone})",
            task,
            "create_task",
            {"task": dict(given.task) | {"id": spec.id}},
        )

    async def edit_task(self, given: args.EditTask) -> ToolResult:
        """Change fields of a task, or say what would change."""
        stored = await self._service.get_task(given.id)
        revision = str(stored.revision)
        if given.revision and given.revision != revision:
            raise ConflictError(f"{given.id} is no longer what you saw; read it again")
        spec = self._check(
            merge_fields(stored.task, given.changes), runs_when_asked=bool(why_never_started(stored.task))
        )
        if isinstance(spec, ToolResult):
            return spec
        if not given.dry_run:
            changed = await self._service.edit(given.id, spec, expected=revision)
            return ToolResult({"done": f"{given.id} is changed", **self._in_full(changed)})
        if spec.id != given.id:
            raise InputError(f"id: must be {given.id!r}; an id never changes")
        spec = await self._service.check_new(spec)
        transition = edit_task(stored.task, spec, now=self._dependencies.now())
        task = stored.task.model_copy(update=dict(transition.changes))
        return self._plan(
            f"Would change {given.id}" if transition.changes else f"Would change nothing of {given.id}",
            task,
            "edit_task",
            {"id": given.id, "changes": dict(given.changes), "revision": revision},
            changes=_differences(stored.task, task),
        )

    async def pause_task(self, given: args.PauseTask) -> ToolResult:
        """Pause a task."""
        stored = await self._service.pause(given.id, note=given.note, until=given.until)
        until = f"until {format_instant(given.until)}" if given.until else "until it is resumed"
        return ToolResult({"done": f"{given.id} is paused {until}", "revision": str(stored.revision)})

    async def resume_task(self, given: args.ResumeTask) -> ToolResult:
        """Resume a task."""
        stored = await self._service.resume(given.id, catch_up=given.catch_up)
        upcoming = next_run(stored.task, now=self._dependencies.now())
        return ToolResult({"done": f"{given.id} is resumed", "nextRun": _instant(upcoming)})

    async def run_task(self, given: args.OneTask) -> ToolResult:
        """Request a run of a task."""
        at = await self._service.request_run(given.id)
        return ToolResult(
            {
                "done": f"{given.id} runs at the next tick; list_runs shows how it went",
                "occurrence": _instant(at),
            }
        )

    async def list_runs(self, given: args.ListRuns) -> ToolResult:
        """Return runs, newest first."""
        limit = MAX_SEARCHED if given.outcome else given.limit
        found = await self._service.list_runs(given.task, since=given.since, limit=limit)
        matching = [run for run in found if given.outcome in (None, run.outcome)][: given.limit]
        kept = BoundedList()
        for run in matching:
            if not kept.add(_run_to_json(run)):
                break
        data: dict[str, Any] = {"runs": kept.items}
        if kept.is_cut or (given.outcome and len(found) == MAX_SEARCHED):
            data["note"] = f"the newest {len(found)} records were looked at, and not all fit: narrow it"
        return ToolResult(data)

    async def list_incidents(self, given: args.ListIncidents) -> ToolResult:
        """Return what fails now, and what failed before."""
        tag = given.tag or None
        failing = await self._service.list_tasks(TaskFilter(tag=tag, outcomes=FAILED), limit=given.limit)
        page = await self._service.list_tasks(TaskFilter(tag=tag), limit=MAX_SEARCHED)
        over = [
            {"task": stored.task.id, "since": _instant(one.since), "until": _instant(one.until)}
            | {"failures": one.failures}
            for stored in page.tasks
            for one in read_incidents(stored.task.incidents)
        ]
        data: dict[str, Any] = {
            "open": [_open_incident(one.task) for one in failing.tasks if one.task.consecutive_failures],
            "over": sorted(over, key=lambda one: str(one["until"]), reverse=True)[: given.limit],
        }
        if len(page.tasks) + len(page.invalid) >= MAX_SEARCHED:
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

    def _plan(
        self, text: str, task: Task, tool: str, call: Mapping[str, Any], *, changes: Sequence[Any] = ()
    ) -> ToolResult:
        """Return what would be done, and the call that does it."""
        data: dict[str, Any] = {"dryRun": True, "plan": text}
        if changes:
            data["changes"] = {UNTRUSTED: changes}
        return ToolResult(
            data
            | self._schedule(task)
            | {"warnings": self._dependencies.task_warnings(task)}
            | {"toConfirm": {"tool": tool, "arguments": {**call, "dryRun": False}}}
        )

    def _schedule(self, task: Task) -> dict[str, Any]:
        if not task.schedule:
            return {"starts": describe_trigger(task), "nextRuns": []}
        found = preview_task(task, now=self._dependencies.now(), count=NEXT_RUNS)
        return _preview_to_json(found)

    def _in_brief(self, task: Task) -> dict[str, Any]:
        return {
            "id": task.id,
            "type": task.type,
            "status": task.status,
            "starts": describe_trigger(task),
            "nextRun": _instant(next_run(task, now=self._dependencies.now())),
            "lastOutcome": task.last_outcome,
            "lastRunAt": _instant(task.last_run_at),
            UNTRUSTED: bound(
                {"title": task.title, "tags": task.tags, "lastResult": task.last_result_summary}
            ),
        }

    def _in_full(self, stored: VersionedTask) -> dict[str, Any]:
        task = stored.task
        whole = task.model_dump(mode="json", by_alias=True, include=set(TaskSpec.model_fields))
        told = {"lastResult": task.last_result_summary, "lastError": task.last_error}
        pause = task.pause.model_dump(mode="json", by_alias=True) if task.pause else None
        return {
            "id": task.id,
            "revision": str(stored.revision),
            "status": task.status,
            "definition": {name: value for name, value in whole.items() if name not in OWN_TEXTS},
            **self._schedule(task),
            "lastOutcome": task.last_outcome,
            "lastRunAt": _instant(task.last_run_at),
            "consecutiveFailures": task.consecutive_failures,
            "warnings": self._dependencies.task_warnings(task),
            UNTRUSTED: bound({name: whole[name] for name in OWN_TEXTS} | told | {"pause": pause}),
        }


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


def _problem_of(text: str) -> Problem:
    """Return *text*, an error of input, with the field that it begins with."""
    field, colon, reason = text.partition(": ")
    if colon and " " not in field:
        return Problem(tuple(field.split(".")), reason)
    return Problem((), text)


def _differences(before: Task, after: Task) -> list[dict[str, Any]]:
    """Return what differs of what users decide, before and after."""
    old, new = (
        one.model_dump(mode="json", by_alias=True, include=set(TaskSpec.model_fields))
        for one in (before, after)
    )
    return [
        {"field": name, "before": bound(old[name]), "after": bound(value)}
        for name, value in new.items()
        if value != old[name]
    ]


def _preview_to_json(found: SchedulePreview) -> dict[str, Any]:
    return {
        "starts": found.description,
        "timezone": found.timezone,
        "nextRuns": [{"utc": _instant(at), "local": local.isoformat()} for at, local in found.next_runs],
        "clockChanges": [f"{_instant(one.instant)}: {one.text}" for one in found.clock_changes],
    }


def _run_to_json(run: Run) -> dict[str, Any]:
    return {
        "task": run.task_id,
        "occurrence": _instant(run.occurrence),
        "finishedAt": _instant(run.finished_at),
        "outcome": run.outcome,
        "isFinal": run.final,
        "attempt": run.attempt,
        "trigger": run.trigger,
        UNTRUSTED: bound({"summary": run.summary, "metrics": run.metrics, "items": list(run.items)}),
    }


def _open_incident(task: Task) -> dict[str, Any]:
    return {
        "task": task.id,
        "since": _instant(task.alert.failing_since or task.last_run_at),
        "failures": task.consecutive_failures,
        UNTRUSTED: bound({"title": task.title, "error": task.last_error}),
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


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
        Tool("pause_task", "Pause a task at once.", args.PauseTask, AssistantTools.pause_task),
        Tool("resume_task", "End a pause at once.", args.ResumeTask, AssistantTools.resume_task),
        Tool("run_task", "Run a task once, at the next tick.", args.OneTask, AssistantTools.run_task),
        Tool("list_runs", "List runs, newest first.", args.ListRuns, AssistantTools.list_runs, True),
        Tool(
            "list_incidents",
            "List what fails now, and what failed before and recovered.",
            args.ListIncidents,
            AssistantTools.list_incidents,
            True,
        ),
    )
}
