"""Who is calling: the values that the checks of a request end in."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SecretCaller:
    """Whoever knows the shared secret: cron-job.org, a crontab, a person."""


@dataclass(frozen=True, slots=True)
class GoogleCaller:
    """A service account of ours, vouched for by Google.

    Attributes:
        email: The account, one of those allowed.
    """

    email: str


Caller = SecretCaller | GoogleCaller


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the door stays shut.

    Attributes:
        status: 401 not known, 403 known but not allowed, 503 nobody could say.
        reason: For the log alone; the answer does not say it.
        token_given: Whether there was a bearer token at all.
    """

    status: Literal[401, 403, 503]
    reason: str
    token_given: bool = True
