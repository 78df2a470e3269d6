"""One rule at a time: what satisfies it, and the sentence about what does not."""

from typing import Any

import pytest

from functions.domain.expectations import Expectation, Unmet, digest_of, expected_phrase, find_unmet

NOTHING_WRONG = ""


def found_by(operator: Any, expected: Any, *values: Any, source: str = "body", name: str = "$.x") -> str:
    """What is said to be found where *values* are not as expected; empty when they are."""
    unmet = find_unmet(0, Expectation(source, name, operator, expected), values)
    return unmet.found if unmet else NOTHING_WRONG


@pytest.mark.parametrize(
    ("operator", "expected", "value"),
    [
        ("equals", "ok", "ok"),
        ("equals", 1, 1.0),
        ("equals", None, None),
        ("equals", {"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}),
        ("equals", 2**70, 2**70),
        ("notEquals", 1, "1"),
        ("notEquals", True, 1),
        ("notEquals", None, 0),
        ("contains", "ob", "foobar"),
        ("contains", ["fo", "ar"], "foobar"),
        ("contains", 2, [1, 2.0]),
        ("contains", {"id": 1}, [{"id": 1}]),
        ("contains", "name", {"name": None}),
        ("notContains", "error", "all is well"),
        ("notContains", ["error", "fatal"], "all is well"),
        ("matches", r"^v\d+$", "v12"),
        ("matches", "b", "abc"),
        ("greater", 5, 5.5),
        ("greater", -1, 0),
        ("less", 1e3, 999),
        ("length", 3, "abc"),
        ("length", 0, []),
        ("length", {"greater": 0}, {"a": 1}),
        ("length", {"greater": 1, "less": 4}, [1, 2, 3]),
        ("exists", True, None),
        ("within", [(200, 299)], 204),
        ("atMost", 800, 800),
    ],
)
def test_a_value_satisfies_a_rule(operator: str, expected: Any, value: Any) -> None:
    assert NOTHING_WRONG == found_by(operator, expected, value)


@pytest.mark.parametrize(
    ("operator", "expected", "value", "said"),
    [
        ("equals", "ok", "degraded", '"degraded"'),
        ("equals", 1, "1", '"1"'),
        ("equals", 1, True, "true"),
        ("equals", 0, None, "null"),
        ("equals", [1, 2], [2, 1], "[2, 1]"),
        ("notEquals", 1, 1.0, "1.0"),
        ("contains", "x", "abc", '"abc"'),
        ("contains", 1, [True], "[true]"),
        ("contains", "1", 12, "12, which holds nothing"),
        ("contains", 1, "123", '"123"'),
        ("notContains", "b", "abc", '"abc"'),
        ("notContains", "b", 5, "5, which is no text"),
        ("matches", "^b", "abc", '"abc"'),
        ("matches", "1", 1, "1, which is no text"),
        ("greater", 5, 5, "5"),
        ("greater", 5, "6", '"6", which is no number'),
        ("greater", 0, True, "true, which is no number"),
        ("less", 5, None, "null, which is no number"),
        ("length", 3, "ab", "2"),
        ("length", {"greater": 2}, [1], "1"),
        ("length", {"less": 1}, {"a": 1}, "1"),
        ("length", 1, 7, "7, which has no length"),
        ("exists", False, 0, "0"),
        ("within", [(200, 299), (304, 304)], 500, "500"),
        ("atMost", 800, 801, "801 ms"),
    ],
)
def test_a_value_that_does_not_is_shown(operator: str, expected: Any, value: Any, said: str) -> None:
    assert said == found_by(operator, expected, value)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("equals", None),
        ("notEquals", "x"),
        ("matches", ""),
        ("less", 1),
        ("exists", True),
        ("changed", "news"),
    ],
)
def test_nothing_satisfies_no_rule(operator: str, expected: Any) -> None:
    assert "nothing" == found_by(operator, expected)


def test_nothing_is_what_is_expected_where_it_must_not_exist() -> None:
    assert NOTHING_WRONG == found_by("exists", False)


def test_every_value_must_satisfy() -> None:
    rule = Expectation("body", "$[*]", "equals", "ok")

    assert find_unmet(0, rule, ["ok", "ok"]) is None
    assert Unmet(7, "$[*]", '"ok"', '"down" at $[1] (2 of 3)') == find_unmet(
        7, rule, ["ok", "down", "gone"], "$[{}]".format
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("101", NOTHING_WRONG),
        (" 1e3 ", NOTHING_WRONG),
        ("100", '"100"'),
        ("many", '"many", which is no number'),
        ("nan", '"nan", which is no number'),
        ("inf", '"inf", which is no number'),
        ("9" * 50, f'"{"9" * 50}", which is no number'),
        ("٢٠٠", '"٢٠٠", which is no number'),  # digits, but not what a server counts with
    ],
)
def test_a_header_is_a_number_when_it_is_written_as_one(value: str, said: str) -> None:
    assert said == found_by("greater", 100, value, source="header", name="X-Left")


def test_white_space_around_a_text_is_not_meant() -> None:
    assert NOTHING_WRONG == found_by("equals", "ok", "ok\n", source="stdout", name="")
    assert '"ok\\n"' == found_by("equals", "ok", "ok\n", name="$.x")


@pytest.mark.parametrize(
    ("operator", "value", "phrase"),
    [
        ("equals", "ok", '"ok"'),
        ("notEquals", None, "anything but null"),
        ("contains", ["a", "b"], 'to contain ["a", "b"]'),
        ("notContains", "a", 'not to contain "a"'),
        ("matches", "^a$", 'to match "^a$"'),
        ("greater", 5.0, "more than 5"),
        ("less", 0.5, "less than 0.5"),
        ("length", 3, "a length of 3"),
        ("length", {"greater": 1, "less": 9}, "a length of more than 1 and less than 9"),
        ("exists", True, "a value"),
        ("exists", False, "nothing"),
        ("within", [(200, 299), (304, 304)], "200-299 or 304"),
        ("atMost", 800, "at most 800 ms"),
    ],
)
def test_what_is_expected_is_said_in_words(operator: Any, value: Any, phrase: str) -> None:
    assert phrase == expected_phrase(Expectation("body", "$.x", operator, value))


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (Expectation("header", "ETag", "exists", True), "header ETag"),
        (Expectation("body", "", "schema", {}), "schema"),
        (Expectation("body", "$.a", "equals", 1), "$.a"),
        (Expectation("exitCode", "", "within", []), "exit code"),
        (Expectation("stderr", "", "equals", ""), "error output"),
    ],
)
def test_each_thing_has_a_name(rule: Expectation, label: str) -> None:
    assert label == rule.label


def test_a_digest_is_of_the_value_and_not_of_its_spelling() -> None:
    assert digest_of([{"a": 1, "b": [2.0]}]) == digest_of([{"b": [2], "a": 1.0}])
    assert len({digest_of([one]) for one in (1, "1", True, None, [1], {"1": 1})}) == 6
    assert digest_of([1, 2]) != digest_of([2, 1])
