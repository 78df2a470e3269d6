"""The signature of a failure: equal for two failures that a person would call the same."""

import hashlib
import re

from functions.rules.outcome import Run

SIGNATURE_CHARS = 12  # of a hash: enough to tell a task's own failures apart

_STATUS = re.compile(r"(?:http|status|code|answered|returned|error)\W{0,3}([1-5]\d\d)\b")
_VOLATILE = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # UUIDs
    | \w+://\S+                                                      # addresses
    | \d{4}-\d\d-\d\d(?:[t\ ][\d:.,+z-]+)?                           # timestamps
    | \b(?:[a-z0-9-]+\.)+[a-z]{2,}\b(?::\d+)?                        # hosts
    | \b0x[0-9a-f]+\b
    | \b(?=[a-z]*\d)[0-9a-f]{6,}\b                                   # hexadecimal ids; words have no digit
    | [0-9a-f:]*::[0-9a-f:]*                                         # IPv6
    | \d+(?:[.,:]\d+)*                                               # other numbers and IPv4
    """,
    re.VERBOSE,
)


def signature(run: Run, *, task_type: str) -> str:
    """Return a short hash of what failed, without what differs from one failure to the next.

    Digits, ids, hosts and moments do not count; an HTTP status does: 404 after 503 is another failure.
    """
    text = run.summary.lower()
    statuses = " ".join(_STATUS.findall(text))
    words = " ".join(_VOLATILE.sub(" ", text).split())
    reason = run.skip_reason or ""
    whole = "|".join((task_type, run.outcome, reason, statuses, words))
    return hashlib.sha256(whole.encode()).hexdigest()[:SIGNATURE_CHARS]
