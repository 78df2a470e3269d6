"""Schedules in Chinese: the same sets of numbers as in English, and no two that differ in the same words."""

from itertools import product

import pytest

from functions.domain.lifecycle.upcoming import describe_trigger
from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.describe import describe_schedule
from functions.domain.schedule.phrasing import CHINESE
from functions.domain.task import TaskSpec


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "每分钟"),
        ("*/15 * * * *", "每 15 分钟"),
        ("5/15 * * * *", "每 15 分钟（从每小时第 5 分开始）"),
        ("0 * * * *", "每小时整点"),
        ("5,36 * * * *", "每小时第 5、36 分"),
        ("30 9 * * *", "每天 09:30"),
        ("30 9 * * MON-FRI", "周一至周五 09:30"),
        ("0 9,18 * * 0", "周日 09:00、18:00"),
        ("*/10 9-17 * * MON-FRI", "周一至周五，每 10 分钟，从 09:00 到 17:50"),
        ("0 */2 * * *", "每 2 小时"),
        ("0 0 1 * *", "每月 1 日 00:00"),
        ("0 0 L * *", "每月 最后一天 00:00"),
        ("0 0 1,15 1,7 *", "1 月、7 月每月 1 日、15 日 00:00"),
        ("0 0 * * MON#1", "每月第一个周一 00:00"),
        ("0 0 1 * MON", "每月 1 日或周一 00:00"),
        ("every 90m", "每 1 小时 30 分钟"),
        ("every 1h", "每小时"),
        ("at 2026-12-01T09:00", "一次，2026-12-01 09:00"),
    ],
)
def test_a_schedule_in_chinese(expression: str, expected: str) -> None:
    assert expected == describe_schedule(expression, timezone="UTC", words=CHINESE)


@pytest.mark.slow
def test_schedules_that_differ_in_english_differ_in_chinese() -> None:
    fields = (
        ("*", "0", "*/5", "7/20", "1,2,3,9"),
        ("*", "3", "*/6", "9-17", "1,5,6"),
        ("*", "1", "L", "*/10"),
        ("*", "2", "6-8"),
        ("*", "MON", "MON-FRI", "5L", "2#2"),
    )
    said: dict[str, set[str]] = {}
    for parts in product(*fields):
        expression = " ".join(parts)
        try:
            english = describe_schedule(expression, timezone="UTC")
        except ScheduleError:  # a day that never comes
            continue
        said.setdefault(describe_schedule(expression, timezone="UTC", words=CHINESE), set()).add(english)

    assert {} == {chinese: english for chinese, english in said.items() if len(english) > 1}


def test_what_starts_a_task_in_chinese() -> None:
    fields = {"id": "x", "title": "x", "type": "http", "params": {"url": "https://a.example"}}
    spec = TaskSpec.model_validate(
        fields
        | {
            "schedule": "hourly",
            "after": [{"task": "fetch", "on": "finished"}],
            "onEvent": [{"type": "order.paid", "source": "till"}],
        }
    )

    assert "每小时整点，或fetch 结束后，或收到事件 order.paid 时（来自 till）" == describe_trigger(
        spec, CHINESE
    )
    assert "仅在要求时运行" == describe_trigger(
        spec.model_copy(update={"schedule": "", "after": (), "on_event": ()}), CHINESE
    )
