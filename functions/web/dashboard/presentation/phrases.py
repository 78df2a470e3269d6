"""Every phrase of the pages in Chinese. The English phrase is the key, as templates write it.

`_("{n} tasks").format(n=3)` in a template is `3 个任务` in Chinese. What has no translation stays English; a
test compares this table with the templates.
"""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """The phrases of one language.

    Attributes:
        language: As in the attribute `lang` of HTML.
    """

    language: str
    phrases: dict[str, str]

    def __call__(self, phrase: str) -> str:
        """Return *phrase*, which is English, in this language."""
        return self.phrases.get(phrase, phrase)


@cache
def phrasebook(language: str) -> Phrasebook:
    """Return the phrases for a tag such as `en` or `zh-CN`; English for any other."""
    return _CHINESE if language.strip().lower().startswith("zh") else _ENGLISH


_ENGLISH = Phrasebook("en", {})
_CHINESE = Phrasebook(
    "zh",
    {
        # navigation and frame
        "Overview": "概览",
        "Runs": "运行",
        "Incidents": "故障",
        "Agenda": "日程",
        "Channels": "通道",
        "Owners": "所有者",
        "Keys": "密钥",
        "Pages": "页面",
        "To the content": "跳到内容",
        "Sign out": "退出",
        "Sign in": "登录",
        "Key": "密钥",
        "With an API key: the one of API_KEY, or one that “scheduler keys create” made.": (
            "使用 API 密钥：API_KEY 的值，或用 “scheduler keys create” 创建的密钥。"
        ),
        "{n} documents read for this page": "本页读取了 {n} 个文档",
        "1 document read for this page": "本页读取了 1 个文档",
        "To the overview": "前往概览",
        # times
        "now": "现在",
        "in {span}": "{span}后",
        "{span} ago": "{span}前",
        "{n} d": "{n} 天",
        "{n} h": "{n} 小时",
        "{n} min": "{n} 分钟",
        "{n} s": "{n} 秒",
        # states and outcomes
        "ok": "正常",
        "waiting": "等待",
        "failing": "失败中",
        "failing, retrying": "失败中，重试",
        "failing, running": "失败中，运行中",
        "retrying": "重试中",
        "running": "运行中",
        "scheduled": "已计划",
        "paused": "已暂停",
        "ended": "已结束",
        "ended, failed": "已结束，失败",
        "stopped": "已停止",
        "quarantined": "已隔离",
        "succeeded": "成功",
        "failed": "失败",
        "timed_out": "超时",
        "cancelled": "已取消",
        "abandoned": "中断",
        "skipped": "跳过",
        "no runs yet": "尚未运行",
    },
)
