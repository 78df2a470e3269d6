"""The talk with a model as it fits into a number of tokens, estimated: old findings give way first."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

BYTES_PER_TOKEN = 3  # on the safe side for English, about right for Chinese
LEFT_OUT = "(An earlier finding, left out for want of room.)"
_CUT_SHORT = "\n(Cut short for want of room.)"
_LEAST_CHARS = 200

Message = Mapping[str, Any]


def tokens_in(value: object) -> int:
    """About how many tokens *value*, written as JSON, takes."""
    text = json.dumps(value, ensure_ascii=False)
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def fitted(messages: Sequence[Message], limit: int) -> list[Message]:
    """*messages* with findings left out, oldest first, then the newest cut, until they take *limit* tokens.

    What was asked is never touched: where that alone is too long, more than *limit* is returned.
    """
    kept = list(messages)
    findings = [place for place, message in enumerate(kept) if message.get("role") == "tool"]
    for place in findings[:-1]:
        if tokens_in(kept) <= limit:
            return kept
        kept[place] = {**kept[place], "content": LEFT_OUT}
    over = tokens_in(kept) - limit
    if over > 0 and findings:
        last = kept[findings[-1]]
        kept[findings[-1]] = {**last, "content": _shortened(str(last.get("content", "")), over)}
    return kept


def _shortened(text: str, tokens: int) -> str:
    """*text* with at least *tokens* fewer, where it has so many."""
    room = len(text.encode("utf-8", "replace")) - (tokens + len(_CUT_SHORT)) * BYTES_PER_TOKEN
    head = text.encode("utf-8", "replace")[: max(room, _LEAST_CHARS)].decode("utf-8", "ignore")
    return head + _CUT_SHORT
