"""What is wrong in a task file, and where: for a person who wants to mend all of it in one go."""

from dataclasses import dataclass

from functions.errors import InputError

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong within a task, or within a document.

    Attributes:
        place: The names and numbers (from 0) that lead to it; empty means the whole.
        reason: What is wrong and what to do; never the value itself where that may be a secret.
    """

    place: Place
    reason: str

    @property
    def field(self) -> str:
        """The place as people write it, e.g. `notify[0].on`; empty for the whole."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.place)
        return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file.

    Attributes:
        line: From 1; None when it is not known.
        task: The task's id, its title, or `task 3`; empty when the fault is the file's own.
        field: E.g. `retry.maxAttempts`; empty when the fault is the whole task's.
    """

    file: str
    line: int | None
    task: str
    field: str
    reason: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.task, self.field, self.reason) if part)


class UnreadableError(InputError):
    """A text is not a document at all.

    Attributes:
        line: From 1; None when it is not known.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line
