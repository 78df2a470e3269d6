"""A request before it is sent: the checks of what a user gave, and its form on the way out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from multidict import CIMultiDict
from yarl import URL

from functions.http_client import BlockedRequestError
from functions.http_client.addresses import parse_ip

if TYPE_CHECKING:  # a URL is also checked where no client is loaded
    from functions.http_client.httpx import httpx

# -- ports --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports that may be called: ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, port: int) -> bool:
        """Whether *port* is one of them."""
        return any(low <= port <= high for low, high in self.ranges)

    def __str__(self) -> str:
        """The ports as a phrase, e.g. `80, 443 and 9000-9100`."""
        parts = [f"{low}" if low == high else f"{low}-{high}" for low, high in self.ranges]
        return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


ANY_PORT = Ports(((1, 65535),))
WEB_PORTS = Ports(((80, 80), (443, 443), (8080, 8080), (8443, 8443)))


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
    check_length(text)
    if _INVALID_URL_CHARACTERS.search(text):
        raise BlockedRequestError(
            "The URL holds a space, a control character or a backslash; percent-encode it"
        )
    url = parse_url(text)
    if url is None:
        raise BlockedRequestError("The URL cannot be read; write it like https://example.com/path")
    return check_parsed_url(url, ports)


def check_length(text: str) -> None:
    """Return quietly when a URL may be as long as *text*."""
    if len(text) > _MAX_URL_LENGTH:
        raise BlockedRequestError(f"The URL is longer than {_MAX_URL_LENGTH} characters")


def parse_url(text: str) -> URL | None:
    """Return *text* parsed and nothing more, or None when it cannot be."""
    try:
        return URL(text)
    except (ValueError, IndexError):  # idna's errors are ValueErrors; `http://[x]@/` is an IndexError in yarl
        return None


_AUTHORITY = re.compile(r"(?<=://)[^/?#]*")


def with_ascii_host(text: str) -> str:
    """Return *text* with its host as `check_url` reads it, which is as browsers do.

    httpx takes the letters of domain names alone: no full-width ones, emoji, or accents apart from a letter.
    """
    if (url := parse_url(text)) is None:
        return text
    return _AUTHORITY.sub(lambda _: url.raw_authority, text, count=1)


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
        raise BlockedRequestError(
            f"The URL's port {port} is not allowed here; allowed are {ports}; the operator can "
            "allow it (ALLOW_PORTS)"
        )


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

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def check_headers(headers: Mapping[str, str]) -> None:
    """Return quietly when a user may send *headers*; errors as from `check_header`."""
    for name, value in headers.items():
        check_header(name, value)


def check_header(name: str, value: str) -> None:
    """Return quietly when a user may send this header.

    Raises:
        BlockedRequestError: It is not allowed; the reason names it but never shows its value.
    """
    _check_header_name(name)
    if _INVALID_HEADER_CHARACTERS.search(value):
        raise BlockedRequestError(
            f"The value of the header {name[:64]} holds a line break or control character"
        )


@lru_cache(maxsize=512)
def _check_header_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BlockedRequestError("A header's name holds a character that is not allowed")
    lower = name.lower()
    if lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_PREFIXES):
        raise BlockedRequestError(f"The header {name[:64]} is not allowed; remove it")


# -- the request on its way out ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """One request as it will be sent.

    Attributes:
        url: Encoded already: its path and query go out byte for byte.
    """

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes | None

    @property
    def identity(self) -> tuple[str, URL, str | None]:
        """What two requests of one chain of redirects share when they would be answered alike."""
        return self.method, self.url, self.headers.get("Cookie")


def outgoing_request(request: "httpx.Request", body: bytes) -> OutgoingRequest:
    """Return *request* as it will be sent, unchecked.

    What frames the message (`Host`, `Content-Length`, `Transfer-Encoding`) is left to the connection.
    """
    headers = CIMultiDict(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in request.headers.raw
        if name.lower() not in _FRAMING
    )
    headers.setdefault("Accept-Encoding", "gzip")  # what can be unpacked within a bound
    return OutgoingRequest(request.method, parse_encoded_url(str(request.url)), headers, body or None)


def checked_request(request: "httpx.Request", body: bytes, ports: Ports) -> OutgoingRequest:
    """Return *request* as it will be sent, once everything about it is found to be allowed.

    Raises:
        BlockedRequestError: Something about it is not; the reason says what to change.
    """
    if request.method not in METHODS:
        raise BlockedRequestError(f"The method is not allowed; allowed are {', '.join(sorted(METHODS))}")
    headers = CIMultiDict[str]()
    for raw_name, raw_value in request.headers.raw:
        if (framing := raw_name.lower()) in _FRAMING and raw_value == _own_framing(framing, request, body):
            continue  # httpx's own
        name, value = raw_name.decode("latin-1"), raw_value.decode("utf-8", "surrogateescape")
        check_header(name, value)
        headers.add(name, value)
    headers.add("Accept-Encoding", "gzip")
    return OutgoingRequest(request.method, _check_encoded_url(str(request.url), ports), headers, body or None)


_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})


def _own_framing(name: bytes, request: "httpx.Request", body: bytes) -> bytes:
    """Return what httpx itself writes into the header *name*; any other value is a user's."""
    if name == b"host":
        return request.url.netloc
    return b"%d" % len(body) if name == b"content-length" else b"chunked"


@lru_cache(maxsize=2048)  # the same tasks come again and again, often a thousand in a tick
def _check_encoded_url(text: str, ports: Ports) -> URL:
    check_length(text)
    return check_parsed_url(parse_encoded_url(text), ports)


def parse_encoded_url(text: str) -> URL:
    """Return *text* as a URL that goes out byte for byte; encoded as it is."""
    try:
        url = URL(text, encoded=True)
        _ = url.port  # of an encoded URL, host and port are read only when they are asked for
    except ValueError:
        raise BlockedRequestError("The URL cannot be read; write it like https://example.com/path") from None
    return url
