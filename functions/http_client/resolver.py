"""The system's resolver, asked so that names whose servers never answer cannot stop others.

`getaddrinfo` blocks a thread and knows no deadline: a name that hangs keeps its thread for what resolv.conf
says (10 s and more), long after the caller has given up. It is asked all the same, since it alone reads the
hosts file, the search domains and whatever else this machine resolves names by.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

LookUp = Callable[[str], Sequence[str]]

# As many as a client has connections: a name that is not known to hang never waits for one that does.
AT_ONCE = 200
HUNG_AT_ONCE = 32  # the share of names that hung lately
MAX_THREADS = 400  # with those whose callers gave up
HANGS_AFTER_S = 6.0  # more than the 5 s after which a resolver asks its second name server
ANSWER_WITHIN_S = 8.0  # for a caller, whose error says what is wrong before the usual timeout of 10 s
HUNG_FOR_S = 120.0  # how long a name that hung counts as one that does
REFUSED_FOR_S = 5.0  # how long a name without an address is not asked for again: the tasks of one tick
_MAX_REMEMBERED = 4096
_LOOK_AGAIN_S = 1.0


@dataclass(slots=True)
class _Lookup:
    """One look-up, for everybody who waits for the name."""

    host: str
    answer: Future[Sequence[str]] = field(default_factory=Future)
    waiting: int = 0
    started_at: float | None = None


class NameResolver:
    """Resolves names on threads of its own, one for each name at a time. Build it anywhere; it needs no end.

    Args:
        look_up: Returns every address of a host, and blocks meanwhile; raises OSError when there is none.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, look_up: LookUp | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up or _look_up
        self._clock = clock
        self._lock = threading.Lock()  # held for moments, by the loop and by the threads
        self._queue: dict[str, _Lookup] = {}
        self._running: dict[str, _Lookup] = {}
        self._hung_until: dict[str, float] = {}
        self._refused: dict[str, tuple[float, tuple[object, ...]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return every address of *host*.

        Raises:
            OSError: There is none, or no answer came within `ANSWER_WITHIN_S`.
        """
        lookup = self._join(host)
        answer = asyncio.wrap_future(lookup.answer)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while not (await asyncio.wait([answer], timeout=_LOOK_AGAIN_S))[0]:
                    self._start_more()
            return answer.result()
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None
        finally:
            answer.cancel()  # this caller's view of it alone
            with self._lock:
                lookup.waiting -= 1

    def _join(self, host: str) -> _Lookup:
        with self._lock:
            until, refusal = self._refused.get(host, (None, ()))
            if until is not None and self._clock() < until:
                raise socket.gaierror(*refusal)
            lookup = self._running.get(host) or self._queue.get(host)
            if lookup is None:
                lookup = self._queue[host] = _Lookup(host)
                lookup.answer.set_running_or_notify_cancel()  # no caller can cancel it for the others
            lookup.waiting += 1
        self._start_more()
        return lookup

    def _start_more(self) -> None:
        """Start what may start of the names that wait, the oldest first."""
        with self._lock:
            now = self._clock()
            hung = self._count_hung(now)
            fresh = len(self._running) - hung
            for host, lookup in list(self._queue.items()):
                if len(self._running) >= MAX_THREADS:
                    return
                if lookup.waiting <= 0:
                    del self._queue[host]
                elif self._hung_until.get(host, now) > now:
                    if hung < HUNG_AT_ONCE and self._start(lookup, now):
                        hung += 1
                elif fresh < AT_ONCE and self._start(lookup, now):
                    fresh += 1

    def _count_hung(self, now: float) -> int:
        """Return how many of the running look-ups hang, once those that do by now are known."""
        for host, lookup in self._running.items():
            if lookup.started_at is not None and now - lookup.started_at >= HANGS_AFTER_S:
                self._hung_until[host] = now + HUNG_FOR_S
        return sum(1 for host in self._running if self._hung_until.get(host, now) > now)

    def _start(self, lookup: _Lookup, now: float) -> bool:
        thread = threading.Thread(target=self._run, args=(lookup,), name=f"name {lookup.host}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left; it is tried again while somebody waits
            return False
        lookup.started_at = now
        self._running[lookup.host] = self._queue.pop(lookup.host)
        return True

    def _run(self, lookup: _Lookup) -> None:
        found: Sequence[str] = ()
        problem: BaseException | None = None
        try:
            found = self._look_up(lookup.host)
        except BaseException as exc:  # noqa: BLE001  # whatever it is, it is the caller's answer
            problem = exc
        self._finish(lookup, problem)
        if problem is None:
            lookup.answer.set_result(found)
        else:
            lookup.answer.set_exception(problem)
        self._start_more()

    def _finish(self, lookup: _Lookup, problem: BaseException | None) -> None:
        with self._lock:
            now, host = self._clock(), lookup.host
            self._running.pop(host, None)
            if lookup.started_at is not None and now - lookup.started_at >= HANGS_AFTER_S:
                self._hung_until[host] = now + HUNG_FOR_S
            else:
                self._hung_until.pop(host, None)
            if isinstance(problem, socket.gaierror):
                self._refused[host] = (now + REFUSED_FOR_S, problem.args)
            else:
                self._refused.pop(host, None)
            _forget_oldest(self._hung_until)
            _forget_oldest(self._refused)


def _forget_oldest(remembered: dict[str, Any]) -> None:
    while len(remembered) > _MAX_REMEMBERED:
        del remembered[next(iter(remembered))]


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
