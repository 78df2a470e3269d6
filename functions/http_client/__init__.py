"""The guarded HTTP client: the only place in the program that opens addresses given by users.

client       what others use: `HttpClient`, `Response`, `FetchError`, `BlockedRequestError`
exchange     one call from first request to last answer
calls, urls, headers, redirects     what may be asked for: rules, no network
addresses    which addresses may be connected to: the rule itself
connections  aiohttp, with that rule at the moment of connecting
names        host names to addresses, on threads of their own
body         reading and unpacking within a bound
faults       every library's errors as one plain sentence
"""


# What a call to a user's address can fail with.


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


class BlockedRequestError(FetchError):
    """We would not make the call: its address, scheme, port, header or user name is not allowed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)
