"""Both languages say the same."""

import re
from pathlib import Path

from functions.domain.types import OutcomeKind, Status
from functions.web.dashboard import rendering
from functions.web.dashboard.presentation.phrases import phrasebook

TEMPLATES = sorted(rendering.TEMPLATES.glob("*.html"))
ZH = phrasebook("zh-CN").phrases


def phrases_in(path: Path) -> set[str]:
    return set(re.findall(r'(?<!\w)_\("([^"]+)"\)', path.read_text(encoding="utf-8")))


def test_every_phrase_of_a_template_is_translated() -> None:
    missing = {path.name: sorted(phrases_in(path) - ZH.keys()) for path in TEMPLATES}

    assert {} == {name: phrases for name, phrases in missing.items() if phrases}
    assert any(phrases_in(path) for path in TEMPLATES)


def test_what_stands_in_for_a_word_is_the_same_in_both() -> None:
    places = re.compile(r"\{\w+\}")

    assert [] == [en for en, zh in ZH.items() if sorted(places.findall(en)) != sorted(places.findall(zh))]


def test_states_and_outcomes_are_translated() -> None:
    assert {*map(str, Status), *map(str, OutcomeKind)} <= ZH.keys()


def test_another_language_is_english() -> None:
    assert ("en", "Runs") == (phrasebook("fr").language, phrasebook("fr")("Runs"))
