"""The wish to end: SIGTERM, remembered for whoever may start nothing more."""

import signal
from types import FrameType


class StopSignal:
    """Remembers that the process was told to end, and lets the server's own handler know as well."""

    def __init__(self) -> None:
        self._told = False
        self._listening = False

    def __call__(self) -> bool:
        """Whether SIGTERM has come."""
        return self._told

    def listen(self) -> None:
        """Listen from now on. Called when serving, because the server installs its handlers late."""
        if self._listening:
            return
        self._listening = True
        before = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: FrameType | None) -> None:
            self._told = True
            if callable(before):
                before(number, frame)
            elif before is signal.SIG_DFL:
                raise SystemExit(128 + number)

        try:
            signal.signal(signal.SIGTERM, handle)
        except ValueError:  # not the main thread: whoever owns that one handles its signals
            return
