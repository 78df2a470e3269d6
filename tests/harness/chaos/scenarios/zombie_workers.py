"""A process oversleeps its claim and wakes while another is at work on the same task."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.harness.chaos.checker.history import Fault, History
from tests.harness.chaos.scenarios.deaths import Scene, spec
from tests.harness.chaos.world.processes import order

WITHIN_S = 60.0


async def play_zombie_worker(folder: Path, *, mutant: str = "") -> History:
    """Let a process wake after its claim has expired: what it writes of its failed attempt must not count.

    1. One process gets its answer, a failure, and falls asleep before it can write that down.
    2. Its claim expires. Another process tries again, and that attempt takes its time.
    3. The first wakes and writes.
    4. A third process looks for work: there is none, for the second is still at it.
    """
    scene = Scene(folder, specs=_one_task)
    scene.target.by_hand = lambda _, attempt: {1: "500", 2: "wait"}.get(attempt, "ok")
    events = folder / "events.jsonl"
    events.touch()
    await scene.start()
    try:
        began = time.time()
        order(folder, "zombie", "point", "after_send:1:sleep")
        zombie = await scene.begun("zombie", ["0"], mutant=mutant)
        await _until(lambda: '"sleep"' in events.read_text())
        second = await scene.begun("second", ["60"], mutant=mutant)
        await _until(lambda: scene.target.arrived == 2)
        zombie.send_signal(signal.SIGCONT)
        await zombie.wait()
        scene.faults.append(Fault("freeze", began, time.time(), "zombie"))
        await scene.ticks("third", ["70"], mutant=mutant)
        scene.target.released.set()
        await second.wait()
        await scene.ticks("last", ["200", "300"], mutant=mutant)
        return await scene.history()
    finally:
        await scene.stop()


def _one_task(target: str) -> list[dict[str, object]]:
    retry = {"maxAttempts": 4, "minBackoffSeconds": 1, "maxBackoffSeconds": 1}
    return [spec("slow", f"{target}/t/hand", timeoutSeconds=20, retry=retry)]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110  # another process sets no event of ours
            await asyncio.sleep(0.02)
