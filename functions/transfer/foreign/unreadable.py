"""Files of other schedulers that say when, but not what to do in a way that runs here: their remedies."""

import re
from collections.abc import Mapping
from typing import Any

from functions.taskfiles.parser import ParsedFile
from functions.transfer.foreign.entry import ForeignEntry, normalize_name

GITHUB = (
    "is a workflow of GitHub Actions: its jobs run there. Keep the workflow with `on: repository_dispatch`, "
    "and write a task of the type github_dispatch with this schedule"
)
KUBERNETES = (
    "is a CronJob of Kubernetes: it runs an image. Write a task of the type command with the container's "
    "command and this schedule, timeZone as timezone, concurrencyPolicy as overlap"
)
VERCEL = (
    "has crons of Vercel, which are paths without a host. Write a task of the type http for each, with the "
    "whole address as params.url and the same schedule"
)
BULLMQ = (
    "has repeatable jobs of BullMQ: what they do is in the worker's code. Add to each entry command, func, "
    "url or prompt; pattern becomes schedule, and every, in milliseconds, a schedule such as every 5m"
)
AIRFLOW = (
    "has DAGs of Airflow: what they do is Python code. Write a task of the type python or command for each, "
    "with schedule_interval as schedule; `after` starts one task when another has ended"
)

SYSTEMD = (
    "is a unit of systemd. Write a task of the type command with the ExecStart of its service as "
    "params.command, and OnCalendar as a schedule: *-*-* 09:00 is 0 9 * * *"
)
WINDOWS = (
    "is XML, as the Task Scheduler of Windows exports it. Write a task of the type command with Command and "
    "Arguments as params.command, and the trigger as a schedule"
)
CRON_JOB_ORG = (
    "has jobs of cron-job.org, whose schedules are lists of numbers. Write a task of the type http for each, "
    "with url as params.url: minutes [0, 30] and -1 elsewhere is the schedule 0,30 * * * *"
)
OFELIA = (
    "has sections in brackets, as of Ofelia. Write a task of the type command for each, with the same "
    "command and schedule"
)
ANACRONTAB = (
    "is an anacrontab: periods in days, and delays in minutes. Write a task of the type command for each "
    "line, with its command as params.command and the period as schedule: 1 is daily, 7 weekly, 3 every 3d, "
    "@monthly monthly; RANDOM_DELAY becomes jitterSeconds, and a missed run is made up for here as well"
)
ARCHIVE = "is an archive of scheduler export; import it alone and as a file, not by a pipe"
LEADING_COMMENTS = re.compile(r"(?:\s*[#;].*(?:\n|$))*\s*")
CRON_JOB = re.compile(r"^kind:[ \t]*CronJob\b", re.MULTILINE)


ANACRONTAB_START = re.compile(  # below variables and comments: 7 10 cron.weekly run-parts /etc
    r"(?:[ \t]*(?:#.*|[A-Za-z_]\w*[ \t]*=.*)?\n)*+"
    r"[ \t]*(?:\d+|@\w+)[ \t]+\d+[ \t]+[A-Za-z][\w.-]+[ \t]+[^\s\d*]"
)


def describe_unreadable_text(text: str) -> str | None:
    """Return the remedy of a file that is known by its first characters; None for any other."""
    start = LEADING_COMMENTS.sub("", text, count=1)[:200]
    if start.startswith("<"):
        return WINDOWS
    if re.match(r'\{"kind": ?"cronfire"', start):
        return ARCHIVE
    if re.match(r"\[(Unit|Timer|Service|Install)\]", start):
        return SYSTEMD
    if "\n---" in text and CRON_JOB.search(text):  # among other documents
        return KUBERNETES
    if ANACRONTAB_START.match(text):
        return ANACRONTAB
    return OFELIA if re.match(r"\[job-\w+ ", start) else None


def describe_unreadable(document: ParsedFile, entries: list[ForeignEntry]) -> tuple[int | None, str] | None:
    """Return the line and the remedy of a file that is known and cannot be read; None for any other."""
    if isinstance(document.value, Mapping) and (known := _known_document(document.value)):
        field, remedy = known
        return document.line_of((field,)) or document.line_of(()), remedy
    known_entries = ((entry.line_of(), remedy) for entry in entries if (remedy := _known_entry(entry)))
    return next(known_entries, None)


def _known_document(value: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the field by which a document as a whole is known, and its remedy."""
    events = value.get("on", value.get(True))  # YAML 1.1 reads the key `on` as true
    if isinstance(events, Mapping | list | str) and isinstance(value.get("jobs"), Mapping):
        return "on", GITHUB
    if value.get("kind") == "CronJob":
        return "kind", KUBERNETES
    if isinstance(value.get("crons"), list):
        return "crons", VERCEL
    return ("dags", AIRFLOW) if isinstance(value.get("dags"), Mapping | list) else None


def _known_entry(entry: ForeignEntry) -> str:
    """Return the remedy of an entry that is known; empty for any other."""
    if entry.fields.get("kind") == "CronJob":
        return KUBERNETES
    if _is_of_bullmq(entry):
        return BULLMQ
    if entry.has_field("jobid") and isinstance(entry.fields.get("schedule"), Mapping):
        return CRON_JOB_ORG
    return AIRFLOW if entry.has_field("scheduleinterval", "dagid") else ""


def _is_of_bullmq(entry: ForeignEntry) -> bool:
    """Whether *entry* is a repeatable job, or one of its schedulers, as BullMQ and Bull list them."""
    if entry.has_field("pattern") and entry.has_field("every", "tz"):
        return True
    is_listed = (
        entry.has_field("key") and entry.has_field("next") and entry.has_field("every", "pattern", "cron")
    )
    return is_listed and not entry.has_field("command", "func", "url", "prompt")


def describe_unknown(entries: list[ForeignEntry]) -> tuple[int | None, str]:
    """Return the line of the first entry, and what it would need to be read."""
    if not entries:
        return None, "has no entries: a list of mappings, or a mapping of names to mappings"
    first = entries[0]
    names = ", ".join(dict.fromkeys(str(name)[:40] for name in list(first.fields)[:8])) or "no field"
    missing = "" if _has_timing(first) else "when it runs (schedule, cron, interval or frequency)"
    return (
        first.line_of(),
        f"has only {names}; say {missing or 'what it does (command, func, url or prompt)'}",
    )


def _has_timing(entry: ForeignEntry) -> bool:
    known = ("schedule", "cron", "interval", "every", "frequency", "cronstring", "trigger")
    return entry.has_field(*(normalize_name(name) for name in known))
