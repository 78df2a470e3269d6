"""Names of runs and cursors of pages: opaque to callers, and good for one exact question to the store."""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from functions.errors import InputError, NotFoundError
from functions.rules.outcome import Run

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CURSOR = re.compile(r"(-?[0-9]{1,17}) ([0-9]{1,6})")  # instants far beyond any that were ever written


def run_id(run: Run) -> str:
    """The name of a run in addresses: when it finished, which finds it, and its key, which proves it."""
    return _packed(f"{(run.finished_at - EPOCH) // MICROSECOND} {run.key}")


def unpacked_run_id(given: str) -> tuple[datetime, str, str]:
    """When the run of this id finished, its task, and its key.

    Raises:
        NotFoundError: No run has such an id.
    """
    micros, _, key = _unpacked(given).partition(" ")
    task_id, at, _ = key.partition("@")
    if not at or not micros.removeprefix("-").isdecimal() or len(micros) > 18:
        raise NotFoundError("There is no such run")
    return EPOCH + int(micros) * MICROSECOND, task_id, key


def cursor_after(runs: Sequence[Run], earlier: str | None) -> str:
    """The cursor behind *runs*, newest first: the last one's moment, and how many of it were seen."""
    last = runs[-1].finished_at
    seen = sum(run.finished_at == last for run in runs)
    if earlier is not None:
        before, already = unpacked_cursor(earlier)
        seen += already if before == last else 0
    return _packed(f"{(last - EPOCH) // MICROSECOND} {seen}")


def unpacked_cursor(given: str) -> tuple[datetime, int]:
    """The moment a page begins at, going back, and how many runs of it to leave out.

    Raises:
        InputError: It is no cursor of ours.
    """
    try:
        match = CURSOR.fullmatch(_unpacked(given))
    except NotFoundError:
        match = None
    if match is None:
        raise InputError("cursor: use the one that came with the page before")
    return EPOCH + int(match[1]) * MICROSECOND, int(match[2])


def _packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(given: str) -> str:
    try:
        return base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise NotFoundError("There is no such run") from None
