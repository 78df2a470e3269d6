"""Task type `tls_check`: checks a server's certificate and how long it lasts; HTTP is not needed."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.task_types.support.context import HostName, PortNumber, Seconds, Tools

EXAMPLE: dict[str, Any] = {"host": "mail.example.com", "port": 993, "certificateDaysLeft": 21}
FINISH_MARGIN_S = 1.0  # of the attempt, for the outcome
DAY = timedelta(days=1)


class Params(Model):
    """What to check.

    Attributes:
        host: The name that the certificate must be for.
        port: Other ports than those of the web are allowed by ALLOW_PORTS.
        certificate_days_left: The check fails when the certificate ends sooner.
        timeout_seconds: Time for connection and handshake.
    """

    host: HostName
    port: PortNumber = 443
    certificate_days_left: Annotated[int, Field(ge=1, le=365)] = 14
    timeout_seconds: Seconds = 10.0


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Shake hands once. An untrusted, expired or foreign certificate fails with the reason."""
    timeout_s = min(params.timeout_seconds, max(job.timeout_s - FINISH_MARGIN_S, 0.1))
    async with tools.sockets.open(params.host, params.port, tls=True, timeout_s=timeout_s) as opened:
        pass
    if opened.certificate_ends_at is None:
        return failed("The certificate's last day could not be read, so it was not checked")
    days = (opened.certificate_ends_at - job.started_at) // DAY
    metrics = {
        "certificateDaysLeft": days,
        "issuer": opened.issuer,
        "tlsVersion": opened.tls_version,
        "latencyMs": opened.connect_ms,
    }
    lasts = f"{days} day{'s' * (days != 1)}"
    if days < params.certificate_days_left:
        return failed(
            f"The certificate ends in {lasts}, sooner than the {params.certificate_days_left} asked for",
            metrics=metrics,
        )
    issuer = f", issued by {opened.issuer}" if opened.issuer else ""
    return succeeded(f"The certificate lasts {lasts} more{issuer}; {opened.tls_version}", metrics=metrics)
