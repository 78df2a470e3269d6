"""What clients really send: values that no JSON holds, preconditions, HEAD, and bodies by the description."""

import asyncio
import copy
import gzip
import json
import zlib
from typing import Any

import jsonschema_rs
import pytest

from functions.app.application import App
from functions.domain.json_depth import MAX_DEPTH
from functions.domain.storage import ConditionalWrite
from tests.unit.web.api.conftest import HEALTH, Call

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

NO_UTF_8 = "The body is not text in UTF-8; send it in UTF-8, not compressed"
HTTP = {"title": "Call", "type": "http", "schedule": "@daily"}
PARAMS = '{"title":"Call","type":"http","schedule":"@daily","params":{"url":"https://e.com","method":"POST","json":%s}}'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('"\\ud800"', "params.json: must not contain half of a surrogate pair"),
        ('{"a":["\\udfff"]}', "params.json.a[0]: must not contain half of a surrogate pair"),
        ('{"\\udfff":1}', "params.json: in the name of a field"),
        ("[NaN]", "params.json[0]: must be a finite number"),
        ("-Infinity", "params.json: must be a finite number"),
        ("1e999", "params.json: must be a finite number"),
    ],
)
async def test_value_that_json_cannot_hold_is_refused_and_no_task_is_made(
    value: str, reason: str, api: Call
) -> None:
    body = (PARAMS % value).encode()
    made = await api("POST", "/api/tasks", raw=body, headers={"Content-Type": "application/json"})

    assert 422 == made.status
    assert reason in made.json["detail"]
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


async def test_a_name_given_twice_is_refused_with_its_field(api: Call) -> None:
    """Of two schedules the last counted, and the first was dropped without a word."""
    given = '{"name":"a","name":"b","limits":{"types":[],"types":["http"]}}'
    made = await api("POST", "/api/keys", raw=given.encode(), headers={"Content-Type": "application/json"})
    task = await api("POST", "/api/tasks", raw=(PARAMS % '{"a":1,"a":2}').encode())

    assert [422, 422] == [made.status, task.status]
    assert "name: is given twice; give it once (and 1 more)" == made.json["detail"]
    assert ["name", "limits.types"] == [one["field"] for one in made.json["errors"]]
    assert [{"field": "params.json.a", "reason": "is given twice; give it once"}] == task.json["errors"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (gzip.compress(json.dumps(HEALTH).encode()), NO_UTF_8),
        (zlib.compress(json.dumps(HEALTH).encode()), NO_UTF_8),
        ('{"title": "Caf\u00e9"}'.encode("latin-1"), NO_UTF_8),  # as Windows PowerShell sends it
        (b"[" * 5000 + b"]" * 5000, "The body is nested more than 100 levels deep; flatten it"),
        (b"{'title': 'Site'}", "The body is not JSON near line 1, column 2; look for a missing quote"),
        (b'{"title": "Site",\n "tags": ["a" "b"]}', "The body is not JSON near line 2, column 15;"),
        (b'{"maxRuns": ' + b"9" * 5000 + b"}", "The body holds a number with too many digits"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_with_what_is_wrong_with_it(
    body: bytes, words: str, api: Call
) -> None:
    refused = await api("POST", "/api/tasks", raw=body)

    assert 400 == refused.status
    assert refused.json["detail"].startswith(words)


@pytest.mark.parametrize(
    "value", [9_999_999_999_999_999_999, -(2**63) - 1, 2**53 + 1, "\U0001f600", "\x00", 1e308, [], {}, None]
)
async def test_value_that_json_holds_comes_back_as_it_was(value: Any, api: Call) -> None:
    params = {"url": "https://e.com", "method": "POST", "json": value}
    made = await api("POST", "/api/tasks", HTTP | {"params": params})

    read = await api("GET", "/api/tasks/call")

    assert (201, value) == (made.status, read.json["params"]["json"])


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Caf\u00e9", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("\uff26\uff35\uff2c\uff2c", "full"),
        ("Stra\u00dfe \u2460", "strasse-1"),
    ],
)
async def test_id_is_the_same_however_a_letter_is_written(title: str, expected: str, api: Call) -> None:
    assert expected == (await api("POST", "/api/tasks", HEALTH | {"title": title})).json["id"]


async def test_the_same_title_composed_and_decomposed_is_one_task(api: Call) -> None:
    first = await api("POST", "/api/tasks", HEALTH | {"title": "Caf\u00e9"})
    second = await api("POST", "/api/tasks", HEALTH | {"title": "Cafe\u0301"})

    assert (201, 409) == (first.status, second.status)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_if_none_match_changes_nothing_that_exists(method: str, api: Call) -> None:
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    body = None if method == "DELETE" else HEALTH | {"title": "Other"}

    answers = [
        await api(method, "/api/tasks/shop", body, headers={"If-None-Match": tag})
        for tag in ("*", f'"0", {made.headers["etag"]}')
    ]

    assert [412, 412] == [one.status for one in answers]
    assert HEALTH["title"] == (await api("GET", "/api/tasks/shop")).json["title"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [("*", 200), ('"0"', 412), ('"0", {etag}', 200), ("W/{etag}", 200), ("", 200), ("{etag}", 200)],
)
async def test_if_match_takes_a_list_of_tags(header: str, expected: int, api: Call) -> None:
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    headers = {"If-Match": header.format(etag=made.headers["etag"])}

    assert expected == (await api("PATCH", "/api/tasks/shop", {"priority": "high"}, headers=headers)).status


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_of_writes_of_one_version_at_once_one_succeeds_and_the_others_are_412(
    method: str, api: Call
) -> None:
    """Who lost between the comparison and the write got 409, which no client of If-Match waits for."""
    tag = (await api("POST", "/api/tasks", HEALTH)).headers["etag"]

    def change(number: int) -> Any:
        body = None if method == "DELETE" else {**HEALTH, "title": f"Title {number}"}
        return api(method, "/api/tasks/shop-front-answers", body, headers={"If-Match": tag})

    answers = await asyncio.gather(*map(change, range(4)))

    lost = {412, 404} if method == "DELETE" else {412}
    assert [1, lost] == [
        sum(answer.status < 300 for answer in answers),
        {answer.status for answer in answers if answer.status >= 300} | lost,
    ]


async def test_if_match_any_takes_whatever_version_there_is(api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH)

    def change(number: int) -> Any:
        body = {**HEALTH, "title": f"Title {number}"}
        return api("PUT", "/api/tasks/shop-front-answers", body, headers={"If-Match": "*"})

    assert [200] * 4 == [answer.status for answer in await asyncio.gather(*map(change, range(4)))]


async def test_if_match_any_fails_where_there_is_no_task(api: Call) -> None:
    answer = await api("DELETE", "/api/tasks/none", headers={"If-Match": "*"})

    assert 412 == answer.status


async def test_version_that_the_client_has_is_not_sent_again(api: Call) -> None:
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    tag = made.headers["etag"]

    same = await api("GET", "/api/tasks/shop", headers={"If-None-Match": tag})
    other = await api("GET", "/api/tasks/shop", headers={"If-None-Match": '"0"'})

    assert (304, b"", tag, 200) == (same.status, same.body, same.headers["etag"], other.status)


async def test_head_answers_as_get_does_without_the_body(api: Call, description: Any) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    paths = [path.replace("{id}", "shop") for path, one in description["paths"].items() if "get" in one]

    for path in (*paths, "/docs", "/dashboard", "/api/tasks/none"):
        get, head = await api("GET", path), await api("HEAD", path)
        assert (get.status, b"") == (head.status, head.body), path


# -- the description: a schema for each operation, whose examples are valid and accepted -----------------


def resolved(schema: Any, described: dict[str, Any]) -> dict[str, Any]:
    """*schema* of a body, with the others beside it, where its references lead."""
    return {**copy.deepcopy(schema), "components": described["components"]}


async def test_each_example_of_a_body_is_valid_by_its_schema_and_accepted_by_the_api(
    api: Call, description: Any
) -> None:
    tried = 0
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = [one["value"] for one in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            for example in examples:
                jsonschema_rs.validate(resolved(content["schema"], description), example)
                await api("POST", "/api/tasks", HEALTH | {"id": "shop-front"})
                answer = await api(method.upper(), path.replace("{id}", "shop-front"), example)
                assert answer.status in (200, 201), (method, path, answer.body)
                tried += 1
                await api("DELETE", "/api/tasks/shop")
                await api("DELETE", "/api/tasks/shop-front-answers")

    assert tried >= 6


@pytest.mark.parametrize(
    ("method", "path", "schema", "body"),
    [
        ("post", "/api/tasks", "TaskCreate", HEALTH),
        ("put", "/api/tasks/{id}", "TaskReplace", HEALTH),
        ("patch", "/api/tasks/{id}", "TaskUpdate", {"schedule": "@hourly"}),
        ("patch", "/api/tasks/{id}", "TaskUpdate", {"notify": None, "timeoutSeconds": None}),
    ],
)
def test_body_that_works_is_valid_by_the_schema_of_its_operation(
    method: str, path: str, schema: str, body: dict[str, Any], description: Any
) -> None:
    content = description["paths"][path][method]["requestBody"]["content"]["application/json"]
    assert f"#/components/schemas/{schema}" == content["schema"]["$ref"]

    jsonschema_rs.validate(resolved(content["schema"], description), body)


def test_what_is_not_sent_is_left_to_the_server(description: Any) -> None:
    """A generated client sends, or demands, each field that has a default in its description."""
    schemas = description["components"]["schemas"]

    for name in (
        "TaskCreate",
        "TaskReplace",
        "TaskUpdate",
        "Retry",
        "NotifyRule",
        "RunRequest",
        "PauseRequest",
    ):
        assert [] == [field for field, one in schemas[name]["properties"].items() if "default" in one], name
    assert schemas["Retry"]["properties"]["maxAttempts"]["description"] == "default: 3"
    assert "default" not in schemas["TaskCreate"]["properties"]["timezone"].get("description", "")


def test_each_operation_has_a_short_name_of_its_own(description: Any) -> None:
    names = [one["operationId"] for path in description["paths"].values() for one in path.values()]

    assert len(names) == len(set(names))
    assert {"create_task", "list_runs", "run_task"} <= set(names)


async def test_schema_of_a_new_task_asks_for_what_the_api_asks_for(api: Call, description: Any) -> None:
    shape = resolved({"$ref": "#/components/schemas/TaskCreate"}, description)

    for name in ("title", "type"):
        body = {key: value for key, value in HEALTH.items() if key != name}
        assert not jsonschema_rs.is_valid(shape, body)
        assert 422 == (await api("POST", "/api/tasks", body)).status
    assert not jsonschema_rs.is_valid(shape, HEALTH | {"unknown": 1})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
async def test_a_change_leaves_the_zone_whatever_the_default_is(zone: str, wired: App, api: Call) -> None:
    """UTC is no less written than another zone; only null asks for the default."""
    wired.default_timezone = "Europe/Riga"
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop", "timezone": zone})

    changed = await api("PATCH", "/api/tasks/shop", {"priority": "high"})
    cleared = await api("PATCH", "/api/tasks/shop", {"timezone": None})

    zones = [answer.json["timezone"] for answer in (made, changed, cleared)]
    assert [zone, zone, "Europe/Riga"] == zones


# -- channels that are not set up -------------------------------------------------------------------------


async def test_channel_that_nobody_can_set_up_is_named_with_the_nearest_at_save(api: Call) -> None:
    notify = [{"on": ["failure"], "channels": ["slak", "feishu"]}]
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop", "notify": notify})
    read = await api("GET", "/api/tasks/shop")

    words = "no channel 'slak' is set up (did you mean 'slack'?); its notices go to the default channels"
    expected = [f"notify: {words}"]
    assert (201, expected, expected) == (made.status, made.json["warnings"], read.json["warnings"])


async def test_a_timeout_that_no_tick_has_is_named_with_its_remedy_at_save(api: Call) -> None:
    made = await api("POST", "/api/tasks", HEALTH | {"id": "slow", "timeoutSeconds": 60})
    fits = await api("POST", "/api/tasks", HEALTH | {"id": "quick", "timeoutSeconds": 20})

    [warning] = made.json["warnings"]
    assert 201 == made.status
    assert warning.startswith(
        "timeoutSeconds: 60 s, but an attempt has 22.5 s: more is cut; lower it, raise "
    )
    assert [] == fits.json["warnings"]


@pytest.mark.parametrize(
    ("type_", "params", "warning"),
    [
        ("agent", {"goal": "Say what is new"}, "no model is set up; set LLM_BASE_URL"),
        ("http", {"url": "https://example.com", "headers": {"X-Key": "{{secret:SHOP}}"}}, "SHOP"),
        ("http", {"url": "http://192.168.0.9/"}, "ALLOW_PRIVATE_NETWORKS=1"),
    ],
)
async def test_what_a_task_needs_and_is_not_set_up_is_named_at_save(
    api: Call, type_: str, params: dict[str, Any], warning: str
) -> None:
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop", "type": type_, "params": params})
    read = await api("GET", "/api/tasks/shop")

    assert (201, made.json["warnings"]) == (made.status, read.json["warnings"])
    [found] = read.json["warnings"]
    assert warning in found


# -- values within one another ----------------------------------------------------------------------------


def nested(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


async def test_a_value_that_is_too_deep_is_refused_with_its_field_and_a_remedy(api: Call) -> None:
    task = HEALTH | {"id": "deep", "type": "publish_event"}
    deepest = {"eventType": "order.paid", "data": {"v": nested(MAX_DEPTH - 2)}}
    deeper = {"eventType": "order.paid", "data": {"v": nested(MAX_DEPTH - 1)}}

    made = await api("POST", "/api/tasks", task | {"params": deepest})
    refused = await api("POST", "/api/tasks", task | {"id": "deeper", "params": deeper})
    event = await api("POST", "/api/events", {"type": "order.paid", "data": {"v": nested(MAX_DEPTH)}})

    assert 201 == made.status, made.json
    assert (422, "params") == (refused.status, refused.json["errors"][0]["field"])
    assert refused.json["detail"].endswith("deep; flatten it, or give its inner part as text")
    assert (422, "data") == (event.status, event.json["errors"][0]["field"])


async def test_what_was_stored_deeper_is_still_shown_listed_and_paused(api: Call, wired: App) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "older"})
    [stored] = (await wired.store.get_tasks(["older"])).tasks
    params = {**stored.task.params, "older": nested(240)}
    await wired.store.write([ConditionalWrite.for_changes(stored, {"params": params})])

    shown, listed = await api("GET", "/api/tasks/older"), await api("GET", "/api/tasks")
    paused = await api("POST", "/api/tasks/older/pause", {})

    assert [200, 200, 200] == [shown.status, listed.status, paused.status]
    assert params == shown.json["params"] == listed.json["tasks"][0]["params"]
