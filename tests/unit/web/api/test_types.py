"""Task types over the API, and the schema of task files, which needs no key."""

import json

import jsonschema_rs
import pytest

from functions.task_types.registry import type_names
from functions.taskfiles.schema import task_file_schema
from tests.unit.web.api.conftest import Call, api, clock, wired

__all__ = ["api", "clock", "wired"]  # the fixtures


@pytest.mark.slow
async def test_each_type_has_a_schema_and_an_example_that_can_be_sent(api: Call) -> None:
    types = (await api("GET", "/api/types")).json["types"]

    assert list(type_names()) == [one["name"] for one in types]
    for one in types:
        jsonschema_rs.validate(one["params"], one["example"]["params"])
        made = await api("POST", "/api/tasks", one["example"])
        # Some are off in this installation, which the sentence says.
        assert 201 == made.status or b"ALLOW_COMMANDS" in made.body or b"PYTHON_TASKS" in made.body, made.body


async def test_one_type_is_read_by_its_name(api: Call) -> None:
    one = await api("GET", "/api/types/rss_watch")

    assert ("rss_watch", ["feedUrl"]) == (one.json["name"], one.json["params"]["required"])
    assert "http" in one.json["params"]["properties"]["feedUrl"]["description"]
    assert [404, 404] == [(await api("GET", f"/api/types/{name}")).status for name in ("rss", "registry")]


async def test_types_need_a_key(api: Call) -> None:
    assert 401 == (await api("GET", "/api/types", key=None)).status


async def test_the_schema_of_task_files_is_public_and_cached(api: Call) -> None:
    first = await api("GET", "/task-file.schema.json", key=None)
    again = await api(
        "GET", "/task-file.schema.json", key=None, headers={"If-None-Match": first.headers["etag"]}
    )
    head = await api("HEAD", "/task-file.schema.json", key=None)

    assert (200, 304, 200) == (first.status, again.status, head.status)
    assert (b"", b"") == (again.body, head.body)
    assert json.loads(json.dumps(task_file_schema())) == first.json
    assert ("public, max-age=3600", "*") == (
        first.headers["cache-control"],
        first.headers["access-control-allow-origin"],
    )
