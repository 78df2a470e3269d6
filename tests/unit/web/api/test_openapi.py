"""The API against its own description: whatever is sent, no 5xx, and no answer that the description lacks."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings

from functions.app import application
from functions.config.settings import Settings
from functions.web.api import build_api
from functions.web.app import with_limits
from tests.unit.web.api.conftest import ADMIN, Call

if TYPE_CHECKING:
    import schemathesis  # half a second: only the process that runs these tests loads it

OPERATIONS = (
    ("GET", "/api/tasks"),
    ("POST", "/api/tasks"),
    ("GET", "/api/tasks/{id}"),
    ("PUT", "/api/tasks/{id}"),
    ("PATCH", "/api/tasks/{id}"),
    ("DELETE", "/api/tasks/{id}"),
    ("POST", "/api/tasks/pause"),
    ("POST", "/api/tasks/resume"),
    ("POST", "/api/tasks/{id}/pause"),
    ("POST", "/api/tasks/{id}/resume"),
    ("POST", "/api/tasks/{id}/run"),
    ("POST", "/api/tasks/{id}/cancel"),
    ("POST", "/api/tasks/{id}/backfill"),
    ("POST", "/api/tasks/{id}/rehearse"),
    ("GET", "/api/tasks/{id}/audit"),
    ("GET", "/api/tasks/{id}/heartbeat"),
    ("POST", "/api/tasks/{id}/heartbeat"),
    ("GET", "/api/runs"),
    ("GET", "/api/runs/{id}"),
    ("GET", "/api/schedule/preview"),
    ("GET", "/api/types"),
    ("GET", "/api/types/{name}"),
    ("GET", "/api/events"),
    ("POST", "/api/events"),
    ("GET", "/api/calendars"),
    ("GET", "/api/calendars/{name}"),
    ("PUT", "/api/calendars/{name}"),
    ("POST", "/api/calendars/{name}/refresh"),
    ("DELETE", "/api/calendars/{name}"),
    ("GET", "/api/channels"),
    ("POST", "/api/channels/{name}/test"),
    ("PATCH", "/api/channels/{name}"),
    ("GET", "/api/owners"),
    ("GET", "/api/owners/{id}"),
    ("PUT", "/api/owners/{id}"),
    ("GET", "/api/keys"),
    ("POST", "/api/keys"),
    ("DELETE", "/api/keys/{id}"),
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API on a real server in a thread; its clock runs so fast that nobody asks too often."""
    folder: Path = tmp_path_factory.mktemp("contract")
    wired = application.build_app(
        Settings.from_env({"STORE_URL": f"sqlite:///{folder}/api.db"}, serves_http=False)
    )
    hours = itertools.count(step=3600)
    app = build_api(wired, admin_key=ADMIN, version="0", clock=lambda: float(next(hours)))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = uvicorn.Server(
            uvicorn.Config(with_limits(app), interface="asgi3", lifespan="off", log_level="error")
        )

        async def serve() -> None:
            await server.serve(sockets=[taken])
            await wired.close()  # what its tasks have called is open in this loop

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def schema(address: str) -> schemathesis.BaseSchema:
    import schemathesis

    return schemathesis.openapi.from_url(f"{address}/openapi.json")


@pytest.mark.slow
def test_every_operation_is_put_to_the_test(schema: schemathesis.BaseSchema) -> None:
    from schemathesis.core.result import Ok

    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]

    there = {(one.method.upper(), one.path) for one in operations}
    assert set(OPERATIONS) == there, "name it among OPERATIONS, above"


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_breaks_the_contract(schema: schemathesis.BaseSchema, method: str, path: str) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    operation = schema[path][method]
    kept = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def keep_it(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers={"Authorization": f"Bearer {ADMIN}"}, timeout=20)
        case.validate_response(response, checks=kept)

    keep_it()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_without_a_key_gets_anything(
    schema: schemathesis.BaseSchema, method: str, path: str
) -> None:
    operation = schema[path][method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def refused(case: schemathesis.Case[Any]) -> None:
        headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
        response = case.call(headers=headers, timeout=20)

        assert response.status_code in {400, 401, 404, 405, 413, 429}
        assert response.headers["content-type"] == ["application/problem+json"]

    refused()


@pytest.mark.slow
async def test_the_description_is_openapi_3_1_with_examples_and_a_way_to_sign_in(api: Call) -> None:
    described = (await api("GET", "/openapi.json", key=None)).json

    assert described["openapi"].startswith("3.1")
    assert {"key": {"type": "http", "scheme": "bearer"}} == described["components"]["securitySchemes"]
    body = described["paths"]["/api/tasks"]["post"]["requestBody"]["content"]["application/json"]
    assert "#/components/schemas/TaskCreate" == body["schema"]["$ref"]
    assert body["examples"]
    for shape in ("TaskCreate", "TaskReplace", "TaskUpdate", "TaskOut", "RunOut", "ProblemDetails"):
        assert shape in described["components"]["schemas"]
    assert 200 == (await api("GET", "/docs", key=None)).status


@pytest.mark.slow
async def test_the_description_has_the_answers_that_any_operation_may_give(api: Call) -> None:
    """Of a status that it lacks, a generated client makes an answer without a body."""
    described = (await api("GET", "/openapi.json", key=None)).json
    given_by_all = {"401", "403", "408", "413", "422", "429", "500", "503"}

    operations = {
        f"{method} {path}": set(one["responses"])
        for path, methods in described["paths"].items()
        for method, one in methods.items()
    }
    lacking = {name: given_by_all - found for name, found in operations.items()}
    assert {} == {name: statuses for name, statuses in lacking.items() if statuses}
    # of an id with a slash or a line break it is said that nothing is there
    assert [] == [name for name, found in operations.items() if "{" in name and "404" not in found]
