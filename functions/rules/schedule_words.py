"""A schedule in words, for whoever does not read cron."""

import re

from functions.rules.schedule import HASHED, NAMED, read_schedule
from functions.rules.schedule_shape import EPOCH

_MIXED = re.compile(r"[L#].*,|,.*[L#]")  # the library misreads a list with such a day in it
_PART = re.compile(r"(\d+)([smhdw])")
UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}


def in_words(expression: str, *, timezone: str, task_id: str = "") -> str:
    """*expression* as an English clause, such as "At 09:30, Monday through Friday"; itself when in doubt.

    Times are those of the clock in *timezone*.

    Raises:
        ScheduleError: The expression is none.
    """
    schedule = read_schedule(expression, timezone=timezone, task_id=task_id, anchor=EPOCH)
    written = " ".join(expression.split())
    word, _, rest = written.partition(" ")
    if word.lower() == "at":
        return f"Once, at {rest.upper().replace('T', ' ', 1)}"
    if schedule.canonical.startswith("every "):
        return _interval(schedule.canonical.removeprefix("every "))
    if HASHED.search(written):
        return _cron(schedule.canonical) or written
    return _cron(NAMED.get(written.lower(), written)) or written


def _interval(step: str) -> str:
    parts = [(int(number), UNITS[unit]) for number, unit in _PART.findall(step)]
    if parts == [(1, parts[0][1])]:
        return f"Every {parts[0][1]}"
    return "Every " + " ".join(f"{number} {unit}{'s' if number > 1 else ''}" for number, unit in parts)


def _cron(written: str) -> str:
    """The five fields of *written* in words; empty when the library has none that are right."""
    if _MIXED.search(written):
        return ""
    # 60 ms of import, and no tick ever asks for words.
    from cron_descriptor import FormatError, Options, get_description
    from cron_descriptor.Exception import MissingFieldError, WrongArgumentError

    options = Options()
    options.use_24hour_time_format = True
    try:
        return str(get_description(written, options))
    except (FormatError, MissingFieldError, WrongArgumentError):
        return ""
