"""The API: FastAPI routes over the desk, described by OpenAPI, refused with problem details."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from functions.rules.task import TaskSpec
from functions.web.api import accounts, channels, events, figures, keyring, runs, schedules, steering, tasks
from functions.web.api.identity import Identity
from functions.web.api.parts import ApiParts
from functions.web.api.problems import Problem, answer_problems
from functions.web.oidc import IdTokens

ABOUT = """
Tasks, their runs and their schedules. Send a key as `Authorization: Bearer cf_...`; `scheduler keys create`
makes one. Errors are problem details (RFC 9457). Instants are RFC 3339; those returned are in UTC.
"""


def build_api(
    parts: ApiParts,
    *,
    administrator: str | None,
    version: str,
    clock: Callable[[], float],
    google: IdTokens | None = None,
) -> FastAPI:
    """Return the application that answers `/api`, `/openapi.json` and `/docs`.

    Args:
        administrator: The first administrator's key, from the settings; None when there is none.
        clock: Seconds that never run backwards, for the rate of each key.
        google: The check of ID tokens, for events that are pushed; None when none are accepted.
    """
    app = FastAPI(title="Cronfire", description=ABOUT.strip(), version=version, redirect_slashes=False)
    app.state.parts = parts
    app.state.google = google
    app.state.identity = Identity(parts, administrator=administrator, clock=clock)
    # steering comes first: /pause must not be taken for the id of a task
    rooms = (steering, tasks, runs, schedules, events, channels, accounts, keyring, figures)
    for room in rooms:
        app.include_router(room.router)
    answer_problems(app)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the shapes that routes read by themselves and the way to sign in."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = found.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for model in (TaskSpec, events.EventWish, Problem):
            shape = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
            schemas.update(shape.pop("$defs", {}))
            schemas[model.__name__] = shape
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}]
        app.openapi_schema = found
    return app.openapi_schema
