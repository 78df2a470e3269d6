"""A request that is fit to be sent."""

from collections.abc import Mapping

from yarl import URL

from functions.actions.net.addresses import Ports
from functions.actions.net.errors import RefusedError
from functions.actions.net.headers import check_headers
from functions.actions.net.urls import check_url
from functions.rules.values import value

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


@value
class Call:
    """One request as it will be sent; its method, URL and headers have been checked."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


def checked_call(method: str, url: str, headers: Mapping[str, str], body: bytes | None, ports: Ports) -> Call:
    """Return the call a user asks for.

    Raises:
        RefusedError: Something about it is not allowed; the reason says what to change.
    """
    method = method.upper()
    if method not in _METHODS:
        raise RefusedError(f"The method is not allowed; allowed are {', '.join(sorted(_METHODS))}")
    check_headers(headers)
    return Call(method, check_url(url, ports), headers, body)
