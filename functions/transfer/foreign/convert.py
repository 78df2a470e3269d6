"""Defining: an entry whose work and timing are known becomes a checked task, or faults with their lines."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain.task import TaskSpec, slug
from functions.domain.types import Priority
from functions.errors import InputError
from functions.task_types.registry import params_schema, type_names
from functions.taskfiles import Fault, Problem, check_task
from functions.transfer.foreign.entry import Entry, Moved, Terms, plain
from functions.transfer.foreign.timing import moment, seconds_in

LONGEST_S = 3000
TIMEOUT = ("timeoutseconds", "timeout", "timeouts", "maxruntime", "maxruntimeseconds")
UNBOUNDED = ("command", "python")  # what may well have taken long
PRIORITIES = {
    "critical": "urgent", "highest": "urgent", "p0": "urgent", "p1": "high", "p2": "medium", "p3": "low",
    "normal": "medium", "default": "medium", "lowest": "low", "minor": "low", "background": "low",
}  # fmt: skip
NUMBERED = {0: "urgent", 1: "urgent", 2: "high", 3: "medium"}
YES = frozenset({"true", "yes", "y", "1", "on", "enabled", "active", "x", "✓", "checked"})
NO = frozenset({"false", "no", "n", "0", "off", "disabled", "inactive", "paused", "stopped", ""})


@dataclass(frozen=True, slots=True)
class Draft:
    """What a shape's reader found out: fields of the task, and the moments that go on."""

    type: str
    params: Mapping[str, Any]
    schedule: str
    fields: Mapping[str, Any]
    last_run_at: Any = None
    next_run_at: Any = None


def define(entry: Entry, draft: Draft, terms: Terms, *, ids: set[str]) -> Moved | list[Problem]:
    """Return the task, or all that is wrong with it. Its id is none of *ids*, and is added to them.

    Faults of a draft's own fields have the names of those fields, in a mapping of `params` perhaps.
    """
    given: dict[str, Any] = {"type": draft.type, "params": dict(draft.params), **draft.fields}
    if draft.schedule:
        given["schedule"] = draft.schedule
    given["title"] = _title(entry, draft)
    given["id"] = _id(entry, given["title"], ids)
    how = _how(entry)
    if "tags" in given and "tags" in how:
        how["tags"] = list(dict.fromkeys([*given["tags"], *how["tags"]]))[:10]
    given |= how
    given.setdefault("timezone", terms.timezone)
    if "timeoutSeconds" not in given and terms.timeout_s is not None:
        given["timeoutSeconds"] = terms.timeout_s
    if draft.type in UNBOUNDED and not entry.has(*TIMEOUT):
        entry.changed("timeoutSeconds", terms.limit)
    checked = check_task(given)
    if not isinstance(checked, TaskSpec):
        return checked
    entry.leave_rest()
    ids.add(checked.id)
    return Moved(
        checked, moment(draft.last_run_at, checked.timezone), moment(draft.next_run_at, checked.timezone)
    )


def faults_of(entry: Entry, problems: Iterable[Problem], *, file: str) -> list[Fault]:
    """*problems* of *entry* as faults, at the lines of its own fields as far as they are known."""
    return [
        Fault(file, entry.line(str(one.place[0]) if one.place else ""), entry.name, one.field, one.reason)
        for one in problems
    ]


def _title(entry: Entry, draft: Draft) -> str:
    found = entry.take("title", "name", "summary", "label", "subject")
    if found is not None:
        entry.mapped(found.field, "the title")
        return " ".join(str(found.value).split())[:200]
    return str(draft.fields.get("title") or entry.name)[:200]


def _id(entry: Entry, title: str, ids: set[str]) -> str:
    found = entry.take("id", "key", "taskid", "jobid", "uid", "slug", "recordid")
    named = bool(entry.place) and isinstance(entry.place[-1], str)  # a mapping of names to entries
    wanted = str(found.value) if found else entry.name if named else title
    name = slug(wanted) or slug(title)
    if found and _is_id(str(found.value)):
        name = str(found.value)
    if not name:
        name = f"moved-{int(entry.place[-1]) + 1 if entry.place and isinstance(entry.place[-1], int) else 1}"
    free, number = name, 1
    while free in ids:
        number += 1
        free = f"{name[:90]}-{number}"
    if free != name:
        entry.changed(
            found.field if found else "id", f"{name} is the id of an earlier entry; this one is {free}"
        )
    elif found and free == str(found.value):
        entry.mapped(found.field, "the id")
    elif found:
        entry.changed(found.field, f"an id has small letters, digits, points and hyphens here: {free}")
    return free


def _is_id(text: str) -> bool:
    plain = text.replace("-", "a").replace("_", "a").replace(".", "a")
    return (
        0 < len(text) <= 100
        and plain.isascii()
        and plain.isalnum()
        and text == text.lower()
        and text[0].isalnum()
    )


def _how(entry: Entry) -> dict[str, Any]:
    """The fields that mean the same whatever the task does."""
    given: dict[str, Any] = {}
    if (found := entry.take("description", "notes", "note", "comment")) is not None:
        given["description"] = str(found.value)[:2000]
        entry.mapped(found.field, "the description")
    if (found := entry.take("owner", "user", "createdby")) is not None and isinstance(found.value, str):
        given["owner"] = found.value[:100]
        entry.mapped(found.field, "the owner")
    if (found := entry.take("tags", "labels", "tag", "category", "group")) is not None:
        many = found.value if isinstance(found.value, list) else str(found.value).split(",")
        given["tags"] = [str(tag).strip()[:64] for tag in many if str(tag).strip()][:10]
        entry.mapped(found.field, "tags, the first ten")
    _enabled(entry, given)
    _priority(entry, given)
    _limits(entry, given)
    return given


def _enabled(entry: Entry, given: dict[str, Any]) -> None:
    found = entry.take("enabled", "active", "isactive", "isenabled", "scheduleenabled")
    state = str(found.value).strip().lower() if found else ""
    if found and state in YES | NO:
        given["enabled"] = state in YES
    elif found:
        given["enabled"] = False
        entry.changed(
            found.field, "is neither yes nor no, so the task is switched off; look, and switch it on"
        )
    elif entry.has("enabled", "active", "isactive", "isenabled", "scheduleenabled"):
        given["enabled"] = False  # a cell without a tick is empty in a table
    if (off := entry.take("disabled", "paused", "ispaused", "suspended")) is not None:
        given["enabled"] = str(off.value).strip().lower() not in YES
    if given.get("enabled") is False:
        entry.mapped(
            found.field if found else off.field if off else "enabled", "the task is switched off here too"
        )


def _priority(entry: Entry, given: dict[str, Any]) -> None:
    found = entry.take("priority", "importance", "urgency")
    if found is None:
        return
    word = str(found.value).strip().lower()
    if word in set(Priority):
        given["priority"] = word
        entry.mapped(found.field, word)
    elif word.lstrip("-").isdigit():
        given["priority"] = NUMBERED.get(max(0, int(word)), "low")
        entry.changed(
            found.field, f"{word} is taken for {given['priority']}, with 1 as the most urgent; look at it"
        )
    elif word in PRIORITIES:
        given["priority"] = PRIORITIES[word]
        entry.changed(found.field, f"{word} is {PRIORITIES[word]} here")
    else:
        entry.left(found.field, "is none of urgent, high, medium and low; the task has medium")


def _limits(entry: Entry, given: dict[str, Any]) -> None:
    """How long an attempt may take, and how many there may be."""
    found = entry.take(*TIMEOUT)
    if found is not None:
        value = found.value
        seconds = float(value) if _is_number(value) else seconds_in(str(value))
        if seconds is None or seconds <= 0:
            entry.left(found.field, "is no number of seconds; the task has the usual limit")
        elif seconds > LONGEST_S:
            given["timeoutSeconds"] = LONGEST_S
            entry.changed(found.field, f"{LONGEST_S} s is the longest an attempt may take here")
        else:
            given["timeoutSeconds"] = int(seconds) if seconds == int(seconds) else seconds
            entry.mapped(found.field, f"an attempt may take {seconds:g} s")
    found = entry.take("maxretries", "retries", "retrycount", "retrylimit")
    if found is not None:
        if not _is_number(found.value) or float(found.value) < 0:
            entry.left(found.field, "is no number of retries; the task has the usual ones")
            return
        attempts = min(20, int(float(found.value)) + 1)
        given["retry"] = {"maxAttempts": attempts}
        entry.mapped(found.field, f"retry.maxAttempts {attempts}: the first counts as well")


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and float(value) == float(value)
    except (TypeError, ValueError):
        return False


# Work: what an older task does, as one of the task types there are here.

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
