"""What validation, forms and results say, in Chinese; `{}` is what was filled in, see `sentences`."""

from functions.web.dashboard.presentation.day_phrases import SENTENCES as DAYS
from functions.web.dashboard.presentation.lack_phrases import SENTENCES as LACKS
from functions.web.dashboard.presentation.watch_phrases import SENTENCES as WATCHING

FORMS = {
    # any field
    "is required": "必填",
    "unknown field; did you mean {}?": "未知字段；您是否想写 {0}？",
    "unknown field; check its spelling": "未知字段；请检查拼写",
    "unknown field; known are {}": "未知字段；可用的有 {0}",
    "did you mean {}?": "您是否想写 {0}？",
    "must be text": "必须是文字",
    "must be text; put the value in quotes": "必须是文字；请给值加上引号",
    "must not be empty": "不能为空",
    "must be one of {}": "必须是以下之一：{0}",
    "must be {}": "必须是 {0}",
    "is not of the right form": "格式不正确",
    "must have at least {} characters": "至少 {0} 个字符",
    "must have at most {} characters": "最多 {0} 个字符",
    "must be UTF-8 text; write it anew": "必须是 UTF-8 文本；请重新输入",
    "must be a whole number": "必须是整数",
    "a whole number": "整数",
    "a number": "数字",
    "auto": "auto",
    "never": "never",
    "is too large a number": "数字太大",
    "must be a number": "必须是数字",
    "must be a finite number": "必须是有限的数字",
    "must be a number of 64 bits": "必须是 64 位以内的数字",
    "must be true or false": "必须是 true 或 false",
    "must be greater than {}": "必须大于 {0}",
    "must be at least {}": "至少为 {0}",
    "must be less than {}": "必须小于 {0}",
    "must be at most {}": "最多为 {0}",
    "must be a list": "必须是列表",
    "must have at least {} entries": "至少 {0} 项",
    "must have at most {} entries": "最多 {0} 项",
    "must be a mapping of names to values": "必须是名称到值的映射",
    "must have a letter, a digit or another sign that can be seen": "必须含有可见的文字、数字或符号",
    "must be printable characters, without spaces at its beginning and end": (
        "必须是可打印字符，首尾不能有空格"
    ),
    "must not contain the NUL character": "不能含有 NUL 字符",
    "must not contain half of a surrogate pair; send whole characters": "不能含有半个代理对；请发送完整字符",
    "must be a moment with its offset, such as 2026-12-01T09:00:00Z": (
        "必须是带时差的时刻，例如 2026-12-01T09:00:00Z"
    ),
    "must be lower-case letters, digits, dots, hyphens and underscores, begin with a letter or digit, and have "  # noqa: E501
    "at most {} characters": "只能用小写字母、数字、点、连字符和下划线，以字母或数字开头，最多 {0} 个字符",
    "must be lower-case letters, digits, dots, hyphens and underscores, such as order.paid": (
        "只能用小写字母、数字、点、连字符和下划线，例如 order.paid"
    ),
    "must be the id of a task": "必须是任务的标识",
    "must be the id of a key": "必须是密钥的标识",
    "must be a month such as 2026-11": "必须是月份，例如 2026-11",
    "must be a name of letters, digits, dots, hyphens and underscores, or * for all": (
        "必须是由字母、数字、点、连字符和下划线组成的名称，或用 * 表示全部"
    ),
    "must be letters, digits, dots, hyphens and underscores": "只能用字母、数字、点、连字符和下划线",
    "must be the name of a variable: letters, digits and underscores, no digit first": (
        "必须是变量名：字母、数字和下划线，不能以数字开头"
    ),
    "must be the name of a host, such as example.com or *.example.com": (
        "必须是主机名，例如 example.com 或 *.example.com"
    ),
    "must have no colon and no control character": "不能含有冒号和控制字符",
    "must be printable ASCII characters without spaces": "必须是可打印的 ASCII 字符，不含空格",
    "must be printable ASCII characters without spaces, at least one": (
        "必须是至少一个可打印的 ASCII 字符，不含空格"
    ),
    "must be the name of a task type, such as health_check_url": "必须是任务类型的名称，例如 health_check_url",  # noqa: E501
    "must be a time of day with hours and minutes, such as 22:00 or 07:30": (
        "必须是含小时和分钟的时间，例如 22:00 或 07:30"
    ),
    "must be a function as package.module:function, such as jobs.daily:report": (
        "必须是 package.module:function 形式的函数，例如 jobs.daily:report"
    ),
    "must be a repository as owner/name": "必须是 owner/name 形式的仓库",
    "must be a JSON Pointer, such as /data/0/status": "必须是 JSON Pointer，例如 /data/0/status",
    "must be the whole path of a folder, such as /srv/jobs": "必须是文件夹的完整路径，例如 /srv/jobs",
    "is nested more than {} levels deep; flatten it, or give its inner part as text": (
        "嵌套超过 {0} 层；请展平，或将内层写成文字"
    ),
    "cannot be emptied any more; write a number": "不能再清空；请填写数字",
    "must be a number, such as 20 or 2.5": "必须是数字，例如 20 或 2.5",
    "must be a number, such as 20 or 2.5 or auto": "必须是数字（例如 20 或 2.5）或 auto",
    "must be a number, such as 20 or 2.5 or auto or never": "必须是数字（例如 20 或 2.5）、auto 或 never",
    "is not JSON; look for a missing quote, comma or bracket": "不是 JSON；请检查是否缺少引号、逗号或括号",
    "{} is given twice; give it once": "{0} 写了两次；请只写一次",
    "is not JSON near line {}; look for a missing quote, comma or bracket": (
        "第 {0} 行附近不是 JSON；请检查是否缺少引号、逗号或括号"
    ),
    "needs a name, or an empty value": "需要名称，或清空值",
    "is there twice; use each name once": "重复出现；每个名称只用一次",
    "is required; empty the row to remove it": "必填；清空整行即可删除",
    "write it like 2026-12-01T09:00, with a year from 1970 to 9000": (
        "请写成 2026-12-01T09:00 的形式，年份从 1970 到 9000"
    ),
    "write it like {}": "请写成 {0} 的形式",
    "must be a JSON object, such as {}": "必须是 JSON 对象，例如 {0}",
    "must be from the years 1970 to 9000": "年份必须从 1970 到 9000",
    "must be in the future": "必须在将来",
    "to must be later than from": "结束必须晚于开始",
    "{} (and {} more)": "{0}（另有 {1} 处）",
    "{}, row {}": "{0}，第 {1} 行",
    "Name": "名称",
    "name": "名称",
    "params": "类型设置",
    # tasks
    "is required; only a task with after or onEvent can do without, or one that is run as it is made (scheduler "  # noqa: E501
    "run --file, POST /api/tasks?run=true)": "必填；只有带 after 或 onEvent 的任务，或创建时即运行的任务可以不填",  # noqa: E501
    "maxBackoffSeconds must not be smaller than minBackoffSeconds": (
        "maxBackoffSeconds 不能小于 minBackoffSeconds"
    ),
    "endAt must not be earlier than startAt": "endAt 不能早于 startAt",
    "must not be earlier than startAt": "不能早于 startAt",
    "give creditsPerRun, creditsPerMonth or both": "请填写 creditsPerRun、creditsPerMonth 或两者",
    "must be the name of a time zone, such as Europe/Riga": "必须是时区名称，例如 Europe/Riga",
    '"{}" is not an IANA zone; {}': "“{0}”不是 IANA 时区；{1}",
    "write a place such as Europe/Riga, or UTC": "请写地点，例如 Europe/Riga，或 UTC",
    "write a place such as {}": "请写地点，例如 {0}",
    "{} is an offset, which knows no daylight saving; {}": "{0} 是时差，不含夏令时；{1}",
    "{} is an abbreviation, not a zone; {}": "{0} 是缩写，不是时区；{1}",
    "{} is another zone on each machine; {}": "{0} 在每台机器上各不相同；{1}",
    "must be at most {} bytes as JSON; it is {}": "作为 JSON 最多 {0} 字节；现为 {1}",
    "must be at most {} bytes as JSON": "作为 JSON 最多 {0} 字节",
    "there is no task {}": "没有任务 {0}",
    "There is no task {}": "没有任务 {0}",
    "there is a task {} already": "已有任务 {0}",
    "no task type has this name, here or in TASK_TYPES; {}": "没有此任务类型，TASK_TYPES 中也没有；{0}",
    "type: no task type has this name, here or in TASK_TYPES; {}": "没有此任务类型，TASK_TYPES 中也没有；{0}",
    "known are {}": "可用的有 {0}",
    "{} has another owner; a task runs after tasks of its own. Give both the same owner, or send an event with "  # noqa: E501
    "reach: all": "{0} 属于其他所有者；请让两者同属一个所有者，或发送 reach 为 all 的事件",
    "these tasks would start one another in a circle: {}": "这些任务会循环触发：{0}",
    "this key makes tasks of {} alone": "此密钥只能创建 {0} 的任务",
    "{} may have {} tasks; remove some, or an administrator allows more: {}": (
        "{0} 最多可有 {1} 个任务；请删除一些，或由管理员放宽：{2}"
    ),
    "{} is not allowed to this key": "此密钥不允许使用 {0}",
    "{} is not allowed to tasks of {}; {}": "{1} 的任务不允许使用 {0}；{2}",
    "a type of task must be known": "任务类型必须存在",
    "the title makes no id, having no letter of a to z and no digit; write an id as well": (
        "标题中没有字母或数字，无法生成标识；请另填标识"
    ),
    "must be its limits, such as {name: shop, perMinute: 30}; groups: is of task files": (
        "必须是其限制，例如 {name: shop, perMinute: 30}；groups: 用于任务文件"
    ),
    # schedules
    '"{}" is of another dialect; write {}, if 1 is Sunday there, as in Quartz': (
        "“{0}”是其他调度器的写法；若该处 1 表示星期日（如 Quartz），请写 {1}"
    ),
    '"{}" is of another dialect; write {}, with a command in params, and a zone in timezone': (
        "“{0}”是其他调度器的写法；请写 {1}，命令写在参数中，时区写在时区中"
    ),
    '"{}" is of another dialect; write {}': "“{0}”是其他调度器的写法；请写 {1}",
    'the {} "{}" is not understood; write {}': "无法理解{0}“{1}”；请写 {2}",
    '"{}" is not a schedule; {}': "“{0}”不是时间表；{1}",
    "write five cron fields, {}, or daily, or every 15m": "请写五段 cron（{0}），或 daily，或 every 15m",
    "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5": "分 时 日 月 星期，例如 30 9 * * 1-5",
    "write five cron fields, @daily, every 15m or at a date": "请写五段 cron、@daily、every 15m 或 at 日期",
    "these are {} fields, and seconds and years are not supported; write five: {}": (
        "共有 {0} 段，不支持秒和年；请写五段：{1}"
    ),
    'the day "{}" (day-of-month month day-of-week) never comes; choose one the calendar has, or L for the last '  # noqa: E501
    "day of a month": "日期“{0}”（日 月 星期）不存在；请选择日历上有的日期，或用 L 表示月末",
    'the {} "{}" is not understood; use numbers {}, ranges 1-5, steps */5 and lists 1,3,5': (
        "无法理解{0}“{1}”；请用数字 {2}、范围 1-5、步长 */5 或列表 1,3,5"
    ),
    'the {} range "{}" runs backwards; write {}': "{0}的范围“{1}”是倒的；请写 {2}",
    'the {} range "{}" runs backwards; {}': "{0}的范围“{1}”是倒的；{2}",
    "it as {}": "{0}",
    "the {} {} is out of range; use {} to {}": "{0} {1} 超出范围；请用 {2} 到 {3}",
    'the {} "{}" has a step of 0; use a step of 1 to {}': "{0}“{1}”的步长为 0；请用 1 到 {2}",
    'the {} "{}" has a step longer than the field; use a step of 1 to {}': (
        "{0}“{1}”的步长超过该段；请用 1 到 {2}"
    ),
    "the {} has an empty place; take out the extra comma": "{0}有空位；请去掉多余的逗号",
    'the day-of-week "L" lacks its day; write 5L for the last Friday': (
        "星期“L”缺少日子；最后一个周五请写 5L"
    ),
    'the day-of-week "{}" is in no month; use #1 to #5, or L for the last': (
        "没有月份有星期“{0}”；请用 #1 到 #5，或 L 表示最后一个"
    ),
    'it is empty; write cron fields such as 30 9 * * 1-5, or "every 15m"': (
        "不能为空；请写 cron，例如 30 9 * * 1-5，或 every 15m"
    ),
    "it is {} characters long; write at most {}": "长 {0} 个字符；最多 {1} 个",
    "it has more than {} schedules; make several tasks of them": "超过 {0} 个计划；请拆成多个任务",
    "a schedule between semicolons is empty; write it, or remove a semicolon": (
        "分号之间有空的计划；请填写，或删去分号"
    ),
    "a group needs maxConcurrent, perMinute or both; files may have them under groups:": (
        "组需要 maxConcurrent 或 perMinute，或两者；在文件中可写在 groups: 之下"
    ),
    '"{}" is not an interval; {}': "“{0}”不是间隔；{1}",
    '"{}" is shorter than the scheduler\'s own minute; write every 1m or longer': (
        "“{0}”短于一分钟；请写 every 1m 或更长"
    ),
    '"{}" is longer than ten years; write every 3650d or shorter': "“{0}”超过十年；请写 every 3650d 或更短",
    '"{}" is not a date and time; {}': "“{0}”不是日期和时间；{1}",
    '"{}" is not in the calendar or on the clock; {}': "日历或时钟上没有“{0}”；{1}",
    "write it like at 2026-12-01T09:00, in the task's zone": "请写成 at 2026-12-01T09:00 的形式，按任务的时区",  # noqa: E501
    "there is no occurrence left after now: its only one is {} (see also endAt)": (
        "现在之后不再运行：唯一一次是 {0}（另见 endAt）"
    ),
    "there is no occurrence left after now (see also endAt)": "现在之后不再运行（另见 endAt）",
    "{}= is not read here; write the zone as timezone": "这里不读取 {0}=；请把时区写在 timezone",
    'the {} "{}" is drawn from the task\'s id; give the id': "{0}“{1}”由任务标识决定；请填写标识",
    'the day-of-month "{}" asks for the nearest weekday, which is not supported; name the day, or the weekday in '  # noqa: E501
    "the fifth field": "日期“{0}”要求最近的工作日，不支持；请写明日期，或在第五段写星期",
    'the day-of-month "{}" counts back from the last day, which is not supported; use L, or a day from 1 to 28': (  # noqa: E501
        "日期“{0}”从月末倒数，不支持；请用 L，或 1 到 28 日"
    ),
    "minute": "分钟",
    "hour": "小时",
    "day-of-month": "日期",
    "month": "月份",
    "day-of-week": "星期",
    "{} does not exist in {}: {}": "{1} 没有 {0}：{2}",
    "{} happens twice in {}: {}": "{1} 的 {0} 出现两次：{2}",
    "runs once, at {}": "运行一次，在 {0}",
    "this run is left out": "跳过这次运行",
    "these {} runs are left out": "跳过这 {0} 次运行",
    "runs the first time only": "只在第一次运行",
    "runs both times": "两次都运行",
    # settings of types
    "The URL must start with http:// or https://": "网址必须以 http:// 或 https:// 开头",
    "The URL has no host; write it like https://example.com/path": (
        "网址没有主机；请写成 https://example.com/path 的形式"
    ),
    "The URL cannot be read; write it like https://example.com/path": (
        "无法读取网址；请写成 https://example.com/path 的形式"
    ),
    "The URL holds a space, a control character or a backslash; percent-encode it": (
        "网址含有空格、控制字符或反斜杠；请用百分号编码"
    ),
    "The URL is longer than {} characters": "网址超过 {0} 个字符",
    "The URL holds a user name or password; send an Authorization header instead": (
        "网址含有用户名或密码；请改用 Authorization 请求头"
    ),
    "The URL's port must be from 1 to 65535": "网址的端口必须在 1 到 65535 之间",
    "The URL's port {} is not allowed here; allowed are {}; the operator can allow it (ALLOW_PORTS)": (
        "不允许端口 {0}；允许 {1}；运营者可以放行（ALLOW_PORTS）"
    ),
    "The URL's host is not a valid name or address": "网址的主机不是有效的名称或地址",
    "The URL's host is not allowed": "不允许访问网址的主机",
    "the URL must start with http:// or https://": "网址必须以 http:// 或 https:// 开头",
    "the URL has no host; write it like https://example.com/path": (
        "网址没有主机；请写成 https://example.com/path 的形式"
    ),
    "give either goal or prompt": "goal 和 prompt 填一个",
    "tools and hosts go together: what the model may call, and the hosts it may reach": (
        "tools 与 hosts 要一起填：模型可调用什么，以及可访问哪些主机"
    ),
    "shell needs the command as one text; a list of words is run without a shell": (
        "shell 需要一整条命令；列表不经 shell 运行"
    ),
    "command has {} outside quotes, which only a shell understands; set shell to true, or quote it": (
        "命令在引号外含有 {0}，只有 shell 才能理解；请打开 shell，或给它加上引号"
    ),
    "command names no program": "命令没有程序",
    "command has a quotation that is not closed": "命令的引号没有闭合",
    "bodyContains needs the method GET, as HEAD brings no body": "bodyContains 需要 GET，因为 HEAD 没有正文",
    "certificateDaysLeft needs an https url": "certificateDaysLeft 需要 https 网址",
    "give at most one of json, body and form": "json、body 和 form 最多填一个",
    "equals needs jsonPointer, which says what to compare": "equals 需要 jsonPointer 指明比较什么",
    "bodyContains and jsonPointer need another method, as HEAD brings no body": (
        "bodyContains 和 jsonPointer 需要其他方法，因为 HEAD 没有正文"
    ),
    "give either auth or a header Authorization": "auth 和请求头 Authorization 填一个",
    "give either bearer or basic": "bearer 和 basic 填一个",
    "must not begin with {}, which is the scheduler's own": "不能以 {0} 开头，那是调度器自用的",
    "must name 1 to {} codes or ranges": "须填 1 到 {0} 个状态码或范围",
    "a range must begin with its lower code": "范围须从较小的状态码开始",
    "No function may be called here; list modules in PYTHON_TASKS": (
        "这里不能调用函数；请在 PYTHON_TASKS 中列出模块"
    ),
    "The function {} may not be called; PYTHON_TASKS does not list it": (
        "不能调用函数 {0}；PYTHON_TASKS 没有列出它"
    ),
    "{} is defined in {}, which PYTHON_TASKS does not list": "{0} 定义于 {1}，PYTHON_TASKS 没有列出它",
    "The module {} cannot be imported ({})": "无法导入模块 {0}（{1}）",
    "The module {} has no function {}": "模块 {0} 没有函数 {1}",
    "at most {} secrets may be named": "最多引用 {0} 个机密",
    "the function does not take these arguments: {}": "函数不接受这些参数：{0}",
    "{} is not for a heartbeat, which nothing here starts; remove it (params.graceSeconds says how late a call may be)": (  # noqa: E501
        "心跳不由这里启动，不需要 {0}；请删除（params.graceSeconds 表示可迟到多久）"
    ),
    "write a secret as {{secret:NAME}}; letters, digits and _": (
        "机密请写成 {{secret:NAME}}；只用字母、数字和 _"
    ),
    "must be a reference such as {{secret:NAME}}, not the secret": (
        "必须是 {{secret:NAME}} 这样的引用，而不是机密本身"
    ),
    "a secret does not belong here, where others could read it": "这里不能放机密，别人可以读到",
    "there is no secret {}; set TASK_SECRET_{}": "没有机密 {0}；请设置 TASK_SECRET_{1}",
    "params: {}": "{0}",
    "is not a known name": "不是已知的名称",
    "There are too many tests; wait {} s": "测试太多；请等待 {0} 秒",
    "There is no such task, or no longer. What you wrote is below; saving it makes a new task": (
        "没有此任务，或它已被删除。您填写的内容在下方；保存将新建任务"
    ),
    "This was changed while you wrote. Yours is below and not saved yet.": (
        "您填写期间此内容已被更改。您的内容在下方，尚未保存。"
    ),
    "This was changed while you wrote. Yours is below and not saved yet. Save again to replace what differs now: {}": (  # noqa: E501
        "您填写期间此内容已被更改。您的内容在下方，尚未保存。再次保存将替换以下不同之处：{0}"
    ),
    "There is one of this name already. Yours is below and not saved yet. Save again to replace what differs now: {}": (  # noqa: E501
        "此名称已存在。您的内容在下方，尚未保存。再次保存将替换以下不同之处：{0}"
    ),
    # administrators
    "capabilities.{}: a key allows no owner more than it may use itself": (
        "capabilities.{0}：密钥不能给予超过自身的权限"
    ),
    "a key has no scope that its maker has not": "密钥的权限不能超过创建者",
    "types but command, python": "除 command、python 外的类型",
    "types {}": "类型 {0}",
    "secrets {}": "机密 {0}",
    "channels {}": "通道 {0}",
    "MCP servers {}": "MCP 服务器 {0}",
    "types {}; {}": "类型 {0}；{1}",
    "types but command, python; {}": "除 command、python 外的类型；{0}",
    "secrets {}; {}": "机密 {0}；{1}",
    "channels {}; {}": "通道 {0}；{1}",
    "none": "无",
}
FLASHES = {
    "The task is created": "任务已创建",
    "The task is changed": "任务已更改",
    "The task is paused": "任务已暂停",
    "The task is resumed": "任务已恢复",
    "The task is there again": "任务已恢复",
    "It is known: no reminders until it recovers": "已确认：恢复之前不再提醒",
    "It stops within seconds": "几秒内停止",
    "The old address of the badge ends within a minute": "徽章的旧地址一分钟内失效",
    "The old link ends within a minute": "旧链接一分钟内失效",
    "The status page is changed, within a minute": "状态页将在一分钟内更改",
    "{} is removed": "{0} 已删除",
    "{} is set": "{0} 已设置",
    "{} is changed": "{0} 已更改",
    "{} is revoked": "{0} 已撤销",
    "{} is on": "{0} 已开启",
    "{} is off": "{0} 已关闭",
    "{} is silent for {} h; urgent tasks are not": "{0} 静音 {1} 小时；紧急任务除外",
    "{}: the test message was accepted": "{0}：测试消息已被接受",
    "{}: the test message was accepted ({})": "{0}：测试消息已被接受（{1}）",
    "{}: the test message was not accepted": "{0}：测试消息未被接受",
    "{}: the test message was not accepted ({})": "{0}：测试消息未被接受（{1}）",
    "{} task paused": "已暂停 {0} 个任务",
    "{} tasks paused": "已暂停 {0} 个任务",
    "{} task resumed": "已恢复 {0} 个任务",
    "{} tasks resumed": "已恢复 {0} 个任务",
    "{} task will run at the next tick": "{0} 个任务将在下次触发时运行",
    "{} tasks will run at the next tick": "{0} 个任务将在下次触发时运行",
    "{} task tagged": "已给 {0} 个任务添加标签",
    "{} tasks tagged": "已给 {0} 个任务添加标签",
    "{} task without the tag": "已从 {0} 个任务移除标签",
    "{} tasks without the tag": "已从 {0} 个任务移除标签",
    "{}; {} not. {}": "{0}；{1} 个未完成。{2}",
    "Check the tasks first": "请先勾选任务",
    "Write the tag first": "请先填写标签",
    "Press the button of what is to be done": "请按要执行的操作的按钮",
    "Name a task or a tag to silence": "请指定要静音的任务或标签",
    "hours: must be one of {}": "时长必须是以下之一：{0}",
    "No channel is set up, so there is nothing to silence": "没有设置通道，无可静音",
    "until: {}": "{0}",
    "{} has ended; there is nothing to pause": "{0} 已结束，无可暂停",
    "{} is not paused (it is {})": "{0} 没有暂停（现为{1}）",
    "{} is not running (it is {}); there is nothing to cancel": "{0} 没有在运行（现为{1}），无可取消",
    "{} does not fail; there is nothing to acknowledge": "{0} 没有失败，无需确认",
    "{} is quarantined; resume it first": "{0} 已隔离；请先恢复",
    "{}: at most {} runs may wait; {} do already": "{0}：最多 {1} 次运行可等待，已有 {2} 次",
    "{} was changed at the same moment; read it again": "{0} 同时被更改；请重新读取",
    "{} is no longer what you saw; read it again": "{0} 已与您看到的不同；请重新读取",
    "There is a task {} again; it stays as it is": "已又有任务 {0}；保持不变",
    "{}: {} run after it; change or remove them first": "{0}：{1} 在它之后运行；请先更改或删除",
    "This takes a key with the scope {}": "这需要权限为 {0} 的密钥",
    "This takes a key that is bound to no owner": "这需要不限所有者的密钥",
    "This needs a key with the scope admin that is bound to no owner": "这需要权限为 admin 且不限所有者的密钥",  # noqa: E501
    "Keys need the scope admin": "密钥页需要权限 admin",
    "Keys take the scope admin": "密钥需要权限 admin",
    "Changing a status page needs the scope write": "更改状态页需要权限 write",
    "Revoking a link needs the scope write": "撤销链接需要权限 write",
    "This form belongs to another session; go back, reload the page, and send it again": (
        "此表单属于另一会话；请返回、刷新页面后重新提交"
    ),
    "Not sent": "未发送",
    "This key is not valid: it is wrong, revoked or expired": "密钥无效：有误、已撤销或已过期",
    "This link was used before or is too old: sign in with the key": "此链接已用过或已过期：请用密钥登录",
    "Try again in some seconds": "请几秒后重试",
    "There is nothing at this address": "此地址没有内容",
    "Send at most {} KB": "最多发送 {0} KB",
    "Send the body within {} s": "请在 {0} 秒内发送内容",
    "There is no such run": "没有这次运行",
    "There is no removed task {}": "没有已删除的任务 {0}",
    "There is no key {}": "没有密钥 {0}",
    "There is no channel {}": "没有通道 {0}",
    "cursor: use `next` of the previous page": "请从上一页继续",
    "Revoke the key {}?": "撤销密钥 {0}？",
    "Channel {}": "通道 {0}",
    "Owner {}": "所有者 {0}",
    "The request cannot be read": "无法读取请求",
    "A valid key is required": "需要有效的密钥",
    "This key may not do this": "此密钥无权这样做",
    "This address answers to other methods": "此地址只接受其他方法",
    "The request took too long": "请求超时",
    "The present state refuses it": "当前状态不允许此操作",
    "The request is too large": "请求过大",
    "The request is invalid": "请求无效",
    "Too many requests": "请求过多",
    "The scheduler failed": "调度器出错",
    "The store could not be reached": "无法连接存储",
    "The request failed": "请求失败",
    "It runs at the next tick": "将在下次触发时运行",
    "It was requested; the next tick runs it": "已请求；下次触发时运行",
}
RESULTS = {
    "Answered {} in {} ms": "{1} ms 内返回 {0}",
    "Answered {}": "返回 {0}",
    "Answered {}, expected {}": "返回 {0}，应为 {1}",
    "Answered {}, but {}": "返回 {0}，但{1}",
    "{}: the port speaks TLS, write https://": "{0}：该端口使用 TLS，请写 https://",
    "{}: it redirects to {}": "{0}：重定向到 {1}",
    "The certificate ends in {} days, sooner than the {} asked for": "证书 {0} 天后到期，少于要求的 {1} 天",
    "The certificate of {} ends in {} days, sooner than the {} asked for": (
        "{0} 的证书 {1} 天后到期，少于要求的 {2} 天"
    ),
    "No answer within {} s": "{0} 秒内没有响应",
    "The answer had not ended after {} s": "{0} 秒后响应仍未结束",
    "No answer in time": "没有及时响应",
    "No result within {} s": "{0} 秒内没有结果",
    "No usable answer came": "没有可用的响应",
    "It ended with {}": "以 {0} 结束",
    "The task was paused": "任务已暂停",
    "The task had ended": "任务已结束",
    "The task was paused when {} came": "{0} 到来时任务已暂停",
    "The task had ended when {} came": "{0} 到来时任务已结束",
    "It was cancelled on request": "已按要求取消",
    "Cancelled before the next try": "在下次尝试前取消",
    "Paused before the next try": "在下次尝试前暂停",
    "The tick's time was up while it ran": "运行中触发的时间用完",
    "The process was stopped while it ran": "运行中进程被停止",
    "The process that ran this stopped before it could report": "运行它的进程在报告前停止",
    "No tick came in time for {}": "没有及时的触发：{0}",
    "Ticks came, but had no room for {}": "有触发，但没有空位：{0}",
    "this occurrence": "这次运行",
    "The task has had its {} runs": "任务已完成 {0} 次运行",
    "Failed {} times in a row: {}": "连续失败 {0} 次：{1}",
    "The host cannot be reached": "无法到达主机",
    "The host did not answer in time": "主机没有及时响应",
    "The connection was refused": "连接被拒绝",
    "The connection was broken off": "连接中断",
    "The connection was closed before an answer came": "响应之前连接关闭",
    "Could not connect": "无法连接",
    "The name {} does not resolve: no such name is known": "无法解析名称 {0}：没有这个名称",
    "The name {} does not resolve: it has no address": "无法解析名称 {0}：没有地址",
    "The name {} does not resolve": "无法解析名称 {0}",
    "The name {} could not be looked up: no name server answered, try again later": (
        "无法查询名称 {0}：没有域名服务器响应，请稍后再试"
    ),
    "The TLS certificate of {} has expired: renew it on the server": "{0} 的 TLS 证书已过期：请在服务器上更新",  # noqa: E501
    "The TLS certificate of {} is for other names: add this one to it, or call one of those": (
        "{0} 的 TLS 证书用于其他名称"
    ),
    "The request was not sent: {}": "请求未发送：{0}",
    "Ended with exit code {}": "退出码 {0}",
    "Ended with exit code {}, expected {}": "退出码 {0}，应为 {1}",
    "Ended by the signal {}": "被信号 {0} 终止",
    "Not over after {} s; it was ended, with every process it had started": (
        "{0} 秒后仍未结束；已连同其启动的进程一起终止"
    ),
    "The program was not found; give its absolute path, or check PATH": "找不到程序；请写完整路径或检查 PATH",
    "The program could not be started ({})": "无法启动程序（{0}）",
    "Commands are switched off; set ALLOW_COMMANDS=1 to allow them": "命令已关闭；设置 ALLOW_COMMANDS=1 可开启",  # noqa: E501
    "Nothing new: the feed has not changed": "没有新内容：订阅源没有变化",
    "Nothing new in {}": "{0} 没有新内容",
    "Recorded {} of {}; new ones are reported from now on": "已记录 {1} 的 {0}；以后报告新条目",
    "The feed could not be read {}": "无法读取订阅源：{0}",
    "The feed is larger than {}, the most that is read": "订阅源大于 {0}，超过上限",
    "The address answered with {}, not a readable feed": "该地址返回 {0}，不是可读的订阅源",
    "Sent {} to {}": "已发送 {0} 到 {1}",
    "GitHub accepted the event {} for {}": "GitHub 已接受 {1} 的事件 {0}",
    "The call was redirected, and the event was not sent on: write the repository's present name, and in "
    "GITHUB_API_URL the address of the API itself, such as https://HOST/api/v3 of an Enterprise server": (
        "请求被重定向，事件没有转发：请填写仓库现在的名称，并在 GITHUB_API_URL 中填写 API 自身的地址，"
        "例如企业版服务器的 https://HOST/api/v3"
    ),
    "GitHub answered {}, a fault of its own": "GitHub 返回 {0}，是它自身的故障",
    "Set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY): no model is set up": (
        "请设置 LLM_BASE_URL 和 LLM_MODEL（以及 LLM_API_KEY）：没有设置模型"
    ),
    "The task type {} failed unexpectedly ({})": "任务类型 {0} 意外失败（{1}）",
    "the store did not take {} results of the last tick": "存储没有接受上次触发的 {0} 个结果",
    "the store did not take {} claims of the last tick": "存储没有接受上次触发的 {0} 个领取",
}
CHINESE = FORMS | FLASHES | RESULTS | DAYS | WATCHING | LACKS
