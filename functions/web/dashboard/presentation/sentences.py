"""Sentences with something filled in, in another language: what validation, tasks and forms say.

They are made in English far below the pages, and stored so (results of runs). A sentence is found by the
fixed parts of a template, `Answered {} in {} ms`, from the longest fixed text on; what was filled in is
translated as well. What no template fits stays as it is. Without regular expressions, as strangers' texts are
among them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARS = 600  # of a sentence; a longer one stays as it is
MAX_KEPT = 4096
MAX_DEPTH = 3  # sentences within one another
SEMICOLON, FULL_SEMICOLON = "; ", "；"
ALSO, FULL_ALSO = "; also ", "；另外，"  # between the faults of one list
MAX_LIST_CHARS = 4000  # of them together
BLANK = "{}"
SAID_AT_ITS_PLACE = frozenset(
    {"schedule", "except", "onExcluded", "timezone", "until", "params"}
)  # a field beside which it is shown


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence with blanks: its fixed parts, and the whole in the other language with `{0}`, `{1}`."""

    fixed: tuple[str, ...]
    translated: str

    def fill(self, text: str, translate: Callable[[str], str]) -> str | None:
        """Return *text* in the other language; None when it is not this sentence."""
        first, *others = self.fixed
        if not others:
            return self.translated if text == first else None
        if not text.startswith(first) or not text.endswith(others[-1]):
            return None
        end = len(text) - len(others[-1])
        filled, place = [], len(first)
        for part in others[:-1]:
            found = text.find(part, place, end)
            if found <= place:
                return None
            filled.append(text[place:found])
            place = found + len(part)
        if place >= end:
            return None
        filled.append(text[place:end])
        result = self.translated
        for number, one in enumerate(filled):
            result = result.replace(f"{{{number}}}", translate(one), 1)
        return result


class Translator:
    """Translates sentences by templates. The same sentences come again and again, so that they are kept."""

    def __init__(self, phrases: Mapping[str, str], sentences: Mapping[str, str]) -> None:
        self._phrases = phrases
        templates = [Template(tuple(one.split(BLANK)), other) for one, other in sentences.items()]
        templates.sort(key=lambda one: -sum(map(len, one.fixed)))
        self._joined = [one for one in templates if any(SEMICOLON in part for part in one.fixed)]
        self._single = [one for one in templates if one not in self._joined]
        self._kept = lru_cache(maxsize=MAX_KEPT)(self._translate)

    def __call__(self, text: str) -> str:
        """Return *text* in the other language, as far as it is known."""
        return self._kept(text)

    def _translate(self, text: str, depth: int = 0) -> str:
        if ALSO in text and len(text) <= MAX_LIST_CHARS and depth <= MAX_DEPTH:
            return FULL_ALSO.join(self._translate(part, depth + 1) for part in text.split(ALSO))
        if not text or len(text) > MAX_CHARS or depth > MAX_DEPTH:
            return text
        if (known := self._phrases.get(text)) is not None:
            return known

        def inner(part: str) -> str:
            return self._translate(part, depth + 1)

        has_semicolon = SEMICOLON in text
        for template in self._joined if has_semicolon else self._single:
            if (found := template.fill(text, inner)) is not None:
                return found
        head, colon, rest = text.partition(": ")
        if colon and _is_field(head):
            place = self._phrases.get(head, head)
            return inner(rest) if head in SAID_AT_ITS_PLACE else f"{place}：{inner(rest)}"
        if has_semicolon:
            return FULL_SEMICOLON.join(inner(part) for part in text.split(SEMICOLON))
        return text


def _is_field(text: str) -> bool:
    """Whether *text* is the name of a field, such as `retry.maxAttempts` or `notify[0].on`."""
    return 0 < len(text) <= 100 and all(char.isalnum() or char in "._-[]" for char in text)
