"""Rows of rules: what they show, what they make, and where what is wrong with them is said."""

from typing import Any

import pytest

from functions.web.dashboard.forms.conditions import CONDITIONS
from functions.web.dashboard.forms.widgets import MISSING, FieldError

JSON, HEADERS = CONDITIONS["expect.json"], CONDITIONS["expect.headers"]


def row(number: int, subject: str, rule: str, value: str, *, of: str = "path") -> dict[str, str]:
    return {f"{number}.{of}": subject, f"{number}.rule": rule, f"{number}.value": value}


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ({"equals": "ok"}, ("equals", "ok")),
        ({"equals": "5"}, ("equals", '"5"')),
        ({"equals": 5}, ("equals", "5")),
        ({"equals": None}, ("equals", "null")),
        ({"equals": {"a": [1, "x\ny"]}}, ("equals", '{"a": [1, "x\\ny"]}')),
        ({"notEquals": True}, ("notEquals", "true")),
        ({"matches": "^5$"}, ("matches", "^5$")),
        ({"greater": 2.5}, ("greater", "2.5")),
        ({"length": {"greater": 0}}, ("length", '{"greater": 0}')),
        ({"exists": False}, ("exists", "false")),
        ({"changed": "news"}, ("changed", "news")),
    ],
)
def test_a_rule_is_a_row_and_the_row_is_the_rule(rule: dict[str, Any], shown: tuple[str, str]) -> None:
    given = [{"path": "$.a"} | rule]

    assert row(0, "$.a", *shown) == JSON.encode(given)
    assert given == JSON.decode(row(0, " $.a ", *shown), before=MISSING)


def test_the_value_of_a_header_is_a_text() -> None:
    """Nobody types quotes around a number there."""
    given = [{"name": "Age", "equals": "5"}, {"name": "X-Left", "less": 10}]
    shown = row(0, "Age", "equals", "5", of="name") | row(1, "X-Left", "less", "10", of="name")

    assert shown == HEADERS.encode(given)
    assert given == HEADERS.decode(shown, before=MISSING)


@pytest.mark.parametrize(
    "value",
    [
        [{"path": "$.a", "greater": 1, "less": 5}],  # two rules in one
        [{"path": "$.a"}],
        [{"equals": 1}],
        [{"path": "$.a", "matches": "a\nb"}],
        [{"path": "$.a", "length": 1, "x": 2}],
        [{"path": 5, "equals": 1}],
        ["$.a"],
        {"path": "$.a", "equals": 1},
        [{"path": "$.a", "equals": 1}] * 61,
    ],
)
def test_what_rows_cannot_show_is_shown_as_json(value: Any) -> None:
    assert JSON.encode(value) is None


@pytest.mark.parametrize("value", [MISSING, None, []])
def test_no_rules_are_no_rows(value: Any) -> None:
    assert {} == JSON.encode(value)


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (row(0, "", "equals", "1"), {"0.path": "is required; empty the row to remove it"}),
        (row(3, "$.a", "", "1"), {"3.rule": "choose what must hold"}),
        (row(0, "$.a", "nonsense", "1"), {"0.rule": "choose what must hold"}),
        (row(0, "$.a", "less", ""), {"0.value": "is required"}),
        (row(0, "$.a", "equals", " "), {"0.value": "is required"}),
    ],
)
def test_a_row_that_is_not_filled_in_says_what_is_missing(
    cells: dict[str, str], wrong: dict[str, str]
) -> None:
    with pytest.raises(FieldError) as caught:
        JSON.decode(row(9, "$.b", "equals", "1") | cells, before=MISSING)

    assert wrong == caught.value.reasons


def test_a_row_that_is_emptied_is_removed() -> None:
    assert [{"path": "$.b", "equals": 1}] == JSON.decode(
        row(0, "", "", " ") | row(1, "$.b", "equals", "1"), before=MISSING
    )
    assert JSON.decode(row(0, "", "", ""), before=MISSING) is MISSING


def test_the_value_of_some_rules_may_be_left_out() -> None:
    cells = row(0, "$.a", "exists", "") | row(1, "$.b", "changed", "")

    assert [{"path": "$.a", "exists": True}, {"path": "$.b", "changed": "news"}] == JSON.decode(
        cells, before=MISSING
    )


@pytest.mark.parametrize(
    ("place", "cell"),
    [("0.path", "0.path"), ("2.less", "2.value"), ("1.length.greater", "1.value"), ("4", "4.rule")],
)
def test_what_is_wrong_is_said_at_a_cell(place: str, cell: str) -> None:
    assert cell == JSON.cell_of(place)
