"""Checks of a user's request before it is sent: URL, headers, redirects."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

from functions.http_client import BlockedRequestError
from functions.http_client.addresses import ANY_PORT, Ports, parse_ip

# -- URLs -----------------------------------------------------------------------------------

_MAX_URL_LENGTH = 2048
_INVALID_URL_CHARACTERS = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog"})


def check_url(text: str, ports: Ports = ANY_PORT) -> URL:
    """Return the URL that will be called: no fragment, no trailing dot after the host.

    Raises:
        BlockedRequestError: It is not a URL we call; the reason says what to change.
    """
    url = _parse_and_check(text)
    _check_port(url.port, ports)
    return url


@lru_cache(maxsize=2048)  # the same tasks come again and again, often a thousand in a tick
def _parse_and_check(text: str) -> URL:
    if len(text) > _MAX_URL_LENGTH:
        raise BlockedRequestError(f"The URL is longer than {_MAX_URL_LENGTH} characters")
    if _INVALID_URL_CHARACTERS.search(text):
        raise BlockedRequestError(
            "The URL holds a space, a control character or a backslash; percent-encode it"
        )
    url = parse_url(text)
    if url is None:
        raise BlockedRequestError("The URL cannot be read; write it like https://example.com/path")
    return check_parsed_url(url)


def parse_url(text: str) -> URL | None:
    """Return *text* parsed and nothing more, or None when it cannot be."""
    try:
        return URL(text)
    except (ValueError, IndexError):  # idna's errors are ValueErrors; `http://[x]@/` is an IndexError in yarl
        return None


def check_parsed_url(url: URL, ports: Ports = ANY_PORT) -> URL:
    """Do what `check_url` does for a URL that is parsed already, such as the target of a redirect."""
    if url.scheme not in ("http", "https"):
        raise BlockedRequestError("The URL must start with http:// or https://")
    if not url.raw_host:
        raise BlockedRequestError("The URL has no host; write it like https://example.com/path")
    if "@" in url.raw_authority:
        raise BlockedRequestError(
            "The URL holds a user name or password; send an Authorization header instead"
        )
    _check_port(url.port, ports)
    host = url.raw_host.removesuffix(".")
    _check_host(host)
    if host != url.raw_host:
        url = url.with_host(host)
    return url.with_fragment(None) if url.raw_fragment else url


def _check_port(port: int | None, ports: Ports) -> None:
    if port is None or port not in ANY_PORT:
        raise BlockedRequestError("The URL's port must be from 1 to 65535")
    if port not in ports:
        raise BlockedRequestError(f"The URL's port {port} is not allowed here")


def _check_host(host: str) -> None:
    if ":" in host:
        valid = parse_ip(host) is not None
    else:
        valid = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.split("."))
    if not valid:
        raise BlockedRequestError("The URL's host is not a valid name or address")
    if host in _METADATA_NAMES:
        raise BlockedRequestError("The URL's host is not allowed")


# -- headers --------------------------------------------------------------------------------

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INVALID_HEADER_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

# They frame the message or belong to one connection: with them a user could smuggle a second request,
# or talk to a metadata service, which asks for a header precisely to keep such calls out.
_FORBIDDEN = frozenset(
    {
        "accept-encoding",  # ours: what we can unpack within a bound
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "metadata",
        "metadata-flavor",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_FORBIDDEN_PREFIXES = ("proxy-", "x-aws-ec2-metadata-", "x-google-")

# Everything else stays with the origin it was meant for: a secret may sit in a header of any name.
_CROSS_ORIGIN_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "cache-control",
        "content-type",
        "if-modified-since",
        "if-none-match",
        "user-agent",
    }
)


def check_headers(headers: Mapping[str, str]) -> None:
    """Return quietly when a user may send *headers*.

    Raises:
        BlockedRequestError: One of them is not allowed; the reason names it but never shows its value.
    """
    for name, content in headers.items():
        if not _NAME.fullmatch(name):
            raise BlockedRequestError("A header's name holds a character that is not allowed")
        lower = name.lower()
        if lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_PREFIXES):
            raise BlockedRequestError(f"The header {name[:64]} is not allowed; remove it")
        if _INVALID_HEADER_CHARACTERS.search(content):
            raise BlockedRequestError(
                f"The value of the header {name[:64]} holds a line break or control character"
            )


def strip_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what may be sent on when a redirect leaves the origin: nothing that could be a secret."""
    return {name: value for name, value in headers.items() if name.lower() in _CROSS_ORIGIN_HEADERS}


def strip_body_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* without those that describe a body, for a redirect that drops the body."""
    return {name: value for name, value in headers.items() if not name.lower().startswith("content-")}


def decode_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return an answer's headers under lower-case names; of a repeated one the last."""
    return {name.lower(): value if value.isascii() else _replace_surrogates(value) for name, value in pairs}


def _replace_surrogates(value: str) -> str:
    # Bytes that are no UTF-8 arrive as lone surrogates, which no store or message could encode again.
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it will be sent; its method, URL and headers have been checked."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


def validate_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, ports: Ports
) -> Request:
    """Return the request that a user describes.

    Raises:
        BlockedRequestError: Something about it is not allowed; the reason says what to change.
    """
    method = method.upper()
    if method not in _METHODS:
        raise BlockedRequestError(f"The method is not allowed; allowed are {', '.join(sorted(_METHODS))}")
    check_headers(headers)
    return Request(method, check_url(url, ports), headers, body)


# -- redirects ------------------------------------------------------------------------------

REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


def next_request(request: Request, status: int, location: str | None, ports: Ports) -> Request | None:
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
        return Request("GET", url, strip_body_headers(headers), None)
    return Request(request.method, url, headers, request.body)


def _resolve_target(current: URL, location: str, ports: Ports) -> URL:
    location = location.strip(" \t").replace(" ", "%20")
    target = parse_url(location) if location.isprintable() else None
    if target is None:
        raise BlockedRequestError("The redirect was not followed: its target is not a URL")
    try:
        url = check_parsed_url(current.join(target), ports)
    except BlockedRequestError as exc:
        raise BlockedRequestError(f"The redirect was not followed: {lower_first(exc.reason)}") from None
    if current.scheme == "https" and url.scheme == "http":
        raise BlockedRequestError("The redirect was not followed: it leaves https for http")
    return url


def lower_first(sentence: str) -> str:
    """Return *sentence* fit to follow a colon."""
    return sentence[:1].lower() + sentence[1:]


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
