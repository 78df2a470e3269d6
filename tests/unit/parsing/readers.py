"""Functions that misbehave as parsers do; processes import them from here."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    letters: tuple[str, ...]


def read_words(document: bytes, *, shout: bool = False) -> tuple[Word, ...] | None:
    words = document.decode("utf-8", "surrogateescape").split()
    print("a library that prints", flush=True)  # noqa: T201
    return tuple(Word(word.upper() if shout else word, tuple(word)) for word in words) or None


def read_environment(document: bytes) -> dict[str, str]:
    return dict(os.environ)


def process_id(document: bytes) -> int:
    return os.getpid()


def never_end(document: bytes) -> None:
    while True:
        pass


def take_memory(document: bytes) -> int:
    return len(bytearray(1 << 30))


_kept: list[bytearray] = []


def keep_memory(document: bytes) -> int:
    _kept.append(bytearray(b"x") * 150_000_000)
    return len(_kept[0])


def crash(document: bytes) -> None:
    os._exit(7)


def fail(document: bytes) -> None:
    raise RecursionError(document.decode())


def answer_much(document: bytes) -> str:
    return "x" * 5_000_000
