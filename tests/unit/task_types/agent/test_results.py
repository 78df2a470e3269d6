"""A model's answer as a result: found wherever it is, cleaned, ranked; and the talk fitted into its room."""

import hashlib
import json
from typing import Any

import pytest
from pydantic_ai.messages import ModelRequest, ToolReturnPart, UserPromptPart

from functions.parsing.markup import page_text
from functions.parsing.replies import AgentResult, ResultItem, parse_result
from functions.task_types.agent.model import OMITTED_RESULT, estimate_tokens, fit_messages
from functions.task_types.agent.results import SeenItems, item_key
from functions.task_types.support.limits import redact_nothing

ONE: dict[str, Any] = {"title": "One", "url": "https://example.com/1", "text": "First.", "score": 0.5}


def titles(text: str, limit: int = 20) -> list[str] | None:
    result = parse_result(text.encode(), limit=limit)
    return None if result is None else [item.title for item in result.items]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"summary": "s", "items": [ONE]}),
        "Here you are:\n```json\n" + json.dumps({"items": [ONE]}, indent=2) + "\n```\nAnything else?",
        "<think>{maybe} [not]</think> " + json.dumps({"items": [ONE], "extra": 1}),
        json.dumps([ONE]),
        json.dumps({"items": ["One"]}),
        '{"not": "it"} ' + json.dumps({"items": [ONE]}),
    ],
)
def test_the_result_is_found_wherever_it_is(text: str) -> None:
    assert ["One"] == titles(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "{",
        '{"items": ',
        '{"items": 7}',
        "[1, 2]",
        "{}",
        '{"a": {"items": []}}',
        "[" * 99_999,
        # items that are there, and of another kind: the summary alone would report nothing new
        json.dumps({"summary": "3 stories", "items": json.dumps([ONE])}),
        json.dumps({"summary": "3 stories", "items": {"1": ONE}}),
        '{"summary": "none", "items": false}',
    ],
)
def test_what_is_no_result_is_none(text: str) -> None:
    assert None is titles(text)


def test_items_come_best_first_and_those_without_a_score_last() -> None:
    scores: list[Any] = [0.2, None, "0.9", "high", 0.2, float("nan"), True]
    text = json.dumps({"items": [{"title": f"t{n}", "score": score} for n, score in enumerate(scores)]})

    assert ["t6", "t2", "t0", "t4", "t1", "t3", "t5"] == titles(text)
    assert ["t6", "t2"] == titles(text, limit=2)


def test_items_are_plain_text_with_links_that_are_web_links() -> None:
    given = {"title": "<b>Bold</b>\n", "url": "javascript:alert(1)", "text": "a\x00b <img src=x>"}

    result = parse_result(json.dumps({"items": [given, {"url": "https://a.b/"}, 7, None]}).encode(), limit=20)

    assert AgentResult("Found 1: Bold", (ResultItem("Bold", "", "ab", None),)) == result


def test_a_summary_alone_is_a_result() -> None:
    assert AgentResult("Nothing today", ()) == parse_result(b'{"summary": "Nothing  today"}', limit=5)
    assert AgentResult("Found nothing", ()) == parse_result(b'{"items": []}', limit=5)


def test_an_item_is_known_by_its_address_else_by_its_title() -> None:
    def item(title: str, url: str = "") -> ResultItem:
        return ResultItem(title, url, "", None)

    assert item_key(item("a", "https://a.b/c")) == item_key(item("other", "https://a.b/c/"))
    assert item_key(item("a", "https://a.b/c")) == item_key(item("a", "http://www.a.b/c?utm_source=x"))
    assert item_key(item("Big  News")) == item_key(item("big news"))
    assert item_key(item("a", "https://a.b/c")) != item_key(item("a", "https://a.b/d"))


def test_an_item_that_an_older_version_reported_is_known() -> None:
    key = hashlib.sha256(b"https://a.b/c").hexdigest()[:12]

    assert () == SeenItems((key,)).unseen([ResultItem("a", "https://a.b/c/", "", None)])


@pytest.mark.parametrize("memory", [{}, {"seen": "x", "previous": 7, "tokenField": None}, {"seen": [1]}])
def test_notes_of_any_kind_can_be_read(memory: dict[str, Any]) -> None:
    item = ResultItem("One", "", "", None)

    assert (item,) == SeenItems.from_memory(memory).unseen([item])


def test_notes_do_not_grow_for_ever() -> None:
    items = tuple(ResultItem("x" * 200, f"https://example.com/{n}", "y" * 500, 1.0) for n in range(20))
    memory: dict[str, Any] = {}
    for _ in range(3):
        memory = SeenItems(tuple(f"{n:012}" for n in range(1000))).with_items(
            AgentResult("s" * 400, items), {}, redact_nothing
        )

    assert 1000 == len(memory["seen"])
    assert len(json.dumps(memory)) < 65_536


def test_what_is_asked_is_never_left_out_of_the_talk() -> None:
    asked = ModelRequest(parts=[UserPromptPart("goal " * 500)], instructions="rules")
    findings = [ModelRequest(parts=[ToolReturnPart("http_get", "word " * 500, str(n))]) for n in range(3)]

    kept = fit_messages([asked, *findings], 1500)

    assert asked == kept[0]
    texts = [str(message.parts[0].content) for message in kept[1:]]  # type: ignore[union-attr]  # of tools
    assert [OMITTED_RESULT, OMITTED_RESULT] == texts[:2]
    assert texts[2].endswith("(Cut short for want of room.)")
    assert estimate_tokens(kept) <= 1500
    assert [asked, *findings] == fit_messages([asked, *findings], 100_000)


def test_a_page_becomes_its_words_and_links() -> None:
    markup = """<html><style>p{}</style><h1>Big &amp; small</h1><!-- no --><p>One<br>two
      <a class=x href='/a?b=1&amp;c=2'>three</a> <a href="javascript:x()">four</a></p>"""

    text = page_text(markup.encode(), url="https://example.com/d/e")

    assert "Big & small\nOne\ntwo\n[https://example.com/a?b=1&c=2] three four" == text


@pytest.mark.parametrize("evil", ["<a ", "<a href=", "<script>", "<!--", "<", "<p", "&#", "<a href='x' "])
def test_a_page_made_to_be_slow_is_not(evil: str) -> None:
    """Within the test's own limit of time: a quadratic pattern would take hours."""
    page_text(evil.encode() * (260_000 // len(evil)), url="https://example.com/")
