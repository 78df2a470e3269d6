"""One tick: the order of its steps, and each step. Start reading at `tick.py`."""
