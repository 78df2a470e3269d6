"""Pages that make and change a task: the form, its preview, and the change of its type."""

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from functions.domain.json_depth import MAX_INT64
from functions.domain.lifecycle.edit import spec_hash
from functions.domain.schedule.base import MAX_SCHEDULE_CHARS
from functions.domain.schedule.describe import PreviewBounds, SchedulePreview, build_preview
from functions.domain.storage import VersionedTask
from functions.domain.task import Task, TaskSpec, slugify, why_never_started
from functions.domain.types import parse_stored_instant
from functions.domain.validation import Problem
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from functions.services.calendars.preview import PreviewDays, read_days
from functions.services.rehearsals import rehearse_for
from functions.task_types.registry import type_names
from functions.task_types.support.trial import TRIED_TYPES
from functions.taskfiles.validation import check_task
from functions.web.api.dependencies import RateLimiter
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.forms.fields import changed_labels
from functions.web.dashboard.forms.schedule_choices import HELPER_CHOICES, schedule_from
from functions.web.dashboard.forms.shown import conflict_text
from functions.web.dashboard.forms.task_form import (
    NEW_TASK,
    TaskForm,
    base_of,
    base_of_copy,
    base_of_new,
    carried_texts,
    fitting_texts,
    summarize,
    with_type,
)
from functions.web.dashboard.forms.words import TYPE_WORDS
from functions.web.dashboard.rendering import redirect

log = logging.getLogger(__name__)
router = APIRouter(prefix="/dashboard", include_in_schema=False)

TaskId = Annotated[str, Path(alias="id", max_length=100)]
QueryText = Annotated[str, Query(max_length=100)]
PREVIEW_COUNT = 5
PREVIEWED_FIELDS = ("timezone", "id", "except", "onExcluded", "owner", "startAt", "endAt", "maxRuns")
MAX_TYPED_CHARS = 4000
TRIED_FIELDS = ("type", "params", "owner", "timeoutSeconds")  # of a task, for a test of its request
REMOVED = "There is no such task, or no longer. What you wrote is below; saving it makes a new task"


@router.get("/new")
async def new_task(
    context: CurrentPage,
    type: QueryText = "",
    source: Annotated[str, Query(alias="from", max_length=100)] = "",
) -> Response:
    """Show the form for a new task, or for a copy of another."""
    context.service.principal.require_scope("write")
    typed = {"type": type} if type in type_names() else {}
    page = await _page_of_new(context, typed | ({"from": source} if source else {}))
    return page.render()


@router.post("/new")
async def create_task(context: CurrentPage) -> Response:
    """Create the task in the form, or show it again with what a button of it asks for."""
    typed = await context.read_form()
    context.service.principal.require_scope("write")
    page = await _page_of_new(context, typed)
    if typed.get("do") == "test":
        return await page.test()
    spec = page.check()
    if spec is None:
        return page.render()
    try:
        stored = await context.service.create(spec, idempotency_key=_once(typed, spec))
    except (InputError, ConflictError, NotAllowedError) as exc:
        return page.refuse(exc)
    return redirect(f"/dashboard/tasks/{stored.task.id}", message="The task is created")


def _once(typed: Mapping[str, str], spec: TaskSpec) -> str:
    """Return the idempotency key of what was typed: sent twice it makes one task, changed another."""
    once = typed.get("once", "")
    return once and f"{once} {sha256(spec.model_dump_json().encode()).hexdigest()}"


@router.get("/schedule-preview")
async def show_schedule_preview(
    context: CurrentPage,
    schedule: Annotated[str, Query(max_length=MAX_SCHEDULE_CHARS)] = "",
    title: Annotated[str, Query(max_length=200)] = "",
    created: Annotated[str, Query(max_length=40)] = "",
    done: Annotated[int, Query(ge=0, le=MAX_INT64)] = 0,
) -> Response:
    """Return the preview of a schedule alone, within its bounds, for the form to show while one types.

    Args:
        created: When the task that is changed was created; empty for a new one.
        done: How many of its `maxRuns` it has had.
    """
    query = context.request.query_params
    typed = {name: query[name][:MAX_TYPED_CHARS] for name in PREVIEWED_FIELDS if name in query}
    page = await _page_of_new(context, typed)
    fields, _ = page.form.read(typed | {"schedule": schedule})
    found = preview_schedule(
        context,
        fields,
        page.days,
        task_id=str(fields.get("id") or slugify(title)),
        created_at=parse_stored_instant(created),
        done=done,
    )
    return context.render("schedule_preview", preview=found)


@router.get("/tasks/{id}/edit")
async def edit_task(context: CurrentPage, task_id: TaskId) -> Response:
    """Show the form for an existing task."""
    return (await _page_of(context, await context.service.get_task(task_id), {})).render()


@router.post("/tasks/{id}/edit")
async def update_task(context: CurrentPage, task_id: TaskId) -> Response:
    """Change what was touched in the form; everything else of the task stays as it is."""
    typed = await context.read_form()
    try:
        stored = await context.service.get_task(task_id)
    except NotFoundError:
        context.service.principal.require_scope("write")
        page = await _page_of_new(context, {"id": task_id} | {**typed, "do": "", "etag": ""})
        return page.refuse_removed()
    page = await _page_of(context, stored, typed)
    if typed.get("do") == "save" and typed.get("etag") not in (None, "", spec_hash(stored.task)):
        return page.refuse_stale()
    if typed.get("do") == "test":
        return await page.test()
    if typed.get("do") == "rehearse":
        return await page.rehearse(stored.task)
    spec = page.check()
    if spec is None:
        return page.render()
    try:
        await context.service.edit(task_id, spec, definition=spec_hash(stored.task))
    except (InputError, ConflictError, NotAllowedError) as exc:
        return page.refuse(exc)
    return redirect(f"/dashboard/tasks/{task_id}", message="The task is changed")


async def _page_of_new(context: PageContext, typed: Mapping[str, str]) -> "FormPage":
    """Return the page of a new task; of a copy when it names one that the user may see."""
    copied = typed.get("from", "")
    try:
        base = base_of_copy((await context.service.get_task(copied)).task) if copied else None
    except NotFoundError:
        if context.request.method == "GET":
            raise
        base = None  # removed since: what was typed is all there is
    timezone = context.dependencies.default_timezone
    page = FormPage(context, typed, base or base_of_new(str(NEW_TASK["type"]), timezone=timezone))
    await page.read_days()
    return page


async def _page_of(context: PageContext, stored: VersionedTask, typed: Mapping[str, str]) -> "FormPage":
    page = FormPage(context, typed, base_of(stored.task), stored)
    await page.read_days()
    return page


class FormPage:
    """The page with the form: what was typed over the task that it began with.

    Args:
        stored: The task that is changed; None for a new one.
    """

    def __init__(
        self,
        context: PageContext,
        typed: Mapping[str, str],
        base: dict[str, Any],
        stored: VersionedTask | None = None,
    ) -> None:
        self._context = context
        self._stored = stored
        self._dropped: tuple[str, ...] = ()
        self.problems: list[Problem] = []
        self.days: PreviewDays | InputError = PreviewDays()
        self._fault = ""
        type_name = typed.get("type") or str(base["type"])
        self.form = TaskForm(
            with_type(base, type_name),
            typed_zone=typed.get("timezone", "").strip(),
            may_set_owner=not context.service.principal.owner,
            is_new=stored is None,
        )
        self.typed = dict(typed)
        self.has_new_type = typed.get("shownType", type_name) != type_name
        if self.has_new_type:
            self.typed, self._dropped = fitting_texts(self.form, typed)
        if typed.get("do") == "use" and (found := schedule_from(typed)):
            self.typed["schedule"] = found

    async def read_days(self) -> None:
        """Read the days in the form, and the calendars that they name: reads nothing for a task without."""
        fields, _ = self.form.read(self.typed)
        principal = self._context.service.principal
        owner = principal.owner or str(fields.get("owner") or "").strip()
        store, policy = self._context.dependencies.store, str(fields.get("onExcluded") or "skip")
        try:
            self.days = await read_days(lambda: store, fields.get("except") or (), policy, owner=owner)
        except InputError as exc:
            self.days = exc

    @property
    def is_asked_to_save(self) -> bool:
        """Whether the button to save was pressed, with the fields of the type in sight."""
        return self.typed.get("do") == "save" and not self.has_new_type

    def check(self) -> TaskSpec | None:
        """Return the task in the form when it is to be saved and nothing is wrong with it."""
        if not self.is_asked_to_save:
            return None
        spec, self.problems = self.read()
        return spec

    def read(self) -> tuple[TaskSpec | None, list[Problem]]:
        """Return the task in the form, or everything that is wrong with it."""
        fields, wrong = self.form.read(self.typed)
        if self._stored is None and not fields.get("id"):
            fields |= _id_of_other_script(str(fields.get("title") or ""), str(fields.get("type", "")))
        found = check_task(
            fields,
            default_timezone=self._context.dependencies.default_timezone,
            runs_when_asked=self._stored is not None and bool(why_never_started(self._stored.task)),
        )
        if isinstance(found, TaskSpec):
            return (None, wrong) if wrong else (found, [])
        places = [tuple(map(str, one.path)) for one in wrong]
        known = [
            one for one in found if not any(tuple(map(str, one.path))[: len(path)] == path for path in places)
        ]
        return None, wrong + self.form.at_rows(self.typed, known)

    async def test(self) -> Response:
        """Make the request in the form once, without saving anything; return the page with what came."""
        fields, wrong = self.form.read(self.typed)
        needed = {"id": "trial", "title": "Trial", "schedule": "@daily"}
        known = {name: fields[name] for name in TRIED_FIELDS if fields.get(name) is not None}
        found = check_task(needed | known)
        problems = wrong + self.form.at_rows(self.typed, found if isinstance(found, list) else ())
        self.problems = [one for one in problems if one.path[:1] and one.path[0] in TRIED_FIELDS]
        if self.problems or isinstance(found, list):
            return self.render()
        context = self._context
        trials: RateLimiter = context.request.app.state.trials
        if wait_s := trials.retry_after(context.service.principal.id):
            return self.refuse(InputError(f"There are too many tests; wait {math.ceil(wait_s)} s"))
        try:
            spec = await context.service.check_new(found)
            log.info("request_tried", extra={"by": context.service.principal.author, "task_type": spec.type})
            return self.render(trial=await context.dependencies.try_request(spec))
        except (InputError, NotAllowedError) as exc:
            return self.refuse(exc)

    async def rehearse(self, task: Task) -> Response:
        """Return the page with what the rules in the form would have sent; nothing is saved or sent.

        Args:
            task: As it is stored.
        """
        spec, self.problems = self.read()
        if spec is None:
            return self.render()
        context = self._context
        report = await rehearse_for(context.service.view, context.dependencies, task, spec)
        return self.render(rehearsal=report)

    def refuse(self, error: InputError | ConflictError | NotAllowedError) -> Response:
        """Return the page with *error*, at its field where it names one."""
        name, colon, reason = str(error).partition(": ")
        if colon and any(one.name == name for one in self.form.fields()):
            self.problems = [Problem(tuple(name.split(".")), reason)]
        else:
            self._fault = str(error)
        return self.render()

    def refuse_removed(self) -> Response:
        """Return the page of a new task for one that is not there any more, with what was typed."""
        self._fault = REMOVED
        return self.render(status=404)

    def refuse_stale(self) -> Response:
        """Return the page for a task that was changed elsewhere, naming the fields that differ."""
        labels = changed_labels(self.form.fields(), self.typed, base=self.form.base)
        self._fault = conflict_text([self._context.words(one) for one in labels])
        self.typed.pop("etag", None)
        return self.render()

    def render(self, **more: Any) -> Response:
        """Return the page."""
        context, stored = self._context, self._stored
        status = more.pop("status", 422 if self._fault or self.problems else 200)
        shows_preview = bool(self.typed.get("do"))
        summary: Sequence[Any] = summarize(self.form, self.problems)
        return context.render(
            "form",
            status=status,
            task=stored.task if stored else None,
            etag=self.typed.get("etag") or (spec_hash(stored.task) if stored else ""),
            type=str(self.form.base["type"]),
            types=type_names(),
            type_words=TYPE_WORDS,
            sections=self.form.show(self.typed, self.problems),
            carried=carried_texts(self.form, self.typed),
            dropped=self._dropped,
            summary=summary,
            fault=self._fault,
            has_new_type=self.has_new_type,
            preview=self._preview() if shows_preview or stored else None,
            helper=HELPER_CHOICES,
            typed=self.typed,
            once=self.typed.get("once") or context.dependencies.new_id(),
            source=self.typed.get("from", ""),
            can_test=self.form.base["type"] in TRIED_TYPES,
            **{"trial": None, "rehearsal": None} | more,
        )

    def _preview(self) -> SchedulePreview | str | None:
        fields, _ = self.form.read(self.typed)
        title = str(fields.get("title", ""))
        task = self._stored.task if self._stored else None
        found = preview_schedule(
            self._context,
            fields,
            self.days,
            task_id=str(fields.get("id") or slugify(title)),
            created_at=task.created_at if task else None,
            done=task.run_count if task else 0,
        )
        return None if isinstance(found, str) and self.problems else found  # it is said at the field


def _id_of_other_script(title: str, type_name: str) -> dict[str, str]:
    """Return the id of a new task whose title has no letter for one: `health-check-url-3f2a91`."""
    if not title or slugify(title):
        return {}
    return {"id": f"{slugify(type_name)}-{sha256(title.encode('utf-8', 'replace')).hexdigest()[:6]}"}


def preview_schedule(
    context: PageContext,
    fields: Mapping[str, Any],
    days: PreviewDays | InputError,
    *,
    task_id: str,
    created_at: datetime | None,
    done: int,
) -> SchedulePreview | str | None:
    """Return the preview of the schedule in *fields* within their bounds, or its error; None without one.

    Args:
        days: Those of *fields*, or what is wrong with them.
        created_at: Of the task that is changed; None for a new one.
        done: How many of its `maxRuns` it has had.
    """
    schedule = str(fields.get("schedule", "")).strip()
    if not schedule:
        return None
    timezone = str(fields.get("timezone") or "").strip() or context.dependencies.default_timezone
    if isinstance(days, InputError):
        return str(days)
    try:
        return build_preview(
            schedule,
            timezone=timezone,
            task_id=task_id or "preview",
            now=context.dependencies.now(),
            count=PREVIEW_COUNT,
            bounds=_bounds(fields, created_at, done).check(),
            days=days.rule,
            excluded=days.excluded,
            words=context.words.schedule,
        )
    except InputError as exc:
        return str(exc)


def _bounds(fields: Mapping[str, Any], created_at: datetime | None, done: int) -> PreviewBounds:
    """Return what bounds the schedule in *fields*; what cannot be read bounds nothing."""
    left = fields.get("maxRuns")
    return PreviewBounds(
        start_at=parse_stored_instant(fields.get("startAt")),
        end_at=parse_stored_instant(fields.get("endAt")),
        created_at=created_at,
        max_runs=max(left - done, 0) if isinstance(left, int) else None,
    )
