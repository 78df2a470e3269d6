"""Redaction: secrets are masked in every text before it is shown, logged, sent or stored."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from functions.domain.run import Outcome

MASK = "***"
MIN_SECRET_CHARS = 6  # a shorter value would also mask innocent words
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

_SENSITIVE_NAMES = r"(?:sig|signature|token|key|password|passwd|pwd|secret)"
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

    Args:
        secrets: Values of settings. Each line or word of a value counts by itself; those shorter than
            six characters are not searched for. Of an address the path is secret by itself, too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _patterns(secret)}
        self._secrets = tuple(sorted(forms, key=len, reverse=True))  # a part must not spoil the whole

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
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} values)"


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return *text* with *secrets*, and what looks like a secret, masked; for many texts use `Redactor`."""
    return Redactor(secrets)(text)


def _mask_patterns(text: str) -> str:
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def _patterns(secret: str) -> Iterable[str]:
    """All ways a secret may be spelt: as it is, in a URL, in JSON; and the path of an address alone."""
    for word in (secret.strip(), *secret.split()):
        yield from _encodings(word, min_chars=MIN_SECRET_CHARS)
        if "://" in word:
            path = word.split("://", 1)[1].partition("/")[2]
            yield from _encodings(path, min_chars=MIN_PATH_CHARS)
            password = _password(word)
            yield from _encodings(password, min_chars=MIN_SECRET_CHARS)
            yield from _encodings(unquote(password), min_chars=MIN_SECRET_CHARS)


def _encodings(value: str, *, min_chars: int) -> Iterable[str]:
    if len(value) < min_chars:
        return
    encoded = quote(value, safe="")
    yield from (value, quote(value), encoded, quote_plus(value), _lower_hex(encoded))
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:  # not an address after all
        return ""


def _lower_hex(encoded: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), encoded)


def redact_outcome(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """*outcome* with *redact* applied to all that is shown or stored.

    Nearly all outcomes hold nothing to redact, and are returned as they are.
    """
    summary = redact(outcome.summary)
    metrics = _redact_texts(outcome.metrics, redact)
    items = tuple(_redact_texts(item, redact) for item in outcome.items)
    if (summary, metrics, items) == (outcome.summary, outcome.metrics, outcome.items):
        return outcome
    return replace(outcome, summary=summary, metrics=metrics, items=items)


def _redact_texts(values: Mapping[str, Any], redact: Callable[[str], str]) -> Mapping[str, Any]:
    masked = {}
    for name, value in values.items():
        if isinstance(value, str) and (text := redact(value)) != value:
            masked[name] = text
    return {**values, **masked} if masked else values
