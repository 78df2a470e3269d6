"""Notices to people: one module per channel, registered by being here."""

import hashlib
import importlib
import logging
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType

from functions.errors import SettingsError
from functions.http_client.trusted import PostRequest
from functions.notifications import channels
from functions.notifications.channel import Channel

log = logging.getLogger(__name__)


def create_channels(settings: Mapping[str, str], post: PostRequest) -> dict[str, Channel]:
    """Return every channel that is set up, by name; the first of its `SETTINGS` is what switches one on.

    A channel whose settings are wrong is left out with an ERROR in the log: tasks must run all the same.
    """
    channels: dict[str, Channel] = {}
    for module in channel_modules():
        try:
            channel: Channel | None = module.create_channel(settings, post)
        except SettingsError as exc:
            log.error("channel_misconfigured", extra={"channel": _module_name(module), "error": str(exc)})  # noqa: TRY400  # the traceback could show the setting
            continue
        if channel is not None:
            channels[channel.name] = channel
    return channels


def setting_names() -> tuple[str, ...]:
    """The settings all channels read, each once."""
    return tuple(dict.fromkeys(name for module in channel_modules() for name in module.SETTINGS))


def channel_modules() -> list[ModuleType]:
    """The modules that are channels: those with `SETTINGS` and `create_channel`."""
    found = sorted(info.name for info in pkgutil.iter_modules(channels.__path__))
    return [importlib.import_module(f"{channels.__name__}.{name}") for name in found]


def _module_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


# The fingerprint of a channel's settings: it changes when they do, and gives nothing of them away.

HASH_DIGITS = (
    8  # of a hash: tells two settings apart, and fits so many others that none can be guessed from it
)


def channel_config_hashes(settings: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The fingerprint of each channel in *names*, made of the settings its module reads."""
    read = {module.__name__.rpartition(".")[2]: module.SETTINGS for module in channel_modules()}
    return {name: _config_hash({key: settings.get(key, "") for key in read.get(name, ())}) for name in names}


def _config_hash(settings: Mapping[str, str]) -> str:
    whole = "\n".join(f"{name}={value}" for name, value in sorted(settings.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:HASH_DIGITS]
