"""What clients send that is not quite a request: media types, empty tags, repeated parameters, bodies."""

from typing import Any

import pytest

from tests.unit.web.api.conftest import HEALTH, Call

OPERATIONS = [
    ("POST", "/api/tasks", b'{"title": "T", "type": "x"}'),
    ("PATCH", "/api/tasks/shop", b'{"description": "d"}'),
    ("POST", "/api/tasks/shop/pause", b'{"note": "n"}'),
    ("POST", "/api/tasks/shop/run", b'{"wait": 0}'),
    ("POST", "/api/tasks/pause", b'{"tag": "t"}'),
    ("POST", "/api/keys", b'{"name": "k"}'),
    ("PUT", "/api/owners/ann", b'{"plan": "p"}'),
    ("PUT", "/api/calendars/days", b'{"entries": []}'),
    ("POST", "/api/events", b'{"type": "x.y"}'),
]


@pytest.fixture
async def shop(api: Call) -> dict[str, Any]:
    made = await api("POST", "/api/tasks", HEALTH | {"id": "shop"})
    found: dict[str, Any] = made.json
    return found


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "text/plain", "text/json", "json"]
)
@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
async def test_a_body_that_is_not_said_to_be_json_is_refused_with_the_remedy(
    api: Call, method: str, path: str, body: bytes, media_type: str
) -> None:
    """As the first: what `curl -d` sends without a header of its own."""
    answer = await api(method, path, raw=body, headers={"Content-Type": media_type})

    assert 415 == answer.status
    assert "Send the body as JSON, with Content-Type: application/json" == answer.json["detail"]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("header", [{}, {"Content-Type": "Application/JSON; charset=utf-8"}], ids=str)
async def test_a_body_is_read_as_json_when_nothing_else_is_said(api: Call, header: dict[str, str]) -> None:
    paused = await api("POST", "/api/tasks/shop/pause", raw=b'{"note": "by hand"}', headers=header)
    edited = await api("PATCH", "/api/tasks/shop", raw=b'{"description": "d"}', headers=header)

    assert (200, 200) == (paused.status, edited.status), paused.body
    assert "by hand" == paused.json["pause"]["note"]


@pytest.mark.usefixtures("shop")
async def test_no_body_is_none_whatever_it_is_said_to_be(api: Call) -> None:
    header = {"Content-Type": "application/x-www-form-urlencoded"}  # of `curl -X POST -d ''`

    assert 200 == (await api("POST", "/api/tasks/shop/pause", headers=header)).status


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/api/tasks/shop/pause", b"[]", "The body must be a mapping of names to values"),
        ("/api/tasks/shop/pause", b'"x"', "The body must be a mapping of names to values"),
        ("/api/keys", b"", "The body is required"),
    ],
)
async def test_what_is_wrong_with_a_whole_body_is_a_sentence(
    api: Call, path: str, body: bytes, detail: str
) -> None:
    answer = await api("POST", path, raw=body, headers={"Content-Type": "application/json"})

    assert (422, detail) == (answer.status, answer.json["detail"])


@pytest.mark.parametrize("tag", ['""', ",", '"', 'W/""'])
async def test_an_empty_tag_is_no_version(api: Call, shop: dict[str, Any], tag: str) -> None:
    """A client that lost its tag overwrites nothing, and gets what it has not."""
    edited = await api("PATCH", "/api/tasks/shop", {"title": "Lost"}, headers={"If-Match": tag})
    read = await api("GET", "/api/tasks/shop", headers={"If-None-Match": tag})

    assert (412, 200) == (edited.status, read.status)
    assert shop["title"] == read.json["title"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/tasks?limit=5&limit=2", "limit"),
        ("/api/runs?task=shop&task=other", "task"),
        ("/api/tasks?tag=a&tag=a", "tag"),
    ],
)
async def test_a_parameter_that_is_given_twice_is_refused(api: Call, path: str, name: str) -> None:
    """All but the last were passed over without a word."""
    answer = await api("GET", path)

    assert 422 == answer.status
    assert f"{name}: is given more than once; give it once" == answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/api/runs?since=2026-12-02T00:00:00Z&before=2026-12-01T00:00:00Z", "before"),
        ("POST", "/api/tasks?wait=30", "wait"),
    ],
)
async def test_a_parameter_that_has_no_effect_is_refused(
    api: Call, method: str, path: str, field: str
) -> None:
    """An empty page said that nothing had run, and a task that was to be waited for did not run."""
    answer = await api(method, path, HEALTH if method == "POST" else None)

    assert (422, [field]) == (answer.status, [one["field"] for one in answer.json["errors"]])
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


async def test_a_parameter_that_is_a_list_may_be_repeated(api: Call) -> None:
    answer = await api("GET", "/api/schedule/preview?schedule=@daily&except=12-24&except=12-25")

    assert 200 == answer.status, answer.body


@pytest.mark.parametrize(
    ("path", "slash"),
    [("/api/nothing", ""), ("/docsx", ""), ("/api/tasks/", ", without"), ("/mcp/", ", without")],
)
async def test_an_address_with_nothing_at_it_says_where_to_look(api: Call, path: str, slash: str) -> None:
    answer = await api("GET", path)

    assert 404 == answer.status
    assert answer.json["detail"].partition(" a slash at the end")[0] == (
        f"There is nothing at this address: pages are at /dashboard, the API's are at /docs{slash}"
    )


@pytest.mark.parametrize(
    "text", [" ", "\n\t", "\u200b", "\u202e\x1b", "\u2800", "\u3164\uffa0", "\u034f\ufe0f"], ids=ascii
)
async def test_a_name_that_shows_nothing_is_refused(api: Call, text: str) -> None:
    """A page would have a link that nobody sees, and a list of keys a row without a name."""
    titled = await api("POST", "/api/tasks", HEALTH | {"title": text, "id": "blank"})
    tagged = await api("POST", "/api/tasks", HEALTH | {"tags": ["a", text]})
    key = await api("POST", "/api/keys", {"name": text, "scopes": ["read"]})

    fields = [answer.json["errors"][0]["field"] for answer in (titled, tagged, key)]
    assert ["title", "tags[1]", "name"] == fields


@pytest.mark.parametrize("owner", [" ann", "ann ", "ann\n", "ann\u200b", "a\u202enn"], ids=ascii)
async def test_no_owner_has_a_name_that_looks_like_anothers(api: Call, owner: str) -> None:
    task = await api("POST", "/api/tasks", HEALTH | {"owner": owner})
    key = await api("POST", "/api/keys", {"name": "k", "scopes": ["read"], "owner": owner})

    assert ["owner", "owner"] == [answer.json["errors"][0]["field"] for answer in (task, key)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'[{"jsonrpc": "2.0", "method": "ping", "id": 1}]',
        b'{"id": 1}',
        b'{"jsonrpc": "2.0", "method": 5, "id": 1}',
        b'{"jsonrpc": "2.0", "method": "ping", "id": 1, "params": [1]}',
        b'{"jsonrpc": "2.0", "method": "ping", "id": null}',
        b'{"jsonrpc": "2.0", "method": "ping", "id": 1.5}',
        b'{"jsonrpc": "2.0", "method": "ping", "id": true}',
    ],
)
async def test_an_assistants_body_that_is_no_message_is_refused_in_words(api: Call, body: bytes) -> None:
    """The SDK answers with the names of its models, and what they were given; to an id of null, nothing."""
    answer = await api("POST", "/mcp", raw=body, headers={"Content-Type": "application/json"})

    assert (400, "Send one JSON-RPC message at a time") == (
        answer.status,
        answer.json["detail"].partition(",")[0],
    )
