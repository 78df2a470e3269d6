"""Every phrase of a message, in each language; the only module with texts to translate."""

from dataclasses import dataclass
from typing import Literal

from functions.domain.alerts.model import NotificationKind


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language.

    Attributes:
        one_task: A sentence about one task, with `{title}`.
        several_tasks: A phrase about several tasks, with `{n}`.
        repeated: As `one_task`, for a failure that is not the first, with `{n}` in a row.
        back_after: As `one_task`, for a recovery, with `{span}` and `{n}` failures.
        units: Day, hour, minute and second, each with its leading space if it needs one.
    """

    one_task: dict[NotificationKind, str]
    several_tasks: dict[NotificationKind, str]
    repeated: str
    back_after_once: str
    back_after: str
    back_after_span: str
    at: str
    since: str
    last_good: str
    attempts: str
    took: str
    schedule: str
    next_run: str
    omitted: str
    dropped: str
    open_task: str
    separator: str
    units: tuple[str, str, str, str]


EN = Phrases(
    one_task={
        "failure": "“{title}” failed",
        "paused": "“{title}” was stopped",
        "recovery": "“{title}” is back",
        "news": "“{title}” has news",
        "success": "“{title}” succeeded",
        "reminder": "“{title}” is still failing",
        "flapping": "“{title}” keeps failing and coming back",
        "stable": "“{title}” is stable again",
        "removed": "“{title}” was removed before it recovered",
        "late": "“{title}” starts late",
        "silent": "“{title}” has not succeeded for too long",
        "channel": "Channel “{title}” was switched off",
        "undelivered": "A notice of “{title}” could not be delivered",
        "credits": "Credits of “{title}” are running out",
        "test": "Channel “{title}” works: this is a test",
    },
    several_tasks={
        "failure": "{n} failed",
        "paused": "{n} stopped",
        "recovery": "{n} back",
        "news": "{n} with news",
        "success": "{n} succeeded",
        "reminder": "{n} still failing",
        "flapping": "{n} unstable",
        "stable": "{n} stable again",
        "removed": "{n} removed",
        "late": "{n} late",
        "silent": "{n} overdue",
        "channel": "{n} channels off",
        "undelivered": "{n} not delivered",
        "credits": "{n} short of credits",
        "test": "{n} tests",
    },
    repeated="“{title}” failed, {n} times in a row",
    back_after_once="“{title}” is back after {span}, 1 failure",
    back_after="“{title}” is back after {span}, {n} failures",
    back_after_span="“{title}” is back after {span}",
    at="at {time}",
    since="since {time}",
    last_good="last good {time}",
    attempts="{n} attempts",
    took="took {span}",
    schedule="schedule: {schedule}",
    next_run="next run {time}",
    omitted="and {n} more",
    dropped="{n} earlier notices of this task were dropped: too many waited",
    open_task="Open the task",
    separator=", ",
    units=(" d", " h", " min", " s"),
)

ZH = Phrases(
    one_task={
        "failure": "“{title}”失败",
        "paused": "“{title}”已停止",
        "recovery": "“{title}”已恢复",
        "news": "“{title}”有新内容",
        "success": "“{title}”成功",
        "reminder": "“{title}”仍然失败",
        "flapping": "“{title}”时好时坏",
        "stable": "“{title}”已稳定",
        "removed": "“{title}”未恢复即被移除",
        "late": "“{title}”启动延迟",
        "silent": "“{title}”太久没有成功",
        "channel": "通道“{title}”已停用",
        "undelivered": "“{title}”的一条通知无法送达",
        "credits": "“{title}”的额度即将用完",
        "test": "通道“{title}”正常：这是一条测试消息",
    },
    several_tasks={
        "failure": "{n} 个失败",
        "paused": "{n} 个停止",
        "recovery": "{n} 个恢复",
        "news": "{n} 个有新内容",
        "success": "{n} 个成功",
        "reminder": "{n} 个仍然失败",
        "flapping": "{n} 个不稳定",
        "stable": "{n} 个已稳定",
        "removed": "{n} 个已移除",
        "late": "{n} 个延迟",
        "silent": "{n} 个太久没有成功",
        "channel": "{n} 个通道停用",
        "undelivered": "{n} 条通知无法送达",
        "credits": "{n} 个额度不足",
        "test": "{n} 个测试",
    },
    repeated="“{title}”连续失败 {n} 次",
    back_after_once="“{title}”已恢复，中断 {span}，失败 1 次",
    back_after="“{title}”已恢复，中断 {span}，失败 {n} 次",
    back_after_span="“{title}”已恢复，中断 {span}",
    at="时间 {time}",
    since="始于 {time}",
    last_good="上次成功 {time}",
    attempts="尝试 {n} 次",
    took="耗时 {span}",
    schedule="计划 {schedule}",
    next_run="下次运行 {time}",
    omitted="另有 {n} 项",
    dropped="此任务较早的 {n} 条通知因积压过多而被丢弃",
    open_task="打开任务",
    separator="，",
    units=(" 天", " 小时", " 分", " 秒"),
)


def phrases_for(language: str) -> Phrases:
    """Return the phrases for a language tag such as `en` or `zh-CN`; English for any other."""
    return ZH if language.strip().lower().startswith("zh") else EN


# How each kind of notification looks: its icon, and the severity that a channel has a colour for.

Severity = Literal["bad", "warning", "good", "news", "calm"]


@dataclass(frozen=True, slots=True)
class SeverityStyle:
    """The icon and severity of a kind of notification, the same in all channels.

    Attributes:
        severity: `bad` and `warning` are problems, `good` ends one, the other two are neither.
    """

    icon: str
    severity: Severity


STYLES: dict[NotificationKind, SeverityStyle] = {
    "failure": SeverityStyle("🔴", "bad"),
    "paused": SeverityStyle("⏸️", "warning"),
    "recovery": SeverityStyle("🟢", "good"),
    "news": SeverityStyle("📰", "news"),
    "success": SeverityStyle("✅", "calm"),
    "reminder": SeverityStyle("🔴", "bad"),
    "flapping": SeverityStyle("🟠", "warning"),
    "stable": SeverityStyle("🟢", "good"),
    "removed": SeverityStyle("🗑️", "good"),
    "late": SeverityStyle("🟡", "warning"),
    "silent": SeverityStyle("🔴", "bad"),
    "channel": SeverityStyle("🟠", "warning"),
    "undelivered": SeverityStyle("🟠", "warning"),
    "credits": SeverityStyle("🟡", "warning"),
    "test": SeverityStyle("✅", "calm"),
}
