"""What buttons of pages about tasks do."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.domain.access import AuditVerb, audit_subject
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from functions.services.access.audit import record_change
from functions.services.access.public_links import (
    LinkKind,
    PageWords,
    revoke_link,
    set_page_words,
    task_subject,
)
from functions.web.api.runs import encode_run_id
from functions.web.api.tasks import run_and_wait
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.public import page_subject
from functions.web.dashboard.rendering import parse_local_instant, redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

TaskId = Annotated[str, Path(alias="id", max_length=100)]

WAIT_S = 30.0  # for a run requested with the button


@router.post("/links/revoke")
async def revoke_page_link(context: CurrentPage) -> Response:
    """Revoke the link of a tag's status page. Each owner has one of their own."""
    tag = (await context.read_form()).get("tag", "")[:100]
    name = page_subject(context.service.principal.owner, tag)
    await _revoke_link(context, "page", name, subject=audit_subject("tag", name))
    return redirect(f"/dashboard?tag={quote(tag, safe='')}", message="The old link ends within a minute")


@router.post("/links/words")
async def change_page_words(context: CurrentPage) -> Response:
    """Change what a tag's status page says of itself; each owner has a page of their own."""
    typed = await context.read_form()
    principal, store = context.service.principal, context.dependencies.store
    if not principal.has_scope("write"):
        raise NotAllowedError("Changing a status page needs the scope write")
    tag = typed.get("tag", "")[:100]
    name = page_subject(principal.owner, tag)
    await set_page_words(store, name, PageWords(typed.get("title", ""), typed.get("description", "")))
    await _audit(context, "page changed", audit_subject("tag", name))
    return redirect(
        f"/dashboard?tag={quote(tag, safe='')}", message="The status page is changed, within a minute"
    )


async def _revoke_link(context: PageContext, kind: LinkKind, name: str, *, subject: str) -> None:
    """Revoke a public link, and record it in the audit trail of *subject*."""
    if not context.service.principal.has_scope("write"):
        raise NotAllowedError("Revoking a link needs the scope write")
    await revoke_link(context.dependencies.store, kind, name)
    await _audit(context, "link revoked", subject)


async def _audit(context: PageContext, verb: AuditVerb, subject: str) -> None:
    dependencies = context.dependencies
    await record_change(
        dependencies.store,
        verb,
        subject,
        by=context.service.principal.author,
        at=dependencies.now(),
        new_id=dependencies.new_id,
    )


@router.post("/tasks/{id}/{verb}")
async def run_task_action(context: CurrentPage, task_id: TaskId, verb: str) -> Response:
    """Run the action of a button, and return to the task."""
    typed = await context.read_form()
    try:
        message, target = await _run_command(context, task_id, verb, typed)
    except NotFoundError:
        raise
    except (InputError, NotAllowedError, ConflictError) as exc:
        message, target = str(exc), f"/dashboard/tasks/{task_id}"
    return redirect(target, message=message)


async def _run_command(
    context: PageContext, task_id: str, verb: str, typed: Mapping[str, str]
) -> tuple[str, str]:
    """Run the action *verb*; return a message and the next page."""
    here = f"/dashboard/tasks/{task_id}"
    match verb:
        case "run":
            requested = await run_and_wait(context.service, context.dependencies, task_id, wait_s=WAIT_S)
            if requested.run is None:
                return requested.text, here
            return requested.text, f"/dashboard/runs/{encode_run_id(requested.run)}"
        case "pause":
            task = (await context.service.get_task(task_id)).task
            until = parse_local_instant(typed.get("until", ""), task.timezone)
            await context.service.pause(task_id, note=typed.get("note", "")[:400], until=until)
            return "The task is paused", here
        case "resume":
            await context.service.resume(task_id, catch_up=typed.get("catchUp") == "1")
            return "The task is resumed", here
        case "acknowledge":
            await context.service.acknowledge(task_id)
            return "It is known: no reminders until it recovers", "/dashboard/incidents"
        case "cancel":
            await context.service.cancel(task_id)
            return "It stops within seconds", here
        case "revoke-ping":
            await context.service.revoke_address(task_id)
            return "It has another address to call", here
        case "revoke-badge":
            task = (await context.service.get_task(task_id)).task  # refused when the user may not see it
            await _revoke_link(context, "badge", task_subject(task), subject=task_id)
            return "The old address of the badge ends within a minute", here
        case "delete":
            await context.service.delete(task_id)
            return f"{task_id} is removed", f"/dashboard/removed/{task_id}"
        case _:
            raise NotFoundError("There is nothing at this address")
