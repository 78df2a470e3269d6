"""What the settings ask for, as it is built."""

import pytest

from functions.app.factories import parse_cell


def test_a_cell_is_read_by_the_rules_of_task_files() -> None:
    assert {"url": "https://example.com", "status": [200, 204]} == parse_cell(
        "url: https://example.com\nstatus: [200, 204]"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("expect: {status: 200, status: 204}", "expect.status: is given twice"),
        ("status: 200\nstatus: 204", "status: is given twice"),
        ("{status: 200", "this is neither YAML nor JSON"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_its_path(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_cell(text)
