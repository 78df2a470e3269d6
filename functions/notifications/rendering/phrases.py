"""Every phrase a notice can hold, in each language; the only place with texts to translate."""

from dataclasses import dataclass
from typing import Literal

from functions.domain.alerts.model import NoticeKind


@dataclass(frozen=True, slots=True)
class Words:
    """One language.

    Attributes:
        happened: A sentence about one task, with `{title}`.
        counted: A phrase about several tasks, with `{n}`.
        repeated: As `happened`, for a failure that is not the first, with `{n}` in a row.
        back_after: As `happened`, for a recovery, with `{span}` and `{n}` failures.
        units: Day, hour, minute and second, each with its leading space if it needs one.
    """

    happened: dict[NoticeKind, str]
    counted: dict[NoticeKind, str]
    repeated: str
    back_after_once: str
    back_after: str
    back_after_span: str
    since: str
    last_good: str
    attempts: str
    took: str
    schedule: str
    next_run: str
    more: str
    open_task: str
    comma: str
    units: tuple[str, str, str, str]


EN = Words(
    happened={
        "failure": "“{title}” failed",
        "paused": "“{title}” was stopped",
        "recovery": "“{title}” is back",
        "news": "“{title}” has news",
        "success": "“{title}” succeeded",
        "reminder": "“{title}” is still failing",
        "flapping": "“{title}” keeps failing and coming back",
        "stable": "“{title}” is stable again",
        "late": "“{title}” starts late",
        "silent": "“{title}” has not succeeded for too long",
        "channel": "Channel “{title}” was switched off",
        "credits": "Credits of “{title}” are running out",
        "test": "Channel “{title}” works: this is a test",
    },
    counted={
        "failure": "{n} failed",
        "paused": "{n} stopped",
        "recovery": "{n} back",
        "news": "{n} with news",
        "success": "{n} succeeded",
        "reminder": "{n} still failing",
        "flapping": "{n} unstable",
        "stable": "{n} stable again",
        "late": "{n} late",
        "silent": "{n} overdue",
        "channel": "{n} channels off",
        "credits": "{n} short of credits",
        "test": "{n} tests",
    },
    repeated="“{title}” failed, {n} times in a row",
    back_after_once="“{title}” is back after {span}, 1 failure",
    back_after="“{title}” is back after {span}, {n} failures",
    back_after_span="“{title}” is back after {span}",
    since="since {time}",
    last_good="last good {time}",
    attempts="{n} attempts",
    took="took {span}",
    schedule="schedule: {schedule}",
    next_run="next run {time}",
    more="and {n} more",
    open_task="Open the task",
    comma=", ",
    units=(" d", " h", " min", " s"),
)

ZH = Words(
    happened={
        "failure": "“{title}”失败",
        "paused": "“{title}”已停止",
        "recovery": "“{title}”已恢复",
        "news": "“{title}”有新内容",
        "success": "“{title}”成功",
        "reminder": "“{title}”仍然失败",
        "flapping": "“{title}”时好时坏",
        "stable": "“{title}”已稳定",
        "late": "“{title}”启动延迟",
        "silent": "“{title}”太久没有成功",
        "channel": "通道“{title}”已停用",
        "credits": "“{title}”的额度即将用完",
        "test": "通道“{title}”正常：这是一条测试消息",
    },
    counted={
        "failure": "{n} 个失败",
        "paused": "{n} 个停止",
        "recovery": "{n} 个恢复",
        "news": "{n} 个有新内容",
        "success": "{n} 个成功",
        "reminder": "{n} 个仍然失败",
        "flapping": "{n} 个不稳定",
        "stable": "{n} 个已稳定",
        "late": "{n} 个延迟",
        "silent": "{n} 个太久没有成功",
        "channel": "{n} 个通道停用",
        "credits": "{n} 个额度不足",
        "test": "{n} 个测试",
    },
    repeated="“{title}”连续失败 {n} 次",
    back_after_once="“{title}”已恢复，中断 {span}，失败 1 次",
    back_after="“{title}”已恢复，中断 {span}，失败 {n} 次",
    back_after_span="“{title}”已恢复，中断 {span}",
    since="始于 {time}",
    last_good="上次成功 {time}",
    attempts="尝试 {n} 次",
    took="耗时 {span}",
    schedule="计划 {schedule}",
    next_run="下次运行 {time}",
    more="另有 {n} 项",
    open_task="打开任务",
    comma="，",
    units=(" 天", " 小时", " 分", " 秒"),
)


def words_for(language: str) -> Words:
    """The table for a language tag such as `en` or `zh-CN`; English for any other."""
    return ZH if language.strip().lower().startswith("zh") else EN


# How each kind of notice looks: a sign before its sentence, and a tone each channel has a colour for.

Tone = Literal["bad", "warning", "good", "news", "calm"]


@dataclass(frozen=True, slots=True)
class Look:
    """What is common to all channels.

    Attributes:
        tone: `bad` and `warning` are problems, `good` ends one, the other two are neither.
    """

    icon: str
    tone: Tone


LOOKS: dict[NoticeKind, Look] = {
    "failure": Look("🔴", "bad"),
    "paused": Look("⏸️", "warning"),
    "recovery": Look("🟢", "good"),
    "news": Look("📰", "news"),
    "success": Look("✅", "calm"),
    "reminder": Look("🔴", "bad"),
    "flapping": Look("🟠", "warning"),
    "stable": Look("🟢", "good"),
    "late": Look("🟡", "warning"),
    "silent": Look("🔴", "bad"),
    "channel": Look("🟠", "warning"),
    "credits": Look("🟡", "warning"),
    "test": Look("✅", "calm"),
}
