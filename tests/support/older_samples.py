"""What other schedulers have, from samples/older."""

from datetime import datetime
from pathlib import Path

from functions.transfer.foreign.entry import Older, Terms
from functions.transfer.foreign.formats import read_older
from tests.conftest import NOON

SAMPLES = Path(__file__).parents[2] / "samples" / "older"


def read_sample(*names: str, now: datetime = NOON, shape: str | None = None) -> Older:
    """The samples *names*, as read at *now*."""
    sources = [(name, (SAMPLES / name).read_text(encoding="utf-8")) for name in names]
    return read_older(sources, Terms(now), shape=shape)
