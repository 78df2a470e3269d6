"""Which entry of a feed is which: its names, and addresses without what changes from fetch to fetch."""

import hashlib
from collections.abc import Sequence
from urllib.parse import urlsplit

# Parameters that say where a reader comes from, and sessions: the same entry has others at each fetch.
_TRACKING_PREFIXES = ("utm_", "mtm_", "matomo_", "piwik_", "hsa_")
_TRACKING_NAMES = frozenset({
    "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "twclid", "ttclid", "li_fat_id",
    "yclid", "ysclid", "igsh", "igshid", "mc_cid", "mc_eid", "mkt_tok", "_hsenc", "_hsmi", "hsctatracking",
    "vero_id", "wickedid", "oly_enc_id", "oly_anon_id", "xtor", "cmpid", "spm", "__s", "_ga", "_gl", "ncid",
    "sr_share", "rb_clickid", "s_cid", "ref_src", "at_medium", "at_campaign", "ns_mchannel", "ns_source",
    "ns_campaign", "ns_linkname", "pk_campaign", "pk_kwd", "pk_source", "phpsessid", "jsessionid",
})  # fmt: skip
_SESSION_NAMES = frozenset({"s", "sid"})  # of forums, when the value is a hash
_MAX_PARAMETERS = 100


def name_key(name: str) -> str:
    """Return the short key of *name* under which a task remembers it."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12]


def stable_name(name: str) -> str:
    """Return *name* as it is compared: of an address, what stays the same when its spelling changes.

    http://www.example.com/a/?utm_source=rss&id=7    example.com/a?id=7
    https://example.com:443/a?id=7                   example.com/a?id=7
    tag:example.com,2026:7                           tag:example.com,2026:7
    """
    name = name.strip()
    scheme, separator, _ = name.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return name
    try:
        parts = urlsplit(name)
        port = parts.port
    except ValueError:
        return name
    host = (parts.hostname or "").removeprefix("www.")
    place = host if port in (None, 80, 443) else f"{host}:{port}"
    path, _, parameters = parts.path.partition(";")
    if parameters and not parameters.lower().startswith("jsessionid="):
        path = parts.path
    query = _without_tracking(parts.query)
    fragment = _without_tracking(parts.fragment)
    return "".join(
        (place, path.rstrip("/"), f"?{query}" if query else "", f"#{fragment}" if fragment else "")
    )


def stable_path(address: str) -> str:
    """Return the path of *address* alone: it outlives a change of the host and of all parameters."""
    try:
        return urlsplit(address.strip()).path.rstrip("/")
    except ValueError:
        return ""


def entry_names(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of an entry, from the shortest name to the longest.

    Args:
        parts: What distinguishes an entry from others, e.g. its id, link, title, date and text; empty ones
            count for nothing. Each key is of one part more than the key before it.
    """
    given = [part for part in parts if part]
    return tuple(name_key("\n".join(given[:count])) for count in range(1, len(given) + 1)) or (name_key(""),)


def _without_tracking(query: str) -> str:
    if query.startswith(":~:"):
        return ""
    parameters = query.split("&", _MAX_PARAMETERS)
    return "&".join(one for one in parameters if one and not _is_tracking(one))


def _is_tracking(parameter: str) -> bool:
    name, separator, value = parameter.partition("=")
    name = name.lower().removeprefix("amp;")
    if name in _SESSION_NAMES:
        return len(value) == 32 and value.isalnum()
    return bool(separator) and (name in _TRACKING_NAMES or name.startswith(_TRACKING_PREFIXES))
