"""Notifications: the channels that are set up, found by their modules in `channels/`.

The dispatcher sends; each channel renders a message for its vendor and posts it once.
"""

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
from functions.notifications.rendering.digest import LOCALE_SETTINGS

log = logging.getLogger(__name__)


def create_channels(settings: Mapping[str, str], post: PostRequest) -> dict[str, Channel]:
    """Return every channel that is set up, by name; the first of its `SETTINGS` enables it.

    A channel whose settings are wrong is left out with an ERROR in the log: tasks run without it.
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


def channel_problems(settings: Mapping[str, str], post: PostRequest) -> dict[str, str]:
    """Return why channels are not open of which a setting is set, by name; no text has a value."""
    problems = {}
    for module in channel_modules():
        try:
            channel = module.create_channel(settings, post)
        except SettingsError as exc:
            problems[_module_name(module)] = str(exc)
            continue
        given = [name for name in module.SETTINGS if settings.get(name) and name not in LOCALE_SETTINGS]
        if given and channel is None:
            problems[_module_name(module)] = f"{given[0]} is set, but {module.SETTINGS[0]} is not"
    return problems


def channel_names() -> tuple[str, ...]:
    """Return the names of all channels that can be set up."""
    return tuple(_module_name(module) for module in channel_modules())


def enabling_setting(name: str) -> str:
    """Return the name of the setting that sets up the channel *name*; empty when there is no such channel."""
    found = {_module_name(module): str(module.SETTINGS[0]) for module in channel_modules()}
    return found.get(name, "")


def channel_modules() -> list[ModuleType]:
    """Return the modules of channels; each has `SETTINGS` and `create_channel`."""
    names = sorted(info.name for info in pkgutil.iter_modules(channels.__path__))
    return [importlib.import_module(f"{channels.__name__}.{name}") for name in names]


def _module_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


# A hash of a channel's settings, stored beside its state: it changes when they do and does not reveal them.

HASH_DIGITS = 8  # enough to distinguish two settings, too few to confirm a guess of one


def channel_config_hashes(settings: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the hash of each channel in *names*, over the settings that its module reads."""
    settings_by_channel = {_module_name(module): module.SETTINGS for module in channel_modules()}
    return {
        name: _config_hash({key: settings.get(key, "") for key in settings_by_channel.get(name, ())})
        for name in names
    }


def _config_hash(settings: Mapping[str, str]) -> str:
    lines = "\n".join(f"{name}={value}" for name, value in sorted(settings.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:HASH_DIGITS]
