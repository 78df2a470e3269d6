"""Redaction: secrets are masked in every text before it is shown, logged, sent or stored."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

MASK = "***"
MIN_SECRET_CHARS = 6  # a shorter value would also mask innocent words
_REST_LENGTHS = range(16)  # of a character spelt twice, when a text begins within it, e.g. `#x26;#128512;`
_REST_DIGITS = "0123456789abcdefABCDEFu"  # what it consists of, unless a semicolon ends it
_ELLIPSES = ("…", "...")  # at the end of a text that somebody cut
MIN_PATH_CHARS = 12  # of a secret address's path; shorter ones, like /notify, are no secret by themselves

# One of these is in every text that a pattern below could change, so that a text without them is done.
_MARKERS = (
    "=",
    "://",
    "/hook/",
    "hooks.slack",
    "/webhooks/",
    "bot",
    "authorization",
    "bearer",
    "whsec_",
    '":',
    "':",
)

# A shell's PWD is the folder that a program runs in; an idempotency key distinguishes one call from the next.
_WHOLE_NAME = r"(?<![^\s'\"])"
_OF_FOLDER = rf"(?-i:(?<={_WHOLE_NAME}PWD)|(?<={_WHOLE_NAME}OLDPWD))['\"]?[:=]\s?['\"]?/"
_KEY = r"(?<!idempotency)(?<!idempotency[_-])key"
_SENSITIVE_NAMES = rf"(?:sig|(?<!\w)sign|signature|token|{_KEY}|password|passwd|pwd(?!{_OF_FOLDER})|secret)"
_TOKEN = r"[^\s'\",;&#]+"  # noqa: S105  # a pattern, not a password
_REPLACEMENTS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (
            rf"(authorization['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic|token)\s+{_TOKEN}|[^\r\n]+)",
            rf"\1{MASK}",
        ),
        (r"(\bbearer\s+)[\w.~+/=-]{6,}", rf"\1{MASK}"),
        (r"(\w://)[^\s/?#'\"]+@", rf"\1{MASK}@"),
        (r"(/hook/)[^\s/?#'\"]+", rf"\1{MASK}"),
        (r"(hooks\.slack(?:-gov)?\.com/\w+/)[^\s?#'\"]+", rf"\1{MASK}"),
        (r"(/webhooks/[^\s/]+/)[^\s/?#'\"]+", rf"\1{MASK}"),
        (r"(bot)\d{3,}(?::|%3A)[\w-]+", rf"\1{MASK}"),
        (r"whsec_[\w+/=-]+", MASK),
        (rf"({_SENSITIVE_NAMES}=){_TOKEN}", rf"\1{MASK}"),
        (rf"({_SENSITIVE_NAMES}['\"]\s*:\s*)(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')", rf'\1"{MASK}"'),
    )
)


class Redactor:
    """Masks the given secrets, and whatever looks like one.

    A secret is found wherever it stands and however each character is spelt: as HTML, in a URL, in JSON, or
    in one of these within another. Where a text begins or ends within a secret, because somebody cut it,
    half of the secret is enough; what is cut at both ends is recognised when it is all of the text. Less
    would reveal the secret, character by character, to whoever can have texts masked.

    Args:
        secrets: Values of settings. Each line or word of a value counts by itself; those shorter than
            six characters are not searched for. Of an address the path is secret by itself, too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form: chars for secret in secrets for form, chars in _forms(secret)}
        self._secrets = tuple(sorted(forms, key=len, reverse=True))
        self._cut_forms = tuple((form, chars) for form, chars in forms.items() if chars)
        # One of these begins or ends every text that was cut within a secret.
        self._runs = frozenset(
            form[index : index + MIN_SECRET_CHARS]
            for form, _ in self._cut_forms
            for index in range(len(form) - MIN_SECRET_CHARS + 1)
        )

    def __call__(self, text: str) -> str:
        """Return *text* with every secret in it replaced by `***`."""
        text = self.mask_secrets(text)
        lowered = text.lower()
        for marker in _MARKERS:
            if marker in lowered:
                return _mask_patterns(text)
        return text

    def mask_secrets(self, text: str) -> str:
        """Return *text* with the given secrets masked; what only looks like one stays."""
        if not self._secrets:
            return text
        spans = self._spans(text) if self._has_secret(text) else []
        if "%" in text or "&" in text or "\\" in text:
            spans += self._spelt_spans(text)
        return _masked_at(text, spans) if spans else text

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} values)"

    def _has_secret(self, text: str) -> bool:
        for secret in self._secrets:
            if secret in text:
                return True
        return self._may_be_cut(text)

    def _may_be_cut(self, text: str) -> bool:
        """Whether a run of a secret is at either end, beyond what may be left of a character's spelling."""
        if text[-MIN_SECRET_CHARS:] in self._runs:
            return True
        reference_end = text.rfind(";", 0, len(_REST_LENGTHS))
        for index in _REST_LENGTHS:
            if text[index : index + MIN_SECRET_CHARS] in self._runs:
                return True
            if index > reference_end and text[index : index + 1] not in _REST_DIGITS:
                break
        return text.endswith(_ELLIPSES) and any(
            shown[-MIN_SECRET_CHARS:] in self._runs for shown in _without_ellipsis(text)
        )

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets and parts of cut ones are in *text*, in no order; they may overlap."""
        spans: list[tuple[int, int]] = []
        for secret in self._secrets:
            start = text.find(secret)
            while start >= 0:
                spans.append((start, start + len(secret)))
                start = text.find(secret, start + 1)
        if self._may_be_cut(text):
            for form, min_chars in self._cut_forms:
                for shown in _without_ellipsis(text):
                    spans += _cut_end(shown, form, min_chars)
                    spans += _cut_start(shown, form, min_chars)
        return spans

    def _spelt_spans(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets are in *text* in one spelling, or in one within another."""
        spans: list[tuple[int, int]] = []
        for outer in _SPELLINGS:
            once = outer.decode(text)
            if once == text:
                continue
            spans += self._decoded_spans(text, once, (outer,))
            for inner in _SPELLINGS:
                twice = inner.decode(once)
                if twice != once:
                    spans += self._decoded_spans(text, twice, (outer, inner))
        return spans

    def _decoded_spans(
        self, text: str, plain: str, spellings: Sequence["_Spelling"]
    ) -> Iterator[tuple[int, int]]:
        """Yield where *text* has the secrets that are in *plain*, which *spellings* make of it."""
        if self._has_secret(plain):
            plain, places = text, list(range(len(text) + 1))
            for spelling in spellings:
                plain, places = spelling.decode_with_places(plain, places)
            for start, end in self._spans(plain):
                yield places[start], places[end]


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return *text* with *secrets*, and what looks like a secret, masked; for many texts use `Redactor`."""
    return Redactor(secrets)(text)


def _mask_patterns(text: str) -> str:
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def _forms(secret: str) -> Iterator[tuple[str, int]]:
    """Yield the texts to search for, each with how many of its characters are enough when it is cut.

    0 means that a part is never enough: the beginning of an address is known to others.
    """
    for text in {secret, secret.lower(), secret.upper(), *_misread(secret)}:  # small: as the name of a host
        yield from _word_forms(text)


def _misread(secret: str) -> Iterator[str]:
    """Yield what a server makes of *secret* that takes its UTF-8 for an older encoding: `ä` becomes `Ã¤`."""
    if not secret.isascii():
        sent = secret.encode("utf-8", "replace")
        yield sent.decode("latin-1")
        yield sent.decode("cp1252", "replace")


def _word_forms(secret: str) -> Iterator[tuple[str, int]]:
    """Yield the forms of all of *secret*, and of each of its words."""
    for word in (secret.strip(), *secret.split()):
        if "://" not in word:
            yield from _spaced(word, MIN_SECRET_CHARS, may_be_cut=True)
            continue
        path, password = word.split("://", 1)[1].partition("/")[2], _password(word)
        yield from _spaced(word, MIN_SECRET_CHARS, may_be_cut=False)
        for part in {path, unquote(path)}:
            yield from _spaced(part, MIN_PATH_CHARS, may_be_cut=False)
        for part in {password, unquote(password)}:
            yield from _spaced(part, MIN_SECRET_CHARS, may_be_cut=True)


def _spaced(value: str, min_chars: int, *, may_be_cut: bool) -> Iterator[tuple[str, int]]:
    """Yield *value* with its spaces, and with the plus signs that a form sends in their place."""
    if len(value) >= min_chars:
        for form in {value, value.replace(" ", "+")}:
            yield form, max(MIN_SECRET_CHARS, (len(value) + 1) // 2) if may_be_cut else 0


def _without_ellipsis(text: str) -> set[str]:
    """Return *text* as it is, for its dots may be a secret's, and without the ellipsis that ends it."""
    return {text, *(text.removesuffix(ellipsis) for ellipsis in _ELLIPSES)}


def _cut_end(text: str, secret: str, min_chars: int) -> Iterator[tuple[int, int]]:
    """Yield where *text* ends with the beginning of *secret*, of at least *min_chars*."""
    for start in range(max(0, len(text) - len(secret) + 1), len(text) - min_chars + 1):
        if secret.startswith(text[start:]):
            yield start, len(text)
            return


def _cut_start(text: str, secret: str, min_chars: int) -> Iterator[tuple[int, int]]:
    """Yield where *text* begins with the end of *secret*, or is a part of it."""
    for start in _REST_LENGTHS:
        for end in range(min(len(text), start + len(secret) - 1), start + min_chars - 1, -1):
            if secret.endswith(text[start:end]) or (end == len(text) and text[start:end] in secret):
                yield start, end
                return


def _masked_at(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return *text* with one mask in place of each of *spans*, or of several that overlap."""
    pieces, shown = [], 0
    for start, end in sorted(spans):
        if start >= shown:
            pieces += [text[shown:start], MASK]
        shown = max(shown, end)
    return "".join([*pieces, text[shown:]])


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:  # not an address after all
        return ""


# How a character may be spelt. Every expression below reads a bounded number of characters at each place,
# so none of them can be made slow. What is left of a character at the end of a cut text decodes to nothing.


@dataclass(frozen=True, slots=True)
class _Spelling:
    """One way of writing a character with several."""

    pattern: re.Pattern[str]
    to_plain: Callable[[str], str]

    def decode(self, text: str) -> str:
        """Return *text* with plain characters in place of those spelt like this."""
        return self.pattern.sub(lambda found: self.to_plain(found[0]), text)

    def decode_with_places(self, text: str, places: Sequence[int]) -> tuple[str, list[int]]:
        """Return what `decode` does, and the place of each of its characters, and of its end."""
        plain: list[str] = []
        found_places: list[int] = []
        done = 0
        for found in self.pattern.finditer(text):
            piece = self.to_plain(found[0])
            plain += [text[done : found.start()], piece]
            found_places += places[done : found.start()]
            found_places += [places[found.start()]] * len(piece)
            done = found.end()
        return "".join([*plain, text[done:]]), [*found_places, *places[done:]]


def _plain_percent(found: str) -> str:
    if len(found) == 3:
        return chr(code) if (code := int(found[1:], 16)) < 0x80 else ""
    return bytes.fromhex(found.replace("%", "")).decode(errors="ignore") if len(found) > 3 else ""


def _plain_json(found: str) -> str:
    if found[1:2] in ("u", "x"):
        digits = found.replace("\\u", "").replace("\\x", "00")
        return bytes.fromhex(digits).decode("utf-16-be", "ignore") if len(digits) % 4 == 0 else ""
    return _JSON_ESCAPES.get(found[1:], found[1:])


_JSON_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = "[0-9A-Fa-f]"
_END = r"(?=(?:…|\.\.\.)?\Z)"
_MORE = rf"%[89ABab]{_HEX}"  # a further byte of a character in UTF-8
_URL = _Spelling(
    re.compile(
        rf"%[0-7]{_HEX}|%[C-Dc-d]{_HEX}{_MORE}|%[Ee]{_HEX}(?:{_MORE}){{2}}|%[Ff]{_HEX}(?:{_MORE}){{3}}"
        rf"|%{_HEX}{{2}}|%{_HEX}?{_END}"
    ),
    _plain_percent,
)
_HTML = _Spelling(
    re.compile(
        rf"&(?:#[0-9]{{1,10}}|#[xX]{_HEX}{{1,10}}|[A-Za-z][0-9A-Za-z]{{1,31}});"
        rf"|&(?:#[xX]?)?[0-9A-Za-z]{{0,8}}{_END}"
    ),
    lambda found: html.unescape(found) if found.endswith(";") else "",
)
_JSON = _Spelling(
    re.compile(
        rf"\\u[Dd][89ABab]{_HEX}{{2}}\\u[Dd][C-Fc-f]{_HEX}{{2}}|\\u{_HEX}{{4}}|\\x{_HEX}{{2}}"
        rf"|\\[^ux]|\\(?:u{_HEX}{{0,3}}|x{_HEX}?)?{_END}",
        re.DOTALL,
    ),
    _plain_json,
)
_SPELLINGS = (_HTML, _URL, _JSON)
