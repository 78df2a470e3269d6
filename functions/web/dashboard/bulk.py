"""One action on several tasks: pause, resume, run, and tags."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.responses import Response

from functions.domain.lifecycle.edit import spec_hash
from functions.domain.task import TaskSpec, why_never_started
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from functions.services.tasks import TaskService
from functions.taskfiles.validation import check_task
from functions.web.dashboard.context import CurrentPage
from functions.web.dashboard.forms.task_form import base_of
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

CHOSEN = "id."  # begins the name of a task's box
MAX_CHOSEN = 300
MAX_TAG_CHARS = 64
MAX_NOTE_CHARS = 400
Act = Callable[[str], Awaitable[object]]


@router.post("/tasks/bulk")
async def act_on_many(context: CurrentPage) -> Response:
    """Do what the button says with each task that is checked, and say how many of them it was done with."""
    typed = await context.read_form()
    back = _back(typed.get("query", ""))
    ids = [name.removeprefix(CHOSEN) for name in typed if name.startswith(CHOSEN)][:MAX_CHOSEN]
    verb, words = typed.get("do", ""), _WORDS.get(typed.get("do", ""))
    if verb == "choose":  # Enter in a box, by a key that sets no tags
        return redirect(back, message="Press the button of what is to be done")
    if words is None:
        raise NotFoundError("There is nothing at this address")
    tag = typed.get("tag", "").strip()[:MAX_TAG_CHARS]
    if not ids or (verb in ("tag", "untag") and not tag):
        message = "Check the tasks first" if not ids else "Write the tag first"
        return redirect(back, message=message)
    done, refusals = 0, []
    act = _action(context.service, verb, typed, tag=tag)
    for task_id in ids:
        try:
            await act(task_id)
            done += 1
        except (InputError, ConflictError, NotAllowedError, NotFoundError) as exc:
            refusals.append(f"{task_id}: {exc}")
    message = f"{done} {'task' if done == 1 else 'tasks'} {words}"
    if refusals:
        message += f"; {len(refusals)} not. {refusals[0]}"
    return redirect(back, message=message[:200])


_WORDS = {
    "pause": "paused",
    "resume": "resumed",
    "run": "will run at the next tick",
    "tag": "tagged",
    "untag": "without the tag",
}


def _action(service: TaskService, verb: str, typed: Mapping[str, str], *, tag: str) -> Act:
    match verb:
        case "pause":
            note = typed.get("note", "")[:MAX_NOTE_CHARS]
            return lambda task_id: service.pause(task_id, note=note)
        case "resume":
            return service.resume
        case "run":
            return service.request_run
        case _:
            return lambda task_id: _set_tag(service, task_id, tag, is_wanted=verb == "tag")


async def _set_tag(service: TaskService, task_id: str, tag: str, *, is_wanted: bool) -> None:
    """Add *tag* to a task, or remove it; everything else of the task stays.

    Raises:
        InputError: It would have too many tags, or is no longer valid.
        ConflictError: It was edited at the same moment.
    """
    stored = await service.get_task(task_id)
    others = [one for one in stored.task.tags if one != tag]
    fields = base_of(stored.task) | {"tags": [*stored.task.tags, tag] if is_wanted else others}
    if is_wanted and tag in stored.task.tags:
        return
    found = check_task(fields, runs_when_asked=bool(why_never_started(stored.task)))
    if not isinstance(found, TaskSpec):
        raise InputError(f"{found[0].field}: {found[0].reason}")
    await service.edit(task_id, found, definition=spec_hash(stored.task))


def _back(query: str) -> str:
    """Return the address of the list with its filters, without what it said last."""
    kept = [(name, value) for name, value in parse_qsl(query[:1000]) if name not in ("message", "select")]
    return "/dashboard" + (f"?{urlencode(kept)}" if kept else "")
