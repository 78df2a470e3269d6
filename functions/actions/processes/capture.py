"""What is kept of a stream of output: its beginning and its end, however long it was."""

import re
from collections.abc import Callable

KEPT_CHARS = 8192  # at each end
SPARE_BYTES = 8192  # read beyond, so that a secret at the cut is seen whole and can be masked
_UNFIT = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Capture:
    """Takes in any number of bytes and remembers few of them."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(data)
        room = KEPT_CHARS + SPARE_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        excess = len(self._tail) - KEPT_CHARS - SPARE_BYTES
        if excess > 0:
            del self._tail[:excess]

    def text(self, mask: Callable[[str], str]) -> str:
        """What was kept, masked, without control characters; a line in the middle says what is missing."""
        if self.size == len(self._head) + len(self._tail):
            whole = _readable(bytes(self._head + self._tail), mask)
            if len(whole) <= 2 * KEPT_CHARS:
                return whole
            head = tail = whole
        else:
            head, tail = _readable(bytes(self._head), mask), _readable(bytes(self._tail), mask)
        return f"{head[:KEPT_CHARS]}\n[... {self.size} bytes in all ...]\n{tail[-KEPT_CHARS:]}"


def _readable(data: bytes, mask: Callable[[str], str]) -> str:
    return mask(_UNFIT.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))).strip()
