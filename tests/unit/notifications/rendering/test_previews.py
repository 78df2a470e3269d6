"""The guide shows every kind of message as the code renders it today."""

from typing import get_args

import pytest

from functions.domain.alerts.model import NoticeKind, NotificationTrigger
from tests.harness.previews import GUIDE, KINDS, PICTURES, headings, sample, section, shown

KNOWN = {*get_args(NotificationTrigger), *get_args(get_args(NoticeKind)[1])}


def test_the_guide_shows_what_is_rendered_today() -> None:
    """`python -m tests.harness.previews` writes it anew."""
    assert section() in GUIDE.read_text(encoding="utf-8")


def test_no_kind_is_left_out() -> None:
    assert KNOWN == set(KINDS)
    assert KNOWN <= set(headings(GUIDE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_one_sentence_first_with_the_tasks_name(kind: NoticeKind) -> None:
    first = shown([sample(kind)]).splitlines()[0]

    assert sample(kind).title in first
    assert len(first) <= 160


@pytest.mark.parametrize("name", ["failure", "news", "several"])
def test_the_guides_pictures_are_there_and_small(name: str) -> None:
    picture = PICTURES / f"mail-{name}.png"

    assert f"images/{picture.name}" in GUIDE.read_text(encoding="utf-8")
    assert 1_000 < picture.stat().st_size < 80_000
