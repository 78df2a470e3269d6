"""The page of who changed what: all of it, newest first, or that of one subject."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from functions.domain.access import TIMELINE
from functions.services.access.audit import list_entries, list_latest
from functions.web.api.channels import require_admin
from functions.web.dashboard.context import CurrentPage

router = APIRouter(prefix="/dashboard", include_in_schema=False)

PAGE_SIZE = 50
MAX_OF_SUBJECT = 300
SUBJECT_PAGES = {"key": "/dashboard/keys", "channel": "/dashboard/channels", "owner": "/dashboard/owners"}


@router.get("/audit")
async def show_audit(
    context: CurrentPage,
    subject: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Show the trail: a page of all entries, or those of *subject*, a task's id or `channel:feishu`."""
    require_admin(context.service.principal)
    store = context.dependencies.store
    more = ""
    if subject.strip():
        entries = await list_entries(store, subject.strip(), limit=MAX_OF_SUBJECT)
    else:
        start = after if after.startswith(TIMELINE) else ""
        entries, more = await list_latest(store, after=start, limit=PAGE_SIZE)
    rows = [(entry, _page_of(entry.subject)) for entry in entries]
    return context.render("audit", rows=rows, subject=subject, after=after, more=more)


def _page_of(subject: str) -> str:
    """Return the path of the page about *subject*; empty when there is none."""
    kind, colon, _ = subject.partition(":")
    return SUBJECT_PAGES.get(kind, "") if colon else "/dashboard/tasks/"
