"""The fingerprint of a channel's settings: it changes when they do, and gives nothing of them away."""

import hashlib
from collections.abc import Iterable, Mapping

from functions.notices import channel_modules

DIGITS = 8  # of a hash: tells two settings apart, and fits so many others that none can be guessed from it


def fingerprints(settings: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The fingerprint of each channel in *names*, made of the settings its module reads."""
    read = {module.__name__.rpartition(".")[2]: module.SETTINGS for module in channel_modules()}
    return {name: _fingerprint({key: settings.get(key, "") for key in read.get(name, ())}) for name in names}


def _fingerprint(settings: Mapping[str, str]) -> str:
    whole = "\n".join(f"{name}={value}" for name, value in sorted(settings.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]
