"""Sessions: a key typed once becomes a signed cookie, and every form carries proof that it is ours."""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from functions.domain.access import ADMINISTRATOR, Actor, digest_of
from functions.services import access
from functions.services.meta import get_signing_secret
from functions.web.api.auth import Identity
from functions.web.api.dependencies import ApiParts

COOKIE = "cronfire_session"
LASTS_S = 7 * 86_400
PATH = "/dashboard"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in.

    Attributes:
        proof: What every form of this session must send back.
    """

    actor: Actor
    proof: str


class Sessions:
    """Makes and reads sessions. The cookie holds the digest of a key, never the key, and is signed."""

    def __init__(self, parts: ApiParts, identity: Identity) -> None:
        self._parts = parts
        self._identity = identity
        self._secret = ""

    async def secret(self) -> str:
        """The installation's signing secret; asked of the store once a process."""
        if not self._secret:
            self._secret = await get_signing_secret(self._parts.store, new_secret=self._parts.new_secret)
        return self._secret

    async def begin(self, token: str, request: Request, response: Response) -> bool:
        """Sign in whoever knows the key *token*; whether it is one."""
        actor = await self._identity.of_token(token)
        if actor is None:
            return False
        response.set_cookie(
            COOKIE,
            (await self._signer()).dumps(digest_of(token)),
            max_age=LASTS_S,
            path=PATH,
            secure=request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
            httponly=True,
            samesite="strict",
        )
        return True

    async def current(self, request: Request) -> Session | None:
        """Who is signed in; None when nobody is, or the key is over."""
        cookie = request.cookies.get(COOKIE, "")
        if not cookie or len(cookie) > 1000:
            return None
        try:
            digest = (await self._signer()).loads(cookie, max_age=LASTS_S)
        except BadSignature:
            return None
        actor = await self._actor(str(digest))
        return None if actor is None else Session(actor, await self._proof(cookie))

    async def is_ours(self, session: Session, given: object) -> bool:
        """Whether a form came from a page of this session."""
        return isinstance(given, str) and hmac.compare_digest(given.encode(), session.proof.encode())

    @staticmethod
    def end(response: Response) -> None:
        """Sign out."""
        response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")

    async def _actor(self, digest: str) -> Actor | None:
        if self._identity.is_administrator(digest):
            return ADMINISTRATOR
        return await access.find_principal_by_hash(self._parts.store, digest, now=self._parts.now())

    async def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(await self.secret(), salt="session")

    async def _proof(self, cookie: str) -> str:
        return hmac.new((await self.secret()).encode(), f"form {cookie}".encode(), sha256).hexdigest()
