"""Sentences with something filled in, in another language."""

import time

import pytest

from functions.web.dashboard.presentation.expect_phrases import SENTENCES
from functions.web.dashboard.presentation.message_phrases import CHINESE
from functions.web.dashboard.presentation.phrases import phrasebook
from functions.web.dashboard.presentation.sentences import BLANK, Translator


def test_each_translation_has_the_blanks_of_its_sentence_and_no_others() -> None:
    wrong = [
        english
        for english, chinese in (CHINESE | SENTENCES).items()
        if any(chinese.count(f"{{{n}}}") > 1 for n in range(9))
        or sum(f"{{{n}}}" in chinese for n in range(9)) > english.count(BLANK)
        or f"{{{english.count(BLANK)}}}" in chinese
    ]

    assert [] == wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("is required", "必填"),
        ("Answered 503, expected 200-299", "返回 503，应为 200-299"),
        ("Answered 200, but is required", "返回 200，但必填"),
        ("retry.maxAttempts: must be a whole number", "retry.maxAttempts：必须是整数"),
        ("must be a list; is required", "必须是列表；必填"),
        (
            '"0 0 9 ? * 7" is of another dialect; write 0 9 * * SAT, if 1 is Sunday there, as in Quartz',
            "“0 0 9 ? * 7”是其他调度器的写法；若该处 1 表示星期日（如 Quartz），请写 0 9 * * SAT",
        ),
        (
            "AKST is an abbreviation, not a zone; write a place such as America/Anchorage",
            "AKST 是缩写，不是时区；请写地点，例如 America/Anchorage",
        ),
        ("nobody wrote this", "nobody wrote this"),
        ("Answered {1} in {0} ms", "{0} ms 内返回 {1}"),
        (
            'Answered 200, but $.status: expected "ok", found "degraded"; '
            "$.n: expected less than 5, found nothing",
            '返回 200，但 $.status：期望 "ok"，实际为 "degraded"；$.n：期望 小于 5，实际为 无',
        ),
        ("header ETag: expected a value, found nothing", "响应头 ETag：期望 有值，实际为 无"),
        (
            "expect.json[0].path: is not a JSON path: oh, at character 5",
            "expect.json[0].path：不是 JSON 路径（第 5 个字符）",
        ),
        ("", ""),
    ],
)
def test_a_sentence_is_known_by_its_fixed_parts(text: str, expected: str) -> None:
    assert expected == phrasebook("zh").sentence(text)
    assert text == phrasebook("en").sentence(text)


@pytest.mark.slow
def test_what_strangers_wrote_costs_no_time() -> None:
    translator = Translator({}, CHINESE)
    began = time.process_time()

    for number in range(50):
        translator("; ".join(["Answered : in ms, expected but "] * 18) + str(number))
        translator("x" * 100_000 + str(number))

    assert time.process_time() - began < 2.5
