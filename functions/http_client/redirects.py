"""The rule of redirects: what is sent on, and where to."""

from multidict import CIMultiDict
from yarl import URL

from functions.http_client import BlockedRequestError
from functions.http_client.addresses import Ports
from functions.http_client.httpx import httpx
from functions.http_client.requests import OutgoingRequest, check_parsed_url, lower_first, parse_encoded_url

REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
PERMANENT_STATUSES = frozenset({301, 308})

# Everything else stays with the origin it was meant for: a secret may sit in a header of any name.
_CROSS_ORIGIN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-type",
        "if-modified-since",
        "if-none-match",
        "user-agent",
    }
)


def next_request(
    request: OutgoingRequest, status: int, location: str | None, ports: Ports
) -> OutgoingRequest | None:
    """Return the request that a redirect leads to, or None when the response is no redirect.

    303 becomes GET, and so does a POST answered with 301 or 302; 307 and 308 repeat method and body.
    Headers that may hold a secret do not leave the origin.

    Raises:
        BlockedRequestError: The target is no URL, is not allowed, or would leave https for http.
    """
    if status not in REDIRECT_STATUSES or not location:
        return None
    url = _resolve_target(request.url, location, ports)
    headers = request.headers
    if not _same_origin(request.url, url):
        headers = strip_credentials(headers)
    if _changes_to_get(request.method, status):
        return OutgoingRequest("GET", url, strip_body_headers(headers), None)
    return OutgoingRequest(request.method, url, headers, request.body)


def strip_credentials(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Return what may be sent on when a redirect leaves the origin: nothing that could be a secret."""
    kept = [(name, value) for name, value in headers.items() if name.lower() in _CROSS_ORIGIN_HEADERS]
    return CIMultiDict(kept)


def strip_body_headers(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Return *headers* without those that describe a body, for a redirect that drops the body."""
    kept = [(name, value) for name, value in headers.items() if not name.lower().startswith("content-")]
    return CIMultiDict(kept)


def _resolve_target(current: URL, location: str, ports: Ports) -> URL:
    location = location.strip(" \t").replace(" ", "%20").replace("\\", "%5C")
    if not location.isprintable():
        raise BlockedRequestError("The redirect was not followed: its target is not a URL")
    try:
        # httpx encodes what is not encoded yet, and leaves the rest as it is.
        target = str(httpx.URL(str(current)).join(location))
    except (httpx.InvalidURL, ValueError):
        raise BlockedRequestError("The redirect was not followed: its target is not a URL") from None
    try:
        url = check_parsed_url(parse_encoded_url(target), ports)
    except BlockedRequestError as exc:
        raise BlockedRequestError(f"The redirect was not followed: {lower_first(exc.reason)}") from None
    if current.scheme == "https" and url.scheme == "http":
        raise BlockedRequestError("The redirect was not followed: it leaves https for http")
    return url


def _same_origin(one: URL, other: URL) -> bool:
    if one.raw_host != other.raw_host:
        return False
    if (one.scheme, one.port) == (other.scheme, other.port):
        return True
    # The usual step from http to https of one site is no change of hands.
    return (one.scheme, one.port) == ("http", 80) and (other.scheme, other.port) == ("https", 443)


def _changes_to_get(method: str, status: int) -> bool:
    if status == 303:
        return method != "HEAD"
    return status in (301, 302) and method == "POST"
