"""httpx clients that are built with their first use, which saves a cold start their libraries' 0.2 s."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.http_client.client import HttpClient
    from functions.http_client.httpx import httpx
    from functions.http_client.name_servers import NameServers
    from functions.http_client.sockets import GuardedSockets


class LazyClient:
    """Returns one client, however often it is called; it is built with the first call.

    Args:
        build: Imports what it needs, and returns the client.
    """

    def __init__(self, build: "Callable[[], HttpClient]") -> None:
        self._build = build
        self._client: HttpClient | None = None

    def __call__(self) -> "httpx.AsyncClient":
        """Return the client."""
        if self._client is None:
            self._client = self._build()
        return self._client

    async def close(self) -> None:
        """Close every connection. A later call opens a new client."""
        client, self._client = self._client, None
        if client is not None:
            await client.close_connections()


def guarded_client(*, allow_private: bool, ports: tuple[tuple[int, int], ...] | None = None) -> LazyClient:
    """Return the client for addresses that users give; see `build_guarded_client`.

    Args:
        allow_private: Whether private addresses may be called.
        ports: Those that may be called, as ranges, both ends included; None for the default.
    """

    def build() -> "HttpClient":
        from functions.http_client.client import build_guarded_client  # a tick with nothing due does without
        from functions.http_client.requests import Ports

        return build_guarded_client(
            allow_private=allow_private, ports=None if ports is None else Ports(ports)
        )

    return LazyClient(build)


def guarded_sockets(
    *, allow_private: bool, ports: tuple[tuple[int, int], ...] | None = None
) -> "Callable[[], GuardedSockets]":
    """Return what builds, with its first call, the connections without HTTP; arguments as above."""
    built: list[GuardedSockets] = []

    def build() -> "GuardedSockets":
        if not built:
            from functions.http_client.sockets import GuardedSockets  # few tasks connect without HTTP

            built.append(GuardedSockets(allow_private=allow_private, ports=ports))
        return built[0]

    return build


def guarded_name_servers(*, allow_private: bool, new_id: Callable[[], int]) -> "Callable[[], NameServers]":
    """Return what builds, with its first call, the questions to name servers; see `NameServers`."""
    built: list[NameServers] = []

    def build() -> "NameServers":
        if not built:
            from functions.http_client.name_servers import NameServers  # few tasks ask them

            built.append(NameServers(allow_private=allow_private, new_id=new_id))
        return built[0]

    return build


def single_origin_client(origin_url: str) -> LazyClient:
    """Return the client for one origin; see `build_single_origin_client`."""

    def build() -> "HttpClient":
        from functions.http_client.client import build_single_origin_client  # most processes never need it

        return build_single_origin_client(origin_url)

    return LazyClient(build)


def trusted_client(*, keepalive_s: float) -> LazyClient:
    """Return the client for addresses of the settings; see `build_trusted_client`."""

    def build() -> "HttpClient":
        from functions.http_client.client import build_trusted_client  # most ticks send nothing

        return build_trusted_client(keepalive_s=keepalive_s)

    return LazyClient(build)
