"""Selectors: what passes by hand is understood by the library; hostile ones never reach it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from functions.errors import InputError
from functions.task_types.page_watch.selector import SelectorError, check_selector
from functions.task_types.registry import check_params
from tests.unit.corpus.selectors import ACCEPTED, REFUSED

PAGE = LexborHTMLParser("<html><body><main id=a class='x price'><p lang=en>one</p></main></body></html>")
_PIECES = (
    "p * .x #a [lang] [lang=en] :not( :has( :nth-child( :is( ) 2n+1 odd 3 > , + ~ :empty :: [ ] = é - _ 1 i"
)
PIECES = st.sampled_from([*_PIECES.split(), " ", "'", '"', "\\"])


@pytest.mark.parametrize("selector", ACCEPTED)
def test_what_people_write_is_accepted(selector: str) -> None:
    assert check_selector(selector) == selector
    PAGE.css(selector)


@pytest.mark.parametrize(("selector", "why"), REFUSED.items())
def test_what_is_none_is_refused_with_the_place(selector: str, why: str) -> None:
    with pytest.raises(SelectorError) as caught:
        check_selector(selector)
    assert why in str(caught.value)


@pytest.mark.slow
@given(st.lists(PIECES, min_size=1, max_size=9).map("".join))
def test_what_passes_is_understood_by_the_library(selector: str) -> None:
    try:
        check_selector(selector)
    except SelectorError:
        return
    PAGE.css(selector)


@pytest.mark.slow
@given(st.text(max_size=40))
def test_nothing_breaks_the_reader(selector: str) -> None:
    with suppress(SelectorError):
        check_selector(selector)


def test_it_is_refused_when_the_task_is_saved() -> None:
    with pytest.raises(InputError, match=r"params\.selector: has :hover"):
        check_params("page_watch", {"url": "https://example.com", "selector": "p:hover"})
