"""What a store cannot promise is named, in the suite and where its users read."""

import re
from pathlib import Path

import pytest

from tests.contract.promises import NOT_PROMISED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", sorted(NOT_PROMISED))
def test_every_reason_is_in_the_docs(kind: str) -> None:
    text = " ".join((ROOT / "docs" / "how-to" / f"{kind}-store.md").read_text(encoding="utf-8").split())

    assert [] == [reason for reason in set(NOT_PROMISED[kind].values()) if reason not in text]


@pytest.mark.parametrize("kind", sorted(NOT_PROMISED))
def test_every_exception_is_to_a_test_there_is(kind: str) -> None:
    """An exception that outlives its test would hide nothing, and say that there is something."""
    suite = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert set(NOT_PROMISED[kind]) <= set(re.findall(r"async def (test_\w+)", suite))
