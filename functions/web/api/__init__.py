"""The API: FastAPI routes over the services, described by OpenAPI; errors are problem details."""

import json
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse

from functions.domain.access import Principal
from functions.domain.task import TaskSpec
from functions.errors import StoreError
from functions.observability.metrics import CONTENT_TYPE
from functions.web.api import (
    admin,
    calendars,
    channels,
    events,
    pings,
    rehearsals,
    runs,
    schedules,
    tasks,
    types,
)
from functions.web.api.addresses import mount_path
from functions.web.api.dependencies import ApiAuth, ApiRoute, CurrentPrincipal, Dependencies, add_routes
from functions.web.api.errors import ProblemDetails, ProblemError, add_error_handlers
from functions.web.api.scheduler import ApiDependencies
from functions.web.auth import GoogleTokenVerifier
from functions.web.responses import degraded_response, failure_reason

log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False, route_class=ApiRoute)


@router.get("/openapi.json")
async def describe(request: Request) -> JSONResponse:
    """Return the API's description, and where it is mounted in an application of somebody's own."""
    described = request.app.openapi()
    root = mount_path(request)
    return JSONResponse({**described, "servers": [{"url": root}]} if root else described)


class StateRoute(ApiRoute):
    """A route about the scheduler's state, which a store that does not work is a part of.

    The response is that of `web.app` to other callers, also where the key itself cannot be looked up.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests."""
        handle = super().get_route_handler()
        event = f"{self.name}_degraded"

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except StoreError as exc:
                log.error(event, extra={"error": str(exc)})  # noqa: TRY400  # known, and no secret in it
                return degraded_response(failure_reason(exc), status=503)

        return answer


state_router = APIRouter(include_in_schema=False, route_class=StateRoute)


@state_router.get("/metrics")
@state_router.get("/metrics/")  # as `web.app` has it for other callers
async def metrics(principal: CurrentPrincipal, dependencies: Dependencies) -> Response:
    """Return figures for Prometheus about all tasks, for a key that is bound to no owner.

    `web.app` answers a caller with the shared secret itself.
    """
    _require_operator(principal)
    return Response(await dependencies.metrics(), media_type=CONTENT_TYPE)


@state_router.get("/status")
@state_router.get("/status/")
async def status(principal: CurrentPrincipal, dependencies: Dependencies) -> JSONResponse:
    """Return how many tasks there are and when the last tick was, as `metrics` does its figures."""
    _require_operator(principal)
    return JSONResponse(dict(await dependencies.status()))


def _require_operator(principal: Principal) -> None:
    if principal.owner or not principal.has_scope("read"):
        raise ProblemError(403, "This needs a key with the scope read that is bound to no owner")


DESCRIPTION = """
Tasks, their runs and their schedules. Send a key as `Authorization: Bearer cf_...`; `scheduler keys create`
creates one. Errors are problem details (RFC 9457). Instants are RFC 3339; those returned are in UTC.
"""


def build_api(
    dependencies: ApiDependencies,
    *,
    admin_key: str | None,
    version: str,
    clock: Callable[[], float],
    token_verifier: GoogleTokenVerifier | None = None,
) -> FastAPI:
    """Return the application that answers `/api` and `/openapi.json`.

    Args:
        admin_key: The first administrator's key, from the settings; None when there is none.
        clock: Seconds that never run backwards, for the rate of each key.
        token_verifier: The check of ID tokens, for events that are pushed; None when none are accepted.
    """
    app = FastAPI(
        title="Cronfire",
        description=DESCRIPTION.strip(),
        version=version,
        redirect_slashes=False,
        openapi_url=None,  # whose route ignores parameters
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.dependencies = dependencies
    app.state.token_verifier = token_verifier
    app.state.auth = ApiAuth(dependencies, admin_key=admin_key, clock=clock)
    app.state.pings = pings.build_rate_limiter(clock)
    routers = (
        tasks.action_router,  # first: otherwise /pause would match /{id}
        rehearsals.router,
        tasks.router,
        runs.router,
        schedules.router,
        pings.router,
        pings.task_router,
        events.router,
        events.push_router,
        channels.router,
        calendars.router,
        types.router,
        types.schema_router,
        admin.owner_router,
        admin.key_router,
        router,
        state_router,
    )
    add_routes(app, *routers)
    add_error_handlers(app)
    app.openapi = lambda: _build_openapi(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _build_openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the shapes that routes read by themselves and the way to sign in."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = found.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for model in (TaskSpec, events.EventRequest, ProblemDetails):
            shape = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
            schemas.update(shape.pop("$defs", {}))
            schemas[model.__name__] = shape
        schemas.update(tasks.body_schemas(schemas.pop(TaskSpec.__name__)))
        for name in _names_in_bodies(found):
            schemas[name] = _with_optional_fields(schemas[name])
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}]
        app.openapi_schema = found
    return app.openapi_schema


def _names_in_bodies(described: Mapping[str, Any]) -> set[str]:
    """Return the names of all schemas that a request's body is made of."""
    schemas = described["components"]["schemas"]
    bodies = [
        one["requestBody"]
        for path in described["paths"].values()
        for one in path.values()
        if "requestBody" in one
    ]
    names: set[str] = set()
    left = list(_references(bodies))
    while left:
        name = left.pop()
        if name not in names:
            names.add(name)
            left += _references(schemas[name])
    return names


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.rpartition("/")[2]
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from _references(one)


def _with_optional_fields(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with its defaults in words.

    Of a field with a default, generated clients make one that must be sent (TypeScript), or that is sent with
    the default of the day they were made (Python).
    """
    fields: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        fields[name] = {key: value for key, value in field.items() if key != "default"}
        if field.get("default") not in (None, "", []) and name != "timezone":  # whose default is a setting
            text = field.get("description", "")
            default = f"default: {json.dumps(field['default'])}"
            fields[name]["description"] = f"{text} ({default})" if text else default
    return schema | ({"properties": fields} if fields else {})
