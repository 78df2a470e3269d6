"""Texts and JSON against expectations: bodies, paths and schemas as the world sends and people write them."""

import json
import socket
from typing import Any

import pytest

from functions.domain.expectations import TOO_LONG, Unmet
from functions.parsing.contents import CheckedContents, check_contents
from functions.parsing.json_queries import MAX_SCHEMA_CHARS, path_problem, schema_problem


def check(text: str, *rules: tuple[str, str, Any], incomplete: str = "") -> CheckedContents:
    """Check a body; a rule is a path (empty for the text), an operator and a value."""
    given = {"texts": {"body": [text]}, "incomplete": {"body": incomplete} if incomplete else {}}
    expectations = [
        {"number": number, "source": "body", "name": name, "operator": operator, "value": value}
        for number, (name, operator, value) in enumerate(rules)
    ]
    return check_contents(json.dumps(given).encode(), expectations=expectations)


def said(checked: CheckedContents) -> list[str]:
    return [
        f"{one.label}: expected {one.expected}, found {one.found}"
        if one.expected
        else f"{one.label}: {one.found}"
        for one in checked.unmet
    ]


def test_all_that_is_unmet_is_found_at_once_in_its_order() -> None:
    body = '{"status": "degraded", "queue": 120, "nodes": [{"up": true}, {"up": false}]}'

    checked = check(
        body,
        ("", "contains", "queue"),
        ("$.status", "equals", "ok"),
        ("$.queue", "less", 100),
        ("$.nodes[*].up", "equals", True),
        ("$.nodes", "length", 2),
        ("$.version", "exists", True),
    )

    assert [
        '$.status: expected "ok", found "degraded"',
        "$.queue: expected less than 100, found 120",
        "$.nodes[*].up: expected true, found false at $.nodes[1].up (1 of 2)",
        "$.version: expected a value, found nothing",
    ] == said(checked)
    assert [1, 2, 3, 5] == [one.number for one in checked.unmet]


NOT_JSON = {
    "nothing": ("", "nothing"),
    "white space": (" \r\n", "nothing"),
    "a web page": (
        "<!doctype html><title>Sorry</title>",
        '"<!doctype html><title>Sorry</title>", which is not JSON (expecting value, at character 1)',
    ),
    "a text": ("OK", '"OK", which is not JSON (expecting value, at character 1)'),
    "cut off": (
        '{"a": [1, 2',
        '"{\\"a\\": [1, 2", which is not JSON (expecting \',\' delimiter, at character 12)',
    ),
    "NaN": ('{"a": NaN}', "a text with NaN, which JSON does not have"),
    "infinity": ("[-Infinity]", "a text with -Infinity, which JSON does not have"),
    "single quotes": (
        "{'a': 1}",
        "\"{'a': 1}\", which is not JSON (expecting property name enclosed in double quotes, at character 2)",
    ),
    "two documents": (
        '{"a": 1}\n{"a": 2}',
        '"{\\"a\\": 1}\\n{\\"a\\": 2}", which is not JSON (extra data, at character 10)',
    ),
    "deep": ("[" * 200 + "]" * 200, "JSON that is nested more than 100 levels deep"),
    "bottomless": ("[" * 100_000, "JSON that is nested more than 100 levels deep"),
    "a number without end": ("[" + "9" * 5000 + "]", "JSON with a number of more than 4,300 digits"),
}


@pytest.mark.parametrize(("body", "found"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_is_said_once(body: str, found: str) -> None:
    """Whatever is expected of it: also that something must not be there, as nobody has looked."""
    checked = check(body, ("$.a", "equals", 1), ("$.b", "exists", False), ("", "schema", {"type": "object"}))

    assert (Unmet(0, "body", "JSON", found),) == checked.unmet


def test_a_body_that_is_not_whole_is_no_json() -> None:
    why = "more than the 256 KB that are read"

    checked = check('{"a": 1}', ("$.a", "equals", 1), ("", "contains", "a"), incomplete=why)

    assert [f"body: expected JSON, found {why}"] == said(checked)


@pytest.mark.parametrize(
    ("rule", "why", "expected"),
    [
        (("", "equals", "abc"), "a part of it", ['body: expected "abc", found a part of it']),
        (("", "notContains", "z"), "a part of it", ['body: expected not to contain "z", found a part of it']),
        (("", "contains", "b"), "a part of it", []),
        (("", "notContains", "z"), TOO_LONG, []),
    ],
)
def test_a_part_does_not_say_what_the_rest_is(rule: Any, why: str, expected: list[str]) -> None:
    assert expected == said(check("abc", rule, incomplete=why))


def test_a_text_is_looked_for_in_the_part_that_came() -> None:
    checked = check("abc", ("", "contains", "z"), incomplete="a part of it")

    assert ['body: expected to contain "z", found "abc" (a part of it)'] == said(checked)


@pytest.mark.parametrize(
    ("body", "path", "operator", "value"),
    [
        ('\ufeff{"a": 1}', "$.a", "equals", 1),
        ('{"a": 1, "a": 2}', "$.a", "equals", 2),
        ('{"a": 1e400}', "$.a", "greater", 1e308),
        ('{"a": 12345678901234567890123}', "$.a", "equals", 12345678901234567890123),
        ('{"a": 0.1}', "$.a", "less", 0.11),
        ('{"a": "\\ud800"}', "$.a", "exists", True),
        ('{"": {"é": [5]}}', "$['']['é'][0]", "equals", 5),
        ('{"a": null}', "$.a", "exists", True),
        ('{"a": null}', "$.a", "equals", None),
        ("5", "$", "equals", 5),
        ("null", "$", "equals", None),
        ("[[1, 2], [3]]", "$[*][0]", "less", 4),
        ('[{"s": "up"}, {"s": "down"}]', "$[?@.s=='down']", "length", 1),
        ('[{"s": "up"}, {"s": "up"}]', "$[?@.s=='down']", "exists", False),
        ("[1, 2, 3]", "$[-1]", "equals", 3),
        ("[1, 2, 3]", "$[5]", "exists", False),
        ('{"a": {"b": {"id": 1}}, "id": 2}', "$..id", "greater", 0),
        ('[{"n": "ab"}]', "$[?search(@.n, 'b')].n", "equals", "ab"),
        ('{"a.b": 1}', "$['a.b']", "equals", 1),
        ('{"a": [1]}', "$.a.b", "exists", False),
    ],
)
def test_a_path_selects_as_the_rfc_says(body: str, path: str, operator: str, value: Any) -> None:
    assert [] == said(check(body, (path, operator, value)))


def test_a_path_that_selects_very_much_is_unmet() -> None:
    checked = check(json.dumps([0] * 10_001), ("$[*]", "equals", 0))

    assert ["$[*]: found more than 10,000 values"] == said(checked)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("status", "must begin with $, which is the whole document: $.status, $.items[0].id"),
        ("/status", "must begin with $, which is the whole document: $.status, $.items[0].id"),
        ("^.a", "must begin with $, which is the whole document: $.status, $.items[0].id"),
        (" $.a", "must begin with $, which is the whole document: $.status, $.items[0].id"),
        ("$.", "is not a JSON path: expected a shorthand selector, at character 3"),
        ("$.a[", "is not a JSON path: unexpected end of query, at character 5"),
        ("$.a | $.b", "is not a JSON path: unexpected token '|', at character 5"),
        ("$.a b", "is not a JSON path: unexpected token 'b', at character 5"),
        ("$.~", "is not a JSON path: unexpected token '~', at character 3"),
        ("$[?foo(@)]", "is not a JSON path: function 'foo' is not defined, at character 4"),
        ("$[" + "9" * 30 + "]", "is not a JSON path: index out of range, at character 3"),
        ("$[?@.a==1e999999]", "is not a JSON path: it is nested too deep, or has a number that is too big"),
        ("$" + "[" * 400, "is not a JSON path: something else is expected, at character 3"),
        ("$[?@.a == @.b", "is not a JSON path: "),
        ("$['a", "is not a JSON path: "),
        ("$[?@.*==1]", "is not a JSON path: "),
        ("$[1:2:3:4]", "is not a JSON path: "),
        ("$.a..", "is not a JSON path: "),
        ("$..[", "is not a JSON path: "),
        ("$[?length(@.a,1)>2]", "is not a JSON path: "),
        ("$[01]", "is not a JSON path: "),
    ],
)
def test_a_wrong_path_is_refused_with_its_place(path: str, problem: str) -> None:
    assert (path_problem(path) or "").startswith(problem), path_problem(path)


@pytest.mark.parametrize(
    "path", ["$", "$.a", "$['a']", "$..*", "$[?@.a<2 && !@.b]", "$[?" + "(" * 150 + "@.a" + ")" * 150 + "]"]
)
def test_a_right_path_is_not(path: str) -> None:
    assert path_problem(path) is None


# Schemas.

ORDER = {
    "type": "object",
    "required": ["id", "lines"],
    "properties": {
        "id": {"type": "string", "pattern": "^o-"},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "required": ["sku"], "properties": {"n": {"type": "integer"}}}},
}


def test_a_document_that_fits_is_as_expected() -> None:
    assert [] == said(check('{"id": "o-1", "lines": [{"sku": "a"}]}', ("", "schema", ORDER)))


def test_one_that_does_not_is_told_where() -> None:
    checked = check('{"id": 5, "lines": [{"sku": "a", "n": 1.5}, {}]}', ("", "schema", ORDER))

    [unmet] = checked.unmet
    assert ("schema", "") == (unmet.label, unmet.expected)
    assert (
        "$.id: 5 is not of type 'string'; $.lines[0].n: 1.5 is not of type 'integer'; "
        "$.lines[1]: 'sku' is a required property"
    ) == unmet.found


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"$ref": "#"}, "found a schema that refers to itself without end"),
        ({"$ref": "https://example.com/other.json"}, "found a schema that refers to what is not in it"),
        ({"$ref": "#nowhere"}, "found a schema that refers to what is not in it"),
        ({"items": {"pattern": "("}}, "found a schema with a pattern that is wrong"),
    ],
)
def test_a_schema_that_cannot_be_applied_says_why(schema: Any, found: str) -> None:
    """Its references to addresses lead nowhere: the process that checks opens none."""
    [unmet] = check('["a"]', ("", "schema", schema)).unmet

    assert unmet.found.startswith(found)


def test_no_address_in_a_schema_is_opened() -> None:
    """As the library does by itself. A store may be edited by hand, beside all checks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"

        [unmet] = check("1", ("", "schema", {"$schema": address, "allOf": [{"$ref": address}]})).unmet

        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "found a schema that refers to what is not in it" == unmet.found


def test_a_schema_of_a_tree_is_applied_to_all_of_it() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["v"]}

    assert [] == said(check('{"v": 1, "next": {"v": 2, "next": {"v": 3}}}', ("", "schema", tree)))
    [unmet] = check('{"v": 1, "next": {"v": 2, "next": {}}}', ("", "schema", tree)).unmet
    assert "$.next.next: 'v' is a required property" == unmet.found


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "objekt"}, "$.type: 'objekt' is not valid under any of the given schemas"),
        ({"minItems": -1}, "$.minItems: -1 is less than the minimum of 0"),
        ({"properties": []}, "$.properties: [] is not of type 'object'"),
        ({"properties": {"a": {"pattern": "("}}}, "$.properties.a.pattern: '(' is not a 'regex'"),
        ({"patternProperties": {"(": {}}}, "$.patternProperties: '(' is not a 'regex'"),
        ({"$ref": "http://127.0.0.1/a"}, '"http://127.0.0.1/a" is another document, and none is fetched;'),
        ({"items": {"$ref": "file:///etc/passwd"}}, '"file:///etc/passwd" is another document'),
        ({"items": {"$ref": "item.json"}}, '"item.json" is another document'),
        ({"$dynamicRef": "https://x.example#m"}, '"https://x.example#m" is another document'),
        ({"items": {"$ref": "#/$defs/none"}}, '"#/$defs/none" is not in it'),
        ({"$schema": "https://example.com/mine"}, "$schema must be a dialect that is known: draft-04"),
        ({"enum": ["x" * MAX_SCHEMA_CHARS]}, "must have at most 8,192 characters as JSON"),
    ],
)
def test_a_wrong_schema_is_refused(schema: Any, problem: str) -> None:
    assert (schema_problem(schema) or "").startswith(problem), schema_problem(schema)


def test_a_schema_nested_out_of_reason_is_refused() -> None:
    deep: Any = {}
    for _ in range(1000):
        deep = {"not": deep}

    assert schema_problem(deep) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        ORDER,
        {"$ref": "#/$defs/a%20b", "$defs": {"a b": {}}},
        {
            "$id": "https://example.com/o",
            "items": {"$ref": "https://example.com/o#/$defs/a"},
            "$defs": {"a": {}},
        },
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"a": {}},
            "items": {"$ref": "#/definitions/a"},
        },
        {"properties": {"$ref": {"type": "string"}}},
    ],
)
def test_a_right_schema_is_not(schema: Any) -> None:
    assert schema_problem(schema) is None


def test_a_value_that_is_watched_is_remembered_by_its_hash_and_start() -> None:
    [one] = check('{"v": "1.2"}', ("$.v", "changed", "news")).observed
    [same] = check('{ "v" :"1.2"}', ("$.v", "changed", "news")).observed
    [other] = check('{"v": "1.3"}', ("$.v", "changed", "news")).observed

    assert (0, "$.v", '"1.2"') == (one.number, one.label, one.shown)
    assert one == same
    assert one.digest != other.digest


def test_a_watched_value_that_is_not_there_is_unmet() -> None:
    checked = check("{}", ("$.v", "changed", "news"))

    assert ["$.v: expected a value, found nothing"] == said(checked)
    assert () == checked.observed
