"""The shape of crontabs: a user's own, and those of `/etc/cron.d` with the user as the sixth field."""

import re
from dataclasses import dataclass, field
from typing import Any

from functions.domain.schedule.parse import NAMED_SCHEDULES
from functions.domain.task import TaskSpec, slug
from functions.errors import InputError
from functions.taskfiles import Fault, check_task
from functions.transfer.foreign.entry import Moved, Note, Older, Terms
from functions.transfer.foreign.timing import cron

VARIABLE = re.compile(r"""\s*(["']?)([A-Za-z_]\w*)\1\s*=\s*(.*?)\s*$""")
ENTRY = re.compile(r"-?(?:@\w+|[\d*][^\s=]*(?:\s+[^\s=]+){4})\s+\S")
HEADING = re.compile(r"m(in(ute)?)?\s+h(our)?\s+dom", re.IGNORECASE)
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?")
ACCOUNTS = frozenset(
    {"root", "www-data", "nobody", "postgres", "mysql", "backup", "daemon", "ubuntu", "debian", "admin"}
)
NEVER_AT_START = "there is no start of a machine here; start it by the machine's own means, such as systemd"


@dataclass
class _Reading:
    """What is known by the line that is read."""

    file: str
    terms: Terms
    with_user: bool
    variables: dict[str, str] = field(default_factory=dict)
    timezone: str = ""
    comment: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    moved: list[Moved] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def looks_like(text: str) -> bool:
    """Whether there is a line such as a crontab has."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    entries = [line for line in lines if ENTRY.match(line)]
    return bool(entries) and all(line in entries or VARIABLE.match(line) for line in lines[:3])


def has_user(text: str, file: str) -> bool:
    """Whether the sixth field is a user: by the file's place, or because every entry has an account there."""
    if "cron.d/" in file.replace("\\", "/") or file.replace("\\", "/").endswith("/etc/crontab"):
        return True
    sixth = [
        parts[1 if parts[0].startswith("@") else 5]
        for line in text.splitlines()
        if ENTRY.match(line.strip())
        and len(parts := line.split()) > (2 if line.strip().startswith("@") else 6)
    ]
    return bool(sixth) and all(word in ACCOUNTS for word in sixth)


def read_crontab(text: str, file: str, terms: Terms, *, with_user: bool, ids: set[str]) -> Older:
    """Return the tasks of a crontab; *ids* are taken already, and those of the tasks are added."""
    reading = _Reading(file, terms, with_user, ids=ids)
    for number, line in enumerate(text.splitlines(), 1):
        _line(reading, number, line.strip())
    if reading.moved:
        for why in (
            "cron ran commands in the user's home; add workingDirectory where a command counts on it",
            terms.limit,
            "cron starts a run beside one that has not ended; here it is skipped, see overlap",
            "commands run where ALLOW_COMMANDS=1 is set",
        ):
            reading.notes.append(Note("", "", "changed", why))
    shape = "cron.d" if with_user else "crontab"
    return Older(shape, tuple(reading.moved), tuple(reading.notes), tuple(reading.faults))


def _line(reading: _Reading, number: int, line: str) -> None:
    if not line:
        reading.comment.clear()
    elif line.startswith("#"):
        _comment(reading, number, line.lstrip("# ").strip())
    elif ENTRY.match(line):
        _entry(reading, number, line)
        reading.comment.clear()
    elif (variable := VARIABLE.match(line)) is not None:
        _variable(reading, number, variable[2], variable[3])
    else:
        reason = "is no entry of a crontab: five fields of time (or @daily) and a command"
        reading.faults.append(Fault(reading.file, number, "", "", reason))


def _comment(reading: _Reading, number: int, text: str) -> None:
    if HEADING.match(text):  # what stands above it is about the file
        reading.comment.clear()
    elif re.match(r"(@\w+|[\d*][\d*/,-]*(\s+[\d*/,A-Za-z-]+){4})\s+\S", text):
        reading.notes.append(Note("", "", "left out", "is an entry that was commented out", number))
        reading.comment.clear()
    elif text:
        reading.comment.append(text)


def _variable(reading: _Reading, number: int, name: str, value: str) -> None:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if name == "CRON_TZ":
        reading.timezone = value
        reading.notes.append(Note("", name, "mapped", "the timezone of the tasks below it", number))
    elif name in ("MAILTO", "MAILFROM"):
        why = "people are told through channels here, of failures and recoveries: see notify"
        reading.notes.append(Note("", name, "left out", why, number))
    else:
        reading.variables[name] = value
        why = "the shell of the commands below it" if name == "SHELL" else "in env of the tasks below it"
        reading.notes.append(Note("", name, "mapped", why, number))


def _entry(reading: _Reading, number: int, line: str) -> None:
    quiet, line = line.startswith("-"), line.removeprefix("-")
    parts = line.split(None, 1 if line.startswith("@") else 5)
    schedule, rest = " ".join(parts[:-1]), parts[-1]
    user = ""
    if reading.with_user:
        user, _, rest = rest.partition(" ") if " " in rest else rest.partition("\t")
    command, stdin = command_of(rest.strip())
    title = _title(reading, command)
    if not command or (user and not USER.fullmatch(user)):
        reason = "has no command behind its five fields" + (" and its user" if reading.with_user else "")
        reading.faults.append(Fault(reading.file, number, title, "command", reason))
        return
    if schedule.lower() == "@reboot":
        reading.notes.append(Note(title, "@reboot", "left out", NEVER_AT_START, number))
        return
    try:
        when = (
            schedule if schedule.startswith("@") and schedule.lower() in NAMED_SCHEDULES else _times(schedule)
        )
    except InputError as exc:
        reading.faults.append(Fault(reading.file, number, title, "schedule", str(exc)))
        return
    _keep(reading, number, title, when, _params(reading, command, stdin), user=user, quiet=quiet)


def _times(schedule: str) -> str:
    if schedule.lower() == "@every_minute":
        return "every_minute"
    return schedule if schedule.startswith("@") else cron(schedule).schedule


def _keep(
    reading: _Reading, number: int, title: str, when: str, params: dict[str, Any], *, user: str, quiet: bool
) -> None:
    name = slug(title) or f"cron-{number}"
    free, again = name, 1
    while free in reading.ids:
        again += 1
        free = f"{name}-{again}"
    given: dict[str, Any] = {
        "id": free,
        "title": title[:200],
        "description": "\n".join(reading.comment[1:])[:2000],
        "type": "command",
        "params": params,
        "schedule": when,
        "timezone": reading.timezone or reading.terms.timezone,
        "retry": {"maxAttempts": 1},  # cron tries nothing twice
    }
    if reading.terms.timeout_s is not None:
        given["timeoutSeconds"] = reading.terms.timeout_s
    checked = check_task(given)
    if not isinstance(checked, TaskSpec):
        reading.faults += [Fault(reading.file, number, title, one.field, one.reason) for one in checked]
        return
    reading.ids.add(free)
    reading.moved.append(Moved(checked))
    reading.notes.append(Note(free, "schedule", "mapped", f"{when} in {given['timezone']}", number))
    if "stdin" in params:
        reading.notes.append(
            Note(free, "%", "mapped", "what stands behind it is what the command reads", number)
        )
    if user:
        why = f"it ran as {user}; here all commands run as the scheduler's own user"
        reading.notes.append(Note(free, "user", "left out", why, number))
    if quiet:
        reading.notes.append(Note(free, "-", "left out", "every run is recorded here", number))


def command_of(text: str) -> tuple[str, str]:
    r"""The command, and what it reads: `%` ends it, further ones end lines, `\%` is a percent sign."""
    parts = [part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", text)]
    stdin = "\n".join(parts[1:])
    return parts[0].strip(), f"{stdin}\n" if len(parts) > 1 else ""


def _params(reading: _Reading, command: str, stdin: str) -> dict[str, Any]:
    env = {name: value for name, value in reading.variables.items() if name != "SHELL"}
    shell = reading.variables.get("SHELL", "/bin/sh")
    params: dict[str, Any] = {"command": command, "shell": True}
    if shell != "/bin/sh":
        params = {"command": [shell, "-c", command]}
    if env:
        params["env"] = env
    if env.get("HOME", "").startswith("/"):
        params["workingDirectory"] = env["HOME"]
    if stdin:
        params["stdin"] = stdin
    return params


def _title(reading: _Reading, command: str) -> str:
    return (reading.comment[0] if reading.comment else command or "entry")[:200]
