"""The rule of redirects: what is sent on, where to, and the cookies on the way."""

from collections.abc import Sequence
from dataclasses import replace
from http.cookies import SimpleCookie

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from functions.http_client import BlockedRequestError, FetchError, lower_first
from functions.http_client.errors import host_name
from functions.http_client.httpx import httpx
from functions.http_client.requests import (
    OutgoingRequest,
    Ports,
    check_parsed_url,
    parse_encoded_url,
)

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


class ExchangeCookies:
    """The cookies that a chain of redirects sets, sent on by the rules of browsers and then forgotten.

    Many sites answer the first request by a redirect that sets a cookie, and again until it comes back. No
    cookie outlives the call: one owner's session must not answer for another's.
    """

    def __init__(self) -> None:
        self._jar: aiohttp.CookieJar | None = None

    def keep(self, answer: aiohttp.ClientResponse) -> None:
        """Take the cookies of a redirect; one for a whole top-level domain is none."""
        set_here = SimpleCookie()
        for name, cookie in answer.cookies.items():
            domain = cookie["domain"].strip(".")
            if not domain or "." in domain or domain == answer.url.host:
                set_here[name] = cookie
        if set_here:
            if self._jar is None:
                self._jar = aiohttp.CookieJar(
                    unsafe=True, quote_cookie=False
                )  # unsafe: of hosts without a name too
            self._jar.update_cookies(set_here, answer.url)

    def add_to(self, request: OutgoingRequest) -> OutgoingRequest:
        """Return *request* with the cookies that are for it; they replace those of the task by name."""
        if self._jar is None:
            return request
        pairs = {name: cookie.coded_value for name, cookie in self._jar.filter_cookies(request.url).items()}
        if not pairs:
            return request
        given = [pair.strip() for pair in request.headers.get("Cookie", "").split(";")]
        kept = [pair for pair in given if pair and pair.partition("=")[0].strip() not in pairs]
        headers = request.headers.copy()
        headers["Cookie"] = "; ".join([*kept, *(f"{name}={value}" for name, value in pairs.items())])
        return replace(request, headers=headers)


_MAX_NAMES = 4


def circle_error(sent: Sequence[OutgoingRequest]) -> FetchError:
    """Return the error of a chain of redirects that leads back to one of its addresses."""
    names = list(dict.fromkeys(name for one in sent if (name := host_name(one.url.host))))[:_MAX_NAMES]
    where = f", at {' and '.join(names)}" if names else ""
    return FetchError(
        f"It redirects in a circle{where}: back to an address called before, with the same cookies"
    )


def _resolve_target(current: URL, location: str, ports: Ports) -> URL:
    location = "".join(_escaped(sign) for sign in location.strip(" \t"))
    try:
        # httpx encodes what is not encoded yet, leaves the rest as it is, and refuses control characters.
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


def _escaped(sign: str) -> str:
    """Return a character of a Location as a URL may hold it; a byte that is no UTF-8 as that byte."""
    if "\udc80" <= sign <= "\udcff":  # how Python writes such a byte into a text
        return f"%{ord(sign) - 0xDC00:02X}"
    return {" ": "%20", "\\": "%5C"}.get(sign, sign)


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
