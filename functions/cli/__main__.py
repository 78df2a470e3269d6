"""`python -m functions.cli`: the command line as a process of its own."""

import sys

from functions.cli.main import start

sys.exit(start())
