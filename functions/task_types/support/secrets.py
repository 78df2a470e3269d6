"""References to secrets in params, `{{secret:NAME}}`: finds, checks and resolves them.

A stored task holds the reference; the value exists only during an attempt.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from functions.domain.redaction import MIN_SECRET_CHARS, Redactor
from functions.errors import InputError

MAX_REFERENCES = 20  # in the params of one task
EXAMPLE_VALUE = "placeholder"  # in place of an unknown value; valid in a host, path or header
_REFERENCE = re.compile(r"\{\{\s*secret:\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")
_REFERENCE_START = re.compile(r"\{\{\s*secret\b")

Step = str | int


def secret_names(params: Any) -> tuple[str, ...]:
    """Return the names of the secrets that *params* refer to, each once, in order."""
    if not _has_braces(params):  # true of nearly all tasks
        return ()
    return tuple(
        dict.fromkeys(
            name for _, text in _iter_texts(params) if "{{" in text for name in _REFERENCE.findall(text)
        )
    )


def _has_braces(given: Any) -> bool:
    if isinstance(given, str):
        return "{{" in given
    if isinstance(given, (dict, Mapping)):
        given = given.values()
    elif not isinstance(given, (list, tuple)):
        return False
    for one in given:  # noqa: SIM110  # a generator doubles the time
        if _has_braces(one):
            return True
    return False


def check_references(
    params: Mapping[str, Any], *, reference_only: Sequence[str] = (), no_references: Sequence[str] = ()
) -> None:
    """Check that the references in *params* are well-formed and in fields where they may be.

    Args:
        reference_only: Dotted names of fields that may hold only a reference, so that no secret is stored.
        no_references: Dotted names of fields that may hold no reference, nested values included.

    Raises:
        InputError: A field is wrong; the text names the first one and does not show its value.
    """
    for steps, text in _iter_texts(params):
        place = ".".join(str(step) for step in steps)
        rest = _REFERENCE.sub("", text)
        if _REFERENCE_START.search(rest):
            raise InputError(f"params.{place}: write a secret as {{{{secret:NAME}}}}; letters, digits and _")
        if place in reference_only and not is_reference(text):
            raise InputError(
                f"params.{place}: must be a reference such as {{{{secret:NAME}}}}, not the secret"
            )
        if rest != text and any(place == field or place.startswith(f"{field}.") for field in no_references):
            raise InputError(f"params.{place}: a secret does not belong here, where others could read it")
    if len(secret_names(params)) > MAX_REFERENCES:
        raise InputError(f"params: at most {MAX_REFERENCES} secrets may be named")


def is_reference(value: object) -> bool:
    """Whether *value* is one reference and nothing else."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value.strip()) is not None


def with_example_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return *params* with `EXAMPLE_VALUE` for each secret, to be checked before a run."""
    return _replace_references(params, lambda name: EXAMPLE_VALUE)


def resolve_secrets(params: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return *params* with the values in place of the references.

    Raises:
        InputError: A secret is not set; the text names it and its setting.
    """

    def value(name: str) -> str:
        if name not in values:
            raise InputError(f"params: there is no secret {name}; set TASK_SECRET_{name}")
        return values[name]

    return _replace_references(params, value)


def redactor_for(values: Sequence[str]) -> Callable[[str], str]:
    """Return a function that masks *values* in a text, plain and in the usual encodings."""
    return Redactor([*values, *(form for value in values for form in _base64_encodings(value))]).mask_secrets


def _base64_encodings(value: str) -> Iterator[str]:
    """Yield what base64 makes of *value* at each alignment, e.g. after `user:` in HTTP Basic."""
    raw = value.encode("utf-8", "replace")
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw).decode()
        own = text[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
        if len(own) > MIN_SECRET_CHARS:
            yield own
            yield own.replace("+", "-").replace("/", "_")


def _replace_references(params: Mapping[str, Any], value: Callable[[str], str]) -> dict[str, Any]:
    def replaced(given: Any) -> Any:
        if isinstance(given, str):
            return _REFERENCE.sub(lambda found: value(found[1]), given) if "{{" in given else given
        if isinstance(given, Mapping):
            return {name: replaced(one) for name, one in given.items()}
        return [replaced(one) for one in given] if isinstance(given, (list, tuple)) else given

    return {name: replaced(one) for name, one in params.items()}


def _iter_texts(given: Any, steps: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(given, str):
        yield steps, given
    elif isinstance(given, (dict, Mapping)):
        for name, one in given.items():
            yield from _iter_texts(one, (*steps, name))
    elif isinstance(given, (list, tuple)):
        for number, one in enumerate(given):
            yield from _iter_texts(one, (*steps, number))
