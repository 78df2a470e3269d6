"""What a store of some kind cannot promise, test by test, with the reason; docs say the same."""

from collections.abc import Mapping

NO_CONDITIONAL_WRITE = (
    "Bitable has no conditional write: when two processes change one row at the same instant, both may get a "
    "success"
)
NOT_PROMISED: Mapping[str, Mapping[str, str]] = {
    "bitable": {
        "test_one_of_many_wins_a_single_task": NO_CONDITIONAL_WRITE,
        "test_of_many_at_once_one_wins": NO_CONDITIONAL_WRITE,
    },
}
