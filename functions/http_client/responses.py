"""Reading a response within bounds: its body, decompression included, and the charset of its text."""

import codecs
import zlib
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from functions.http_client import FetchError

ReadChunk = Callable[[], Awaitable[bytes]]

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's way of saying: gzip, with the largest window
_COMPRESSED_SLACK = 65_536  # a gzip header may be long, and data may be incompressible; not for ever, though


async def read_body(read: ReadChunk, encodings: Sequence[str], max_bytes: int) -> tuple[bytes, bool]:
    """Return the decoded body, at most *max_bytes* of it, and whether there was more.

    Args:
        read: Returns the next bytes as they came over the wire; empty at the end.
        encodings: The values of the Content-Encoding headers. They matter only once a byte arrives,
            because answers without a body carry them too.
        max_bytes: The cap. Memory in use stays near it, however far compressed data would unfold.

    Raises:
        FetchError: The body is packed in a way we did not ask for, or is broken.
    """
    chunk = await read()
    if not chunk:
        return b"", False
    if _is_gzip(encodings):
        return await _read_gzip(chunk, read, max_bytes)
    body = bytearray(chunk)
    while len(body) <= max_bytes:
        chunk = await read()
        if not chunk:
            return bytes(body), False
        body += chunk
    return bytes(body[:max_bytes]), True


async def _read_gzip(chunk: bytes, read: ReadChunk, max_bytes: int) -> tuple[bytes, bool]:
    body = bytearray()
    gunzip = _GzipDecoder()
    raw = 0
    while chunk:
        raw += len(chunk)
        body += gunzip.feed(chunk, max_bytes + 1 - len(body))
        if len(body) > max_bytes or raw > max_bytes + _COMPRESSED_SLACK:
            return bytes(body[:max_bytes]), True
        chunk = await read()
    if not gunzip.is_complete:
        raise FetchError("The answer ended too early")
    return bytes(body), False


def _is_gzip(encodings: Sequence[str]) -> bool:
    names = [name.strip().lower() for value in encodings for name in value.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if names in (["gzip"], ["x-gzip"]):
        return True
    if names:
        raise FetchError("The answer is compressed in a way that was not asked for", permanent=True)
    return False


class _GzipDecoder:
    """Unpacks gzip, several members one after the other included, never past the given limit."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    @property
    def is_complete(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Return at most *max_bytes* bytes, at least 1; what does not fit is lost, the caller stops then."""
        out = bytearray()
        while data and len(out) < max_bytes:
            if self._member.eof:
                if not data.startswith(_GZIP_MAGIC):
                    break  # padding after the end, which every client ignores
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                out += self._member.decompress(data, max_bytes - len(out))
            except zlib.error:
                raise FetchError("The answer's compression is broken") from None
            data = self._member.unused_data
        return bytes(out)


_TRUSTED_CODECS = ("iso-8859-", "windows-125", "cp125", "gb", "big5", "shift_jis", "euc-", "koi8-", "utf-16")


@lru_cache(maxsize=256)
def trusted_charset(content_type: str) -> str:
    """Return the declared charset if it is on the list; others may take quadratic time to decode."""
    _, _, named = content_type.lower().partition("charset=")
    name = named.split(";")[0].strip(" \"'")
    if not name.startswith(_TRUSTED_CODECS):
        return "utf-8"
    try:
        codecs.lookup(name)
    except LookupError:
        return "utf-8"
    return name
