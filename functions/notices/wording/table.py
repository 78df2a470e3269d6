"""Every phrase a notice can hold, in each language; the only place with texts to translate."""

from dataclasses import dataclass

from functions.rules.notice import NoticeKind


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
    attempts: str
    took: str
    next_run: str
    more: str
    comma: str
    units: tuple[str, str, str, str]


EN = Words(
    happened={
        "failure": "“{title}” failed",
        "paused": "“{title}” was stopped",
        "recovery": "“{title}” is back",
        "news": "“{title}” has news",
        "success": "“{title}” succeeded",
    },
    counted={
        "failure": "{n} failed",
        "paused": "{n} stopped",
        "recovery": "{n} back",
        "news": "{n} with news",
        "success": "{n} succeeded",
    },
    repeated="“{title}” failed, {n} times in a row",
    back_after_once="“{title}” is back after {span}, 1 failure",
    back_after="“{title}” is back after {span}, {n} failures",
    back_after_span="“{title}” is back after {span}",
    since="since {time}",
    attempts="{n} attempts",
    took="took {span}",
    next_run="next run {time}",
    more="and {n} more",
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
    },
    counted={
        "failure": "{n} 个失败",
        "paused": "{n} 个停止",
        "recovery": "{n} 个恢复",
        "news": "{n} 个有新内容",
        "success": "{n} 个成功",
    },
    repeated="“{title}”连续失败 {n} 次",
    back_after_once="“{title}”已恢复，中断 {span}，失败 1 次",
    back_after="“{title}”已恢复，中断 {span}，失败 {n} 次",
    back_after_span="“{title}”已恢复，中断 {span}",
    since="始于 {time}",
    attempts="尝试 {n} 次",
    took="耗时 {span}",
    next_run="下次运行 {time}",
    more="另有 {n} 项",
    comma="，",
    units=(" 天", " 小时", " 分", " 秒"),
)


def words_for(language: str) -> Words:
    """The table for a language tag such as `en` or `zh-CN`; English for any other."""
    return ZH if language.strip().lower().startswith("zh") else EN
