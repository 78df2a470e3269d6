"""Holds the indexes that the code asks for and those that Terraform makes together."""

import re
from pathlib import Path

from functions.store.firestore_queries import INDEXES

STORE = Path(__file__).parents[2] / "infra" / "store.tf"
COLLECTION = re.compile(r'^    "(\w+)" = \{\n(.*?)^    \}', re.M | re.S)
COMPOSITE = re.compile(r'\[((?:\["\w+", "\w+"\](?:, )?)+)\]')
PAIR = re.compile(r'\["(\w+)", "(\w+)"\]')


def test_terraform_makes_the_indexes_that_the_code_asks_for_and_no_others() -> None:
    text = STORE.read_text(encoding="utf-8")

    made = {
        name: (
            {field: (mode,) for field, mode in re.findall(r'"(\w+)"\s+= "(\w+)"', body)}
            | {field: (mode,) for field, mode in re.findall(r'"(\w+)" = "(\w+)"', body)},
            tuple(tuple(PAIR.findall(fields)) for fields in COMPOSITE.findall(body)),
            next(iter(re.findall(r'ttl\s+= "(\w+)"', body)), None),
        )
        for name, body in COLLECTION.findall(text)
    }

    assert made == {name: (dict(one.single), one.composite, one.ttl) for name, one in INDEXES.items()}
