"""What a URL given by a user may look like, before anything touches the network.

The parser is yarl, the very one that connects: two parsers that disagree about a host are a hole.
Whether the host's *address* is allowed is not decided here but at the moment of connecting.
"""

import re
from functools import lru_cache

from yarl import URL

from functions.actions.net.addresses import ANY_PORT, Ports, parse
from functions.actions.net.errors import RefusedError

_MAX_LENGTH = 2048
_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]")
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
    if _UNFIT.search(text):
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
