"""Reading a body within bounds, decompression included, and the wait that a server asks for."""

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from functions.http_client import FetchError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's way of saying: gzip, with the largest window
_RAW_WINDOW = -15
_COMPRESSED_SLACK = 65_536  # a gzip header may be long, and data may be incompressible; not for ever, though
_ENDED_EARLY = "The answer ended too early"
_BROKEN = "The answer's compression is broken"

_SECONDS = re.compile(
    r"[0-9]+(\.[0-9]*)?", re.ASCII
)  # some servers write fractions, which the standard has not


def parse_retry_after(value: str, *, now: datetime) -> timedelta | None:
    """Return the wait of `Retry-After`, seconds or a date, never negative; None when it says none.

    Of several, as proxies add theirs to a server's own, the longest: `5, Fri, 20 Nov 2026 12:05:00 GMT`.
    """
    waits = [_parse_wait(part.strip(), now=now) for part in value.split(",")]  # a date is one without its day
    return max((wait for wait in waits if wait is not None), default=None)


def _parse_wait(text: str, *, now: datetime) -> timedelta | None:
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=float(text[:9]))
    from email.utils import parsedate_to_datetime  # takes 20 ms to import, for a rare header

    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta())


# What a Content-Encoding may say. Any other word means nothing, as servers write charsets and the like there.
_UNPACKED = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_PACKED = frozenset({*_UNPACKED, "br", "zstd", "compress", "x-compress", "dcb", "dcz", "lzma", "xz", "bzip2"})


class BodyReader:
    """Takes a body as it comes over the wire, and gives at most *max_bytes* of it after unpacking.

    Attributes:
        truncated: Whether there was more; then nothing else is to be fed.
    """

    def __init__(self, encodings: Sequence[str], max_bytes: int) -> None:
        """Store how to read.

        Args:
            encodings: The values of the Content-Encoding headers. They matter only once a byte arrives,
                because answers without a body carry them too.
            max_bytes: The cap. Memory in use stays near it, however far compressed data would unfold.
        """
        self._encodings = encodings
        self._max_bytes = self._room = max_bytes
        self._raw = 0
        self._decoder: _Decoder | None = None
        self.truncated = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what the next bytes add to the body; perhaps nothing.

        Raises:
            FetchError: The body is packed in a way we did not ask for, or is broken.
        """
        if self._decoder is None:
            self._decoder = _decoder_of(self._encodings)
        self._raw += len(chunk)
        part = self._decoder.feed(chunk, self._room + 1)
        self.truncated = len(part) > self._room or self._raw > self._max_bytes + _COMPRESSED_SLACK
        part = part[: self._room]
        self._room -= len(part)
        return part

    def end(self) -> None:
        """Note that no more bytes come; raises FetchError when more should have come."""
        if self._decoder is not None and not self._decoder.is_complete:
            raise FetchError(_ENDED_EARLY)


class _Decoder(Protocol):
    @property
    def is_complete(self) -> bool: ...

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Return at most *max_bytes* bytes, at least 1; what does not fit is lost, the caller stops then."""
        ...


def _decoder_of(encodings: Sequence[str]) -> _Decoder:
    names = [
        name for value in encodings for name in value.lower().replace(",", " ").split() if name in _PACKED
    ]
    if not names:
        return _PlainDecoder()
    if len(names) == 1 and names[0] in _UNPACKED:
        return _GzipDecoder() if _UNPACKED[names[0]] == "gzip" else _DeflateDecoder()
    packed = " and ".join(names[:3])
    raise FetchError(f"The answer is compressed as {packed}, which was not asked for", permanent=True)


class _PlainDecoder:
    is_complete = True

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        return data[:max_bytes]


class _DeflateDecoder:
    """Unpacks `deflate`, which half of the servers send without the header of zlib that it should have."""

    def __init__(self) -> None:
        self._first: bytes | None = b""
        self._stream = zlib.decompressobj()

    @property
    def is_complete(self) -> bool:
        return self._stream.eof

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        if self._first is not None:
            self._first = data = self._first + data
            if len(data) < 2:
                return b""
            self._first = None
            if data[0] & 15 != 8 or int.from_bytes(data[:2], "big") % 31:  # not how zlib begins
                self._stream = zlib.decompressobj(_RAW_WINDOW)
        try:
            return self._stream.decompress(data, max_bytes)
        except zlib.error:
            raise FetchError(_BROKEN) from None


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
                raise FetchError(_BROKEN) from None
            data = self._member.unused_data
        return bytes(out)
