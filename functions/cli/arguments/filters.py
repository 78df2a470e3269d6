"""The filters of `list` and `runs`, and their options."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from functions.cli.arguments.moments import Moment, parse_moment
from functions.cli.options import CommandContext, UsageError, option_parser
from functions.domain.run import Run
from functions.domain.storage import TaskFilter
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status
from functions.domain.validation import suggest
from functions.interfaces import Store
from functions.services.paging import all_tasks, iter_runs
from functions.task_types.registry import type_names

MAX_SEARCHED_RUNS = 20_000  # newest first; beyond that a rare run is found with --since alone


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks or runs are asked for; an empty field asks for any.

    Attributes:
        outcome: Of a task's last run, or of a run.
        since: Ended then or later.
        text: Part of an id, a title, a description or a summary, in any case.
    """

    status: str = ""
    type: str = ""
    tag: str = ""
    owner: str = ""
    outcome: str = ""
    since: Moment | None = None
    text: str = ""

    def __bool__(self) -> bool:
        return self != TaskQuery()

    def resolve_since(self, now: datetime, timezone: str) -> datetime | None:
        """Return the instant of `since`."""
        return self.since.resolve(now, timezone, is_past=True) if self.since else None

    async def find_tasks(self, store: Store, *, since: datetime | None) -> list[Task]:
        """Return the tasks that match, by id."""
        which = TaskFilter(
            status=self.status or None, type=self.type or None, owner=self.owner or None, tag=self.tag or None
        )
        return [one.task for one in await all_tasks(store, which) if self._matches(one.task, since)]

    async def find_runs(
        self, store: Store, *, task_id: str | None, since: datetime | None, limit: int
    ) -> tuple[list[Run], bool]:
        """Return the newest runs that match, and whether the search ended before the history did."""
        ids: frozenset[str] | None = None
        if self.status or self.type or self.tag or self.owner:
            which = TaskQuery(status=self.status, type=self.type, tag=self.tag, owner=self.owner)
            ids = frozenset(task.id for task in await which.find_tasks(store, since=None))
        found: list[Run] = []
        searched = 0
        async for run in iter_runs(store, task_id=task_id, since=since):
            searched += 1
            if (ids is None or run.task_id in ids) and self._matches_run(run):
                found.append(run)
            if len(found) >= limit:
                return found, False
            if searched >= MAX_SEARCHED_RUNS:
                return found, True
        return found, False

    async def explain_nothing(self, store: Store) -> list[str]:
        """Return, for each name asked for that no task has, which one is like it; for when nothing was found.

        Raises:
            UsageError: There is no such task type, here or in the store.
        """
        if not (self.tag or self.owner) and self.type in ("", *type_names()):
            return []
        tasks = [one.task for one in await all_tasks(store, TaskFilter())]
        types = sorted({*type_names(), *(task.type for task in tasks)})
        if self.type and self.type not in types:
            hint = suggest(self.type, types) or f"known are {', '.join(types)}"
            raise UsageError(f"--type: there is no task type {self.type!r}; {hint}")
        names = {
            "tag": (self.tag, {tag for task in tasks for tag in task.tags}),
            "owner": (self.owner, {task.owner for task in tasks}),
        }
        return [
            f"No task has the {what} {name!r}; {meant}"
            for what, (name, known) in names.items()
            if name not in known and (meant := suggest(name, sorted(known)))
        ]

    def _matches(self, task: Task, since: datetime | None) -> bool:
        if self.outcome and task.last_outcome != self.outcome:
            return False
        if since is not None and (task.last_run_at is None or task.last_run_at < since):
            return False
        return _contains(
            self.text, task.id, task.title, task.description, task.last_result_summary, task.last_error
        )

    def _matches_run(self, run: Run) -> bool:
        return self.outcome in ("", run.outcome) and _contains(self.text, run.task_id, run.summary)


def _contains(text: str, *places: str | None) -> bool:
    return not text or any(text.casefold() in (place or "").casefold() for place in places)


StatusOption = Annotated[Status | None, typer.Option(help="Only tasks in this state.", show_default=False)]
TypeOption = Annotated[str, typer.Option("--type", metavar="TYPE", help="Only tasks of this type.")]
TagOption = Annotated[str, typer.Option(metavar="TAG", help="Only tasks with this tag.")]
OwnerOption = Annotated[str, typer.Option(metavar="ID", help="Only tasks of this owner.")]
OutcomeOption = Annotated[OutcomeKind | None, typer.Option(help="Only what ended so.", show_default=False)]
SinceOption = Annotated[
    Moment | None,
    typer.Option(
        metavar="TIME",
        parser=option_parser(parse_moment),
        help="Only what ran since: 3d, 2h, or 2026-12-01T09:00.",
        show_default=False,
    ),
]
TextOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Only where an id, title or result contains it.")
]


def _query_of(
    status: StatusOption = None,
    type_: TypeOption = "",
    tag: TagOption = "",
    owner: OwnerOption = "",
    outcome: OutcomeOption = None,
    since: SinceOption = None,
    text: TextOption = "",
) -> TaskQuery:
    """Return what the options ask for."""
    return TaskQuery(status or "", type_, tag, owner, outcome or "", since, text)


def with_filter_options(command: Callable[..., CommandContext]) -> Callable[..., CommandContext]:
    """Return *command* with all options of a filter in place of its parameter `query`.

    Typer makes the options of a command from its signature.
    """
    filters = signature(_query_of).parameters
    parameters: list[Parameter] = []
    for one in signature(command).parameters.values():
        parameters += filters.values() if one.name == "query" else [one]

    @wraps(command)
    def call(**given: Any) -> CommandContext:
        query = _query_of(**{name: given.pop(name) for name in filters})
        return command(query=query, **given)

    by_name = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters]
    call.__signature__ = Signature(by_name)  # type: ignore[attr-defined]  # read by `inspect.signature`
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call
