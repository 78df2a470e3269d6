"""JSON of strangers: as deep as anybody needs, and no deeper."""

import json

import pytest

from functions.domain.json_depth import MAX_DEPTH, RepeatedNames, check_values, parse_json


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_has_a_limit(opening: str, closing: str) -> None:
    levels = MAX_DEPTH // (2 if opening.startswith("[{") else 1)
    allowed = opening * levels + "1" + closing * levels

    check_values(parse_json(allowed), "params")
    with pytest.raises(ValueError, match=r"params: is nested more than 100 levels deep; flatten it, or "):
        check_values(parse_json(f"[{allowed}]"), "params")
    with pytest.raises(ValueError, match="is nested more than 100 levels deep"):
        parse_json("[" * 5 + allowed + "]" * 5)


def test_a_value_that_holds_itself_is_too_deep() -> None:
    value: dict[str, object] = {}
    value |= {"a": value, "b": value}

    with pytest.raises(ValueError, match="levels deep"):
        check_values(value)


@pytest.mark.parametrize("deep", [b"[" * 1_000_000, b"[" * 900 + b"]" * 900, b"[" * 100_000 + b"]" * 100_000])
def test_whatever_is_too_deep_is_no_value(deep: bytes) -> None:
    with pytest.raises(ValueError, match=r"levels deep|Expecting value"):
        parse_json(deep)


@pytest.mark.parametrize("text", ["1", "null", '"x"', "[]", '{"a": [1, {"b": null}]}', '"\\ud800"'])
def test_other_json_is_read_as_ever(text: str) -> None:
    assert json.loads(text) == parse_json(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('"\\ud800"', "must not contain half"),
        ('{"tags": ["a", "b\\u0000"]}', r"tags\[1\]: must not contain the NUL"),
        ('{"data": {"\\udc00": 1}}', "data: in the name of a field"),
        ('{"a": {"b": NaN}}', r"a\.b: must be a finite number"),
        ('{"a": -Infinity}', "a: must be a finite number"),
        ('{"a": 1e999}', "a: must be a finite number"),
        ('{"a": 9223372036854775808}', "a: must be a number of 64 bits"),
    ],
)
def test_value_that_no_store_can_hold_is_refused_by_its_place(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        check_values(parse_json(text))


@pytest.mark.parametrize("text", ["9223372036854775807", '"\\ud83d\\ude00 \\n"', "[true, null, 1.5e300]"])
def test_value_that_stores_can_hold_is_left(text: str) -> None:
    check_values(parse_json(text))


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', []),
        ('{"a": 1, "b": 2, "a": 1, "a": 3}', [("a",)]),
        ('{"params": {"headers": {"x": 1, "x": 2}}}', [("params", "headers", "x")]),
        ('[{"on": 1}, {"on": 1, "on": 2}]', [(1, "on")]),
        ('{"a": {"b": 1, "b": 2}, "a": {}}', [("a",)]),  # what is dropped is not searched
        ('{"\\u0061": 1, "a": 2}', [("a",)]),
        ('{"\\ud800": 1, "\\ud800": 2}', [("\\ud800",)]),
        (f'{{"{"n" * 99}": 1, "{"n" * 99}": 2}}', [("n" * 60,)]),
    ],
)
def test_names_that_stand_twice_are_found_at_their_place(
    text: str, paths: list[tuple[str | int, ...]]
) -> None:
    repeated = RepeatedNames()
    value = parse_json(text, hook=repeated)

    assert paths == list(repeated.paths_in(value))
    assert parse_json(text) == value, "what counts is the same"
