"""Opens the store that the settings name, with what it needs besides its address."""

from typing import TYPE_CHECKING, Any

from functions.errors import InputError
from functions.settings import Settings
from functions.store import open_store
from functions.store.bitable_account import FeishuApp, Reading

if TYPE_CHECKING:
    from functions.store import AnyStore


def opened(settings: Settings) -> "AnyStore":
    """The store of `STORE_URL`. Nothing is connected yet."""
    secret = settings.feishu_app_secret
    app = None
    if settings.feishu_app_id and secret:
        app = FeishuApp(settings.feishu_app_id, secret.get_secret_value(), settings.feishu_base_url)
    reading = Reading(cell_values, settings.default_timezone)
    return open_store(settings.store_url, feishu=app, reads=reading)


def cell_values(text: str) -> Any:
    """What a cell's text says as YAML, by the rules of task files.

    Raises:
        ValueError: It is none; the text says why.
    """
    from functions.taskfiles.documents import parse  # 20 ms, and only where a cell holds no JSON

    try:
        document = parse(text, as_json=False)
    except InputError as exc:
        raise ValueError(f"this is neither YAML nor JSON: {exc}") from None
    for problem in document.problems:
        raise ValueError(problem.reason)
    return document.value
