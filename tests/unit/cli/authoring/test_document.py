"""A task as a text to edit: what nobody touches is what was stored, to the character."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.cli.authoring.document import changed_fields, render_document, spec_fields
from functions.domain.task import TaskSpec
from functions.errors import InputError
from functions.taskfiles.parser import parse_text

AWKWARD = {
    "script": "set -e\n\tif true; then\n  echo  'a: b' # c\nfi\n",
    "two": "line one\nline two\n",
    "open": "no end\nof line",
    "many": "a\n\n\n",
    "indented": "  first\nsecond\n",
    "carriage": "a\r\nb\r\n",
    "spaces": " padded  \n trailing \n",
    "big": 1234567890123456789,
    "digits": "0012",
    "yes": "yes",
    "number": 1.0,
    "none": None,
    "nested": {"a": [1, {"b": "2"}], "c": ""},
    "cn": "每天\n早上",
    "control": "bell\x07 and \u2028 line",
}


def spec_of(**params: Any) -> TaskSpec:
    return TaskSpec(id="a", title="A: title #1", type="http", schedule="hourly", params=params)


def test_awkward_values_survive_a_text_that_nobody_touches() -> None:
    spec = spec_of(**AWKWARD)
    text = render_document(spec)

    assert changed_fields(spec, text, text) is None
    assert changed_fields(spec, text, text + "\n# a comment\n") is None
    assert "  script: |\n    set -e\n" in text, "a script is lines, not one line with \\n"


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=30) | st.integers() | st.floats()))
@settings(max_examples=25, deadline=None)
def test_one_change_changes_nothing_else(params: dict[str, Any]) -> None:
    try:
        spec = spec_of(**params)
    except ValueError:  # NaN and numbers beyond 64 bits are no params
        return
    text = render_document(spec)

    changed = changed_fields(spec, text, text.replace("schedule: hourly", "schedule: daily"))

    assert changed is not None
    expected = spec_fields(spec) | {"schedule": "daily"}
    assert repr(sorted(expected.items())) == repr(sorted(changed.items()))


def test_fields_and_params_are_added_changed_and_removed() -> None:
    spec = spec_of(url="https://example.com", **AWKWARD)
    text = render_document(spec)
    after = text.replace("url: https://example.com", "url: https://example.org\n  method: POST")
    after = after.replace("  digits: 0012\n", "") + "priority: high\n"

    changed = changed_fields(spec, text, after)

    assert changed is not None
    rest = {name: value for name, value in AWKWARD.items() if name != "digits"}
    assert {"url": "https://example.org", "method": "POST", **rest} == changed["params"]
    assert "high" == changed["priority"]


def test_an_empty_text_changes_nothing_and_what_is_no_task_is_refused() -> None:
    spec = spec_of()
    text = render_document(spec)

    assert changed_fields(spec, text, " \n") is None
    for wrong in ("- a\n", "a: b: c\n", "id: a\nid: b\n"):
        with pytest.raises(InputError):
            changed_fields(spec, text, wrong)
    assert isinstance(parse_text(text, as_json=False).value, dict)
