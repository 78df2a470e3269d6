"""HTTP clients: a guarded one for addresses given by users, and a plain one for addresses of the settings.

client      `HttpClient`, the guarded client: one call from the first request to the last response
requests    what a user's request may hold: URL, headers, redirects; no network
addresses   which addresses may be connected to
transport   aiohttp connections that apply this rule when they connect; errors of libraries as `FetchError`
responses   `Response`, and reading a body within a bound
lazy        the guarded client, imported when it is first needed
trusted     `TrustedHttpClient`, for addresses that come from the settings

No other package imports aiohttp.
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


class BlockedRequestError(FetchError):
    """The call was not made: its address, scheme, port, header or user name is not allowed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)
