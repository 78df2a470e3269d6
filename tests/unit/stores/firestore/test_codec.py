"""Values survive the way to Firestore and back, whatever shape they have."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Value
from hypothesis import given
from hypothesis import strategies as st

from functions.stores.firestore.codec import EPOCH, decode_json, decode_value, encode_value, to_value

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(JSON)
def test_any_json_comes_back_as_it_was(value: Any) -> None:
    came_back = decode_value(over_the_wire(value))

    assert repr(value) == repr(came_back) or value == came_back
    assert type(value) is type(came_back)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        2**63,
        -(2**63),
        [],
        {},
        [[1, 2], []],
        {"": 1},
        {"__reserved__": 1},
        {"$json": "mine"},
        {"x" * 1501: 1},
        {"ключ": {"пусто": None}},
        {"a.b": [{}, [{"c": [[1]]}]]},
    ],
)
def test_what_firestore_has_no_shape_for_comes_back_as_it_was(value: Any) -> None:
    came_back = decode_value(over_the_wire(value))

    assert value == came_back
    assert type(value) is type(came_back)


def test_a_list_in_a_list_is_kept_as_json_text_under_a_name_that_says_so() -> None:
    """A document is read by people in the console; only what must be is turned into text."""
    kept = to_value({"rows": [[1, 2], 3]}).map_value.fields["rows"].array_value.values

    assert "[1, 2]" == kept[0].map_value.fields["$json"].string_value
    assert 3 == kept[1].integer_value


def test_nesting_deeper_than_firestore_takes_comes_back() -> None:
    value: dict[str, Any] = {}
    for _ in range(40):
        value = {"inner": value}

    assert value == decode_value(over_the_wire(value))
    assert 20 > depth(over_the_wire(value))


def test_an_instant_is_a_timestamp_to_the_microsecond() -> None:
    moment = datetime(1969, 7, 20, 20, 17, 40, 123_456, tzinfo=UTC)

    kept = over_the_wire(moment)

    assert "timestamp_value" == kept.WhichOneof("value_type")
    assert moment == decode_value(kept)


def test_what_is_read_as_json_has_its_instants_as_text() -> None:
    """Who edits in the console takes a timestamp for a text; pages and exports write JSON."""
    kept = over_the_wire({"since": datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), "rows": [{"at": EPOCH}, 5]})

    expected = {"since": "2026-02-28T23:59:59Z", "rows": [{"at": "1970-01-01T00:00:00Z"}, 5]}
    assert expected == decode_json(kept)


def test_json_text_nested_too_deep_is_refused_like_any_other_that_cannot_be_read() -> None:
    kept = Value.pb()()
    kept.map_value.fields["$json"].string_value = "[" * 90_000

    with pytest.raises(ValueError, match="nested too deep"):
        decode_value(kept)


def test_half_a_surrogate_pair_does_not_stop_a_result_from_being_kept() -> None:
    """A page that was fetched may hold anything; its task's settlement must not fail for it."""
    assert {"k?": "a?", "in": "b?"} == decode_value(over_the_wire({"k\ud800": "a\ud800", "in": "b\udfff"}))


def test_what_is_no_json_is_kept_in_its_json_form() -> None:
    assert {"set": [1], "other": "<it>"} == decode_value(over_the_wire({"set": {1}, "other": Something()}))


def test_a_value_that_holds_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["self"] = value

    with pytest.raises(ValueError, match="Circular"):
        encode_value(Value.pb()(), value)


def test_a_kind_no_task_has_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="bytes_value"):
        decode_value(Value.pb()(bytes_value=b"secret"))


class Something:
    def __str__(self) -> str:
        return "<it>"


def over_the_wire(value: Any) -> Any:
    return Value.pb().FromString(to_value(value).SerializeToString())


def depth(value: Any) -> int:
    inner = [*value.map_value.fields.values(), *value.array_value.values]
    return 1 + max(map(depth, inner)) if inner else 0
