"""What forms and results of `page_watch` and `dns_check` say, in Chinese; `{}` is what was filled in."""

SENTENCES = {
    # selectors
    "ends where an element is expected, such as main, #id or .class": (
        "在应有元素处结束，例如 main、#id 或 .class"
    ),
    "has {} at character {}, where no selector can have it": "第 {1} 个字符处有 {0}，选择器中不能出现在此处",
    "has more than {} selectors within each other": "选择器嵌套超过 {0} 层",
    "has {}, which is no name; write a digit at its start as {}": (
        "含有 {0}，不是名称；开头的数字请写作 {1}"
    ),
    "ends with a backslash that escapes nothing": "以没有转义任何字符的反斜杠结尾",
    "has a [ without its ]": "有 [ 而没有 ]",
    "has a ( without its )": "有 ( 而没有 )",
    "has a {} without its end": "有 {0} 而没有结尾",
    "has a backslash or a line break within quotation marks": "引号内有反斜杠或换行",
    "has a pseudo-element (::), which no page has as text": "含有伪元素（::），页面上没有这样的文本",
    "has :{}, which is not supported; known are {}": "含有 :{0}，不受支持；可用的有 {1}",
    "has :{} without its (": "有 :{0} 而没有 (",
    "has ({}), where a number, odd, even or 2n+1 is expected": "有 ({0})，此处应为数字、odd、even 或 2n+1",
    # names and values
    "is no name: a part of it cannot be written as a domain": "不是名称：其中一部分不能写作域名",
    "must be a name of parts with 1 to 63 characters, such as mail.example.com": (
        "必须是由 1 到 63 个字符的部分组成的名称，例如 mail.example.com"
    ),
    "may have letters, digits, -, _ and dots alone, such as _dmarc.example.com": (
        "只能含有字母、数字、-、_ 和点，例如 _dmarc.example.com"
    ),
    "must be the address of a name server in numbers, such as 1.1.1.1": (
        "必须是域名服务器的数字地址，例如 1.1.1.1"
    ),
    "count: 0 means that there are no values; leave out expect and contains": (
        "count: 0 表示没有值；请去掉 expect 和 contains"
    ),
    "expect, contains: an {} record is an address in numbers": "expect、contains：{0} 记录是数字地址",
    "expect, contains: an {} record is no address of IPv{}": "expect、contains：{0} 记录不是 IPv{1} 地址",
    "expect, contains: an SOA record has seven fields": "expect、contains：SOA 记录有七个字段",
    "expect, contains: a name in it {}": "expect、contains：其中的名称{0}",
    # results of page_watch
    "Recorded {} characters of {}; changes are reported from now on": (
        "已记录 {1} 的 {0} 个字符；从现在起通知变化"
    ),
    "Nothing new: the page has not changed": "没有新内容：页面没有变化",
    "Nothing new on {}": "{0} 没有新内容",
    "Nothing on the page matches {}: the page is {}": "页面上没有匹配 {0} 的内容：该页面是 {1}",
    "The address leads to a page that asks for a password: {}": "该地址指向要求密码的页面：{0}",
    "The page is larger than {}, the most that is read": "页面大于 {0}，超过上限",
    "The page could not be read {}": "无法读取页面（{0}）",
    "The address answered with {}, which is no page": "该地址返回 {0}，不是页面",
    "Answered 410: the page is gone for good. Remove the task, or set url to another page": (
        "返回 410：页面已永久消失。请删除任务，或把 url 设为其他页面"
    ),
    # results of dns_check
    "No answer from the name server within {} s": "{0} 秒内域名服务器没有应答",
    "The answer of the name server does not fit into a datagram, and it was not given over TCP: let port 53 "
    "through there for TCP as well": (
        "域名服务器的应答超出一个数据报，且未能通过 TCP 取得：请在那里也放行 TCP 的 53 端口"
    ),
    "{} does not exist (NXDOMAIN)": "{0} 不存在（NXDOMAIN）",
    "{} has no {} records": "{0} 没有 {1} 记录",
    "{} lacks {}; its {} records are {}": "{0} 缺少 {1}；其 {2} 记录为 {3}",
    "{} has {} records that are not expected: {}": "{0} 有预期之外的 {1} 记录：{2}",
    "The {} records of {} have changed: {}": "{1} 的 {0} 记录已变化：{2}",
    "The name server answered with {}": "域名服务器返回 {0}",
    "The name is one of a private network, and so not allowed": "该名称属于私有网络，因此不允许",
}
