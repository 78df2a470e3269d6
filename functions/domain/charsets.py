"""The charset of a text that a stranger sent, and a search in such a text while it still comes.

Declared charsets are looked up in a table and never by `codecs.lookup`: it would import a module by a
stranger's word, and some of Python's codecs take quadratic time. As in browsers
(https://encoding.spec.whatwg.org), a name stands for the superset that its users write: ISO-8859-1 for
Windows-1252, gb2312 for GB 18030, and so on.
"""

import codecs
from functools import lru_cache

_LOOKED_AT = 4096  # browsers look for a declaration in the first 1,024 bytes, and in practice in some more

_LABELS = {
    "utf-8": "utf8 unicode11utf8 unicode20utf8",
    "utf-16-le": "utf16le utf16 ucs2 unicode iso10646ucs2",
    "utf-16-be": "utf16be unicodefffe",
    "cp1252": "ascii usascii ansix341968 iso88591 iso885911987 latin1 l1 cp819 ibm819 csisolatin1 ansi",
    "iso8859-2": "latin2 l2 csisolatin2",
    "iso8859-3": "latin3 l3 csisolatin3",
    "iso8859-4": "latin4 l4 csisolatin4",
    "iso8859-5": "cyrillic csisolatincyrillic",
    "iso8859-6": "arabic csisolatinarabic ecma114 asmo708",
    "iso8859-7": "greek greek8 csisolatingreek ecma118 elot928",
    "iso8859-8": "hebrew csisolatinhebrew visual logical iso88598i iso88598e",
    "cp1254": "iso88599 latin5 l5 csisolatin5",
    "iso8859-10": "latin6 l6 csisolatin6",
    "cp874": "tis620 iso885911 dos874 thai",
    "iso8859-15": "l9 latin9 csisolatin9",
    "iso8859-16": "latin10 l10",
    "koi8-r": "koi8r koi8 koi cskoi8r",
    "koi8-u": "koi8u koi8ru",
    "cp866": "cp866 ibm866 dos866 866 csibm866",
    "cp437": "cp437 ibm437",
    "cp850": "cp850 ibm850",
    "cp852": "cp852 ibm852",
    "mac-roman": "macintosh mac macroman csmacintosh",
    "mac-cyrillic": "maccyrillic macukrainian",
    "gb18030": "gb18030 gbk gb2312 gb231280 euccn cp936 ms936 windows936 chinese csgb2312 csiso58gb231280",
    "hz": "hz hzgb2312",
    "big5hkscs": "big5 big5hkscs cnbig5 csbig5 big5eten cp950 ms950 windows950",
    "cp932": "shiftjis sjis mskanji cp932 ms932 windows31j windows932 csshiftjis cswindows31j",
    "euc_jp": "eucjp ujis cseucpkdfmtjapanese",
    "iso2022_jp": "iso2022jp csiso2022jp",
    "cp949": "euckr cseuckr korean ksc5601 ksc56011987 ksc56011989 csksc56011987 cp949 ms949 windows949 uhc",
    "iso2022_kr": "iso2022kr csiso2022kr",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_CODECS |= {
    f"{prefix}{page}": f"cp{page}"
    for page in (874, *range(1250, 1259))
    for prefix in ("windows", "cp", "win", "ms")
}
_CODECS |= {f"iso8859{part}": f"iso8859-{part}" for part in (*range(2, 9), 10, 13, 14, 15, 16)}

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MARKUP_IN_UTF_16 = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))  # without a mark
_STARTS = (b"<", b"{", b"[")  # of markup and of JSON
_NOT_LIKE_ASCII = frozenset({"utf-16-le", "utf-16-be", "hz", "iso2022_jp", "iso2022_kr"})
_UNDECLARED = "cp1252"  # what browsers take for a text that says nothing and is no UTF-8


def declared_codec(content_type: str) -> str | None:
    """Return the name of Python's codec for the charset in a Content-Type; None without one that is known."""
    _, _, value = content_type.lower().partition("charset")
    return _codec(value.lstrip().removeprefix("=").partition(";")[0].partition(",")[0])


def decode(body: bytes, content_type: str, *, is_whole: bool = True) -> str:
    """Return *body* as text.

    A byte order mark counts first. Then UTF-8 when it is valid, or broken in a few places as a text is that
    was cut by bytes: servers declare other charsets for it. Then the charset of the Content-Type, unless that
    is UTF-8, which the text is not: many servers add it to everything. Then that of a `<meta>` or of the XML
    declaration. What means nothing becomes U+FFFD.

    Args:
        is_whole: False when more followed, so that the last character may be cut in two.
    """
    codec, otherwise = _candidates(body, content_type)
    if otherwise is None:
        return _decode(body, codec, "replace", is_whole=is_whole)
    try:
        return _decode(body, codec, "strict", is_whole=is_whole)
    except UnicodeDecodeError:
        text = _decode(body, codec, "replace", is_whole=is_whole)
        return (
            text
            if _is_mostly_read(text, otherwise)
            else _decode(body, otherwise, "replace", is_whole=is_whole)
        )


class TextSearch:
    """Finds a text in a body while its parts come, in linear time.

    In a body that is no UTF-8 it is looked for in UTF-8 as well: `decode` may say so of the whole.

    Attributes:
        found: Whether the text is in what came so far.
    """

    def __init__(self, text: str, content_type: str) -> None:
        self._text = text
        self._content_type = content_type
        self._body = bytearray()
        self._decoders: list[codecs.IncrementalDecoder] = []
        self._tails: list[str] = []
        self._otherwise: str | None = None
        self.found = False

    def feed(self, part: bytes) -> bool:
        """Take the next part; return `found`."""
        if self.found:
            return True
        self._body += part
        if len(self._body) <= _LOOKED_AT:  # the declaration may still come
            self.found = self._text in decode(bytes(self._body), self._content_type, is_whole=False)
        elif not self._decoders:
            codec, self._otherwise = _candidates(bytes(self._body), self._content_type)
            self._start("replace" if self._otherwise is None else "strict", codec)
        else:
            self._search(part)
        return self.found

    def _start(self, errors: str, *names: str) -> None:
        self._decoders = [codecs.getincrementaldecoder(name)(errors) for name in names]
        self._tails = [""] * len(names)
        self._search(bytes(self._body))

    def _search(self, part: bytes) -> None:
        try:
            texts = [
                tail + decoder.decode(part) for tail, decoder in zip(self._tails, self._decoders, strict=True)
            ]
        except UnicodeDecodeError:
            self._start("replace", "utf-8", self._otherwise or _UNDECLARED)
            return
        self.found = any(self._text in text for text in texts)
        self._tails = [text[-len(self._text) :] for text in texts]


def _candidates(body: bytes, content_type: str) -> tuple[str, str | None]:
    """Return the codec to use; or UTF-8, and the codec to use when it is none."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return codec, None
    for start, codec in _MARKUP_IN_UTF_16:
        if body.startswith(start) and body[2:4].count(0) == 1:
            return codec, None
    declared = declared_codec(content_type)
    if declared is not None and declared.startswith("utf-16"):
        is_other = body[:1] in _STARTS and body[1:2] != b"\0"  # in UTF-16 a zero would follow
        declared = None if is_other else declared
    within = _codec_within(body[:_LOOKED_AT]) if declared in (None, "utf-8") else None
    if declared is None or within not in _NOT_LIKE_ASCII:
        declared = within or declared
    if declared in _NOT_LIKE_ASCII:
        return declared, None  # its bytes would mostly pass for UTF-8
    return "utf-8", _UNDECLARED if declared in (None, "utf-8") else declared


def _is_mostly_read(text: str, otherwise: str) -> bool:
    """Whether *text*, read as UTF-8 although it is broken, is rather that than *otherwise*.

    Letters of one byte are hardly ever UTF-8 by chance. One in five pairs of bytes of Chinese is.
    """
    broken = text.count("\ufffd")
    read = len(text) - len(text.encode("ascii", "ignore")) - broken
    return read > broken * (1 if otherwise.startswith(("cp125", "iso8859")) else 4)


def _decode(body: bytes, codec: str, errors: str, *, is_whole: bool) -> str:
    return codecs.getincrementaldecoder(codec)(errors).decode(body, final=is_whole)


def _codec_within(start: bytes) -> str | None:
    """Return the codec that a document names at its beginning; one that it cannot be in is none."""
    text = start.decode("latin-1").lower()
    name = _xml_encoding(text) or _meta_charset(text)
    codec = _codec(name)
    return None if codec is not None and codec.startswith("utf-16") else codec


def _xml_encoding(text: str) -> str:
    text = text.lstrip()
    if not text.startswith("<?xml"):
        return ""
    _, _, value = text.partition("?>")[0].partition("encoding")
    return _quoted_value(value)


def _meta_charset(text: str) -> str:
    place = 0
    while (place := text.find("<", place)) >= 0:
        if text.startswith("<!--", place):
            end = text.find("-->", place)
            if end < 0:
                return ""
            place = end
        elif text.startswith("<meta", place):
            _, _, value = text[place : text.find(">", place) + 1 or None].partition("charset")
            if name := _quoted_value(value):
                return name
        place += 1
    return ""


def _quoted_value(text: str) -> str:
    """Return the value at the start of `="utf-8" ...`, with or without quotation marks."""
    text = text.lstrip()
    if not text.startswith("="):
        return ""
    text = text[1:].lstrip().lstrip("\"'").lstrip()
    end = next((place for place, sign in enumerate(text) if sign in "\"';/> \t\r\n?"), len(text))
    return text[:end]


@lru_cache(maxsize=256)
def _codec(name: str) -> str | None:
    label = "".join(sign for sign in name[:60] if sign.isascii() and sign.isalnum())
    return _CODECS.get(label) or _CODECS.get(label.removeprefix("x"))
