"""HTTP checks and calls: what servers answered to other projects' clients."""

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from tests.support.peers import Request, Script
from tests.unit.corpus.conftest import Visit, head, page, verdict

UP = "Answered 200 in N ms"
CHUNKED = "Transfer-Encoding: chunked"
CLOSED = "Connection: close"
NO_HTTP = "FAILED The answer is not valid HTTP"
NO_BEGINNING = f"{NO_HTTP}: what came does not begin like an answer"
BAD_LENGTH = f"{NO_HTTP}: its length is given twice, or is none (Content-Length, Transfer-Encoding)"
HEAD_WITH_BODY = f"{NO_HTTP}: a body follows the answer to HEAD, which may have none: use GET"
BAD_NAME = f"{NO_HTTP}: the name of a header has a character that no name may have"
SENDS_MORE = 1e-3


def endless(start: bytes, more: bytes) -> Script:
    """An answer that goes on for ever."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not writer.is_closing():
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(SENDS_MORE)  # the pace of the stream, not a wait for something

    return script


def silent_after(start: bytes) -> Script:
    """An answer that begins and is then held open, as by a long poll."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await asyncio.Event().wait()

    return script


EVENTS = head("Content-Type: text/event-stream", CHUNKED)
TICK = b"e\r\ndata: tick-01\n\r\n"
RADIO = head("Content-Type: audio/mpeg", "icy-name: Caf\xe9 de Paris")
FOUND = {"bodyContains": "tick-01"}
MISSING = {"bodyContains": "not there", "timeoutSeconds": 0.3}

CHECKS: dict[str, tuple[bytes | Script, dict[str, Any], str]] = {
    # -- compressed, or said to be
    "aio-libs/aiohttp#1931: a blank coding": (page("ok", "Content-Encoding: "), {"bodyContains": "ok"}, UP),
    "aio-libs/aiohttp#1710: a charset as the coding": (
        page("ok", "Content-Encoding: UTF-8"),
        {"bodyContains": "ok"},
        UP,
    ),
    "a coding called none": (page("ok", "Content-Encoding: none"), {"bodyContains": "ok"}, UP),
    "a coding of mail": (page("ok", "Content-Encoding: 8bit, binary"), {"bodyContains": "ok"}, UP),
    "aio-libs/aiohttp#4491: brotli, and nobody reads it": (page(b"\x0b", "Content-Encoding: br"), {}, UP),
    "aio-libs/aiohttp#4491: brotli, unasked for": (
        page(b"\x0b\x01", "Content-Encoding: br"),
        {"bodyContains": "ok"},
        "FAILED Answered 200, but the answer is compressed as br, which was not asked for",
    ),
    "aio-libs/aiohttp#11635: zstd, unasked for": (
        page(b"\x28\xb5\x2f\xfd", "Content-Encoding: zstd"),
        {"bodyContains": "ok"},
        "FAILED Answered 200, but the answer is compressed as zstd, which was not asked for",
    ),
    "aio-libs/aiohttp#4930: deflate": (
        page(zlib.compress(b"all is well"), "Content-Encoding: deflate"),
        {"bodyContains": "is well"},
        UP,
    ),
    "aio-libs/aiohttp#4930: deflate without its header": (
        page(zlib.compress(b"all is well")[2:-4], "Content-Encoding: deflate"),
        {"bodyContains": "is well"},
        UP,
    ),
    "aio-libs/aiohttp#609: a packed 204": (
        head("Content-Encoding: gzip", status="204 No Content"),
        {"expectedStatus": 204},
        "Answered 204 in N ms",
    ),
    "prometheus/blackbox_exporter#684: gzip": (
        page(gzip.compress(b"all is well"), "Content-Encoding: gzip"),
        {"bodyContains": "is well"},
        UP,
    ),
    "gzip in name only, which no browser shows": (
        page("all is well", "Content-Encoding: gzip"),
        {"bodyContains": "is well"},
        "FAILED Answered 200, but the answer's compression is broken",
    ),
    "gzip that breaks off": (
        page(gzip.compress(b"all is well")[:-9], "Content-Encoding: gzip"),
        {},
        UP,
    ),
    # -- without an end
    "vivekchand/clawmetry#248: an event stream": (endless(EVENTS, TICK), {}, UP),
    "aio-libs/aiohttp#1702: an event in it": (endless(EVENTS, TICK), FOUND, UP),
    "an event that never comes": (
        endless(EVENTS, TICK),
        MISSING,
        "FAILED Answered 200, but the expected text is not in the part of its body that came within 0.3 s",
    ),
    "louislam/uptime-kuma#2399: a radio station": (endless(RADIO, b"\xff\xfb\x90d" * 99), {}, UP),
    "a text that no station sends": (
        endless(RADIO, b"\xff\xfb\x90d" * 9999),
        {"bodyContains": "not there"},
        "FAILED Answered 200, but the expected text is not in the first 64 KB of its body",
    ),
    "influxdata/telegraf#16614: a body that never comes": (
        silent_after(head("Content-Length: 5")),
        {"timeoutSeconds": 0.3},
        UP,
    ),
    "a long poll, and a text in it": (
        silent_after(head("Content-Length: 5")),
        MISSING,
        "FAILED Answered 200, but the expected text is not in the part of its body that came within 0.3 s",
    ),
    "a text that came before the pause": (silent_after(head(CHUNKED) + TICK), FOUND, UP),
    "louislam/uptime-kuma#2253: a large file": (
        endless(head("Content-Length: 9999999999"), b"x" * 9999),
        {},
        UP,
    ),
    # -- framed wrongly
    "encode/httpx#1927: the last chunk is missing": (
        head(CHUNKED, CLOSED) + b"2\r\nok\r\n",
        {"bodyContains": "not there"},
        "FAILED Answered 200, but the answer ended too early",
    ),
    "encode/httpx#1927: and what is asked for came before": (
        head(CHUNKED, CLOSED) + b"2\r\nok\r\n",
        {"bodyContains": "ok"},
        UP,
    ),
    "aio-libs/aiohttp#4581: shorter than it says": (
        head("Content-Length: 99", CLOSED) + b"half",
        {"bodyContains": "not there"},
        "FAILED Answered 200, but the answer ended too early",
    ),
    "aio-libs/aiohttp#4581: and what is asked for came": (
        head("Content-Length: 99", CLOSED) + b"half",
        {"bodyContains": "half"},
        UP,
    ),
    "aio-libs/aiohttp#10596: a chunk longer than its size": (
        head(CHUNKED) + b"4\r\nHello\r\n0\r\n\r\n",
        {"bodyContains": "not there"},
        "FAILED The answer's body is framed wrongly: its chunks are not as long as they say",
    ),
    "Oaklight/zerodep#129: an error inside the chunks": (
        head(CHUNKED) + b"2\r\nok\r\nHTTP/1.1 502 Bad Gateway\r\n\r\n",
        {"bodyContains": "not there"},
        "FAILED The answer's body is framed wrongly: its chunks are not as long as they say",
    ),
    "aio-libs/aiohttp#14: no length, closed at the end": (head(CLOSED) + b"ok", {"bodyContains": "ok"}, UP),
    "aio-libs/aiohttp#505: a 304 with a body": (
        head("Connection: keep-alive", status="304 Not Modified") + b"test",
        {"expectedStatus": 304},
        NO_BEGINNING,
    ),
    "pydantic/httpx2#570: a 204 with a length": (
        page("late", CLOSED, status="204 No Content"),
        {"expectedStatus": 204},
        f"{NO_HTTP}: something follows that belongs to no answer, such as a body where there may be none",
    ),
    "a HEAD answered with a body": (page("ok"), {"method": "HEAD"}, HEAD_WITH_BODY),
    "and at the end of a connection": (page("ok", CLOSED), {"method": "HEAD"}, HEAD_WITH_BODY),
    "early hints first": (
        head("Link: </a.css>", status="103 Early Hints") + page("ok"),
        {"bodyContains": "ok"},
        UP,
    ),
    "a 100 that nobody asked for": (head(status="100 Continue") + page("ok"), {}, UP),
    # -- heads that are not as they should be
    "encode/httpx#1378: bare line feeds": (
        b"HTTP/1.1 200 OK\r\nConnection: close\nContent-type: text/plain\n\nok",
        {"bodyContains": "ok"},
        UP,
    ),
    "aio-libs/aiohttp#7494: an old router": (
        b"HTTP/1.0 200 OK\nServer: GoAhead-Webs\r\nPragma: no-cache\nContent-Type: text/html\n\nok",
        {},
        UP,
    ),
    "aio-libs/aiohttp#5269: a control character": (page("ok", "Set-Cookie: a=\x01b"), {}, UP),
    "encode/httpx#1363: a name with a slash": (page("ok", "get-ban/forum.php: no"), {}, BAD_NAME),
    "aio-libs/aiohttp#262: a space before the colon": (page("ok", 'X-Echo JSON: "curl"'), {}, BAD_NAME),
    "aio-libs/aiohttp#659: a name in quotation marks": (page("ok", '"X-XSS-Protection: 0"'), {}, BAD_NAME),
    "iprak/yahoofinance#173: a policy of 34 KB": (page("ok", "Link: " + "x" * 34_135), {}, UP),
    "tdryer/hangups#464: a policy of 10 KB": (page("ok", "Link: " + "x" * 9_980), {}, UP),
    "aio-libs/aiohttp#4223: a length and chunks": (
        head(CHUNKED, "Content-Length: 5") + b"2\r\nok\r\n0\r\n\r\n",
        {},
        BAD_LENGTH,
    ),
    "a length given twice": (page("ok", "Content-Length: 2"), {}, BAD_LENGTH),
    "a length below nothing": (head("Content-Length: -1"), {}, BAD_LENGTH),
    "a page of a server before HTTP/1.0": (b"<html>hello</html>", {}, NO_BEGINNING),
    "an answer of HTTP/1.0": (b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nok", {"bodyContains": "ok"}, UP),
    "empty lines first": (b"\r\n\r\n" + page("ok"), {}, UP),
    "a folded header": (page("ok", "X-A: a\r\n  b"), {}, UP),
    "a reason in Latin-1": (page("ok", status="200 R\xe9ussi"), {}, UP),
    "a hundred cookies": (page("ok", *[f"Set-Cookie: a{n}=1" for n in range(99)]), {}, UP),
    "more than anybody needs": (
        page("ok", *[f"X-{n}: 1" for n in range(150)]),
        {},
        "FAILED The answer has too many headers",
    ),
    "an answer without a reason": (page("ok", status="200"), {}, UP),
    "LinkedIn's own status": (
        page("", status="999 Request denied"),
        {"expectedStatus": 999},
        "Answered 999 in N ms",
    ),
    "curl/curl#19011: a status of Cloudflare's": (
        page("", status="522 "),
        {},
        "FAILED Answered 522, expected 200",
    ),
    "a status of four digits": (page("", status="2000 OK"), {}, "FAILED The answer is not valid HTTP"),
    "aio-libs/aiohttp#3121: no status": (
        b"0\r\n\r\n",
        {},
        NO_BEGINNING,
    ),
    "SHOUTcast": (
        b"ICY 200 OK\r\nicy-name: Radio\r\n\r\n",
        {},
        "FAILED The answer is a SHOUTcast stream (ICY), not HTTP: give the task a header User-Agent that "
        "begins with Mozilla, and it answers a page",
    ),
}


@pytest.mark.parametrize(("answer", "params", "expected"), CHECKS.values(), ids=CHECKS)
async def test_check_of(answer: bytes | Script, params: dict[str, Any], expected: str, visit: Visit) -> None:
    site = {"*": answer} if isinstance(answer, bytes) else answer

    assert expected == verdict(await visit(site, **params))


CALLS: dict[str, tuple[bytes | Script, dict[str, Any], str]] = {
    "a webhook answered in brotli": (page(b"\x0b", "Content-Encoding: br"), {}, UP),
    "a webhook that streams its log": (
        endless(head(CHUNKED), TICK),
        {"timeoutSeconds": 0.3},
        "Answered 200 in N ms, and its body had not ended after 0.3 s",
    ),
    "an event stream": (endless(EVENTS, TICK), {}, UP),
    "an event in it": (endless(EVENTS, TICK), FOUND, UP),
    "a webhook whose answer breaks off": (
        head(CHUNKED, CLOSED) + b"2\r\nok\r\n",
        {},
        "Answered 200 in N ms, and the answer ended too early",
    ),
    "JSON that breaks off": (
        head("Content-Length: 99", CLOSED) + b'{"state":',
        {"jsonPointer": "/state"},
        "FAILED Answered 200, but the answer ended too early",
    ),
    "n8n-io/n8n#11928: JSON in ISO-8859-15": (
        page('{"price":"5 €"}'.encode("iso-8859-15"), "Content-Type: application/json;charset=ISO-8859-15"),
        {"jsonPointer": "/price", "equals": "5 €"},
        UP,
    ),
    "n8n-io/n8n#34372: UTF-8 taken for Chinese": (
        page('{"name":"Küçük"}', "Content-Type: application/json"),
        {"jsonPointer": "/name", "equals": "Küçük"},
        UP,
    ),
    "JSON with a byte order mark": (page(b'\xef\xbb\xbf{"a":1}'), {"jsonPointer": "/a", "equals": 1}, UP),
    "JSON in UTF-16": (
        page('{"a":1}'.encode("utf-16"), "Content-Type: application/json"),
        {"jsonPointer": "/a", "equals": 1},
        UP,
    ),
}


async def test_chunks_that_go_wrong_later(visit: Visit) -> None:
    """aio-libs/aiohttp#10355: the head and some of the body are fine."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head(CHUNKED) + b"2\r\nok\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)  # a packet of its own
        writer.write(b"zz\r\n")
        writer.close()

    found = await visit(script, bodyContains="ok")
    missing = await visit(script, **MISSING)  # aiohttp tells the reader nothing, so that its time must end

    assert UP == verdict(found)
    assert verdict(missing).startswith("FAILED Answered 200, but the expected text is not in the part")


async def test_body_without_an_end_leaves_the_attempt_time_to_say_so(visit: Visit) -> None:
    """The attempt's own limit must not end it as timed out while it waits for the rest."""
    outcome = await visit(endless(head(CHUNKED), TICK), "http", job={"timeout_s": 0.5})

    assert "Answered 200 in N ms, and its body had not ended after 0.45 s" == verdict(outcome)


@pytest.mark.parametrize(("answer", "params", "expected"), CALLS.values(), ids=CALLS)
async def test_call_of(answer: bytes | Script, params: dict[str, Any], expected: str, visit: Visit) -> None:
    site = {"*": answer} if isinstance(answer, bytes) else answer

    assert expected == verdict(await visit(site, "http", **params))


ACCENTS = "Größe – Café"
KANJI = "稼働中のサービス"
HANZI = "服务正常，欢迎光临"
KOREAN = "서비스 정상"
CYRILLIC = "Сервис работает"


def html(text: str, declared: str, codec: str) -> bytes:
    return f"<!doctype html><html><head>{declared}<title>{text}</title></head></html>".encode(codec)


CHARSETS: dict[str, tuple[bytes, str, str]] = {
    "louislam/uptime-kuma#3622: GBK in meta": (
        html(HANZI, "<meta charset=gbk>", "gbk"),
        "text/html",
        HANZI,
    ),
    "phpservermon/phpservermon#200: gb2312 with letters of GB 18030": (
        html(
            HANZI + "镕喆€", '<meta http-equiv="Content-Type" content="text/html; charset=gb2312">', "gb18030"
        ),
        "text/html",
        "镕喆€",
    ),
    "dgtlmoon/changedetection.io#2963: Shift_JIS in meta": (
        html(KANJI + "①", '<META HTTP-EQUIV=content-type CONTENT="text/html;charset=Shift_JIS">', "cp932"),
        "text/html",
        KANJI + "①",
    ),
    "x-sjis": (html(KANJI, "<meta charset='x-sjis'>", "cp932"), "text/html", KANJI),
    "ISO-2022-JP": (html(KANJI, "", "iso2022_jp"), "text/html; charset=iso-2022-jp", KANJI),
    "EUC-JP in the XML declaration": (
        f'<?xml version="1.0" encoding="EUC-JP"?><a>{KANJI}</a>'.encode("euc_jp"),
        "application/xml",
        KANJI,
    ),
    "ks_c_5601-1987": (
        html(KOREAN + "뷁", "<meta charset=ks_c_5601-1987>", "cp949"),
        "text/html",
        KOREAN + "뷁",
    ),
    "Big5 with letters of Hong Kong": (html("嘅㗎", "<meta charset=big5>", "big5hkscs"), "text/html", "嘅㗎"),
    "latin1": (html("Größe", "", "latin-1"), "text/html; charset=latin1", "Größe"),
    "ISO-8859-1 with signs of Windows": (
        html(ACCENTS, "", "cp1252"),
        "text/html; charset=ISO-8859-1",
        ACCENTS,
    ),
    "cp1252": (html(ACCENTS, "<meta charset=cp1252>", "cp1252"), "text/html", ACCENTS),
    "l9": (html("5 €", "", "iso-8859-15"), "text/html; charset=l9", "5 €"),
    "cp1251 in quotation marks": (html(CYRILLIC, "", "cp1251"), 'text/html; charset="cp1251"', CYRILLIC),
    "win-1251": (html(CYRILLIC, "", "cp1251"), "text/html; charset=win-1251", CYRILLIC),
    "koi8-r": (html(CYRILLIC, "<meta charset=koi8-r>", "koi8-r"), "text/html", CYRILLIC),
    "ibm866": (html(CYRILLIC, "", "cp866"), "text/html; charset=ibm866", CYRILLIC),
    "tis-620": (html("บริการปกติ", "", "cp874"), "text/html; charset=tis-620", "บริการปกติ"),
    "utf8 said wrongly by the server": (html(ACCENTS, "", "utf-8"), "text/html; charset=iso-8859-1", ACCENTS),
    "aio-libs/aiohttp#2120: two charsets": (
        html(ACCENTS, "", "utf-8"),
        "text/xml; charset=utf-8,charset=utf-8",
        ACCENTS,
    ),
    "aio-libs/aiohttp#3562: a charset that is none": (
        html(ACCENTS, "", "utf-8"),
        "text/html; charset=test",
        ACCENTS,
    ),
    "nothing said, and signs of Windows": (html("Größe – Café", "", "cp1252"), "text/html", "Größe – Café"),
    "firecrawl/firecrawl#4088: UTF-16 by its mark": (html(KANJI, "", "utf-16"), "text/html", KANJI),
    "UTF-16 without a mark": (
        html("Plain words", "", "utf-16-le"),
        "text/html; charset=utf-16le",
        "Plain words",
    ),
    "meta in a comment": (
        html(CYRILLIC, "<!-- <meta charset=gbk> --><meta charset=windows-1251>", "cp1251"),
        "text/html",
        CYRILLIC,
    ),
    "meta says UTF-16, which it cannot be": (
        html("Größe", "<meta charset=utf-16>", "utf-8"),
        "text/html",
        "Größe",
    ),
}


@pytest.mark.parametrize(("body", "content_type", "text"), CHARSETS.values(), ids=CHARSETS)
async def test_text_in(body: bytes, content_type: str, text: str, visit: Visit) -> None:
    site = {"*": page(body, f"Content-Type: {content_type}")}

    for type_name in ("health_check_url", "http"):
        assert UP == verdict(await visit(site, type_name, bodyContains=text))
