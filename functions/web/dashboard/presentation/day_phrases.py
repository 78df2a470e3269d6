"""Days without a run, business days and calendars in Chinese; see `phrases` and `message_phrases`."""

PHRASES = {
    "Calendars": "日历",
    "Calendar": "日历",
    "New calendar": "新日历",
    "There are no calendars yet.": "还没有日历。",
    "A task that excludes calendar:NAME does not run on these days.": (
        "排除 calendar:名称 的任务在这些日期不运行。"
    ),
    "calendar changed": "更改日历",
    "calendar removed": "删除日历",
    "Days": "日期",
    "entries": "日期",
    "Changed": "更改时间",
    "Change {title}": "更改 {title}",
    "Go on with its tasks": "继续更新任务",
    "Whose tasks may use it; empty means the operator's": "谁的任务可以使用；留空表示运营者",
    "One in each line: dates, ranges, yearly dates, weekdays, weekends, holidays by country": (
        "每行一项：日期、范围、每年的日期、星期、周末、各国公共假日"
    ),
    "Days off": "不运行的日期",
    "Days without a run": "不运行的日期",
    "With commas: dates, ranges, weekdays, weekends, holidays by country, calendars": (
        "用逗号分隔：日期、范围、星期、周末、各国公共假日、日历"
    ),
    "What would run on such a day": "这些日期的运行",
    "Moved runs avoid weekends as well": "改期的运行也避开周末",
    "is left out": "略去",
    "moves to the next business day": "改到下一个工作日",
    "moves to the business day before": "改到前一个工作日",
    "on the first business day of each month at a time": "每月第一个工作日固定时间",
    "on the last business day of each month at a time": "每月最后一个工作日固定时间",
    "on each business day at a time": "每个工作日固定时间",
    "Five cron fields, an interval, one moment, or business days; several with semicolons": (
        "五段 cron、间隔、某一时刻或工作日；多个用分号隔开"
    ),
}
_EXAMPLE = (
    "write dates (2026-12-24, 12-25), ranges (2026-12-24..2027-01-02, 12-24..01-02), weekdays (sat), "
    "weekends, holidays:LV or calendar:NAME"
)
_PHRASE_EXAMPLE = (
    "write it like first business day of month at 09:00, last business day of month at 17:30, or every "
    "business day at 09:00"
)
SENTENCES = {
    _EXAMPLE: (
        "请写日期（2026-12-24、12-25）、范围（2026-12-24..2027-01-02、12-24..01-02）、星期（sat）、"
        "weekends、holidays:LV 或 calendar:名称"
    ),
    _PHRASE_EXAMPLE: (
        "请写成 first business day of month at 09:00、last business day of month at 17:30 或 every "
        "business day at 09:00"
    ),
    '"{}" is not understood; {}': "无法理解“{0}”；{1}",
    '"{}" is not understood': "无法理解“{0}”",
    '"{}..." is too long': "“{0}…”太长",
    "{} more are wrong": "还有 {0} 项有误",
    '"{}" names no month that is known; {}': "“{0}”中没有已知的月份；{1}",
    '"{}..." is too long; {}': "“{0}…”太长；{1}",
    '"{}" is not in the calendar; write a date such as 2026-12-24 or 12-24': (
        "“{0}”不是有效日期；请写 2026-12-24 或 12-24 这样的日期"
    ),
    '"{}" runs backwards; write {}': "“{0}”前后颠倒；请写 {1}",
    '"{}" has a year at one end only; write it at both ends, or at none for each year': (
        "“{0}”只有一端有年份；请两端都写，或都不写（表示每年）"
    ),
    '"{}" is out of range; use a year from {} to {}': "“{0}”超出范围；年份须在 {1} 到 {2} 之间",
    '"{}" names no country; write its code, such as holidays:LV, or holidays:US-CA for a part of one': (
        "“{0}”没有国家；请写代码，例如 holidays:LV，或写地区 holidays:US-CA"
    ),
    '"{}" names no weekdays; write weekends:fri..sat or weekends:none': (
        "“{0}”没有星期；请写 weekends:fri..sat 或 weekends:none"
    ),
    '"{}" is no country that is known; {}, or others of ISO 3166': (
        "“{0}”不是已知的国家；{1}，以及其他 ISO 3166 代码"
    ),
    '"{}" is no part of {} that is known; {}': "“{0}”不是 {1} 的已知地区；{2}",
    "write {}, it has no parts": "请写 {0}，它没有地区",
    '"{}" is a calendar within a calendar; write its entries': "“{0}”是日历中的日历；请写出其中的日期",
    '"{}" is not the name of a calendar, which has lower-case letters, digits, dots, hyphens and '
    "underscores, begins with one of the first two, and has at most {} characters": (
        "“{0}”不是日历名称；只能用小写字母、数字、点、连字符和下划线，以字母或数字开头，最多 {1} 个字符"
    ),
    "must have at most {} entries; a range is one entry": "最多 {0} 项；一个范围算一项",
    "must name at most {} calendars": "最多使用 {0} 个日历",
    "an interval has no time of day that could move to another day; write skip, or cron fields": (
        "间隔没有可以改期的时刻；请选“略去”，或写 cron"
    ),
    "{} is of the days of a schedule, and there is none; remove it": "没有时间表，{0} 没有意义；请删去",
    "except: the days of the calendar {} are not known; save the task again": (
        "日历 {0} 的日期未知；请再次保存任务"
    ),
    "there is no occurrence left after now: each one of the next 20 years is on a day that except excludes "
    "(see also endAt)": "之后不会再运行：今后 20 年的每次运行都在被排除的日期（另见 endAt）",
    "there is no business day within a year of it; see except": "一年之内没有工作日；见 except",
    "there is no calendar {}; {}. Make it first: scheduler calendars set {} DAYS, or PUT {}": (
        "没有日历 {0}；{1}。请先创建：scheduler calendars set {2} 日期，或 PUT {3}"
    ),
    "there is none yet": "还没有日历",
    "there is {}": "有 {0}",
    "entries: {}": "日期：{0}",
    "name: {}": "名称：{0}",
    "{} has none; write at least one day, or remove the calendar": "{0} 没有日期；请至少写一个，或删除此日历",
    "{} is used by {}; take it out of their except first": "{0} 正被 {1} 使用；请先从它们的 except 中删去",
    "{} is removed": "{0} 已删除",
    "{} is set; tasks that have new days: {}": "{0} 已设置；日期有变的任务：{1}",
    "{} is set; {} tasks have its days so far, go on with the others": (
        "{0} 已设置；目前 {1} 个任务已更新，请继续更新其余任务"
    ),
    "{} is set; these tasks would never run and keep the former days: {}": (
        "{0} 已设置；以下任务将永不运行，因此保留原日期：{1}"
    ),
}
