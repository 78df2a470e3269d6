"""Inputs: what clients, generators and people's YAML sent to other projects."""

from typing import Any

import jsonschema_rs
import pytest

from functions.taskfiles.parser import parse_text
from tests.unit.web.api.conftest import HEALTH, Call, api, clock, description, openapi_text, wired

__all__ = ["api", "clock", "description", "openapi_text", "wired"]  # the fixtures


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("aaubry/YamlDotNet#447", "0008", "0008"),
        ("kislyuk/yq#152", "009", "009"),
        ("opensanctions/opensanctions#3845", "0555567", "0555567"),
        ("home-assistant/core#3424", "0710000041030160", "0710000041030160"),
        ("mampfes/hacs_waste_collection_schedule#6876", "10:00", "10:00"),
        ("frenck/YAMLRocks#174", "03:30", "03:30"),
        ("the Norway problem", "no", "no"),
        ("a snowflake id", "1234567890123456789", 1234567890123456789),
        ("an unsigned 64-bit id", "18446744073709551615", 18446744073709551615),
        ("a date", "2026-11-29", "2026-11-29"),
    ],
)
def test_scalar_of_yaml(source: str, text: str, expected: Any) -> None:
    assert expected == parse_text(f"a: {text}", as_json=False).value["a"], source


def test_key_with_a_leading_zero_is_text() -> None:
    """kislyuk/yq#201."""
    assert {"08": 1, "011": 2} == parse_text("08: 1\n011: 2", as_json=False).value


def described_body(description: Any, path: str, method: str) -> dict[str, Any]:
    body = description["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    return {**body, "components": description["components"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "path", "method", "body"),
    [
        ("api-platform/core#8252", "/api/tasks", "post", HEALTH),
        ("ash-project/ash_json_api#438", "/api/tasks/{id}", "patch", {"priority": "high"}),
        ("ansible/eda-server-prototype#97", "/api/tasks/{id}", "put", HEALTH),
    ],
)
def test_generated_client_may_send_what_the_api_takes(
    source: str, path: str, method: str, body: dict[str, Any], description: Any
) -> None:
    schema = described_body(description, path, method)

    assert jsonschema_rs.is_valid(schema, body), source


async def test_probe_by_head(api: Call) -> None:
    """camunda/connectors#5694: monitors and link checkers ask by HEAD."""
    for path in ("/api/tasks", "/docs", "/dashboard"):
        assert 405 != (await api("HEAD", path)).status


async def test_create_if_absent(api: Call) -> None:
    """RFC 9110, 13.1.2: a client that must not overwrite."""
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    other = HEALTH | {"title": "Other"}

    answer = await api("PUT", "/api/tasks/shop", other, headers={"If-None-Match": "*"})

    assert 412 == answer.status


@pytest.mark.parametrize("value", ['"\\ud83d"', "NaN", "Infinity"])
async def test_value_that_only_some_json_libraries_write(value: str, api: Call) -> None:
    """Half an emoji, cut by a client; a number that pandas writes for a missing one."""
    body = '{"title":"A","type":"http","schedule":"@daily","params":{"url":"https://e.com","json":%s}}'
    answer = await api("POST", "/api/tasks", raw=(body % value).encode())

    assert answer.status in (400, 422)
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


async def test_title_typed_on_two_systems(api: Call) -> None:
    """macOS writes accents apart, others do not."""
    ids = [
        (await api("POST", "/api/tasks", HEALTH | {"title": title})).status
        for title in ("Cr\u00e8me", "Cre\u0300me")
    ]

    assert [201, 409] == ids
