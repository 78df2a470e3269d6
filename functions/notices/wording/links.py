"""Links in notices: to our own pages, and foreign ones sealed so that they cannot end early."""

import re
from urllib.parse import quote

from functions.notices.wording.plain import web_address

_UNSAFE_IN_LINK = re.compile(r"[()<>\[\]\\*`'\"|{}^]|&(?=#)")


def task_page(public_url: str, task_id: str) -> str:
    """The address of the task's page on the dashboard; empty when nobody said where we are reached."""
    root = web_address(public_url).rstrip("/")
    return f"{root}/dashboard/tasks/{quote(task_id, safe='')}" if root else ""


def sealed(url: str) -> str:
    """*url* with every character that could end a link, or begin something else, in percent form."""
    return _UNSAFE_IN_LINK.sub(lambda letter: f"%{ord(letter[0]):02X}", url)
