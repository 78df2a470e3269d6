"""Notices to people: one module per channel, registered by being here."""

import importlib
import logging
import pkgutil
from collections.abc import Mapping
from types import ModuleType

from functions.errors import SettingsError
from functions.notices.channel import Channel, Post

log = logging.getLogger(__name__)


def open_channels(settings: Mapping[str, str], post: Post) -> dict[str, Channel]:
    """Return every channel that is set up, by name; the first of its `SETTINGS` is what switches one on.

    A channel whose settings are wrong is left out with an ERROR in the log: tasks must run all the same.
    """
    channels: dict[str, Channel] = {}
    for module in channel_modules():
        try:
            channel: Channel | None = module.open_channel(settings, post)
        except SettingsError as exc:
            log.error("channel_misconfigured", extra={"channel": _name(module), "error": str(exc)})  # noqa: TRY400  # the traceback could show the setting
            continue
        if channel is not None:
            channels[channel.name] = channel
    return channels


def setting_names() -> tuple[str, ...]:
    """The settings all channels read, each once."""
    return tuple(dict.fromkeys(name for module in channel_modules() for name in module.SETTINGS))


def channel_modules() -> list[ModuleType]:
    """The modules of this room that are channels: those with `SETTINGS` and `open_channel`."""
    found = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg)
    modules = [importlib.import_module(f"{__name__}.{name}") for name in found]
    return [module for module in modules if hasattr(module, "open_channel")]


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]
