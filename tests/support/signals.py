"""Signals as a terminal's shell leaves them, whatever started the tests."""

import sys

# Before a command: Ctrl-C ends it also where SIGINT comes ignored, as behind `nohup ... &`.
WITH_CTRL_C = (
    sys.executable,
    "-c",
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
)
