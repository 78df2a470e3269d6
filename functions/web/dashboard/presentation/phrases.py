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
        # overview
        "New task": "新建任务",
        "last tick {when}": "上次触发：{when}",
        "Check the job that calls POST /tick.": "请检查调用 POST /tick 的定时作业。",
        "Ticks come": "触发正常",
        "No tick comes": "没有触发",
        "Ticks come, and work waits": "有触发，但任务在排队",
        "Nothing waits": "没有等待的任务",
        "No tick yet": "尚未触发",
        "late": "延迟",
        "in all": "总计",
        "Search": "搜索",
        "State": "状态",
        "Type": "类型",
        "Tag": "标签",
        "Owner": "所有者",
        "any": "全部",
        "Show": "显示",
        "Show all": "显示全部",
        "The document {id} cannot be read as a task: {reason}": "文档 {id} 无法作为任务读取：{reason}",
        "Task": "任务",
        "Next run": "下次运行",
        "Last 20": "最近 20 次",
        "Last result": "最近结果",
        "try {n} {when}": "第 {n} 次尝试：{when}",
        "No task matches.": "没有符合条件的任务。",
        "No task yet.": "还没有任务。",
        "Make the first one": "创建第一个任务",
        "Or apply a file:": "或应用一个文件：",
        "First page": "第一页",
        "More tasks": "更多任务",
        "Sorted within this page.": "仅在本页内排序。",
        "Status page": "状态页",
        "For anybody who has the link:": "任何拥有链接的人都可以看到：",
        "Revoke this link": "撤销此链接",
        "Whoever has it sees nothing more; the page gets another one.": "旧链接将失效；页面会得到新链接。",
        "Make another link": "生成新链接",
        "Beside": "侧栏",
        "Lately": "近况",
        "is back": "已恢复",
        "began to fail": "开始失败",
        "Next in the queue": "即将运行",
        "Credits": "额度",
        "{used} used in {month}": "{month} 已用 {used}",
        "of {n}": "共 {n}",
        "The last {n} outcomes, {bad} of them failures": "最近 {n} 次结果，其中 {bad} 次失败",
        # times
        "now": "现在",
        "in {span}": "{span}后",
        "{span} ago": "{span}前",
        "{n} d": "{n} 天",
        "{n} h": "{n} 小时",
        "{n} min": "{n} 分钟",
        "{n} s": "{n} 秒",
        # one action on several tasks
        "With the checked tasks": "对勾选的任务",
        "Check all of this page": "勾选本页全部",
        "Check none": "取消勾选",
        "Check {title}": "勾选 {title}",
        "Pause": "暂停",
        "Resume": "恢复",
        "Run now": "立即运行",
        "Add the tag": "添加标签",
        "Remove the tag": "移除标签",
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
        "then again": "将重试",
        "overlap": "重叠",
        "misfire": "错过",
        "capacity": "容量不足",
        "budget": "额度不足",
        "config": "配置",
        "no runs yet": "尚未运行",
    },
)
