"""The phrases of `expect` in Chinese: its fields, what is wrong with them, and what an attempt found.

See `phrases` and `sentences`.
"""

CHINESE = {
    "What is expected": "期望的结果",
    "Expected status codes": "期望的状态码",
    "In place of the codes that mean success": "代替表示成功的代码",
    "Slowest answer that is expected, in milliseconds": "期望的最慢响应（毫秒）",
    "Expected headers": "期望的响应头",
    "Exists is true or false, is watched is news or required": (
        "“存在与否”填 true 或 false，“监视变化”填 news 或 required"
    ),
    "Header": "响应头",
    "Path": "路径",
    "Rule": "规则",
    "is": "等于",
    "is not": "不等于",
    "contains": "包含",
    "matches": "匹配",
    "is more than": "大于",
    "is less than": "小于",
    "has the length": "长度为",
    "exists": "存在与否",
    "is watched": "监视变化",
    "The whole body as text": "完整的响应正文",
    "White space around it does not count": "首尾空白不计",
    "Or a JSON list of several": "或包含多个值的 JSON 列表",
    "Text that the body must contain": "正文必须包含的文本",
    "Text that the body must not contain": "正文不得包含的文本",
    "Regular expression that the body must match": "正文必须匹配的正则表达式",
    "Found anywhere in it": "在任意位置匹配即可",
    "SHA-256 of the body": "正文的 SHA-256",
    "In hexadecimal digits": "十六进制数字",
    "When the body changes": "正文变化时",
    "it is news": "作为新消息通知",
    "as it must: the same is a failure": "必须变化：不变即失败",
    "Expected values in the JSON": "JSON 中期望的值",
    "JSON Schema that the JSON must fit": "JSON 必须符合的 JSON 模式",
    "A JSON object; nothing is fetched for it": "JSON 对象；不会为它下载任何内容",
    "Expected exit codes": "期望的退出码",
    "The whole output": "完整的输出",
    "Text that the output must contain": "输出必须包含的文本",
    "Text that the output must not contain": "输出不得包含的文本",
    "Regular expression that the output must match": "输出必须匹配的正则表达式",
    "SHA-256 of the output": "输出的 SHA-256",
    "When the output changes": "输出变化时",
    "The whole error output": "完整的错误输出",
    "Text that the error output must contain": "错误输出必须包含的文本",
    "Text that the error output must not contain": "错误输出不得包含的文本",
    "Regular expression that the error output must match": "错误输出必须匹配的正则表达式",
    "SHA-256 of the error output": "错误输出的 SHA-256",
    "When the error output changes": "错误输出变化时",
}

SENTENCES = {
    # what is wrong with a rule
    "choose what must hold": "请选择规则",
    "expects nothing; give a rule, or leave it out": "没有任何期望；请写一条规则，或不写",
    "says nothing; give {}": "没有任何规则；请写 {0}",
    "exists: false leaves nothing that another rule could be about": "exists: false 之外不能再有其他规则",
    "give greater, less or both": "请写 greater、less 或两者",
    "give expect.status or expectedStatus, which is short for it, not both": (
        "expect.status 与其简写 expectedStatus 只能写一个"
    ),
    "give expect.latencyMs or maxLatencyMs, which is short for it, not both": (
        "expect.latencyMs 与其简写 maxLatencyMs 只能写一个"
    ),
    "give expect.exitCode or successCodes, which is short for it, not both": (
        "expect.exitCode 与其简写 successCodes 只能写一个"
    ),
    "beside expect, give what jsonPointer says as a rule of expect.json": (
        "与 expect 同用时，请把 jsonPointer 写成 expect.json 的规则"
    ),
    "expect.body, json and schema need another method, as HEAD brings no body": (
        "expect.body、json 和 schema 需要其他方法，因为 HEAD 没有响应正文"
    ),
    "expect.body, json and schema need the method GET, as HEAD brings no body": (
        "expect.body、json 和 schema 需要 GET 方法，因为 HEAD 没有响应正文"
    ),
    "must begin with $, which is the whole document: $.status, $.items[0].id": (
        "必须以代表整个文档的 $ 开头：$.status、$.items[0].id"
    ),
    "is not a JSON path: {}, at character {}": "不是 JSON 路径（第 {1} 个字符）",
    "is not a JSON path: it is nested too deep, or has a number that is too big": (
        "不是 JSON 路径：嵌套太深，或数字太大"
    ),
    "is not a regular expression: {}, at character {}": "不是正则表达式（第 {1} 个字符）",
    "is not a regular expression: {}": "不是正则表达式",
    "{} is another document, and none is fetched; put what it defines under $defs and write #/$defs/NAME": (
        "{0} 是另一个文档，不会下载；请把定义写在其中，引用为 #/$defs/NAME"
    ),
    "{} is not in it": "其中没有 {0}",
    "$schema must be a dialect that is known: {}": "$schema 必须是已知的版本：{0}",
    'must be a code such as 200, a range such as "200-299" or "2xx", or a list of these': (
        "必须是状态码（如 200）、范围（如 200-299）或其列表"
    ),
    "must be 64 hexadecimal digits, in lower case": "必须是 64 个小写的十六进制数字",
    "must be the name of a header, such as Content-Type": "必须是响应头的名称，例如 Content-Type",
    # what an attempt found
    "{}: it may not know HEAD, set method to GET": "{0}：服务器可能不支持 HEAD，请把方法改为 GET",
    "Answered {}, but {}: expected {}, found {}": "返回 {0}，但 {1}：期望 {2}，实际为 {3}",
    "Ended with exit code {}, but {}: expected {}, found {}": (
        "以退出码 {0} 结束，但 {1}：期望 {2}，实际为 {3}"
    ),
    "{} returned, but {}: expected {}, found {}": "{0} 已返回，但 {1}：期望 {2}，实际为 {3}",
    "{}: expected {}, found {}": "{0}：期望 {1}，实际为 {2}",
    "and {} more": "以及另外 {0} 项",
    "{} changed from {} to {}": "{0} 由 {1} 变为 {2}",
    "more than {}": "大于 {0}",
    "less than {}": "小于 {0}",
    "at most {} ms": "最多 {0} 毫秒",
    "to contain {}": "包含 {0}",
    "not to contain {}": "不包含 {0}",
    "to match {}": "匹配 {0}",
    "anything but {}": "不是 {0}",
    "a length of {}": "长度为 {0}",
    "a value": "有值",
    "nothing": "无",
    "latency": "延迟",
    "body": "正文",
    "schema": "模式",
    "exit code": "退出码",
    "output": "输出",
    "error output": "错误输出",
    "returned value": "返回值",
    "header {}": "响应头 {0}",
    "all of it": "完整内容",
    "{} (a part of it)": "{0}（仅其一部分）",
    "more than the {} KB that are read": "超过所读取的 {0} KB",
    "a change since the last success": "自上次成功以来有变化",
    "{}, which is not JSON ({}, at character {})": "{0}，不是 JSON（第 {2} 个字符）",
    "{} at {} ({} of {})": "{1} 处的 {0}（{3} 个中的 {2} 个）",
    "{}, which is no number": "{0}，不是数字",
    "could not be checked in {} s; a pattern, a path or the schema is too slow": (
        "在 {0} 秒内未能检查完；某个正则、路径或模式太慢"
    ),
    "texts and JSON": "文本与 JSON",
}
