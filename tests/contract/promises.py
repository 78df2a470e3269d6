"""What a store of some kind cannot promise, with the reason; docs say the same."""

from collections.abc import Mapping

NO_CONDITIONAL_WRITE: Mapping[str, str] = {
    "bitable": "Bitable has no conditional write: when two processes change one row at the same instant, "
    "both may get a success",
}
