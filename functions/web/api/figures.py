"""`GET /metrics` for those who come with a key; whoever has the shared secret is answered at the door."""

from fastapi import APIRouter, Response

from functions.web.api.context import Caller, Parts
from functions.web.api.problems import ProblemError

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(caller: Caller, wired: Parts) -> Response:
    """Figures for Prometheus, of all tasks: a key of one owner may not see them."""
    if caller.owner or not caller.may("read"):
        raise ProblemError(403, "This takes a key with the scope read, and of no owner")
    return Response(await wired.metrics(), media_type="text/plain; version=0.0.4")
