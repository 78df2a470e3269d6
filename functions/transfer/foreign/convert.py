"""Converts an entry of another scheduler to a checked task, or to problems with their lines."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain.older_names import STOPPED_STATUSES
from functions.domain.task import TaskSpec, slugify
from functions.domain.types import Priority
from functions.domain.validation import FileProblem, Problem, suggest
from functions.errors import InputError
from functions.task_types.registry import params_schema, type_names
from functions.taskfiles.validation import check_task
from functions.transfer.foreign.entry import (
    FieldValue,
    ForeignEntry,
    ImportDefaults,
    ImportedTask,
    TaskIds,
    normalize_name,
)
from functions.transfer.foreign.timing import parse_instant, parse_seconds, to_float

MAX_TIMEOUT_S = 3000
TIMEOUT_FIELDS = ("timeoutseconds", "timeout", "timeouts", "maxruntime", "maxruntimeseconds")
TRIED_ONCE = "maxAttempts: 1: it was tried once; give it more where a second try does no harm"
UNBOUNDED_TYPES = ("command", "python")  # without a limit in most other schedulers
PRIORITY_WORDS = {
    "critical": "urgent", "highest": "urgent", "p0": "urgent", "p1": "high", "p2": "medium", "p3": "low",
    "normal": "medium", "default": "medium", "lowest": "low", "minor": "low", "background": "low",
}  # fmt: skip
PRIORITY_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
PRIORITY_NUMBERS = {0: "urgent", 1: "urgent", 2: "high", 3: "medium"}
TRUE_WORDS = frozenset(
    {"true", "yes", "y", "1", "on", "enabled", "active", "x", "✓", "checked", "是", "启用"}
)
FALSE_WORDS = STOPPED_STATUSES | {"false", "no", "n", "0", "否", ""}


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """What the reader of a format found: fields of the task, and the times to carry over."""

    type: str
    params: Mapping[str, Any]
    schedule: str
    fields: Mapping[str, Any]
    last_run_at: Any = None
    next_run_at: Any = None


def convert_entry(
    entry: ForeignEntry, draft: TaskDraft, defaults: ImportDefaults, *, ids: TaskIds
) -> ImportedTask | list[Problem]:
    """Return the task, or all its problems. Its id is none of *ids*, and is added to them.

    Problems of the draft's own fields have the names of those fields, perhaps below `params`.
    """
    given: dict[str, Any] = {"type": draft.type, "params": dict(draft.params), **draft.fields}
    if draft.schedule:
        given["schedule"] = draft.schedule
    given["title"] = _take_title(entry, draft)
    given["id"] = _take_id(entry, given["title"], ids)
    how = _convert_common_fields(entry)
    if "tags" in given and "tags" in how:
        how["tags"] = list(dict.fromkeys([*given["tags"], *how["tags"]]))[:10]
    given |= how
    given.setdefault("timezone", defaults.timezone)
    if "timeoutSeconds" not in given and defaults.timeout_s is not None:
        given["timeoutSeconds"] = defaults.timeout_s
    if draft.type in UNBOUNDED_TYPES and not entry.has_field(*TIMEOUT_FIELDS):
        entry.note_changed("timeoutSeconds", defaults.timeout_remark)
    if draft.type in UNBOUNDED_TYPES and "retry" not in given:
        given["retry"] = {"maxAttempts": 1}
        entry.note_mapped("retry", TRIED_ONCE)
    checked = check_task(given)
    if not isinstance(checked, TaskSpec):
        return checked
    entry.note_placeholders(checked.params)
    entry.note_unused_fields()
    ids.take(checked.id)
    return ImportedTask(
        checked,
        parse_instant(draft.last_run_at, checked.timezone),
        parse_instant(draft.next_run_at, checked.timezone),
        entry.line_of(),
    )


def to_file_problems(entry: ForeignEntry, problems: Iterable[Problem], *, file: str) -> list[FileProblem]:
    """Return *problems* of *entry* with the lines of its fields, as far as they are known."""
    return [
        FileProblem(
            file, entry.line_of(str(one.path[0]) if one.path else ""), entry.name, one.field, one.reason
        )
        for one in problems
    ]


def _take_title(entry: ForeignEntry, draft: TaskDraft) -> str:
    found = entry.take_field("title", "name", "summary", "label", "subject")
    if found is not None:
        entry.note_mapped(found.field, "the title")
        return " ".join(str(found.value).split())[:200]
    return str(draft.fields.get("title") or entry.name)[:200]


def _take_id(entry: ForeignEntry, title: str, ids: TaskIds) -> str:
    """Return an id that is none of *ids*: the entry's own if valid here, else one from its name or title.

    "Nightly Backup"                      nightly-backup
    the same again                        nightly-backup-2
    "备份" as the second entry of a list    moved-2
    """
    found = entry.take_field("id", "key", "taskid", "jobid", "uid", "slug", "recordid")
    key = entry.place[-1] if entry.place else 0  # a name in a mapping of entries, or a number in a list
    given = str(found.value) if found else entry.name if isinstance(key, str) else title
    name = given if found and _is_valid_id(given) else slugify(given) or slugify(title)
    name = name or f"moved-{key + 1 if isinstance(key, int) else 1}"
    free = ids.free(name)
    if free != name:
        remark = f"{name} is the id of an earlier entry; this one is {free}"
        entry.note_changed(found.field if found else "id", remark)
    elif found and free == given:
        entry.note_mapped(found.field, "the id")
    elif found:
        entry.note_changed(found.field, f"an id has small letters, digits, points and hyphens here: {free}")
    return free


def _is_valid_id(text: str) -> bool:
    plain = text.replace("-", "a").replace("_", "a").replace(".", "a")
    return (
        0 < len(text) <= 100
        and plain.isascii()
        and plain.isalnum()
        and text == text.lower()
        and text[0].isalnum()
    )


def _convert_common_fields(entry: ForeignEntry) -> dict[str, Any]:
    """Return the fields that mean the same for every type of task."""
    given: dict[str, Any] = {}
    if (found := entry.take_field("description", "notes", "note", "comment")) is not None:
        given["description"] = str(found.value)[:2000]
        entry.note_mapped(found.field, "the description")
    if (
        found := entry.take_field("owner", "ownerid", "userid", "user", "createdby")
    ) is not None and isinstance(found.value, str | int):
        given["owner"] = str(found.value)[:100]
        entry.note_mapped(found.field, "the owner")
    if (found := entry.take_field("tags", "labels", "tag", "category", "group")) is not None:
        many = found.value if isinstance(found.value, list) else str(found.value).split(",")
        given["tags"] = [str(tag).strip()[:64] for tag in many if str(tag).strip()][:10]
        entry.note_mapped(found.field, "tags, the first ten")
    _convert_enabled(entry, given)
    _convert_status(entry, given)
    _convert_priority(entry, given)
    _convert_timeout(entry, given)
    _convert_retries(entry, given)
    return given


ENABLED_FIELDS = (
    "enabled", "enable", "active", "isactive", "isenabled", "scheduleenabled", "executionenabled",
)  # fmt: skip
DISABLED_FIELDS = (
    "disabled", "disable", "isdisabled", "paused", "pause", "ispaused", "suspended", "suspend", "issuspended",
    "inactive", "archived", "isarchived", "deleted", "isdeleted",
)  # fmt: skip


def _convert_enabled(entry: ForeignEntry, given: dict[str, Any]) -> None:
    """Switch the task off where any field says so, or says what nobody understands."""
    is_silent = True
    for name in (*ENABLED_FIELDS, *DISABLED_FIELDS):
        if (found := entry.take_field(name)) is None:
            continue
        is_silent = is_silent and name in DISABLED_FIELDS
        word = _word(found.value)
        if word not in TRUE_WORDS | FALSE_WORDS:
            given["enabled"] = False
            remark = "is neither yes nor no, so the task is switched off; look, and switch it on"
            entry.note_changed(found.field, remark)
        elif word in (FALSE_WORDS if name in ENABLED_FIELDS else TRUE_WORDS):
            given["enabled"] = False
            entry.note_mapped(found.field, "the task is switched off here too")
    if is_silent and ("" in entry.values_of(*ENABLED_FIELDS) or entry.has_field("scheduleenabled")):
        given["enabled"] = False  # an unchecked cell of a table is empty; null elsewhere says nothing
        entry.note_mapped("enabled", "the task is switched off here too")


STATUS_FIELDS = ("status", "state")


def _convert_status(entry: ForeignEntry, given: dict[str, Any]) -> None:
    """Pause what the other scheduler had stopped; a state such as running or failed is of a run there."""
    found = entry.take_field(*STATUS_FIELDS)
    if found is None:
        return
    if _word(found.value) in STOPPED_STATUSES:
        given["enabled"] = False
        entry.note_mapped(found.field, f"{_word(found.value)}: the task is paused; resume starts it again")
    else:
        entry.note_left_out(found.field, "is the state of a run there; the task is scheduled here")


def _word(value: Any) -> str:
    return str(value).strip().lower()


def _convert_priority(entry: ForeignEntry, given: dict[str, Any]) -> None:
    found = entry.take_field("priority", "importance", "urgency")
    if found is None:
        return
    word = _word(found.value)
    if word in set(Priority):
        given["priority"] = word
        entry.note_mapped(found.field, word)
    elif PRIORITY_NUMBER.fullmatch(word):
        given["priority"] = PRIORITY_NUMBERS.get(max(0, int(word)), "low")
        entry.note_changed(
            found.field, f"{word} is taken for {given['priority']}, with 1 as the most urgent; look at it"
        )
    elif word in PRIORITY_WORDS:
        given["priority"] = PRIORITY_WORDS[word]
        entry.note_changed(found.field, f"{word} is {PRIORITY_WORDS[word]} here")
    else:
        entry.note_left_out(found.field, "is none of urgent, high, medium and low; the task has medium")


def _convert_timeout(entry: ForeignEntry, given: dict[str, Any]) -> None:
    found = entry.take_field(*TIMEOUT_FIELDS)
    if found is None:
        return
    seconds = float(found.value) if _is_number(found.value) else parse_seconds(str(found.value))
    if seconds is None or seconds <= 0:
        entry.note_left_out(found.field, "is no number of seconds; the task has the usual limit")
    elif seconds > MAX_TIMEOUT_S:
        given["timeoutSeconds"] = MAX_TIMEOUT_S
        entry.note_changed(found.field, f"{MAX_TIMEOUT_S} s is the longest an attempt may take here")
    else:
        given["timeoutSeconds"] = int(seconds) if seconds == int(seconds) else seconds
        entry.note_mapped(found.field, f"an attempt may take {seconds:g} s")


RETRY_FIELDS = ("maxretries", "retries", "retrycount", "retrylimit", "retry")


def _convert_retries(entry: ForeignEntry, given: dict[str, Any]) -> None:
    found = entry.take_field(*RETRY_FIELDS)
    if found is None:
        return
    if not _is_number(found.value) or float(found.value) < 0:
        entry.note_left_out(found.field, "is no number of retries; the task has the usual ones")
        return
    attempts = min(20, int(float(found.value)) + 1)
    given["retry"] = {"maxAttempts": attempts}
    entry.note_mapped(found.field, f"retry.maxAttempts {attempts}: the first counts as well")


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(to_float(value))
    except (TypeError, ValueError):
        return False


# The task type and its params.

TypeAndParams = tuple[str, dict[str, Any]]

TYPE_ALIASES = {
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
PARAMS_FIELDS = (
    "params",
    "parameters",
    "config",
    "configuration",
    "payload",
    "options",
    "settings",
    "arguments",
)
RESERVED_FIELDS = (
    "title",
    "tags",
    "timeoutSeconds",
    "goal",
    "prompt",
)  # of the task itself, or read elsewhere
COMMAND_REQUIREMENT = "runs where ALLOW_COMMANDS=1 is set"
FUNCTION_FIELDS = ("func", "functionpath", "funcpath", "funcname", "function", "callable")
FUNCTION_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z]\w*")


def convert_work(
    entry: ForeignEntry, *, type_fields: tuple[str, ...] = ("type", "tasktype", "action", "kind", "agenttype")
) -> TypeAndParams:
    """Return the type of *entry* and its params, by the first that applies.

        type `command`, or no known type and a field `command`     command
        type `python`, or no known type and a field `func`         python
        another known type                                         that type
        no type, and an id that is a type's name                   that type
        no type and a field `url`                                  http
        otherwise                                                  agent, with the text as its goal

    Args:
        type_fields: The names under which the file may say what kind of task it is.

    Raises:
        InputError: The entry has nothing to run; the text names the field.
    """
    kind = entry.take_field(*type_fields) or _type_as_id(entry)
    given = _take_params(entry)
    type_name = _find_type(str(kind.value)) if kind else ""
    if type_name == "command" or (not type_name and entry.has_field("command", "cmd", "script")):
        return convert_command(entry, given)
    if type_name == "python" or (not type_name and entry.has_field(*FUNCTION_FIELDS)):
        return convert_function(entry, given)
    if kind and type_name not in ("", "agent"):
        entry.note_mapped(kind.field, f"the type {type_name}")
        return type_name, _rename_params(entry, type_name, given)
    if not kind and (url := entry.take_field("url", "endpoint", "webhookurl", "target")):
        entry.note_changed(url.field, "an address without a type is requested by the type http")
        return "http", {"url": url.value, **given, **_take_loose_params(entry, "http", given)}
    return _convert_agent(entry, given, str(kind.value) if kind else "", kind.field if kind else "")


def convert_command(entry: ForeignEntry, given: Mapping[str, Any] | None = None) -> TypeAndParams:
    """Return the params of a task that runs a program."""
    found = entry.take_field("command", "cmd", "script", "run")
    command = found.value if found else (given or {}).get("command")
    if not command:
        raise InputError("command: is missing; there is nothing to run")
    params: dict[str, Any] = {**(given or {}), "command": command}
    if isinstance(command, str):
        params.setdefault("shell", True)  # as the other scheduler did
    if (folder := entry.take_field("workingdirectory", "workdir", "cwd", "dir", "directory")) is not None:
        params["workingDirectory"] = folder.value
        entry.note_mapped(folder.field, "the working directory")
    if (variables := entry.take_field("env", "environment")) is not None:
        params["env"] = _convert_variables(variables.value)
        entry.note_mapped(variables.field, "the variables of the command")
    entry.note_mapped(found.field if found else "command", COMMAND_REQUIREMENT)
    return "command", params


def convert_function(entry: ForeignEntry, given: Mapping[str, Any] | None = None) -> TypeAndParams:
    """Return the params of a task that calls a function."""
    found = entry.take_field(*FUNCTION_FIELDS, "task", "handler", "target", "ref")
    text = str(found.value if found else (given or {}).get("callable", "")).strip().removesuffix("()")
    name = text if ":" in text else ":".join(text.rsplit(".", 1))
    if not FUNCTION_NAME.fullmatch(name):
        raise InputError(f"{found.field if found else 'func'}: must be module:function or module.function")
    params: dict[str, Any] = {"callable": name}
    for field, shape, needed in (("args", list, "a list"), ("kwargs", dict, "a mapping of names to values")):
        own = entry.take_field(field)
        value = (own.value if own else None) or (given or {}).get(field)
        if value is not None and not isinstance(value, shape):
            raise InputError(f"{field}: must be {needed}")
        if value:
            params[field] = value
            entry.note_mapped(field, "given to the function as they are")
    if found:
        module = name.partition(":")[0]
        entry.note_mapped(found.field, f"runs where PYTHON_TASKS allows {module} and it can be imported")
    return "python", params


def _take_params(entry: ForeignEntry) -> dict[str, Any]:
    found = entry.take_field(*PARAMS_FIELDS)
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
        entry.note_mapped(found.field, "the params of the task")
    return {name: one for name, one in (value or {}).items() if one is not None}  # null says nothing


def _type_as_id(entry: ForeignEntry) -> FieldValue | None:
    """Return the id if it names a type: a field, or the key of the entry in a mapping of entries."""
    key = entry.place[-1] if entry.place else None
    found = entry.take_field("id") or (FieldValue("id", key) if isinstance(key, str) else None)
    return found if found and found.value in type_names() else None


def _find_type(name: str) -> str:
    names = {normalize_name(name): name for name in type_names()}
    return names.get(normalize_name(name), "") or TYPE_ALIASES.get(normalize_name(name), "")


def _rename_params(entry: ForeignEntry, type_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params by the names of the type, with those given as fields of the entry itself."""
    names = {normalize_name(name): name for name in _param_names(type_name)}
    if type_name == "rss_watch":
        names |= {"url": "feedUrl", "feed": "feedUrl"}
    renamed = {names.get(normalize_name(name), str(name)): value for name, value in given.items()}
    return renamed | _take_loose_params(entry, type_name, renamed)


def _take_loose_params(entry: ForeignEntry, type_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    loose: dict[str, Any] = {}
    names: dict[str, tuple[str, ...]] = {
        name: (name,) for name in _param_names(type_name) if name not in RESERVED_FIELDS
    }
    if type_name == "rss_watch":
        names["feedUrl"] = ("feedUrl", "url", "feed")
    for name, spellings in names.items():
        if name not in given and (found := entry.take_field(*spellings)) is not None:
            loose[name] = found.value
            entry.note_mapped(found.field, f"params.{name}")
    return loose


def _param_names(type_name: str) -> tuple[str, ...]:
    return tuple(params_schema(type_name).get("properties", {}))


def _convert_agent(entry: ForeignEntry, given: Mapping[str, Any], kind: str, field: str) -> TypeAndParams:
    found = entry.take_field("prompt", "goal", "instructions", "instruction", "task", "content")
    about = "" if found else _describe_entry(entry)
    goal = str(found.value) if found else str(given.get("goal") or given.get("prompt") or about)
    near = suggest(kind, type_names()) if kind and not found else ""
    if near:
        raise InputError(f"{field}: {kind[:40]!r} is no type; {near}")
    if not goal.strip() or (not kind and not found):
        raise InputError(
            "type: is missing, and neither a command, a function, an address nor a prompt says what to do"
        )
    if kind:
        entry.note_changed(
            field, f"{kind[:40]} is no type here; a model is given the task, and the word is a tag"
        )
    if found:
        entry.note_mapped(found.field, "the goal the model is given")
    elif about and goal == about:
        entry.note_changed(
            "title", "with the description it is the goal the model is given, for there is no prompt"
        )
    params = _rename_params(
        entry, "agent", {name: one for name, one in given.items() if name not in ("goal", "prompt")}
    )
    return "agent", {**params, "goal": goal}


def _describe_entry(entry: ForeignEntry) -> str:
    parts = [
        entry.fields.get(key)
        for key in entry.fields
        if normalize_name(key) in ("title", "name", "description")
    ]
    return ". ".join(str(part).strip() for part in parts if part)


def _convert_variables(value: Any) -> dict[str, Any]:
    """Return variables by their names.

    {TOKEN: x}
    [TOKEN=x]                            Compose
    [{name: TOKEN, value: x}]            Kubernetes; yacron writes key for name

    Raises:
        InputError: They are none of these; the text shows no value.
    """
    if isinstance(value, list):
        return dict(_to_variable(one) for one in value)
    if not isinstance(value, Mapping):
        raise InputError("env: must be a mapping of names to values")
    return {str(name): str(one) if isinstance(one, int | float) else one for name, one in value.items()}


def _to_variable(given: Any) -> tuple[str, Any]:
    if isinstance(given, Mapping) and isinstance(name := given.get("name", given.get("key")), str):
        return name, str(given.get("value", ""))
    if not isinstance(given, str) or "=" not in given:
        raise InputError("env: each must be NAME=value, or have a name and a value")
    name, _, value = given.partition("=")
    return name, value
