"""Turning host names into addresses without letting a slow name server hold up anybody else."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# The system's resolver blocks a thread and knows no deadline; a name whose server never answers keeps
# its thread for what resolv.conf says (10 s and more) even after the caller has given up. The threads
# are ours alone, so that such names cannot take those that read files and databases; and they are many
# (asyncio's own pool has five on one CPU), so that a few such names cannot stop all others.
_THREADS = 32


class Names:
    """The system's resolver (hosts file, search domains and all) on threads of its own."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return every address of *host*. Raises OSError when there is none."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)

    def close(self) -> None:
        """Let the threads go; one that still waits for a name server ends when that answers or gives up."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
