"""The gate: decides from a request's `Authorization` headers who is calling."""

import logging
from collections.abc import Sequence

from functions.web.bearer import MAX_TOKEN_CHARS, SharedSecrets, bearer_token
from functions.web.callers import Caller, Refusal, SecretCaller
from functions.web.oidc import IdTokens, looks_like_id_token

log = logging.getLogger(__name__)


class Gate:
    """Lets in whoever has a shared secret, or an ID token of an account that is allowed.

    Args:
        secrets: The shared secrets.
        id_tokens: The check of ID tokens; None when none are accepted.
    """

    def __init__(self, secrets: SharedSecrets, id_tokens: IdTokens | None = None) -> None:
        self._secrets = secrets
        self._id_tokens = id_tokens

    async def admit(self, authorization: Sequence[str]) -> Caller | Refusal:
        """Say who is calling, given all `Authorization` headers of the request, or why he may not."""
        token = bearer_token(authorization)
        if token is None:
            return Refusal(401, "no_token" if not authorization else "malformed", token_given=False)
        slot = self._secrets.slot_of(token)
        if slot is not None:
            if slot > 0:
                log.warning("secret_retiring_used")
            return SecretCaller()
        if self._id_tokens is None or not looks_like_id_token(token) or len(token) > MAX_TOKEN_CHARS:
            return Refusal(401, "wrong_secret")
        return await self._id_tokens.check(token)
