"""The installation's own signing secret: made once, kept in the store, the same for every process."""

from collections.abc import Callable

from functions.errors import StoreUnavailable
from functions.ports import Shelf
from functions.rules.storage import Document

NAME = "signing"


async def signing_secret(shelf: Shelf, *, new_secret: Callable[[], str]) -> str:
    """Return the secret that sessions and public links are signed with.

    It is none of the settings' secrets, so that rotating those breaks no link. Of several processes that
    make one at the same moment, the first one's counts.

    Raises:
        StoreUnavailable: It could neither be found nor kept.
    """
    for _ in range(2):
        found = await shelf.documents("meta", [NAME])
        if found and isinstance(secret := found[0].data.get("secret"), str) and secret:
            return secret
        await shelf.put([Document("meta", NAME, {"secret": new_secret()})])
    raise StoreUnavailable("The signing secret could not be kept")
