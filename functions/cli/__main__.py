"""`python -m functions.cli`: the command line as a process of its own."""

import sys

try:
    from functions.cli.main import start

    code = start()
except KeyboardInterrupt:  # while the modules are loaded, which takes a second on a busy machine
    code = 130
sys.exit(code)
