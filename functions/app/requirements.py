"""What stored tasks need and this installation does not have, for `doctor`."""

from collections.abc import Iterator, Sequence
from typing import Any

from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL, NO_CHANNEL, channel_names
from functions.domain.task import Task
from functions.errors import InputError
from functions.http_client import BlockedRequestError
from functions.http_client.addresses import is_public_address, parse_ip
from functions.http_client.requests import ANY_PORT, WEB_PORTS, Ports, check_url
from functions.task_types.registry import find_missing
from functions.task_types.support.context import Missing, Tools

URL_PARAMS = ("url", "feedUrl")
ALLOW_PRIVATE = "set ALLOW_PRIVATE_NETWORKS=1 where the function runs, if this is your own network"

ALLOW_PORTS = "list it in ALLOW_PORTS where the function runs, beside the others"


def find_requirements(
    task: Task,
    tools: Tools,
    *,
    channels: Sequence[str],
    allow_private: bool,
    allow_ports: tuple[tuple[int, int], ...] | None = None,
) -> Iterator[Missing]:
    """Yield what *task* needs and is not set up.

    Args:
        channels: The names of the channels that are set up.
        allow_private: Whether private networks may be called, and any port without *allow_ports*.
        allow_ports: The ports that may be called, as ranges, both ends included.
    """
    try:
        yield from find_missing(task.type, task.params, tools)
    except InputError as exc:
        yield Missing(str(exc), "correct its type, or add its module to TASK_TYPES")
        return
    ports = Ports(allow_ports) if allow_ports else ANY_PORT if allow_private else WEB_PORTS
    for name in URL_PARAMS:
        refusal = _refused_url(task.params.get(name), allow_private=allow_private, ports=ports)
        if refusal is not None:
            yield refusal
    known = (*channels, DEFAULT_CHANNEL, NO_CHANNEL)
    for name in channel_names(task.notify or ()):
        if name not in known:
            yield Missing(
                f"no channel {name!r} is set up",
                "set its variable (docs/reference/notifications.md#channels), or correct notify",
            )


def _refused_url(value: Any, *, allow_private: bool, ports: Ports) -> Missing | None:
    """Return why *value* is not called; None for no URL, or one with a secret. No name is looked up."""
    if not isinstance(value, str) or "{{" in value or not value.startswith(("http://", "https://")):
        return None
    try:
        url = check_url(value)
        if url.port is not None and url.port not in ports:
            return Missing(f"port {url.port} is not called, only {ports}", ALLOW_PORTS)
    except BlockedRequestError as exc:
        return Missing(exc.reason, "correct its params")
    host = url.raw_host or ""
    address = parse_ip(host)
    is_private = host == "localhost" or (
        address is not None and not is_public_address(address, url.port or 0)
    )
    if is_private and not allow_private:
        return Missing(f"{host} is in a private network, which is not called", ALLOW_PRIVATE)
    return None
