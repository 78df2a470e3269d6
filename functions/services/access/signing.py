"""The keys that sign sessions, rows of API keys and public links, derived from a secret outside the store."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.domain.storage import Document
from functions.errors import InputError
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document

SALT_DOCUMENT_ID = "signing"
NOTHING_TO_SIGN_WITH = (
    "SIGNING_SECRET is not set, and no API_KEY to derive it from: no key can be made or checked; set it, to "
    "one value for the command line and for the function"
)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What is derived from one secret, 256 bits for each purpose.

    Attributes:
        session: Signs the dashboard's cookies and forms.
        row: Signs rows of API keys, so that who can write to the store makes no key.
        link: Signs public links.
    """

    session: bytes = field(repr=False)
    row: bytes = field(repr=False)
    link: bytes = field(repr=False)


class Signer:
    """Derives the signing keys (HKDF, RFC 5869, with SHA-256 and a salt in the store).

    A reader of the store finds the salt, which is no secret, and signs nothing with it.

    Args:
        secrets: The secret in use, then those that are being retired; empty when nothing is set.
        new_secret: Returns 256 random bits as text, for the salt.
    """

    def __init__(
        self, store: DocumentStore, secrets: Sequence[str], *, new_secret: Callable[[], str]
    ) -> None:
        self._store = store
        self._secrets = tuple(secrets)
        self._new_secret = new_secret
        self._keys: tuple[SigningKeys, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether there is a secret to sign with."""
        return bool(self._secrets)

    async def keys(self) -> Sequence[SigningKeys]:
        """Return the keys in use first, then those of the secrets being retired; one read a process.

        Raises:
            InputError: There is no secret.
            StoreUnavailableError: The salt can be neither read nor written.
        """
        if not self._secrets:
            raise InputError(NOTHING_TO_SIGN_WITH)
        if not self._keys:
            salt = (await self._salt()).encode("utf-8", "replace")
            self._keys = tuple(_derive(secret.encode(), salt) for secret in self._secrets)
        return self._keys

    async def _salt(self) -> str:
        """Return the installation's salt. When several processes make one at once, the first write counts."""
        salt = ""

        def decide(document: Document | None) -> dict[str, object] | None:
            nonlocal salt
            stored = document.data.get("salt") if document else None
            salt = stored if isinstance(stored, str) and stored else self._new_secret()
            return None if salt == stored else {"salt": salt}  # what an older version kept there is dropped

        await update_document(self._store, "meta", SALT_DOCUMENT_ID, decide)
        return salt


def _derive(secret: bytes, salt: bytes) -> SigningKeys:
    from cryptography.hazmat.primitives.hashes import SHA256  # 10 ms, which no tick pays
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derive(purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt, f"cronfire {purpose}".encode()).derive(secret)

    return SigningKeys(derive("session"), derive("key row"), derive("public link"))


# Links that sign the administrator in, once: `serve` prints one. Kept of it is only that it was used.

SIGN_IN_LINK_LIFETIME = timedelta(minutes=10)


async def make_sign_in_token(signer: Signer, *, link_id: str, admin_key_hash: str, now: datetime) -> str:
    """Return the token of a link that signs in once, within SIGN_IN_LINK_LIFETIME.

    `ID.SECONDS.SIGNATURE`, where the seconds since 1970 are its end. Another API_KEY ends it as well.

    Raises:
        InputError: There is no secret to sign with.
    """
    text = f"{link_id}.{int((now + SIGN_IN_LINK_LIFETIME).timestamp())}"
    key = (await signer.keys())[0].session
    return f"{text}.{_sign_link(key, admin_key_hash, text)}"


async def read_sign_in_token(signer: Signer, token: str, *, admin_key_hash: str, now: datetime) -> str:
    """Return the id of the link that *token* is of; empty when it is none of ours, or too old.

    Whether it was used before is the caller's to check.
    """
    text, _, signature = token.rpartition(".")
    link_id, _, end = text.rpartition(".")
    if not signer.is_ready or not link_id or not (end.isascii() and end.isdigit() and len(end) <= MAX_DIGITS):
        return ""
    presented = signature.encode("utf-8", "replace")
    valid = [_sign_link(keys.session, admin_key_hash, text) for keys in await signer.keys()]
    is_signed = any(hmac.compare_digest(presented, one.encode()) for one in valid)
    return link_id if is_signed and now.timestamp() < int(end) else ""


MAX_DIGITS = 12  # of seconds since 1970


def _sign_link(key: bytes, admin_key_hash: str, text: str) -> str:
    return hmac.new(
        key, f"sign-in link {admin_key_hash} {text}".encode("utf-8", "replace"), "sha256"
    ).hexdigest()
