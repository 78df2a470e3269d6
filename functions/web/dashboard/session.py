"""Sessions: a signed cookie in exchange for an API key, and a CSRF token for every form."""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from functions.domain.access import ADMINISTRATOR, Principal, hash_token
from functions.services import access
from functions.services.meta import get_signing_secret
from functions.web.api.dependencies import ApiAuth, ApiDependencies

COOKIE_NAME = "cronfire_session"
SESSION_LIFETIME_S = 7 * 86_400
COOKIE_PATH = "/dashboard"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user.

    Attributes:
        csrf_token: The token that every form of this session must send.
    """

    principal: Principal
    csrf_token: str


class Sessions:
    """Creates and reads sessions. The cookie is signed and holds the digest of a key, never the key."""

    def __init__(self, dependencies: ApiDependencies, auth: ApiAuth) -> None:
        self._dependencies = dependencies
        self._auth = auth
        self._secret = ""

    async def secret(self) -> str:
        """Return the installation's signing secret; read from the store once a process."""
        if not self._secret:
            self._secret = await get_signing_secret(
                self._dependencies.store, new_secret=self._dependencies.new_secret
            )
        return self._secret

    async def create(self, token: str, request: Request, response: Response) -> bool:
        """Sign in with the key *token*; return whether it is valid."""
        principal = await self._auth.from_token(token, request)
        if principal is None:
            return False
        response.set_cookie(
            COOKIE_NAME,
            (await self._signer()).dumps(hash_token(token)),
            max_age=SESSION_LIFETIME_S,
            path=COOKIE_PATH,
            secure=request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
            httponly=True,
            samesite="strict",
        )
        return True

    async def current(self, request: Request) -> Session | None:
        """Return the session of *request*; None without one, or when its key has expired or is revoked."""
        cookie = request.cookies.get(COOKIE_NAME, "")
        if not cookie or len(cookie) > 1000:
            return None
        try:
            digest = (await self._signer()).loads(cookie, max_age=SESSION_LIFETIME_S)
        except BadSignature:
            return None
        principal = await self._find_principal(str(digest))
        return None if principal is None else Session(principal, await self._csrf_token(cookie))

    async def check_csrf(self, session: Session, token: object) -> bool:
        """Whether *token*, from a form, belongs to this session."""
        return isinstance(token, str) and hmac.compare_digest(token.encode(), session.csrf_token.encode())

    @staticmethod
    def destroy(response: Response) -> None:
        """Delete the session's cookie."""
        response.delete_cookie(COOKIE_NAME, path=COOKIE_PATH, httponly=True, samesite="strict")

    async def _find_principal(self, token_hash: str) -> Principal | None:
        if self._auth.is_admin_key(token_hash):
            return ADMINISTRATOR
        return await access.find_principal_by_hash(
            self._dependencies.store, token_hash, now=self._dependencies.now()
        )

    async def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(await self.secret(), salt="session")

    async def _csrf_token(self, cookie: str) -> str:
        return hmac.new((await self.secret()).encode(), f"form {cookie}".encode(), sha256).hexdigest()
