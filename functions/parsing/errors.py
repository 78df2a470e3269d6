"""The errors of parsing: a document that is not what it should be, and one whose parsing was stopped.

It imports no parser: those are loaded in processes of their own.
"""

from functions.errors import PostponedError, SchedulerError


class UnreadableError(Exception):
    """The document is not of the kind expected; the text says what it seems to be, e.g. `a web page`."""


class NoParserError(PostponedError):
    """No process was free to parse a document within the time that its attempt could wait for one."""

    why = "no parser became free in time"


class ParsingStoppedError(SchedulerError):
    """Parsing did not come to its end; an attempt that lets it pass has failed with this text.

    Attributes:
        why: Follows `could not be read`, e.g. `in 8 s: its parsing was stopped`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"The document could not be read {why}")
        self.why = why
