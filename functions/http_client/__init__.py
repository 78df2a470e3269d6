"""HTTP: one client, httpx, over transports of our own.

httpx        the library, imported here alone
client       `HttpClient` for addresses given by users, and the function that builds one
transport    httpx's transport over aiohttp, and the guarded one: checks, redirects, limits, one deadline
connections  aiohttp's connections, which check each address as they connect
resolver     the system's resolver, on threads that names which hang cannot take from others
redirects    the rule of redirects: what is sent on, and where to
requests     what a user's request may hold: URL and headers; no network
addresses    which addresses may be connected to
responses    reading a body within a bound
errors       errors of aiohttp, TLS and the system, each as one plain sentence that is also an httpx error
lazy         clients that are built, and their libraries imported, with their first use
trusted      `TrustedHttpClient`, for addresses that come from the settings

No other package imports aiohttp or httpx2.
"""

from contextvars import ContextVar

request_sent: ContextVar[bool] = ContextVar("request_sent", default=True)
"""Whether the other side may have what this task sent last: whoever cancels a request reads it afterwards."""


class FetchError(Exception):
    """No usable answer came.

    What the clients raise is this and an httpx error (`errors`); checks that need no network raise it as it
    is, so that whoever checks an address does not load httpx.

    Attributes:
        reason: One sentence for the task's owner. Never an IP address, a URL, a header or a traceback.
        permanent: True when trying again cannot help.
        is_sent: False when no connection was made, so that the other side cannot have the request.
    """

    def __init__(self, reason: str, *, permanent: bool = False, is_sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.is_sent = is_sent


class BlockedRequestError(FetchError):
    """The call was not made: its address, scheme, port, header or user name is not allowed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True, is_sent=False)


def lower_first(sentence: str) -> str:
    """Return *sentence* fit to follow a colon."""
    return sentence[:1].lower() + sentence[1:]
