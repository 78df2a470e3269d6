"""What attempts work with, such as connections and parsers; built for the first one. Most ticks make none."""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from functions.config.settings import Settings
from functions.domain.lifecycle.permissions import Capabilities
from functions.http_client.lazy import (
    LazyClient,
    guarded_client,
    guarded_name_servers,
    guarded_sockets,
    single_origin_client,
)
from functions.interfaces import RunTask, Store
from functions.parsing.pool import ParserPool
from functions.services.access.view import OwnerView
from functions.task_types.registry import Tools, run_job
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.mcp_servers import McpServer

FILES_PER_ATTEMPT = 5  # a command's three streams, and what its start takes
OTHER_FILES = 512  # connections of the server, parsers, channels, and the store


def allow_open_files(count: int) -> None:
    """Let this process open *count* files, as far as the system lets it.

    Programs begin with a lower limit than they may have: 256 on macOS, 1,024 on most of Linux. Beyond it no
    call can be made, which looks like the failure of all that is called.
    """
    try:
        import resource  # not on Windows, which has no such limit
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Toolbox:
    """The tools of all attempts of a process.

    Args:
        store: Where tasks read others of their owner.
        redact: Masks the installation's secrets in a text.
        capabilities: Returns what an owner's tasks may use.

    Attributes:
        run_task: Makes one attempt with the tools.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        redact: Callable[[str], str],
        capabilities: Callable[[str], Awaitable[Capabilities]],
    ) -> None:
        allow_open_files(settings.max_concurrency * FILES_PER_ATTEMPT + OTHER_FILES)
        allow_private, ports = settings.allow_private_networks, settings.allow_ports
        task_secrets, environment = settings.task_secrets(), settings.command_environment()
        self._parsers = ParserPool(environment=settings.system_environment())
        http = guarded_client(allow_private=allow_private, ports=ports)
        self._clients = [http]
        model = None
        if settings.llm_base_url is not None:
            model = LanguageModel(
                open_http=self._open(settings.llm_base_url),
                url=settings.llm_base_url,
                api_key=settings.llm_api_key.get_secret_value() if settings.llm_api_key else "",
                default_model=settings.llm_model or "",
                provider=settings.llm_provider,
            )
        self.tools = Tools(
            open_http=http,
            open_sockets=guarded_sockets(allow_private=allow_private, ports=ports),
            open_name_servers=guarded_name_servers(
                allow_private=allow_private, new_id=partial(secrets.randbits, 16)
            ),
            open_store=partial(OwnerView, store),
            parse=self._parsers,
            redact=redact,
            secrets=task_secrets,
            allow_commands=settings.allow_commands,
            command_environment=environment,
            python_tasks=settings.python_tasks,
            github_token=settings.github_token.get_secret_value() if settings.github_token else "",
            github_api=settings.github_api_url,
            model=model,
            mcp_servers={
                name: McpServer(self._open(one.url), one.url, one.resolved_headers(task_secrets))
                for name, one in settings.agent_mcp_servers.items()
            },
            capabilities=capabilities,
        )
        self.run_task: RunTask = partial(run_job, tools=self.tools)

    async def close(self) -> None:
        """Release the connections, and end the processes that parse."""
        await self._parsers.close()
        for client in self._clients:
            await client.close()

    def _open(self, url: str) -> LazyClient:
        """Return the client of one origin, which is closed with the others."""
        client = single_origin_client(url)
        self._clients.append(client)
        return client
