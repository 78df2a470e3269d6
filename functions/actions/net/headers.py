"""Which headers a user may send, which may go on to another origin, and how those of answers read."""

import re
from collections.abc import Iterable, Mapping

from functions.actions.net.errors import RefusedError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

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
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise RefusedError("A header's name holds a character that is not allowed")
        lower = name.lower()
        if lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_PREFIXES):
            raise RefusedError(f"The header {name[:64]} is not allowed; remove it")
        if _UNFIT.search(value):
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
