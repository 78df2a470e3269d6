"""One process that parses: it reads calls from its standard input, and writes each result to its output.

`python -m functions.parsing.worker MEMORY_BYTES`. A call is a line of JSON (`module`, `function`, `options`,
`cpuSeconds`, `bytes`) and that many bytes of the document. The answer is a line that is the length of the
JSON after it, in bytes: `result`, `unreadable` or `failed`. It ends with its input.

It imports no more than the readers need: its start is what the first feed of a process waits for.
"""

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from functions.parsing.errors import UnreadableError

try:
    import resource
except ImportError:  # Windows; there the bound is the time that the parent waits
    resource = None  # type: ignore[assignment]

MAX_RESULT_BYTES = 4_194_304
_SPENT_BYTES = 134_217_728  # of memory; a process that still holds more is ended after its answer


def main(memory_bytes: int) -> None:
    """Answer calls until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints gets among the answers
    _limit_resources(memory_bytes)
    while line := sys.stdin.buffer.readline():
        call = json.loads(line)
        _limit_cpu(call["cpuSeconds"])
        answer = _answer(call, sys.stdin.buffer.read(call["bytes"]))
        answers.write(b"%d\n" % len(answer) + answer)
        answers.flush()


def _answer(call: dict[str, Any], document: bytes) -> bytes:
    try:
        function: Callable[..., Any] = getattr(import_module(call["module"]), call["function"])
        result = function(document, **call["options"])
        answer = to_json({"result": result, "spent": _is_spent()})
        if len(answer) <= MAX_RESULT_BYTES:
            return answer
        failure = {"failed": "its result is too big"}
    except UnreadableError as exc:
        failure = {"unreadable": str(exc)}
    except Exception as exc:  # noqa: BLE001  # whatever a parser does with what strangers write
        failure = {"failed": type(exc).__name__}
    return to_json(failure | {"spent": _is_spent()})


def _is_spent() -> bool:
    # Not getrusage's maximum, which begins with that of the process that started this one.
    if resource is None:
        return False
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # only Linux has it
        return False
    return pages * os.sysconf("SC_PAGE_SIZE") > _SPENT_BYTES


def to_json(value: Any) -> bytes:
    """Return *value* in UTF-8: dataclasses as objects, lone surrogates, which UTF-8 has not, as `?`."""
    return json.dumps(value, ensure_ascii=False, default=_fields).encode("utf-8", "replace")


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _limit_resources(memory_bytes: int) -> None:
    if resource is None:
        return
    with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of memory
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what strangers wrote


def _limit_cpu(seconds: float) -> None:
    """End this process, by SIGXCPU, when it has used so much more: its parent may be gone."""
    if resource is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 2, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
