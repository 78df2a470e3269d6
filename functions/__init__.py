"""Cronfire: a serverless task scheduler. Start reading at `tick.py`, which holds the order of one tick."""

__version__ = "0.1.0"
