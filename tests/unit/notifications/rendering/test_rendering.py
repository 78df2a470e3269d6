"""Sentences, moments and spans, and foreign text made harmless."""

import dataclasses
import string
from datetime import UTC, datetime, timedelta

import pytest

from functions.notifications.dispatcher import by_importance
from functions.notifications.rendering.digest import LIMITS, build_message, to_plain_text
from functions.notifications.rendering.formatting import (
    format_duration,
    format_instant,
    safe_http_url,
    single_line,
    zone_name,
)
from functions.notifications.rendering.phrases import EN, ZH, Phrases, phrases_for
from tests.conftest import NOON
from tests.unit.notifications.conftest import MakeNotice


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.04, "0.0 s", "0.0 秒"),
        (1.234, "1.2 s", "1.2 秒"),
        (9.96, "10.0 s", "10.0 秒"),
        (45.4, "45 s", "45 秒"),
        (60, "1 min", "1 分"),
        (61, "1 min 1 s", "1 分 1 秒"),
        (3 * 3600 + 120, "3 h 2 min", "3 小时 2 分"),
        (3 * 3600 + 59, "3 h", "3 小时"),
        (86_400 * 12 + 3 * 3600 + 59, "12 d 3 h", "12 天 3 小时"),
        (-5, "0.0 s", "0.0 秒"),
    ],
)
def test_span_is_said_in_its_two_largest_units(seconds: float, english: str, chinese: str) -> None:
    length = timedelta(seconds=seconds)

    assert (english, chinese) == (format_duration(length, EN), format_duration(length, ZH))


@pytest.mark.parametrize(
    ("timezone", "shown", "name"),
    [
        ("Asia/Shanghai", "2026-11-20 20:00", "Asia/Shanghai"),
        ("America/New_York", "2026-11-20 07:00", "America/New_York"),
        ("UTC", "2026-11-20 12:00", "UTC"),
        ("No/Where", "2026-11-20 12:00", "UTC"),
        ("../../etc/passwd", "2026-11-20 12:00", "UTC"),
    ],
)
def test_moment_is_on_the_tasks_own_clock(timezone: str, shown: str, name: str) -> None:
    assert (shown, name) == (
        format_instant(datetime(2026, 11, 20, 12, 0, tzinfo=UTC), timezone),
        zone_name(timezone),
    )


@pytest.mark.parametrize(
    ("text", "limit", "line"),
    [
        ("two\n  lines\tand a tab", 99, "two lines and a tab"),
        ("a\x00b\x1b[31mc\u202ed\ufeff", 99, "ab[31mcd"),
        ("lone \ud800 surrogate", 99, "lone surrogate"),
        ("0123456789", 5, "0123…"),
        ("0123456789", 10, "0123456789"),
        ("   ", 5, ""),
        ("👩\u200d👧\u200d👦", 3, "👩…"),
    ],
)
def test_foreign_text_becomes_one_line(text: str, limit: int, line: str) -> None:
    assert line == single_line(text, limit)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.com/a?b=c#d", True),
        (" http://例子.example/路 ", True),
        ("HTTPS://example.com", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.com", False),
        ("/relative", False),
        ("https://user:pw@example.com/", False),
        ("https://example.com/ b", False),
        ("https://example.com/\x00", False),
        ("https://[::1", False),
        ("https:///path", False),
        ("", False),
    ],
)
def test_only_addresses_a_person_may_click_are_kept(url: str, kept: bool) -> None:
    assert (url.strip() if kept else "") == safe_http_url(url)


@pytest.mark.parametrize("words", [EN, ZH])
def test_every_sentence_names_the_task_and_every_count_counts(words: Phrases) -> None:
    sentences = [*words.one_task.values(), words.repeated, words.back_after, words.back_after_once]

    assert all("{title}" in sentence for sentence in sentences)
    assert all("{n}" in phrase for phrase in words.several_tasks.values())


@pytest.mark.parametrize("field", dataclasses.fields(Phrases), ids=lambda field: field.name)
def test_languages_fill_in_the_same_places(field: "dataclasses.Field[object]") -> None:
    def places(words: Phrases) -> list[set[str | None]]:
        value = getattr(words, field.name)
        phrases = value.values() if isinstance(value, dict) else [value] if isinstance(value, str) else value
        return [{name for _, name, _, _ in string.Formatter().parse(phrase) if name} for phrase in phrases]

    assert places(EN) == places(ZH)


@pytest.mark.parametrize(
    ("language", "words"), [("zh", ZH), ("zh-CN", ZH), (" ZH_tw", ZH), ("en", EN), ("", EN), ("fr", EN)]
)
def test_language_is_chosen_by_its_tag(language: str, words: Phrases) -> None:
    assert words is phrases_for(language)


@pytest.mark.parametrize(("kind", "has_page"), [("failure", True), ("channel", False), ("test", False)])
def test_only_what_is_said_of_a_task_leads_to_its_page(
    kind: str, has_page: bool, make_notice: MakeNotice
) -> None:
    [row] = build_message([make_notice(kind)], EN, LIMITS[0], public_url="https://cron.example").rows

    assert has_page is bool(row.page_url)


def test_headline_counts_tasks_not_notices(make_notice: MakeNotice) -> None:
    notices = [make_notice(), make_notice(), make_notice(task_id="b"), make_notice("recovery", "c")]

    assert "2 failed, 1 back" == build_message(notices, EN, LIMITS[0]).headline


Story = list[tuple[str, str, int]]  # a notice: its kind, its task, the minute it was made in


@pytest.mark.parametrize(
    ("notices", "headline", "shown"),
    [
        (
            [("failure", "a", 0), ("reminder", "a", 60), ("recovery", "a", 90)],
            "“A” is back",
            [("recovery", "good"), ("failure", "calm"), ("reminder", "calm")],
        ),
        (
            [("failure", "a", 0), ("recovery", "a", 5), ("failure", "b", 1)],
            "1 failed, 1 back",
            [("failure", "bad"), ("recovery", "good"), ("failure", "calm")],
        ),
        (
            [("failure", "a", 0), ("recovery", "a", 5), ("failure", "a", 9)],
            "“A” failed",
            [("failure", "bad"), ("failure", "calm"), ("recovery", "calm")],
        ),
        (  # what is no state is news however old, and of one moment nothing is the newer
            [("news", "a", 0), ("failure", "a", 5), ("paused", "a", 5), ("news", "a", 9)],
            "1 failed, 1 stopped, 1 with news",
            [("failure", "bad"), ("paused", "warning"), ("news", "news"), ("news", "news")],
        ),
    ],
)
def test_message_after_an_outage_begins_with_how_things_stand(
    notices: Story, headline: str, shown: list[tuple[str, str]], make_notice: MakeNotice
) -> None:
    made = [
        make_notice(kind, task, id=f"{task}{minute}{kind}", at=NOON + timedelta(minutes=minute))
        for kind, task, minute in notices
    ]

    message = build_message(by_importance(made), EN, LIMITS[0])

    assert headline == message.headline
    assert shown == [(row.kind, row.severity) for row in message.rows]
    assert shown[0][1] == message.severity


def test_what_is_over_is_told_with_its_time(make_notice: MakeNotice) -> None:
    recovery = make_notice("recovery", at=NOON + timedelta(hours=3), since=NOON)
    failure = make_notice(next_run_at=NOON + timedelta(minutes=5))

    rows = build_message([recovery, failure], EN, LIMITS[0], public_url="https://cron.example").rows

    assert ("at 2026-11-20 20:00 (Asia/Shanghai)", "") == (rows[1].details, rows[1].page_url)


@pytest.mark.parametrize(
    ("failures", "down", "sentence"),
    [
        (0, timedelta(hours=3, minutes=2), "“Shop front” is back after 3 h 2 min"),
        (1, timedelta(minutes=5), "“Shop front” is back after 5 min, 1 failure"),
        (4, timedelta(days=2), "“Shop front” is back after 2 d, 4 failures"),
        (4, None, "“Shop front” is back"),
    ],
)
def test_recovery_says_how_long_it_was_down(
    failures: int, down: timedelta | None, sentence: str, make_notice: MakeNotice
) -> None:
    notice = make_notice("recovery", failures=failures, since=None if down is None else NOON - down)

    assert sentence == build_message([notice], EN, LIMITS[0]).headline


def test_braces_in_a_title_are_letters(make_notice: MakeNotice) -> None:
    assert (
        "“{n} {0} {title.x}” failed"
        == build_message([make_notice(title="{n} {0} {title.x}")], EN, LIMITS[0]).headline
    )


def test_plain_text_has_what_items_say_and_each_fact_of_a_section(make_notice: MakeNotice) -> None:
    sections = [
        {"title": "Failing now (2)", "text": "Shop: failed once\n\nBackup: no success"},
        {"title": "Release 2.0", "url": "https://example.com/2"},
    ]
    notice = make_notice("news", title="Morning", summary="2 problems", items=sections)

    plain = to_plain_text(build_message([notice], EN, LIMITS[0]))

    assert (
        "• Failing now (2)\n   Shop: failed once · Backup: no success\n• Release 2.0 https://example.com/2"
        in plain
    )
