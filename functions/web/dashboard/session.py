"""Sessions: a signed cookie in exchange for an API key, and a CSRF token for every form."""

import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Final

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from functions.domain.access import ADMINISTRATOR, Principal
from functions.services.access.signing import read_sign_in_token
from functions.services.meta import end_session, find_first_request, has_session_ended, was_requested
from functions.web.api.addresses import is_https
from functions.web.api.dependencies import ApiAuth
from functions.web.api.scheduler import ApiDependencies

COOKIE_NAME = "cronfire_session"
SESSION_LIFETIME = timedelta(days=7)
COOKIE_PATH = "/dashboard"
MAX_COOKIE_CHARS = 1000
LINK_USE = "sign-in link {}"  # the key under which the use of a link is recorded
SAME_SITE: Final = "lax"  # a link in a chat or a mail opens the page; forms of other sites bring no cookie


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user.

    Attributes:
        csrf_token: The token that every form of this session must send.
        id: Random, so that this session can be ended and no other.
        began_at: Seconds since 1970.
    """

    principal: Principal
    csrf_token: str = field(repr=False)
    id: str = ""
    began_at: int = 0


class Sessions:
    """Creates, reads and ends sessions.

    The cookie says which key, which session and since when, and is signed with a key derived from a secret
    outside the store. Nothing that the store holds is in it, nor enough to make one. Of the administrator
    the signature includes API_KEY, so that another value ends the sessions of the old one.

        ["k3f9a0c2d1e4b5f6", "9b1d...", 1795867200]      before it is encoded and signed
    """

    def __init__(self, dependencies: ApiDependencies, auth: ApiAuth) -> None:
        self._dependencies = dependencies
        self._auth = auth

    @property
    def problem(self) -> str:
        """Why keys of the store open no session; empty when they do."""
        return self._dependencies.keys.problem

    async def create(self, token: str, request: Request, response: Response) -> Session | None:
        """Sign in with the key *token*; return the session, None when it is no valid key."""
        principal = await self._auth.from_token(token, request)
        return None if principal is None else await self._begin(principal, request, response)

    async def create_from_link(self, token: str, request: Request, response: Response) -> bool:
        """Sign the administrator in by a link that works once; return whether it is valid and was not used.

        Of two uses at the same moment one signs in: the use is recorded by a conditional write first.
        """
        link_id = await self._link_id(token)
        if not link_id or await find_first_request(
            self._dependencies.store, LINK_USE.format(link_id), "", now=self._dependencies.now()
        ):
            return False
        await self._begin(ADMINISTRATOR, request, response)
        return True

    async def is_link_usable(self, token: str) -> bool:
        """Whether `create_from_link` would sign in now: one read for a valid link, and nothing is used up."""
        link_id = await self._link_id(token)
        return bool(link_id) and not await was_requested(self._dependencies.store, LINK_USE.format(link_id))

    async def _link_id(self, token: str) -> str:
        admin = self._auth.admin_key_hash
        if admin is None:
            return ""
        dependencies = self._dependencies
        return await read_sign_in_token(
            dependencies.signer, token, admin_key_hash=admin, now=dependencies.now()
        )

    async def _begin(self, principal: Principal, request: Request, response: Response) -> Session:
        """Set the cookie of a new session, and return it."""
        session_id, began_at = self._dependencies.new_id(), int(self._dependencies.now().timestamp())
        cookie = str((await self._serializers(principal.id))[0].dumps([principal.id, session_id, began_at]))
        response.set_cookie(
            COOKIE_NAME,
            cookie,
            max_age=int(SESSION_LIFETIME.total_seconds()),
            path=COOKIE_PATH,
            secure=is_https(request),
            httponly=True,
            samesite=SAME_SITE,
        )
        return Session(principal, await self._csrf_token(cookie), session_id, began_at)

    async def current(self, request: Request) -> Session | None:
        """Return the session of *request*.

        None without one, when it is too old or was ended, or when its key has expired or is revoked.
        """
        cookie = request.cookies.get(COOKIE_NAME, "")
        if not cookie or len(cookie) > MAX_COOKIE_CHARS:
            return None
        found = await self._parse(cookie)
        if found is None:
            return None
        key_id, session_id, began_at = found
        age = self._dependencies.now().timestamp() - began_at
        if not 0 <= age < SESSION_LIFETIME.total_seconds():
            return None
        principal = ADMINISTRATOR
        if key_id != ADMINISTRATOR.id:
            known = await self._dependencies.keys.find_by_id(key_id)
            if known is None:
                return None
            principal = known
        if await has_session_ended(self._dependencies.store, key_id, session_id, began_at=began_at):
            return None
        return Session(principal, await self._csrf_token(cookie), session_id, began_at)

    async def check_csrf(self, session: Session, token: object) -> bool:
        """Whether *token*, from a form, belongs to this session."""
        return isinstance(token, str) and hmac.compare_digest(
            token.encode("utf-8", "replace"), session.csrf_token.encode()
        )

    async def end(self, session: Session, response: Response) -> None:
        """Sign out: end the session, for every copy of its cookie, and delete the cookie.

        Raises:
            StoreUnavailableError: It is not known whether it was ended.
        """
        await end_session(
            self._dependencies.store,
            session.principal.id,
            session.id,
            began_at=session.began_at,
            now=self._dependencies.now(),
            lifetime=SESSION_LIFETIME,
        )
        response.delete_cookie(COOKIE_NAME, path=COOKIE_PATH, httponly=True, samesite=SAME_SITE)

    async def _parse(self, cookie: str) -> tuple[str, str, int] | None:
        """Return key, session and beginning of *cookie*; None when none of our keys signed it."""
        if not self._dependencies.signer.is_ready:
            return None
        for key_id in (ADMINISTRATOR.id, ""):
            for serializer in await self._serializers(key_id):
                try:
                    name, session_id, began_at = serializer.loads(cookie)
                except BadSignature:
                    continue
                is_administrator = name == ADMINISTRATOR.id
                return (name, session_id, began_at) if is_administrator == bool(key_id) else None
        return None

    async def _serializers(self, key_id: str) -> list[URLSafeSerializer]:
        """Return what signs cookies of the key *key_id*, and what is still accepted; empty for none."""
        keys = [keys.session for keys in await self._dependencies.signer.keys()]
        if key_id == ADMINISTRATOR.id:
            admin = self._auth.admin_key_hash
            keys = [] if admin is None else [hmac.digest(key, admin.encode(), "sha256") for key in keys]
        return [
            URLSafeSerializer(key, salt="session", signer_kwargs={"digest_method": sha256}) for key in keys
        ]

    async def _csrf_token(self, cookie: str) -> str:
        key = (await self._dependencies.signer.keys())[0].session
        return hmac.new(key, f"form {cookie}".encode(), sha256).hexdigest()
