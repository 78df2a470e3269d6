"""What a caller sends: one JSON-RPC message as MCP has them, or why it is none."""

import json
from typing import Any

from functions.domain.json_depth import TOO_DEEP, check_values

ONE_MESSAGE = (
    'Send one JSON-RPC message at a time, an object with "jsonrpc": "2.0" and "method"; its "id", if any, is '
    'text or a whole number, its "params" an object; batches are not read'
)


def is_message(value: Any) -> bool:
    """Whether *value* is one message.

    The SDK takes a request with another id, such as null, for a notification, and answers nothing.
    """
    return (
        isinstance(value, dict)
        and value.get("jsonrpc") == "2.0"
        and isinstance(value.get("method"), str)
        and _is_id(value.get("id", 0))
        and isinstance(value.get("params"), dict | None)
    )


def explain_unreadable(line: object) -> tuple[str | int | None, str]:
    """Return the id in a line that the SDK could not read, None for none, and what is wrong with it.

    Args:
        line: As text, or as the value that it has.
    """
    try:
        value = json.loads(line) if isinstance(line, str) else line
    except RecursionError:
        return None, f"The message {TOO_DEEP}"
    except ValueError:
        return None, "The message is not JSON on a line of its own"
    id_ = value.get("id") if isinstance(value, dict) else None
    reason = ONE_MESSAGE
    if is_message(value):
        try:
            check_values(value, any_json=True)
        except ValueError as exc:  # the SDK's parser reads fewer levels, and no half of a surrogate pair
            reason = str(exc)
    return (id_ if _is_id(id_) else None), reason


def _is_id(value: Any) -> bool:
    return type(value) in (str, int)  # True is no number
