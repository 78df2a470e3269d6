"""A request that is fit to be sent."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

from functions.http_client import RefusedError
from functions.http_client.addresses import ANY_PORT, Ports, parse

# What a URL given by a user may look like, before anything touches the network.

_MAX_LENGTH = 2048
_UNFIT_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog"})


def check_url(text: str, ports: Ports = ANY_PORT) -> URL:
    """Return the URL that will be called: no fragment, no trailing dot after the host.

    Raises:
        RefusedError: It is not a URL we call; the reason says what to change.
    """
    url = _checked(text)
    _check_port(url.port, ports)
    return url


@lru_cache(maxsize=2048)  # the same tasks come again and again, often a thousand in a tick
def _checked(text: str) -> URL:
    if len(text) > _MAX_LENGTH:
        raise RefusedError(f"The URL is longer than {_MAX_LENGTH} characters")
    if _UNFIT_IN_URL.search(text):
        raise RefusedError("The URL holds a space, a control character or a backslash; percent-encode it")
    url = read_url(text)
    if url is None:
        raise RefusedError("The URL cannot be read; write it like https://example.com/path")
    return check_parsed(url)


def read_url(text: str) -> URL | None:
    """Return *text* parsed and nothing more, or None when it cannot be."""
    try:
        return URL(text)
    except (ValueError, IndexError):  # idna's errors are ValueErrors; `http://[x]@/` is an IndexError in yarl
        return None


def check_parsed(url: URL, ports: Ports = ANY_PORT) -> URL:
    """Do what `check_url` does for a URL that is parsed already, such as the target of a redirect."""
    if url.scheme not in ("http", "https"):
        raise RefusedError("The URL must start with http:// or https://")
    if not url.raw_host:
        raise RefusedError("The URL has no host; write it like https://example.com/path")
    if "@" in url.raw_authority:
        raise RefusedError("The URL holds a user name or password; send an Authorization header instead")
    _check_port(url.port, ports)
    host = url.raw_host.removesuffix(".")
    _check_host(host)
    if host != url.raw_host:
        url = url.with_host(host)
    return url.with_fragment(None) if url.raw_fragment else url


def _check_port(port: int | None, ports: Ports) -> None:
    if port is None or port not in ANY_PORT:
        raise RefusedError("The URL's port must be from 1 to 65535")
    if port not in ports:
        raise RefusedError(f"The URL's port {port} is not allowed here")


def _check_host(host: str) -> None:
    if ":" in host:
        valid = parse(host) is not None
    else:
        valid = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.split("."))
    if not valid:
        raise RefusedError("The URL's host is not a valid name or address")
    if host in _METADATA_NAMES:
        raise RefusedError("The URL's host is not allowed")


# Which headers a user may send, which may go on to another origin, and how those of answers read.

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNFIT_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

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
_TRAVELS = frozenset(
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
        RefusedError: One of them is not allowed; the reason names it but never shows its value.
    """
    for name, content in headers.items():
        if not _NAME.fullmatch(name):
            raise RefusedError("A header's name holds a character that is not allowed")
        lower = name.lower()
        if lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_PREFIXES):
            raise RefusedError(f"The header {name[:64]} is not allowed; remove it")
        if _UNFIT_IN_HEADER.search(content):
            raise RefusedError(f"The value of the header {name[:64]} holds a line break or control character")


def for_another_origin(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what may be sent on when a redirect leaves the origin: nothing that could be a secret."""
    return {name: value for name, value in headers.items() if name.lower() in _TRAVELS}


def without_body_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* without those that describe a body, for a redirect that drops the body."""
    return {name: value for name, value in headers.items() if not name.lower().startswith("content-")}


def readable(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return an answer's headers under lower-case names; of a repeated one the last."""
    return {name.lower(): value if value.isascii() else _clean(value) for name, value in pairs}


def _clean(value: str) -> str:
    # Bytes that are no UTF-8 arrive as lone surrogates, which no store or message could encode again.
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True)
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


# Where a redirect leads, and what of the call may go along.

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
