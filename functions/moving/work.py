"""Work: what an older task does, as one of the task types there are here."""

import json
import re
from collections.abc import Mapping
from typing import Any

from functions.actions import params_schema, type_names
from functions.errors import InputError
from functions.moving.entry import Entry, plain

Work = tuple[str, dict[str, Any]]

ALIASES = {
    "healthcheck": "health_check_url", "health": "health_check_url", "uptime": "health_check_url",
    "ping": "health_check_url", "monitor": "health_check_url", "urlcheck": "health_check_url",
    "rss": "rss_watch", "feed": "rss_watch", "rsswatch": "rss_watch", "rssfeed": "rss_watch",
    "briefing": "daily_briefing", "digest": "daily_briefing",
    "webhook": "http", "request": "http", "httprequest": "http", "url": "http", "api": "http",
    "shell": "command", "bash": "command", "script": "command", "cmd": "command", "exec": "command",
    "function": "python", "callable": "python", "pythonfunction": "python",
    "llm": "agent", "ai": "agent", "prompt": "agent", "aiagent": "agent",
    "githubaction": "github_dispatch", "repositorydispatch": "github_dispatch",
}  # fmt: skip
PARAMS = ("params", "parameters", "config", "configuration", "payload", "options", "settings", "arguments")
NOT_LOOSE = ("title", "tags", "timeoutSeconds", "goal", "prompt")  # they are of the task, or were asked for
COMMANDS_NEED = "runs where ALLOW_COMMANDS=1 is set"
FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z]\w*")


def work(
    entry: Entry, *, kinds: tuple[str, ...] = ("type", "tasktype", "action", "kind", "agenttype")
) -> Work:
    """Return the type of *entry* and its params.

    Args:
        kinds: The names under which the file may say what kind of task it is.

    Raises:
        InputError: It does not say what there is to do; the text names the field.
    """
    kind = entry.take(*kinds)
    given = _params(entry)
    type_name = _type(str(kind.value)) if kind else ""
    if type_name == "command" or (not type_name and entry.has("command", "cmd", "script")):
        return command(entry, given)
    if type_name == "python" or (not type_name and entry.has("func", "function", "callable")):
        return function(entry, given)
    if type_name and type_name != "agent":
        entry.mapped(kind.field if kind else "type", f"the type {type_name}")
        return type_name, _fitting(entry, type_name, given)
    if not type_name and not kind and (url := entry.take("url", "endpoint", "webhookurl", "target")):
        entry.changed(url.field, "an address without a type is asked by the type http")
        return "http", {"url": url.value, **given, **_loose(entry, "http", given)}
    return _agent(entry, given, str(kind.value) if kind else "", kind.field if kind else "")


def command(entry: Entry, given: Mapping[str, Any] | None = None) -> Work:
    """A task that runs a program."""
    found = entry.take("command", "cmd", "script", "run")
    words = found.value if found else (given or {}).get("command")
    if not words:
        raise InputError("command: is missing; there is nothing to run")
    params: dict[str, Any] = {**(given or {}), "command": words}
    if isinstance(words, str):
        params.setdefault("shell", True)  # as the older scheduler gave it to a shell
    if (folder := entry.take("workingdirectory", "workdir", "cwd", "dir", "directory")) is not None:
        params["workingDirectory"] = folder.value
        entry.mapped(folder.field, "the working directory")
    if (variables := entry.take("env", "environment")) is not None:
        params["env"] = _variables(variables.value)
        entry.mapped(variables.field, "the variables of the command")
    entry.mapped(found.field if found else "command", COMMANDS_NEED)
    return "command", params


def function(entry: Entry, given: Mapping[str, Any] | None = None) -> Work:
    """A task that calls a function."""
    found = entry.take("func", "function", "callable", "task", "handler", "target", "ref")
    text = str(found.value if found else (given or {}).get("callable", "")).strip().removesuffix("()")
    name = text if ":" in text else ":".join(text.rsplit(".", 1))
    if not FUNCTION.fullmatch(name):
        raise InputError(f"{found.field if found else 'func'}: must be module:function or module.function")
    params: dict[str, Any] = {"callable": name}
    for field, shape in (("args", list), ("kwargs", dict)):
        value = (one.value if (one := entry.take(field)) else None) or (given or {}).get(field)
        if value is not None and not isinstance(value, shape):
            raise InputError(
                f"{field}: must be a {'list' if shape is list else 'mapping of names to values'}"
            )
        if value:
            params[field] = value
            entry.mapped(field, "given to the function as they are")
    if found:
        module = name.partition(":")[0]
        entry.mapped(found.field, f"runs where PYTHON_TASKS allows {module} and it can be imported")
    return "python", params


def _params(entry: Entry) -> dict[str, Any]:
    found = entry.take(*PARAMS)
    value = found.value if found else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            assert found is not None
            raise InputError(f"{found.field}: must be JSON, such as {{}}") from None
    if value is not None and not isinstance(value, Mapping):
        assert found is not None
        raise InputError(f"{found.field}: must be a mapping of names to values")
    if found:
        entry.mapped(found.field, "the params of the task")
    return dict(value or {})


def _type(given: str) -> str:
    names = {plain(name): name for name in type_names()}
    return names.get(plain(given), "") or ALIASES.get(plain(given), "")


def _fitting(entry: Entry, type_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The params under the names that the type has, with those that stand beside them in the entry."""
    names = {plain(name): name for name in _fields(type_name)}
    if type_name == "rss_watch":
        names |= {"url": "feedUrl", "feed": "feedUrl"}
    renamed = {names.get(plain(name), str(name)): value for name, value in given.items()}
    return renamed | _loose(entry, type_name, renamed)


def _loose(entry: Entry, type_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    loose: dict[str, Any] = {}
    wanted = {name: (name,) for name in _fields(type_name) if name not in NOT_LOOSE}
    if type_name == "rss_watch":
        wanted["feedUrl"] = ("feedUrl", "url", "feed")  # type: ignore[assignment]  # longer than the others
    for name, others in wanted.items():
        if name not in given and (found := entry.take(*others)) is not None:
            loose[name] = found.value
            entry.mapped(found.field, f"params.{name}")
    return loose


def _fields(type_name: str) -> tuple[str, ...]:
    return tuple(params_schema(type_name).get("properties", {}))


def _agent(entry: Entry, given: Mapping[str, Any], kind: str, field: str) -> Work:
    found = entry.take("prompt", "goal", "instructions", "instruction", "task", "content")
    about = "" if found else _about(entry)
    goal = str(found.value) if found else str(given.get("goal") or given.get("prompt") or about)
    if not goal.strip() or (not kind and not found):
        raise InputError(
            "type: is missing, and neither a command, a function, an address nor a prompt says what to do"
        )
    if kind:
        entry.changed(field, f"{kind[:40]} is no type here; a model is given the task, and the word is a tag")
    if found:
        entry.mapped(found.field, "the goal the model is given")
    elif about and goal == about:
        entry.changed(
            "title", "with the description it is the goal the model is given, for there is no prompt"
        )
    params = _fitting(
        entry, "agent", {name: one for name, one in given.items() if name not in ("goal", "prompt")}
    )
    return "agent", {**params, "goal": goal}


def _about(entry: Entry) -> str:
    parts = [entry.given.get(key) for key in entry.given if plain(key) in ("title", "name", "description")]
    return ". ".join(str(part).strip() for part in parts if part)


def _variables(value: Any) -> dict[str, Any]:
    if isinstance(value, list):  # NAME=value, as Compose has it
        return dict(str(one).partition("=")[::2] for one in value)
    if not isinstance(value, Mapping):
        raise InputError("env: must be a mapping of names to values")
    return {str(name): str(one) if isinstance(one, int | float) else one for name, one in value.items()}
