"""References to secrets in params, `{{secret:NAME}}`: finds, checks and resolves them.

A stored task holds the reference; the value exists only during an attempt.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from functions.domain.lifecycle.permissions import SECRET_REFERENCE, iter_texts, secret_names
from functions.domain.redaction import MIN_SECRET_CHARS, Redactor
from functions.errors import InputError

MAX_REFERENCES = 20  # in the params of one task
EXAMPLE_VALUE = "placeholder"  # in place of an unknown value; valid in a host, path or header
_REFERENCE_START = re.compile(r"\{\{\s*secret\b")


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
    most_steps = max((name.count(".") + 1 for name in reference_only), default=0)
    for steps, text in iter_texts(params):
        if "{{" not in text and len(steps) > most_steps:
            continue  # nearly all texts of a large task
        place = ".".join(str(step) for step in steps)
        rest = SECRET_REFERENCE.sub("", text)
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
    return isinstance(value, str) and SECRET_REFERENCE.fullmatch(value.strip()) is not None


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
    sent = dict.fromkeys(form for value in values for form in _sent_forms(value))
    return Redactor([*values, *(code for form in sent for code in _base64_encodings(form))]).mask_secrets


def _sent_forms(value: str) -> Iterator[str]:
    """Yield *value* as it stands in JSON, in a form and in a URL: some servers quote these in base64."""
    yield value
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield json.dumps(value)[1:-1]
    raw = value.encode("utf-8", "replace")
    yield quote_plus(raw)
    yield quote(raw, safe="")
    yield quote(raw, safe="!$&'()*+,/:;=?@")


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
            return SECRET_REFERENCE.sub(lambda found: value(found[1]), given) if "{{" in given else given
        if isinstance(given, Mapping):
            return {name: replaced(one) for name, one in given.items()}
        return [replaced(one) for one in given] if isinstance(given, (list, tuple)) else given

    return {name: replaced(one) for name, one in params.items()}
