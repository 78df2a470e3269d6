"""Bodies are bounded, whatever they unfold to."""

import gzip
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Sequence

import pytest

from functions.http_client import FetchError
from functions.http_client.responses import BodyReader

MEGABYTE = 1 << 20
ReadChunk = Callable[[], Awaitable[bytes]]


def wire(*chunks: bytes) -> ReadChunk:
    """The body in these pieces, then its end."""
    pieces = iter(chunks)

    async def read() -> bytes:
        return next(pieces, b"")

    return read


async def read_body(read: ReadChunk, encodings: Sequence[str], max_bytes: int) -> tuple[bytes, bool]:
    """The whole body, and whether there was more."""
    reader = BodyReader(encodings, max_bytes)
    body = b""
    while not reader.truncated and (chunk := await read()):
        body += reader.feed(chunk)
    if not reader.truncated:
        reader.end()
    return body, reader.truncated


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]) + packer.flush()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], (b"", False)),
        ([b"abc"], (b"abc", False)),
        ([b"abc", b"de"], (b"abcde", False)),
        ([b"abc", b"def"], (b"abcde", True)),
        ([b"abcdefgh"], (b"abcde", True)),
    ],
)
@pytest.mark.parametrize("encodings", [(), ("identity",), ("",), ("UTF-8",), ("none, 8bit",)])
async def test_a_plain_body_is_kept_up_to_the_cap(
    chunks: list[bytes], expected: tuple[bytes, bool], encodings: tuple[str, ...]
) -> None:
    assert expected == await read_body(wire(*chunks), encodings, 5)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("cap", "expected"), [(5, (b"hello", False)), (4, (b"hell", True)), (0, (b"", True))]
)
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "identity, gzip"])
async def test_a_gzipped_body_is_kept_up_to_the_cap(
    size: int, cap: int, expected: tuple[bytes, bool], encoding: str
) -> None:
    packed = split(gzip.compress(b"hello"), size)

    assert expected == await read_body(wire(*packed), [encoding], cap)


async def test_a_gzip_of_several_members_is_read_as_one_and_padding_is_ignored() -> None:
    packed = gzip.compress(b"hello ") + gzip.compress(b"world") + bytes(100)

    assert (b"hello world", False) == await read_body(wire(packed), ["gzip"], 100)


@pytest.mark.slow
async def test_a_bomb_of_200_megabytes_costs_what_the_cap_allows() -> None:
    packed = split(bomb(200), 65_536)
    tracemalloc.start()

    body, truncated = await read_body(wire(*packed), ["gzip"], 65_536)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (bytes(65_536), True) == (body, truncated)
    assert peak < MEGABYTE


async def test_a_gzip_that_goes_on_without_yielding_anything_is_cut() -> None:
    """Empty blocks are legal for ever: what comes over the wire has a bound of its own."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH)
    reads = 0

    async def read() -> bytes:
        nonlocal reads
        reads += 1
        return start if reads == 1 else b"\x00\x00\x00\xff\xff" * 1000

    assert (b"x", True) == await read_body(read, ["gzip"], 100)
    assert reads < 20


@pytest.mark.parametrize(
    ("encodings", "named"),
    [
        (["br"], "br"),
        (["zstd"], "zstd"),
        (["gzip, gzip"], "gzip and gzip"),
        (["gzip", "gzip"], "gzip and gzip"),
        (["gzip", "br"], "gzip and br"),
    ],
)
async def test_packings_that_were_not_asked_for_are_refused(encodings: list[str], named: str) -> None:
    with pytest.raises(FetchError) as caught:
        await read_body(wire(b"abc"), encodings, 100)

    assert f"The answer is compressed as {named}, which was not asked for" == caught.value.reason
    assert caught.value.permanent


async def test_a_packing_does_not_matter_without_a_body() -> None:
    """A HEAD or a 304 carries the header too."""
    assert (b"", False) == await read_body(wire(), ["br"], 100)


async def test_a_gzip_cut_short_is_an_error() -> None:
    with pytest.raises(FetchError, match="ended too early"):
        await read_body(wire(gzip.compress(b"hello")[:-1]), ["gzip"], 100)


@pytest.mark.parametrize(
    "packed", [b"<html>", gzip.compress(b"hello")[:-8] + bytes(8)], ids=["html", "checksum"]
)
async def test_a_broken_gzip_is_an_error(packed: bytes) -> None:
    with pytest.raises(FetchError, match="compression is broken"):
        await read_body(wire(packed), ["gzip"], 100)


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("start", [0, 2], ids=["zlib", "raw"])
async def test_deflate_is_read_with_and_without_its_header(size: int, start: int) -> None:
    packed = zlib.compress(b"hello" * 99)[start:]

    assert (b"hello" * 99, False) == await read_body(wire(*split(packed, size)), ["deflate"], 10_000)
    assert (b"hello", True) == await read_body(wire(*split(packed, size)), ["deflate"], 5)


@pytest.mark.parametrize("packed", [b"<html>", b"x", zlib.compress(b"hello")[:-1]])
async def test_a_broken_deflate_is_an_error(packed: bytes) -> None:
    with pytest.raises(FetchError, match=r"compression is broken|ended too early"):
        await read_body(wire(packed), ["deflate"], 100)
