"""Checks of a user's request before it is sent: URL and headers; without the HTTP library."""

import re
from collections.abc import Mapping
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
    check_length(text)
    if _INVALID_URL_CHARACTERS.search(text):
        raise BlockedRequestError(
            "The URL holds a space, a control character or a backslash; percent-encode it"
        )
    url = parse_url(text)
    if url is None:
        raise BlockedRequestError("The URL cannot be read; write it like https://example.com/path")
    return check_parsed_url(url)


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


def lower_first(sentence: str) -> str:
    """Return *sentence* fit to follow a colon."""
    return sentence[:1].lower() + sentence[1:]
