"""Runs chaos: `scripts/chaos` says how."""

import argparse
import asyncio
import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.harness.chaos.faults.nemesis import ALL_WEIGHTS
from tests.harness.chaos.mutation import mutate
from tests.harness.chaos.report import as_json, as_markdown, as_text, passed
from tests.harness.chaos.run import Result, run
from tests.harness.chaos.setup import Setup
from tests.harness.chaos.world.clock import fast_loop
from tests.harness.chaos.world.stands import NoEmulator

SPEED = {"sqlite": 8.0, "firestore": 5.0}
TASKS = {"sqlite": 260, "firestore": 320}
LOAD_SPEED, LOAD_GAP_S = 2.0, 20.0
QUICK_OCCURRENCES, QUICK_TASKS = 600, 60


def main(words: Sequence[str]) -> int:
    """Run; print; 0 when nothing was lost, doubled or left unknown."""
    options = _options(words)
    for number in (signal.SIGTERM, signal.SIGHUP):  # whoever ends this ends what it started
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    folder = Path(options.keep or tempfile.mkdtemp(prefix="cronfire-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    if options.mutants:
        only, controls = options.only or (), not options.no_controls
        return mutate(folder, seed=options.seed, only=only, controls=controls, say=_say)
    try:
        result = chaos(under_load(options) if options.load else setup_of(options), folder)
    except NoEmulator as fault:
        print(f"scripts/chaos: {fault}", file=sys.stderr)  # noqa: T201  # for whoever is at the screen
        return 3
    text = json.dumps(as_json(result), indent=2) if options.as_json else as_text(result)
    print(text)  # noqa: T201  # this is what it is for
    if options.report:
        Path(options.report).write_text(as_markdown(result), encoding="utf-8")
    if not passed(result):
        _say(f"logs and history: {folder}")
    return 0 if passed(result) else 1


def chaos(setup: Setup, folder: Path) -> Result:
    """Run *setup* from a loop of its own."""
    _say(f"store {setup.store}, seed {setup.seed}, about {setup.occurrences} occurrences")
    with asyncio.Runner(loop_factory=fast_loop(setup.speed)) as runner:
        return runner.run(run(setup, folder, say=_say))


def setup_of(options: argparse.Namespace) -> Setup:
    """What the words on the command line ask for."""
    return Setup(
        store=options.store,
        seed=options.seed,
        occurrences=options.occurrences or (QUICK_OCCURRENCES if options.quick else 10_000),
        task_count=options.tasks or (QUICK_TASKS if options.quick else TASKS[options.store]),
        speed=options.speed or SPEED[options.store],
        weights=ALL_WEIGHTS,
        settlements=options.settlements,
        with_guilty=True,
        with_groups=True,
    )


def under_load(options: argparse.Namespace) -> Setup:
    """More than a tick can do: windows, slots and the time for starting bind, and an eighth of it hangs."""
    return Setup(
        store=options.store,
        seed=options.seed,
        occurrences=options.occurrences or 10_000,
        task_count=options.tasks or 2_000,
        speed=options.speed or LOAD_SPEED,
        weights=ALL_WEIGHTS,
        gap_s=LOAD_GAP_S,
        processes=1,
        workers=3,
        slots=100,
        period=4,  # all at once, and then time enough: what binds for ever is never over
        hanging_every=16,
        settlements=options.settlements,
        with_guilty=True,
        with_groups=True,
    )


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Plagues the function's real processes, and judges what became of every occurrence.",
        epilog="Exit codes: 0 nothing lost, doubled or unknown; 1 something was, or a mutant was not "
        "noticed; 2 wrong usage; 3 no Firestore emulator.",
    )
    add = parser.add_argument
    add("--store", choices=("sqlite", "firestore"), default="sqlite")
    add(
        "--seed",
        type=int,
        default=secrets.randbelow(1_000_000),
        help="draws the same tasks, faults and acts again",
    )
    add("--occurrences", type=int, metavar="N", help="about how many fall due (10000)")
    add("--tasks", type=int, metavar="N", help="how many tasks share them")
    add("--speed", type=float, metavar="X", help="how much faster than real time it goes")
    add("--settlements", choices=("at_once", "deferred"), default="at_once", help="what SETTLEMENTS is")
    add("--quick", action="store_true", help="600 occurrences: about a minute and a half")
    add("--load", action="store_true", help="2,000 tasks, three workers under gunicorn, slots that bind")
    add(
        "--mutants",
        action="store_true",
        help="make deliberate mistakes, and none; only those must be noticed",
    )
    add("--only", action="append", metavar="NAME", help="with --mutants: only this one; may be repeated")
    add("--no-controls", action="store_true", help="with --mutants: mistakes only")
    add("--json", dest="as_json", action="store_true", help="the result as JSON")
    add("--report", metavar="FILE", help="write the result as Markdown as well")
    add("--keep", metavar="FOLDER", help="where logs and the history go")
    options = parser.parse_args(words)
    if (options.only or options.no_controls) and not options.mutants:
        parser.error("--only and --no-controls are for --mutants: without it a whole run would begin")
    return options


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201  # minutes pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
