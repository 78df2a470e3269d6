"""Reads crontabs: those of a user, and those of `/etc/cron.d` with the user as the sixth field."""

import re
from dataclasses import dataclass, field
from typing import Any

from functions.domain.redaction import MASK, redact
from functions.domain.schedule.parse import NAMED_SCHEDULES
from functions.domain.task import TaskSpec, slugify
from functions.domain.validation import FileProblem
from functions.errors import InputError
from functions.taskfiles.validation import check_task
from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults, ImportedTask, ImportNote, TaskIds
from functions.transfer.foreign.timing import cron_timing

VARIABLE_LINE = re.compile(r"""\s*(["']?)([A-Za-z_]\w*)\1\s*=\s*(.*?)\s*$""")
ENTRY_LINE = re.compile(r"-?(?:@\w+|[\d*][^\s=]*(?:\s+[^\s=]+){4})\s+\S")
COLUMN_HEADING = re.compile(r"m(in(ute)?)?\s+h(our)?\s+dom", re.IGNORECASE)
USER_HEADING = re.compile(r"^#.*(?:dow|\*)\s+user(?:-?name)?\s+command", re.IGNORECASE | re.MULTILINE)
TIME_FIELD = re.compile(
    r"[\d*?][\d*?/,-]*|(?:sun|mon|tue|wed|thu|fri|sat)(?:[-,](?:sun|mon|tue|wed|thu|fri|sat))*", re.IGNORECASE
)
MORE_FIELDS = (
    "has more than the five fields of time that cron reads; with seconds or years, write it as five fields"
)
SECRET_ARGUMENT = re.compile(  # --password hunter2, curl -u name:password, mysqldump -phunter2
    r"(\s--?[\w-]*(?:pass|passwd|password|token|secret|key)[\s=]\s*|\s-\w?u\s*[^\s:]+:"
    r"|\b(?:mysql|mariadb)[\w-]*\b.{0,200}?\s-p)[^\s-]\S*",
    re.IGNORECASE,
)
USER_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?")
COMMON_USERS = frozenset(
    {"root", "www-data", "nobody", "postgres", "mysql", "backup", "daemon", "ubuntu", "debian", "admin"}
)
NO_PROGRAMS = frozenset({"root", "www-data", "nobody"})  # a command never begins with them
DELAY_VARIABLES = {  # of cronie and anacron; no command reads them
    "RANDOM_DELAY": "tasks may start later at random here by jitterSeconds; give it to those that shall",
    "START_HOURS_RANGE": "hours belong to the schedule here",
}
NO_REBOOT_REASON = "there is no start of a machine here; start it by the machine's own means, such as systemd"
MACHINE_CLOCK = "cron ran by the clock of its machine; here in UTC: give --timezone if that was another zone"


@dataclass
class _CrontabReader:
    """The state of a reader between lines."""

    file: str
    defaults: ImportDefaults
    with_user: bool
    ids: TaskIds
    variables: dict[str, str] = field(default_factory=dict)
    timezone: str = ""
    comment: list[str] = field(default_factory=list)
    tasks: list[ImportedTask] = field(default_factory=list)
    notes: list[ImportNote] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)


def is_crontab(text: str) -> bool:
    """Whether *text* has entries of a crontab, and at least half of its lines can be lines of one."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    entries = sum(ENTRY_LINE.match(line) is not None for line in lines)
    variables = sum(VARIABLE_LINE.match(line) is not None for line in lines)
    return entries > 0 and 2 * (entries + variables) >= len(lines) and "\0" not in text


def has_user_column(text: str, file: str) -> bool:
    """Whether the sixth field is a user: by the file's path or heading, or because accounts stand there."""
    if "cron.d/" in file.replace("\\", "/") or file.replace("\\", "/").endswith("/etc/crontab"):
        return True
    if USER_HEADING.search(text):
        return True
    sixth = [
        words[1 if words[0].startswith("@") else 5]
        for line in text.splitlines()
        if ENTRY_LINE.match(line.strip()) and (words := line.split())
    ]
    if not all(USER_NAME.fullmatch(word) for word in sixth):
        return False
    return any(word in NO_PROGRAMS for word in sixth) or (
        bool(sixth) and all(word in COMMON_USERS for word in sixth)
    )


def read_crontab(
    text: str, file: str, defaults: ImportDefaults, *, with_user: bool, ids: TaskIds
) -> ForeignTasks:
    """Return the tasks of a crontab; *ids* are in use, and those of the tasks are added."""
    reading = _CrontabReader(file, defaults, with_user, ids)
    for number, line in enumerate(text.splitlines(), 1):
        _read_line(reading, number, line.strip())
    if reading.tasks:
        for why in (
            "cron ran commands in the user's home; add workingDirectory where a command counts on it",
            defaults.timeout_remark,
            "cron starts a run beside one that has not ended; here it is skipped, see overlap",
            "commands run where ALLOW_COMMANDS=1 is set",
        ):
            reading.notes.append(ImportNote("", "", "changed", why))
        if any(one.spec.timezone == defaults.timezone == "UTC" for one in reading.tasks):
            reading.notes.append(ImportNote("", "", "changed", MACHINE_CLOCK))
    shape = "cron.d" if with_user else "crontab"
    return ForeignTasks(shape, tuple(reading.tasks), tuple(reading.notes), tuple(reading.problems))


def _read_line(reader: _CrontabReader, number: int, line: str) -> None:
    if not line:
        reader.comment.clear()
    elif line.startswith("#"):
        _read_comment(reader, number, line.lstrip("# ").strip())
    elif ENTRY_LINE.match(line):
        _read_entry(reader, number, line)
        reader.comment.clear()
    elif (variable := VARIABLE_LINE.match(line)) is not None:
        _read_variable(reader, number, variable[2], variable[3])
    else:
        reason = "is no entry of a crontab: five fields of time (or @daily) and a command"
        reader.problems.append(FileProblem(reader.file, number, "", "", reason))


def _read_comment(reader: _CrontabReader, number: int, text: str) -> None:
    if COLUMN_HEADING.match(text):  # the comments above it are about the file
        reader.comment.clear()
    elif re.match(r"(@\w+|[\d*][\d*/,-]*(\s+[\d*/,A-Za-z-]+){4})\s+\S", text):
        reader.notes.append(ImportNote("", "", "left out", "is an entry that was commented out", number))
        reader.comment.clear()
    elif text:
        reader.comment.append(text)


def _read_variable(reader: _CrontabReader, number: int, name: str, value: str) -> None:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if name == "CRON_TZ":
        reader.timezone = value
        reader.notes.append(ImportNote("", name, "mapped", "the timezone of the tasks below it", number))
    elif name in ("MAILTO", "MAILFROM"):
        why = "failures and recoveries are notified through channels here: see notify"
        reader.notes.append(ImportNote("", name, "left out", why, number))
    elif name in DELAY_VARIABLES:
        reader.notes.append(ImportNote("", name, "left out", DELAY_VARIABLES[name], number))
    else:
        reader.variables[name] = value
        why = "the shell of the commands below it" if name == "SHELL" else "in env of the tasks below it"
        reader.notes.append(ImportNote("", name, "mapped", why, number))


def _read_entry(reader: _CrontabReader, number: int, line: str) -> None:
    quiet, line = line.startswith("-"), line.removeprefix("-")
    words = (2 if line.lower().startswith("@every ") else 1) if line.startswith("@") else 5
    parts = line.split(None, words)
    schedule, rest = " ".join(parts[:-1]), parts[-1]
    if TIME_FIELD.fullmatch(rest.split(None, 1)[0]):
        reader.problems.append(FileProblem(reader.file, number, "", "schedule", MORE_FIELDS))
        return
    user = ""
    if reader.with_user:
        user, rest = (*rest.split(None, 1), "")[:2]
    command, stdin = split_command(rest.strip())
    title = _build_title(reader, command)
    if not command or (user and not USER_NAME.fullmatch(user)):
        reason = "has no command behind its five fields" + (" and its user" if reader.with_user else "")
        reader.problems.append(FileProblem(reader.file, number, title, "command", reason))
        return
    if schedule.lower() == "@reboot":
        reader.notes.append(ImportNote(title, "@reboot", "left out", NO_REBOOT_REASON, number))
        return
    try:
        when = (
            schedule
            if schedule.startswith("@") and schedule.lower() in NAMED_SCHEDULES
            else _convert_schedule(schedule)
        )
    except InputError as exc:
        reader.problems.append(FileProblem(reader.file, number, title, "schedule", str(exc)))
        return
    _add_task(reader, number, title, when, _build_params(reader, command, stdin), user=user, is_quiet=quiet)


def _convert_schedule(schedule: str) -> str:
    if schedule.lower() == "@every_minute":
        return "every_minute"
    return schedule if schedule.startswith("@") else cron_timing(schedule).schedule


def _add_task(
    reader: _CrontabReader,
    number: int,
    title: str,
    schedule: str,
    params: dict[str, Any],
    *,
    user: str,
    is_quiet: bool,
) -> None:
    name = slugify(title) or f"cron-{number}"
    free = reader.ids.free(name)
    given: dict[str, Any] = {
        "id": free,
        "title": title[:200],
        "description": "\n".join(reader.comment[1:])[:2000],
        "type": "command",
        "params": params,
        "schedule": schedule,
        "timezone": reader.timezone or reader.defaults.timezone,
        "retry": {"maxAttempts": 1},  # cron does not retry
    }
    if reader.defaults.timeout_s is not None:
        given["timeoutSeconds"] = reader.defaults.timeout_s
    checked = check_task(given)
    if not isinstance(checked, TaskSpec):
        reader.problems += [FileProblem(reader.file, number, title, one.field, one.reason) for one in checked]
        return
    reader.ids.take(free)
    reader.tasks.append(ImportedTask(checked, line=number))
    reader.notes.append(ImportNote(free, "schedule", "mapped", f"{schedule} in {given['timezone']}", number))
    if "stdin" in params:
        reader.notes.append(
            ImportNote(free, "%", "mapped", "what stands behind it is what the command reads", number)
        )
    if user:
        why = f"it ran as {user}; here all commands run as the scheduler's own user"
        reader.notes.append(ImportNote(free, "user", "left out", why, number))
    if is_quiet:
        reader.notes.append(ImportNote(free, "-", "left out", "every run is recorded here", number))


def split_command(text: str) -> tuple[str, str]:
    r"""Return the command and its input: `%` ends the command, further ones end lines, `\%` is literal."""
    parts = [part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", text)]
    stdin = "\n".join(parts[1:])
    return parts[0].strip(), f"{stdin}\n" if stdin and not stdin.endswith("\n") else stdin


def _build_params(reader: _CrontabReader, command: str, stdin: str) -> dict[str, Any]:
    env = {name: value for name, value in reader.variables.items() if name != "SHELL"}
    shell = reader.variables.get("SHELL", "/bin/sh")
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


def _build_title(reader: _CrontabReader, command: str) -> str:
    """Return the comment above the entry, or its command with secrets masked: a title is for everybody."""
    if reader.comment:
        return reader.comment[0][:200]
    return SECRET_ARGUMENT.sub(rf"\1{MASK}", redact(command[:1000]))[:200] or "entry"
