"""The baseline of a cold start and of memory: a function that imports its two libraries and does nothing."""

import functions_framework.aio
import google.cloud.firestore
from starlette.requests import Request

LIBRARY = google.cloud.firestore  # imported for its cost: a scheduler on Firestore needs it


@functions_framework.aio.http
async def baseline(_: Request) -> str:
    """Answer."""
    return "ok"
