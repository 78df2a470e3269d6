"""What a call to a user's address can fail with.

FetchError        no usable answer came
  RefusedError    we would not make the call at all
"""


class FetchError(Exception):
    """No usable answer came.

    Attributes:
        reason: One sentence for the task's owner. Never an IP address, a URL, a header or a traceback.
        permanent: True when trying again cannot help.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class RefusedError(FetchError):
    """We would not make the call: its address, scheme, port, header or user name is not allowed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)
