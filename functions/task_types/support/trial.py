"""A trial: what came of a request that was made once, before its task is stored.

A module of its own, as the pages that show it load no HTTP client.
"""

from dataclasses import dataclass

TRIED_TYPES = frozenset({"http", "health_check_url"})  # what a trial shows: one request and its answer


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome, and the answer it comes from. Secrets are masked.

    Attributes:
        succeeded: Whether the run of a task would have succeeded.
        summary: The outcome in a sentence.
        status: Of the answer; None when none came.
        elapsed_ms: Until the headers of the answer; None when none came.
        headers: Of the answer.
        body: Its start, as text.
        is_cut: Whether there is more of it.
    """

    succeeded: bool
    summary: str
    status: int | None = None
    elapsed_ms: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    is_cut: bool = False
