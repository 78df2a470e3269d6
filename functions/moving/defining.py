"""Defining: an entry whose work and timing are known becomes a checked task, or faults with their lines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from functions.moving.entry import Entry
from functions.moving.moments import moment, seconds_in
from functions.moving.notes import Moved, Terms
from functions.rules.task import TaskSpec, slug
from functions.rules.words import Priority
from functions.taskfiles import Fault, Problem, check_task

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
