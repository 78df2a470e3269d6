"""Texts of strangers: which charset they are in, and finding a text while they come."""

import time

import pytest

from functions.domain.charsets import TextSearch, declared_codec, decode

LETTERS = {
    "utf-8": "grün 💧",
    "utf-16": "grün",
    "cp1251": "привет",
    "gb18030": "服务正常镕",
    "cp932": "稼働中①",
    "iso2022_jp": "稼働中",
    "euc_jp": "稼働中",
    "cp949": "서비스뷁",
    "big5hkscs": "服務嘅",
}


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 3, 4096, 100_000])
@pytest.mark.parametrize("filler", [0, 4090, 9000])
@pytest.mark.parametrize("codec", LETTERS)
def test_a_text_is_found_however_it_is_cut(codec: str, filler: int, size: int) -> None:
    text = LETTERS[codec]
    body = f"<p>{'x' * filler}{text}</p>".encode(codec)

    search = TextSearch(text, f"text/html; charset={codec}")
    for part in split(body, size):
        search.feed(part)

    assert search.found
    other = TextSearch(f"{text}!", f"text/html; charset={codec}")
    assert not any(other.feed(part) for part in split(body, size))


def test_a_text_before_and_one_after_the_first_letter_that_is_no_utf_8_are_found() -> None:
    body = b"x" * 6000 + b"early" + b"y" * 3000 + "gr\u00fcn".encode("latin-1")

    for text in ("early", "grün"):
        search = TextSearch(text, "text/html; charset=latin1")
        assert any(search.feed(part) for part in split(body, 100))


def test_a_declaration_behind_the_beginning_is_no_declaration() -> None:
    body = b"<p>" + b"x" * 5000 + b"<meta charset=gbk>" + "grün".encode("latin-1")

    assert decode(body, "text/html").endswith("grün")


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        ("text/html; charset=UTF8", "utf-8"),
        ("text/html;charset = 'latin1' ; x=y", "cp1252"),
        ("text/html; charset=x-sjis", "cp932"),
        ("text/html; charset=ISO_8859-15:1998", None),
        ("text/html; charset=../../etc", None),
        ("text/html; charset=rot13", None),
        ("text/html; charset=" + "gbk" * 99, None),
        ("text/html", None),
        ("", None),
    ],
)
def test_a_declared_charset_is_one_of_the_table_or_none(content_type: str, codec: str | None) -> None:
    assert codec == declared_codec(content_type)


@pytest.mark.parametrize(
    "part", [b"<", b"<!--", b"<meta charset", b"<meta charset=", b"<?xml encoding", b"\x1b$B"]
)
def test_a_hostile_beginning_takes_no_time(part: bytes) -> None:
    body = part * (262_144 // len(part))
    started = time.process_time()

    decode(body, "text/html")
    search = TextSearch("nothing", "text/html; charset=iso-2022-jp")
    for piece in split(body, 64):
        search.feed(piece)

    assert time.process_time() - started < 1.5  # 0.03 s on an idle machine


CUT = {  # what a program that cuts by bytes leaves of a letter, and other accidents
    "a letter cut in two": "日本語の".encode() + b"\xe6\x97" + "</p>日本語".encode(),
    "signs of Windows pasted into it": "Größe, süß ".encode() + b"\x96 x",
    "an emoji as two halves": "Größe, süß, schön ".encode() + b"\xed\xa0\xbd",
}


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/html; charset=utf-8", "text/html; charset=latin1"]
)
@pytest.mark.parametrize("body", CUT.values(), ids=CUT)
def test_a_text_in_utf_8_stays_so_where_a_letter_is_broken(body: bytes, content_type: str) -> None:
    expected = body.decode("utf-8", "replace")

    assert expected == decode(body, content_type)
    for filler in (b"", b"x" * 9000):
        search = TextSearch(expected[:3], content_type)
        assert any(search.feed(part) for part in split(filler + body, 7))


@pytest.mark.parametrize("codec", ["gb18030", "big5hkscs", "cp932", "euc_jp", "cp949"])
def test_a_text_in_another_charset_is_not_taken_for_broken_utf_8(codec: str) -> None:
    """Some pairs of bytes are letters of UTF-8 by chance: 通 (CD A8) in Chinese."""
    text = {"cp932": "稼働中", "euc_jp": "稼働中", "cp949": "서비스뷁"}.get(codec, "通知 服務一日")

    assert text == decode(text.encode(codec), f"text/html; charset={codec}")


@pytest.mark.parametrize("filler", ["", "x" * 9000])
@pytest.mark.parametrize(
    ("codec", "declaration", "letters"),
    [
        ("gb18030", "<meta charset=gbk>", "库存：有货"),
        ("cp932", "<?xml version='1.0' encoding='Shift_JIS'?>", "在庫あり"),
        ("cp1251", "<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>", "Есть"),
        ("cp949", "<?xml version='1.0' encoding='EUC-KR'?>", "재고 있음"),
    ],
)
def test_a_server_that_calls_everything_utf_8_is_not_believed(
    codec: str, declaration: str, letters: str, filler: str
) -> None:
    text = f"{declaration}<p>{filler}{letters}"

    assert text == decode(text.encode(codec), "text/html; charset=UTF-8")
    search = TextSearch(letters, "text/html; charset=UTF-8")
    assert any(search.feed(part) for part in split(text.encode(codec), 100))


def test_a_text_that_is_utf_8_as_its_server_says_may_say_otherwise() -> None:
    for name in ("gbk", "iso-2022-jp", "windows-1251"):
        body = f"<meta charset={name}>Größe, süß, schön ~{{ \x1b(B".encode()
        assert body.decode() == decode(body, "text/html; charset=utf-8")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-16"])
def test_markup_in_utf_16_needs_no_mark(codec: str, content_type: str) -> None:
    assert "<p>Größe" == decode("<p>Größe".encode(codec), content_type)


def test_markup_that_is_declared_as_utf_16_and_is_not_is_read() -> None:
    """Programs of .NET write `utf-16` into what they send as UTF-8."""
    for text in ("<p>Größe", '{"a": "Größe"}', "[1]"):
        assert text == decode(text.encode(), "text/xml; charset=utf-16")
        assert text == decode(text.encode("utf-16-le"), "text/xml; charset=utf-16")


@pytest.mark.parametrize("codec", [*LETTERS, "utf-16le", "hz", "utf-16be", "iso2022_kr"])
@pytest.mark.parametrize("body", [b"plain", b"\xff", b"\0", b"\xd8\0x", b"~{", b"\x1b$", b"\xef\xbb\xbf\xff"])
def test_no_text_and_no_charset_is_an_error(codec: str, body: bytes) -> None:
    """Python's utf-16 refuses a text without a mark, even where it is told to replace what is wrong."""
    assert isinstance(decode(body, f"text/plain; charset={codec}"), str)
    TextSearch("x", f"text/plain; charset={codec}").feed(body + b"y" * 9000)
