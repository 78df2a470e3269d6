"""The sentences of `scheduler events publish`."""

import pytest

from functions.cli.admin.events import result_lines


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"started": ["pack", "ship"]}, "pack, ship run at the next tick"),
        ({"started": [], "skipped": ["pack"]}, "pack subscribes, but is paused"),
        ({"started": [], "refused": ["pack"]}, "pack may not be started by this key"),
        ({"started": []}, "No task subscribes to order.paid from cli; "),
    ],
)
def test_result_of_an_event_is_a_sentence(result: dict[str, list[str]], sentence: str) -> None:
    assert result_lines("order.paid", "cli", result)[0].startswith(sentence)
