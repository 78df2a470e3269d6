"""The real entry point with the parts of `inside` behind its door, for the real server to load."""

import asyncio
import os

import main
from functions.web.app import SchedulerApp
from functions.web.factory import create_app
from tests.harness.chaos.world.clock import Clock, fast_loop

# The server takes its loop from here, once it serves.
setattr(asyncio, "SelectorEventLoop", fast_loop(Clock.of(os.environ).speed))  # noqa: B010  # mypy would not let a class be assigned


def _wire() -> SchedulerApp:
    from tests.harness.chaos.faults.inside import wire  # in the serving process, as the real one is

    return wire(main._settings)


main._app = create_app(main._settings, _wire)
scheduler = main.scheduler
