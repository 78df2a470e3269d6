"""Every phrase of the pages in Chinese. The English phrase is the key, as templates write it.

`_("{n} tasks").format(n=3)` in a template is `3 个任务` in Chinese. What has no translation stays English; a
test compares this table with the templates. Sentences that are made below the pages are in `message_phrases`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from functions.domain.schedule import phrasing
from functions.domain.schedule.phrasing import ScheduleWords
from functions.web.dashboard.presentation.day_phrases import PHRASES as DAY_PHRASES
from functions.web.dashboard.presentation.expect_phrases import CHINESE as EXPECT_PHRASES
from functions.web.dashboard.presentation.expect_phrases import SENTENCES as EXPECT_SENTENCES
from functions.web.dashboard.presentation.form_phrases import CHINESE as FORM_PHRASES
from functions.web.dashboard.presentation.message_phrases import CHINESE as SENTENCES
from functions.web.dashboard.presentation.sentences import Translator


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """The phrases of one language.

    Attributes:
        language: As in the attribute `lang` of HTML.
        sentence: Returns a sentence that was made in English, with something filled in.
        schedule: The words for what starts a task.
        weekdays: Monday first; empty where dates are written in English.
    """

    language: str
    phrases: dict[str, str]
    sentence: Callable[[str], str] = str
    schedule: ScheduleWords = phrasing.ENGLISH
    weekdays: tuple[str, ...] = ()

    def __call__(self, phrase: str) -> str:
        """Return *phrase*, which is English, in this language."""
        return self.phrases.get(phrase, phrase)


@cache
def phrasebook(language: str) -> Phrasebook:
    """Return the phrases for a tag such as `en` or `zh-CN`; English for any other."""
    return _CHINESE if language.strip().lower().startswith("zh") else _ENGLISH


_PHRASES = (
    FORM_PHRASES
    | EXPECT_PHRASES
    | DAY_PHRASES
    | {
        # navigation and frame
        "Overview": "概览",
        "Runs": "运行",
        "Incidents": "故障",
        "Agenda": "日程",
        "Channels": "通道",
        "Owners": "所有者",
        "Keys": "密钥",
        "Copy as a new task": "复制为新任务",
        "Removed tasks": "已删除的任务",
        "Pages": "页面",
        "To the content": "跳到内容",
        "Sign out": "退出",
        "No answer from the server: what is shown may be out of date. It is tried again.": (
            "服务器没有响应：显示的内容可能已过时。将再次尝试。"
        ),
        "Sign in": "登录",
        "Your session has ended. What you wrote is still there once you are signed in.": (
            "会话已结束。登录后，您填写的内容仍然保留。"
        ),
        "Your session has ended, so nothing was done. Sign in and try again.": (
            "会话已结束，未执行任何操作。请登录后重试。"
        ),
        "What you wrote is still there": "您填写的内容仍然保留",
        "It was sent without this session, and is not saved yet.": "它不是在本次会话中发送的，尚未保存。",
        "Back to the form": "返回表单",
        "Key": "密钥",
        "With an API key: the one of API_KEY, or one that “scheduler keys create” made.": (
            "使用 API 密钥：API_KEY 的值，或用 “scheduler keys create” 创建的密钥。"
        ),
        "This link signs you in once, as the administrator.": "此链接以管理员身份登录一次。",
        "Open the dashboard": "打开仪表板",
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
        "Status page": "状态页",
        "For anybody who has the link:": "任何拥有链接的人都可以看到：",
        "On a domain of your own: see docs/how-to/status-page.md.": (
            "使用自己的域名：见 docs/how-to/status-page.md。"
        ),
        "Revoke this link": "撤销此链接",
        "It ends for everyone who has it; the page gets another one.": "旧链接将失效；页面会得到新链接。",
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
        # runs, incidents, agenda
        "removed": "已删除",
        "Nothing has run yet.": "还没有任何运行。",
        "Run of {title}": "{title} 的运行",
        "Facts": "概要",
        "Occurrence": "计划时刻",
        "Started": "开始",
        "Attempt": "尝试",
        "All attempts at this occurrence": "此计划时刻的所有尝试",
        "Time line": "时间线",
        "Found": "发现",
        "Output": "输出",
        "Known": "已知",
        "Acknowledge": "确认",
        "acknowledged": "确认",
        "No success in time": "未按时成功",
        "Silence": "静音",
        "For": "时长",
        "Hold its notices": "暂缓通知",
        "Now": "现在",
        "Failing since": "失败始于",
        "Failures": "失败次数",
        "Last error": "最近错误",
        "Notices": "通知",
        "Nothing fails.": "没有失败的任务。",
        "No last run failed.": "没有最近一次运行失败的任务。",
        "Tasks without a success in time are looked for among {n} tasks on each page.": (
            "每页在 {n} 个任务中查找未按时成功的任务。"
        ),
        "Failing tasks cannot be listed: the database lacks an index, which `terraform apply` makes.": (
            "无法列出失败的任务：数据库缺少索引，运行 `terraform apply` 会创建它。"
        ),
        "Silenced": "已静音",
        "all tasks": "所有任务",
        "Nothing is silenced.": "没有静音。",
        "Over": "已结束",
        "First failure": "首次失败",
        "Recovered": "恢复",
        "Lasted": "持续",
        "No incident is known.": "没有已知的故障。",
        "Of more tasks": "更多任务的故障",
        "The next 24 hours": "未来 24 小时",
        "There are too many runs to count all of them; the picture is of the first.": (
            "运行过多，无法全部统计；此图只含最早的部分。"
        ),
        "Runs in each ten minutes, by the clock of {zone}. Choose a number to see its tasks.": (
            "每十分钟的运行数，按 {zone} 的时间。选择数字查看任务。"
        ),
        "This is about the first {n} tasks, by id.": "此页只含按标识排序的前 {n} 个任务。",
        "Hour": "小时",
        "{n} runs from {time} on": "{time} 起 {n} 次运行",
        "From {time} on": "{time} 起",
        "and {n} more": "及另外 {n} 个",
        "Crowded minutes": "拥挤的分钟",
        "Write H in place of a minute, or set jitterSeconds, to spread them.": (
            "用 H 代替分钟，或设置 jitterSeconds，以分散运行。"
        ),
        "Nothing will run.": "没有即将运行的任务。",
        # status pages
        "Title and description": "标题和说明",
        "Title": "标题",
        "Description": "说明",
        "Save": "保存",
        "Nothing to show.": "没有可显示的内容。",
        "{bad} of {n} has a problem.": "{n} 个中有 {bad} 个有问题。",
        "{bad} of {n} have a problem.": "{n} 个中有 {bad} 个有问题。",
        "All well.": "一切正常。",
        "{old} of {n} not looked at since {when}: older states are shown.": "{old}/{n} 自 {when} 未检查。",
        "looked at {when}": "检查于{when}",
        "passing": "正常",
        "new": "新建",
        "unknown": "未知",
        # a task
        "Paused by {name}": "由 {name} 暂停",
        "an unknown user": "未知用户",
        "until {when}": "直到 {when}",
        "Attempt {n} of {all} did not succeed: {error}": "第 {n} 次尝试（共 {all} 次）未成功：{error}",
        "Tried again {when}": "下次尝试：{when}",
        "Running, attempt {n}, since {when}": "运行中，第 {n} 次尝试，开始于{when}",
        "failing since {when}": "失败始于 {when}",
        "{n} times in a row": "连续 {n} 次",
        "{n} notices of this task wait for a channel": "此任务有 {n} 条通知等待通道",
        "{n} earlier ones were dropped, because too many waited": "较早的 {n} 条因积压过多而被丢弃",
        "Run now": "立即运行",
        "Cancel what runs": "取消当前运行",
        "Resume": "恢复",
        "run what was missed": "补跑错过的",
        "Pause": "暂停",
        "Reason, for other users": "原因（供其他用户查看）",
        "Until ({zone}); empty means until it is resumed": "直到（{zone}）；留空表示直到手动恢复",
        "Pause the task": "暂停任务",
        "Edit": "编辑",
        "Remove": "删除",
        "Its schedule ends at once; its history stays.": "计划立即结束，历史保留。",
        "Remove {id}": "删除 {id}",
        "Uptime": "可用率",
        "The last 24 hours, an hour a bar": "最近 24 小时，每格一小时",
        "The last 90 days, a day a bar": "最近 90 天，每格一天",
        "{good} succeeded, {bad} failed": "成功 {good}，失败 {bad}",
        "Last incidents": "最近的故障",
        "for {span}, {n} failures": "持续 {span}，失败 {n} 次",
        "Response times": "响应时间",
        "median": "中位数",
        "95 %": "95 %",
        "slowest": "最慢",
        "{n} attempts from {first} to {last}: median {median}, 95 % within {high}, slowest {slowest}": (
            "从 {first} 到 {last} 的 {n} 次尝试：中位数 {median}，95 % 不超过 {high}，最慢 {slowest}"
        ),
        "last {n} attempts; red: not succeeded": "最近 {n} 次尝试；红色：未成功",
        "Shown from the second attempt on.": "从第二次尝试起显示。",
        "When": "时间",
        "There is no occurrence left.": "没有剩余的运行。",
        "None while it is paused.": "暂停期间没有。",
        "due": "待运行",
        "from {when}": "从 {when}",
        "{n} of {all} runs made": "已运行 {n} 次，共 {all} 次",
        "Who is notified, and when": "通知谁，何时通知",
        "failure": "失败",
        "recovery": "恢复",
        "success": "成功",
        "news": "新内容",
        "flapping": "不稳定",
        "silent": "太久没有成功",
        "finished": "结束",
        "nobody: no channel is set up": "无人：没有设置通道",
        "from the {n}. failure in a row": "从连续第 {n} 次失败起",
        "without reminders": "不再提醒",
        "Nobody.": "不通知任何人。",
        "And when it has not succeeded for {span}.": "以及 {span}内没有成功时。",
        "When it fails": "失败时",
        "Up to {n} attempts, {least} to {most} apart; each may take {timeout}.": (
            "最多尝试 {n} 次，间隔 {least}到 {most}；每次最长 {timeout}。"
        ),
        "It is not tried again; an attempt may take {timeout}.": "不会重试；每次最长 {timeout}。",
        "Its group is {name}:": "分组 {name}：",
        "{n} at once.": "最多同时 {n} 次。",
        "{n} start in a minute.": "每分钟最多开始 {n} 次。",
        "It waits for its group {name}: {n} of {limit} run.": "正在等待分组 {name}：{n}/{limit} 正在运行。",
        "It waits for its group {name}: {n} of {limit} have started this minute.": (
            "正在等待分组 {name}：本分钟已开始 {n}/{limit}。"
        ),
        "It pauses after {n} failures in a row.": "连续失败 {n} 次后暂停。",
        "Before and after": "前后任务",
        "event": "事件",
        "ping": "报到",
        "schedule": "计划",
        "then": "然后",
        "What": "内容",
        "Id": "标识",
        "Params": "参数",
        "Priority": "优先级",
        "urgent": "紧急",
        "high": "高",
        "medium": "中",
        "low": "低",
        "Tags": "标签",
        "From": "来源",
        "Badge": "徽章",
        "The badge of this task": "此任务的徽章",
        "Copy": "复制",
        "Copied": "已复制",
        "Revoke this address": "撤销此地址",
        "It ends for everyone who has it; the badge gets another one.": "旧地址将失效；徽章会得到新地址。",
        "Make another address": "生成新地址",
        "Its program calls": "程序来报到",
        "Last call": "上次报到",
        "It has not called yet.": "尚未报到。",
        "After the command in a crontab": "在 crontab 的命令之后",
        "With its start, exit code and output": "附带开始、退出码和输出",
        "Calls of it are refused from then on; the program needs the new one.": (
            "旧地址随即失效；程序需要新地址。"
        ),
        "It has another address to call": "它有了新的报到地址",
        "History": "历史",
        "Finished": "完成",
        "Outcome": "结果",
        "Why": "原因",
        "Took": "耗时",
        "Summary": "摘要",
        "attempt {n}": "第 {n} 次尝试",
        "Period": "时段",
        "all": "全部",
        "last {span}": "最近 {span}",
        "1d": "1 天",
        "7d": "7 天",
        "30d": "30 天",
        "Words in the summary": "摘要中的词",
        "No run matches among those that were searched.": "已搜索的运行中没有符合条件的。",
        "It has not run yet.": "还没有运行过。",
        "Newest": "最新",
        "Older runs": "更早的运行",
        "Changes": "变更",
        "by {name}": "由 {name}",
        "created": "创建",
        "edited": "修改",
        "deleted": "删除",
        "resumed": "恢复",
        "run": "运行",
        "backfilled": "回填",
        "catch_up": "补跑",
        "queued": "排队",
        "manual": "手动",
        "backfill": "回填",
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
        "Add the tag": "添加标签",
        "Remove the tag": "移除标签",
        # states and outcomes
        "ok": "正常",
        "waiting": "等待",
        "failing": "失败中",
        "failing, retrying": "失败中，重试",
        "failing, running": "失败中，运行中",
        "retrying": "重试中",
        "began {when}": "开始：{when}",
        "next attempt {when}": "下次尝试：{when}",
        "waits for a tick": "等待下一次触发",
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
    }
)
_ENGLISH = Phrasebook("en", {})
_CHINESE = Phrasebook(
    "zh",
    _PHRASES,
    Translator(_PHRASES, SENTENCES | EXPECT_SENTENCES),
    phrasing.CHINESE,
    ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
)
