"""`python -m functions.cli`: the command line as a process of its own."""

import sys

try:
    try:
        from functions.cli.main import start
    except ModuleNotFoundError as exc:  # a Python of the system, not the one of .venv
        sys.exit(
            f"scheduler: {exc.name} is not installed for {sys.executable}: scripts/environment makes .venv "
            "with all packages, and scripts/scheduler uses it; or pip install -r requirements.txt"
        )
    code = start()
except KeyboardInterrupt:  # while the modules are loaded, which takes a second on a busy machine
    code = 130
sys.exit(code)
