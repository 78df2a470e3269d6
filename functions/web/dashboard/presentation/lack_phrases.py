"""What tasks need and is not set up, with its remedy, in Chinese; `{}` is what was filled in.

Each sentence is of two parts, "what; remedy", which are translated one by one.
"""

SENTENCES = {
    # models and their servers
    "no model is set up": "没有设置模型",
    "set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY)": (
        "请设置 LLM_BASE_URL 和 LLM_MODEL（以及 LLM_API_KEY）"
    ),
    "no model is named": "没有指定模型",
    "set LLM_MODEL, or params.model": "请设置 LLM_MODEL 或 params.model",
    "there is no MCP server {}": "没有 MCP 服务器 {0}",
    "list it in AGENT_MCP_SERVERS": "请在 AGENT_MCP_SERVERS 中列出它",
    # tokens
    "there is no token for GitHub": "没有 GitHub 令牌",
    "set GITHUB_TOKEN, or params.token as {{secret:NAME}}": (
        "请设置 GITHUB_TOKEN，或以 {{secret:NAME}} 填写 params.token"
    ),
    # functions and commands
    "PYTHON_TASKS does not list {}": "PYTHON_TASKS 没有列出 {0}",
    "PYTHON_TASKS is not set, and so does not list {}": "没有设置 PYTHON_TASKS，因此没有列出 {0}",
    "add {} to PYTHON_TASKS": "请把 {0} 加入 PYTHON_TASKS",
    "there is no module {}": "没有模块 {0}",
    "install it beside the function, or correct callable": "请与函数一起安装它，或更正 callable",
    "commands are switched off": "命令已关闭",
    "set ALLOW_COMMANDS=1 where the function runs": "请在函数运行处设置 ALLOW_COMMANDS=1",
    "commands need process groups, which Windows has not": "命令需要进程组，而 Windows 没有",
    "run the scheduler in WSL or a container, or use a python task": (
        "请在 WSL 或容器中运行调度器，或改用 python 任务"
    ),
    "there is no program {}": "没有程序 {0}",
    "install it, or correct command": "请安装它，或更正 command",
    # networks
    "port {} is not called, only {}": "不调用端口 {0}，只调用 {1}",
    "80, 443, 8080 and 8443": "80、443、8080 和 8443",
    "list it in ALLOW_PORTS where the function runs, beside the others": (
        "请在函数运行处的 ALLOW_PORTS 中连同其他端口一起列出它"
    ),
    "{} is in a private network, which is not called": "{0} 位于私有网络，不会被调用",
    "set ALLOW_PRIVATE_NETWORKS=1 where the function runs, if this is your own network": (
        "如果这是您自己的网络，请在函数运行处设置 ALLOW_PRIVATE_NETWORKS=1"
    ),
    # types and params
    "correct its params": "请更正它的参数",
    "correct its type, or add its module to TASK_TYPES": "请更正它的类型，或把它的模块加入 TASK_TYPES",
}
