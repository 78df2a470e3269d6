"""Where a redirect leads, and what of the call may go along."""

from yarl import URL

from functions.actions.net.addresses import Ports
from functions.actions.net.calls import Call
from functions.actions.net.errors import RefusedError
from functions.actions.net.headers import for_another_origin, without_body_headers
from functions.actions.net.urls import check_parsed, read_url

REDIRECTS = frozenset({301, 302, 303, 307, 308})


def redirected(call: Call, status: int, location: str | None, ports: Ports) -> Call | None:
    """Return the call that an answer asks for instead of *call*, or None when it asks for none.

    303 becomes GET, and so does a POST answered with 301 or 302; 307 and 308 repeat method and body.
    Headers that may hold a secret do not leave the origin.

    Raises:
        RefusedError: The target is no URL, is not allowed, or would leave https for http.
    """
    if status not in REDIRECTS or not location:
        return None
    url = _target(call.url, location, ports)
    headers = call.headers
    if not _same_origin(call.url, url):
        headers = for_another_origin(headers)
    if _becomes_get(call.method, status):
        return Call("GET", url, without_body_headers(headers), None)
    return Call(call.method, url, headers, call.body)


def _target(current: URL, location: str, ports: Ports) -> URL:
    location = location.strip(" \t").replace(" ", "%20")
    target = read_url(location) if location.isprintable() else None
    if target is None:
        raise RefusedError("The redirect was not followed: its target is not a URL")
    try:
        url = check_parsed(current.join(target), ports)
    except RefusedError as exc:
        raise RefusedError(f"The redirect was not followed: {lowered(exc.reason)}") from None
    if current.scheme == "https" and url.scheme == "http":
        raise RefusedError("The redirect was not followed: it leaves https for http")
    return url


def lowered(sentence: str) -> str:
    """Return *sentence* fit to follow a colon."""
    return sentence[:1].lower() + sentence[1:]


def _same_origin(one: URL, other: URL) -> bool:
    if one.raw_host != other.raw_host:
        return False
    if (one.scheme, one.port) == (other.scheme, other.port):
        return True
    # The usual step from http to https of one site is no change of hands.
    return (one.scheme, one.port) == ("http", 80) and (other.scheme, other.port) == ("https", 443)


def _becomes_get(method: str, status: int) -> bool:
    if status == 303:
        return method != "HEAD"
    return status in (301, 302) and method == "POST"
