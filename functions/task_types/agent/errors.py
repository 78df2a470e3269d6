"""The error of an agent's run. It imports no client of models, so that a task can be checked without one."""

from datetime import timedelta


class ModelError(Exception):
    """The model gave no usable answer.

    Attributes:
        reason: One sentence for the task's owner; never the key.
        permanent: True when trying again cannot help.
        retry_after: The wait that the server requests; None when it requests none.
    """

    def __init__(self, reason: str, *, permanent: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
