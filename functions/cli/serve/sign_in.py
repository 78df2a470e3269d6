"""What a person needs to open the dashboard of `serve`: a link that signs in once, and the key."""

from collections.abc import Mapping, Sequence

from functions.cli.local.secret_files import secret_file
from functions.cli.session import CliContext
from functions.domain.access import hash_token
from functions.services.access.signing import SIGN_IN_LINK_LIFETIME, make_sign_in_token

API_KEY_FILE = "api-key"


def find_api_key(context: CliContext) -> Mapping[str, str]:
    """Return API_KEY as it is kept for this store, made the first time; empty where it is set."""
    if context.settings.api_key is not None:
        return {}
    return {"API_KEY": context.local_secret(API_KEY_FILE, "API_KEY")}


async def sign_in_lines(context: CliContext, address: str, extra: Mapping[str, str]) -> Sequence[str]:
    """Return the lines to print: the link, and where the key is from.

    Args:
        extra: The variables that were added to those of the server.
    """
    made = extra.get("API_KEY", "")
    setting = context.settings.api_key
    key = made or (setting.get_secret_value() if setting else "")
    token = await make_sign_in_token(
        context.app.signer, link_id=context.new_id(), admin_key_hash=hash_token(key), now=context.now()
    )
    minutes = SIGN_IN_LINK_LIFETIME.total_seconds() / 60
    lines = [
        "",
        f"Dashboard: {address}/dashboard/sign-in?once={token}",
        f"           (signs in once, within {minutes:.0f} minutes; later: {address}/dashboard and the key)",
    ]
    if made:
        file = secret_file(context.settings.store_url, API_KEY_FILE)
        lines += [f"Key:       {made}", f"           (kept in {file})"]
    else:
        lines.append("Key:       the one in API_KEY")
    return [*lines, ""]
