"""What a store cannot promise is named where its users read."""

from pathlib import Path

import pytest

from tests.contract.promises import NO_CONDITIONAL_WRITE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", sorted(NO_CONDITIONAL_WRITE))
def test_every_reason_is_in_the_docs(kind: str) -> None:
    text = " ".join((ROOT / "docs" / "how-to" / f"{kind}-store.md").read_text(encoding="utf-8").split())

    assert NO_CONDITIONAL_WRITE[kind] in text
