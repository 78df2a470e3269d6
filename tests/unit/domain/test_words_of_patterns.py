"""Whoever writes a text of the wrong form is told the form in words, never as a regular expression."""

import ast
from collections.abc import Iterator
from pathlib import Path

from functions.domain.types import short_name, text_form, words_of_pattern

ROOT = Path(__file__).parents[3]
SETTINGS = "functions/config/"  # say a wrong value's form by the description of their field


def constraints_with_bare_patterns() -> Iterator[str]:
    for file in sorted((ROOT / "functions").rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if name.startswith(SETTINGS) or name == "functions/domain/types.py":
            continue
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "pattern=" in text else ():
            if isinstance(node, ast.keyword) and node.arg == "pattern":
                yield f"{name}:{node.value.lineno}"


def test_no_model_has_a_pattern_without_words() -> None:
    assert [] == list(constraints_with_bare_patterns())


def test_the_words_are_those_given_with_the_pattern() -> None:
    short_name(7)
    text_form("^a+$", "must be some a")

    assert "must be some a" == words_of_pattern("^a+$")
    assert (words_of_pattern("^[a-z0-9][a-z0-9._-]{0,6}$") or "").endswith("have at most 7 characters")
    assert words_of_pattern("^b+$") is None
