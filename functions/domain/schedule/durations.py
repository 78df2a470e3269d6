"""Lengths of time as people write them: `15m`, `1h30m`, `5 minutes`, `two hours and 30 min`."""

import re
from datetime import timedelta

UNIT_SECONDS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_UNIT_WORDS = {
    "w": ("week", "weeks", "wk", "wks"),
    "d": ("day", "days"),
    "h": ("hour", "hours", "hr", "hrs"),
    "m": ("minute", "minutes", "min", "mins"),
    "s": ("second", "seconds", "sec", "secs"),
}
UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in (unit, *words)}
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS)} | {
    "a": 1, "an": 1,
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90,
}  # fmt: skip
MAX_DIGITS = 9
LONGEST = timedelta(days=366_000)  # a thousand years, which stand for all that is longer
_TOKEN = re.compile(r"[0-9]+|[a-z]+|[^0-9a-z\s]")  # one pass over the text, whatever it holds


def parse_duration(text: str) -> timedelta | None:
    """Return the length of time *text* names, in any case; None when it is none.

    Numbers with units follow each other: `1h30m`, `2 hours and 5 minutes`, `2_hours`. The first number may be
    absent before a whole word: `hour` is one hour, `m` is nothing.
    """
    tokens = [token for token in _TOKEN.findall(text.lower().replace("_", " ")) if token not in (",", "and")]
    if len(tokens) == 1 and len(tokens[0]) > 1 and tokens[0] in UNITS:
        tokens.insert(0, "1")
    if not tokens or len(tokens) % 2:
        return None
    seconds = 0
    for written, unit in zip(tokens[::2], tokens[1::2], strict=True):
        number = int(written) if written.isdecimal() and len(written) <= MAX_DIGITS else NUMBERS.get(written)
        if number is None or unit not in UNITS:
            return None
        seconds += number * UNIT_SECONDS[UNITS[unit]]
    return timedelta(seconds=min(seconds, LONGEST.total_seconds()))
