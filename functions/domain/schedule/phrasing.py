"""The words for what starts a task, in each language: cron times, intervals, other tasks and events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from functions.domain.schedule import words, words_zh
from functions.domain.schedule.calendar import WallTimes
from functions.domain.schedule.days import words as day_words
from functions.domain.schedule.days.closed import OnExcluded
from functions.domain.schedule.days.phrases import BusinessDayPhrase

Parts = Sequence[tuple[str, str]]  # numbers with their units: [("1", "h"), ("30", "m")]


@dataclass(frozen=True, slots=True, eq=False)  # one object for each language, which is a cache's key
class ScheduleWords:
    """One language.

    Attributes:
        describe_wall_times: Returns when cron fields are; empty when that would be too long.
        describe_days: Returns what follows a schedule with exclusions, from its separator on.
        once: Stands before a moment.
        after: By what another task came to, with `{task}`.
        separator: Stands between several.
    """

    describe_wall_times: Callable[[WallTimes], str]
    describe_interval: Callable[[Parts], str]
    describe_business_days: Callable[[BusinessDayPhrase], str]
    describe_days: Callable[[Sequence[str], OnExcluded], str]
    once: str
    when_asked: str
    after: Mapping[str, str]
    on_event: str
    event_source: str
    separator: str


def _interval_in_english(parts: Parts) -> str:
    names = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}
    if len(parts) == 1 and parts[0][0] == "1":
        return f"Every {names[parts[0][1]]}"
    return "Every " + " ".join(f"{number} {names[unit]}{'s' * (number != '1')}" for number, unit in parts)


def _interval_in_chinese(parts: Parts) -> str:
    names = {"s": "秒", "m": "分钟", "h": "小时", "d": "天", "w": "周"}
    if len(parts) == 1 and parts[0][0] == "1":
        return f"每{names[parts[0][1]]}"
    return "每 " + " ".join(f"{number} {names[unit]}" for number, unit in parts)


ENGLISH = ScheduleWords(
    describe_wall_times=words.describe_wall_times,
    describe_interval=_interval_in_english,
    describe_business_days=day_words.business_days_in_english,
    describe_days=day_words.days_in_english,
    once="Once, at ",
    when_asked="Only when asked",
    after={"success": "after {task}", "failure": "when {task} fails", "finished": "whenever {task} ends"},
    on_event="on {type}",
    event_source=" from {source}",
    separator=", or ",
)
CHINESE = ScheduleWords(
    describe_wall_times=words_zh.describe_wall_times,
    describe_interval=_interval_in_chinese,
    describe_business_days=day_words.business_days_in_chinese,
    describe_days=day_words.days_in_chinese,
    once="一次，",
    when_asked="仅在要求时运行",
    after={"success": "{task} 成功后", "failure": "{task} 失败时", "finished": "{task} 结束后"},
    on_event="收到事件 {type} 时",
    event_source="（来自 {source}）",
    separator="，或",
)
