"""The keys that sign sessions, rows of API keys and public links, derived from a secret outside the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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

    Whoever reads the store finds the salt, which is no secret, and signs nothing with it.

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
